"""Every file of the corpus gives the finding that it is named after, at its place, and no other."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from filestore.check import StoreCheck
from filestore.codec import dumps
from filestore.datapoint_file import schema_digest
from filestore.findings import RULES, Finding

CORPUS = Path(__file__).parent / "corpus"
READABLE = sorted((CORPUS / "readable").glob("*.json"))
DRAFTS = sorted((CORPUS / "drafts").glob("*.json"))
VALID = sorted((CORPUS / "valid").glob("*.json"))
INVALID = sorted((CORPUS / "invalid").glob("*.json"))
EXPECTED: dict[str, Any] = json.loads((CORPUS / "expected.json").read_bytes())
"""Name of an invalid file to where the finding must be: line, column, and the pointer or null."""

NAME = "019a4903-0e5f-7522-aed5-b912bbcb6b2a.json"
PATH = f"cases/{NAME}"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
OF_DATASETS = {
    *("invalid-config", "unreadable", "link", "altered-schema", "altered-attachment", "wrong-id", "wrong-directory"),
    *(
        "misplaced-datapoint",
        "misplaced-tombstone",
        "two-successors",
        "case-collision",
        "draft",
        "unused-schema",
        "unused-attachment",
    ),
    *("orphan-tombstone", "future-id", "edited-and-deleted", "same-name", "same-content", "windows-name"),
    "wrong-suffix",
    "unfinished-change",
}
"""Codes that take more than one file to be told; `test_check.py` has them."""


def check(file: Path, root: Path) -> list[Finding]:
    """Check a file as the only datapoint, or the only draft, of a dataset, beside the schemas that it may refer to."""
    (root / "cases" / "schemas").mkdir(parents=True)
    for name in ("answer", "verdict"):
        schema = dumps(json.loads((CORPUS / "config" / f"{name}.json").read_bytes()))
        (root / "cases" / "schemas" / f"{schema_digest(schema)}.json").write_bytes(schema)
    shutil.copy(file, root / "cases" / (file.name if is_draft(file) else NAME))
    with StoreCheck(str(root), str(CORPUS / "config" / "tensorzero.toml"), NOW) as run:
        return [one for one in run.check_all().findings if one.code not in ("unused-schema", "draft")]


def is_draft(file: Path) -> bool:
    """Tell whether a file is to be checked as a draft: its name says so, or its directory."""
    return file.parent.name == "drafts" or "--draft" in file.name


def test_the_corpus_has_a_file_for_every_code_that_one_file_can_have() -> None:
    assert len(INVALID) >= 120
    assert min(len(VALID), len(READABLE), len(DRAFTS) * 2) >= 10
    assert {path.stem for path in INVALID} == set(EXPECTED)
    assert {path.stem.partition("--")[0] for path in INVALID} == RULES.keys() - OF_DATASETS


@pytest.mark.parametrize("file", VALID, ids=lambda path: path.stem)
def test_a_valid_file_is_clean(file: Path, tmp_path: Path) -> None:
    assert check(file, tmp_path) == []


@pytest.mark.parametrize("file", [*READABLE, *DRAFTS], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_people_may_write_is_at_most_not_canonical(file: Path, tmp_path: Path) -> None:
    assert [finding for finding in check(file, tmp_path) if finding.code != "not-canonical"] == []


@pytest.mark.parametrize("file", INVALID, ids=lambda path: path.stem)
def test_an_invalid_file_gives_its_finding_at_its_place(file: Path, tmp_path: Path) -> None:
    [found] = check(file, tmp_path)
    expected = EXPECTED[file.stem]
    assert found.code == file.stem.partition("--")[0]
    assert found.path == (f"cases/{file.name}" if is_draft(file) else PATH)
    assert {"line": found.line, "column": found.column} == {key: expected[key] for key in ("line", "column")}
    if expected["pointer"] is not None:
        assert list(found.pointer or ()) == expected["pointer"]
    assert found.message[-1] in ".?"
    assert "\n" not in found.message
