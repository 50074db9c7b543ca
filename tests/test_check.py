"""Laws of the check: the samples are clean, each mistake is told once at its place, and every door tells the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from filestore import FileStore
from filestore.check import StoreCheck, workers
from filestore.check.names import find_names
from filestore.check.report import iter_commands
from filestore.codec import dumps
from filestore.datapoint_file import schema_digest
from filestore.findings import RULES, Finding, Severity
from tests.test_corpus import OF_DATASETS

SAMPLES = Path(__file__).parent.parent / "sample_datasets"
NOW = datetime(2040, 6, 1, tzinfo=UTC)
DATASET = "support_conversations"
BASE = {"raw-output-mismatch"}
"""The samples record what models got wrong, on purpose."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "store"
    shutil.copytree(SAMPLES, root)
    return root


def check(root: Path, jobs: int = 1) -> list[Finding]:
    with StoreCheck(str(root), None, NOW, jobs) as run:
        return [finding for finding in run.check_all().findings if finding.code not in BASE]


def live(root: Path, number: int = 0) -> Path:
    stale = {path.name.partition("@")[0] for path in root.glob(f"{DATASET}/tombstones/*/*")}
    files = (path for path in (root / DATASET).glob("019a6*.json") if path.is_file() and not path.is_symlink())
    return sorted(path for path in files if path.stem not in stale)[number]


def change(path: Path, **fields: Any) -> None:
    value = {**json.loads(path.read_bytes()), **fields}
    path.write_bytes(dumps(value))


def new_name(path: Path, milliseconds: int = 1) -> Path:
    one = uuid.UUID(int=uuid.UUID(path.stem).int + (milliseconds << 80))
    return path.with_name(f"{one}.json")


def test_the_samples_are_clean() -> None:
    assert check(SAMPLES) == []
    with StoreCheck(str(SAMPLES), None, NOW) as run:
        findings, files = run.check_all()
    assert {finding.severity for finding in findings} == {Severity.WARNING}
    assert files == len(list(SAMPLES.glob("*/*-*-*.json")))


# --- each mistake of a dataset


def break_config(root: Path) -> str:
    path = root / "tensorzero.toml"
    path.write_text(path.read_text() + '\n[functions.broken]\ntype = "chta"\n')
    return "tensorzero.toml"


def make_unreadable(root: Path) -> str:
    path = new_name(live(root))
    path.mkdir()
    return f"{DATASET}/{path.name}"


def link(root: Path) -> str:
    path = new_name(live(root), 2)
    path.symlink_to(live(root))
    return f"{DATASET}/{path.name}"


def link_dataset(root: Path) -> str:
    (root / "linked").symlink_to(root / DATASET)
    return "linked"


def alter_schema(root: Path) -> str:
    path = next(root.glob("email_application/schemas/*.json"))
    path.write_text(path.read_text().replace('"object"', '"array"', 1))
    return path.relative_to(root).as_posix()


def leave_schema(root: Path) -> str:
    data = dumps({"title": "nobody's"})
    path = root / "entity_extraction" / "schemas" / f"{schema_digest(data)}.json"
    path.write_bytes(data)
    return path.relative_to(root).as_posix()


def leave_strange_schema(root: Path) -> str:
    path = root / "entity_extraction" / "schemas" / "answer.json"
    path.write_bytes(dumps({}))
    return path.relative_to(root).as_posix()


def leave_attachment(root: Path) -> str:
    path = root / DATASET / "files" / f"{'0' * 64}.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    real = path.with_name("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.png")
    path.rename(real)
    return real.relative_to(root).as_posix()


def write_upper_case(root: Path) -> str:
    path = live(root)
    other = path.with_name(f"{new_name(path).stem.upper()}.json")
    shutil.copy(path, other)
    return other.relative_to(root).as_posix()


def write_version_4(root: Path) -> str:
    path = live(root).with_name("5b0b0c1e-2c1f-4c1e-9a52-0123456789ab.json")
    shutil.copy(live(root), path)
    return path.relative_to(root).as_posix()


def misname_dataset(root: Path) -> str:
    (root / "a%2fb").mkdir()
    shutil.copy(live(root), root / "a%2fb")
    return "a%2fb"


def misplace_tombstone(root: Path) -> str:
    path = root / DATASET / "tombstones" / "zz" / f"{live(root).stem}@20260102T030405.000000Z"
    path.parent.mkdir()
    path.touch()
    return path.relative_to(root).as_posix()


def misname_tombstone(root: Path) -> str:
    path = root / DATASET / "tombstones" / live(root).stem[-2:] / f"{live(root).stem}.json"
    path.parent.mkdir(exist_ok=True)
    path.touch()
    return path.relative_to(root).as_posix()


def orphan_tombstone(root: Path) -> str:
    one = new_name(live(root)).stem
    path = root / DATASET / "tombstones" / one[-2:] / f"{one}@20260102T030405.000000Z"
    path.parent.mkdir(exist_ok=True)
    path.touch()
    return path.relative_to(root).as_posix()


def replace_twice(root: Path) -> str:
    old = str(uuid.UUID(int=uuid.UUID(live(root).stem).int - (5 << 80)))
    for number in (0, 1):
        change(live(root, number), replaces=old)
    return live(root, 1).relative_to(root).as_posix()


def collide(root: Path) -> str:
    shutil.copytree(root / DATASET, root / DATASET.upper())
    return DATASET


def draft(root: Path) -> str:
    shutil.copy(live(root), root / DATASET / "new-case.json")
    return f"{DATASET}/new-case.json"


def come_from_the_future(root: Path) -> str:
    path = live(root)
    time = int((NOW + timedelta(days=3)).timestamp() * 1000)
    new = path.with_name(f"{uuid.UUID(int=(time << 80) | (uuid.UUID(path.stem).int & (1 << 80) - 1))}.json")
    path.rename(new)
    return new.relative_to(root).as_posix()


def edit_and_delete(root: Path) -> str:
    path = live(root)
    change(path, updated_at="2026-03-01T00:00:00.000000Z")
    tombstone = root / DATASET / "tombstones" / path.stem[-2:] / f"{path.stem}@20260201T000000.000000Z"
    tombstone.parent.mkdir(exist_ok=True)
    tombstone.touch()
    return path.relative_to(root).as_posix()


def replace_and_delete(root: Path) -> str:
    """Two branches: on one a datapoint was updated, on the other it was deleted."""
    store = FileStore(root)
    request = {"id": live(root).stem, "type": "chat", "tags": {"is": "new"}}
    [new] = store.update_datapoints(dataset_name=DATASET, requests=[request])
    [tombstone] = root.glob(f"{DATASET}/tombstones/*/{request['id']}@*")
    tombstone.with_name(f"{request['id']}@20270101T000000.000000Z").touch()
    return f"{DATASET}/{new}.json"


def name_twice(root: Path) -> str:
    for number in (0, 1):
        path = live(root, number)
        value = json.loads(path.read_bytes())
        path.write_bytes(dumps({key: "twice" if key == "name" else item for key, item in value.items()}))
    return live(root, 1).relative_to(root).as_posix()


def say_twice(root: Path) -> str:
    path = live(root)
    new = new_name(path, 3)
    value = json.loads(path.read_bytes())
    value["name"] = "another name"
    new.write_bytes(dumps(value))
    return new.relative_to(root).as_posix()


def put_into_a_directory(root: Path) -> str:
    path = live(root)
    (path.parent / "hard").mkdir()
    return path.rename(path.parent / "hard" / path.name).relative_to(root).as_posix()


def put_beside_the_datasets(root: Path) -> str:
    shutil.copy(live(root), root)
    return live(root).name


def write_another_suffix(root: Path) -> str:
    (root / DATASET / "case.json.txt").write_text("{}", encoding="utf-8")
    return f"{DATASET}/case.json.txt"


def name_for_no_windows(root: Path) -> str:
    shutil.copy(live(root), root / DATASET / "what?.json")
    return f"{DATASET}/what?.json"


def interrupt(root: Path) -> str:
    (root / ".filestore" / DATASET / "pending").mkdir(parents=True)
    return f".filestore/{DATASET}/pending"


MISTAKES: dict[str, tuple[Callable[[Path], str], str, set[str]]] = {
    "config": (break_config, "invalid-config", set()),
    "directory-in-place-of-a-file": (make_unreadable, "unreadable", set()),
    "link": (link, "link", set()),
    "linked-dataset": (link_dataset, "link", set()),
    "altered-schema": (alter_schema, "altered-schema", set()),
    "left-schema": (leave_schema, "unused-schema", set()),
    "strange-schema": (leave_strange_schema, "unused-schema", set()),
    "left-attachment": (leave_attachment, "unused-attachment", set()),
    "upper-case": (write_upper_case, "wrong-id", set()),
    "version-4": (write_version_4, "wrong-id", set()),
    "misnamed-dataset": (misname_dataset, "wrong-directory", set()),
    "in-a-directory": (put_into_a_directory, "misplaced-datapoint", set()),
    "beside-the-datasets": (put_beside_the_datasets, "misplaced-datapoint", set()),
    "misplaced-tombstone": (misplace_tombstone, "misplaced-tombstone", set()),
    "misnamed-tombstone": (misname_tombstone, "misplaced-tombstone", set()),
    "orphan-tombstone": (orphan_tombstone, "orphan-tombstone", set()),
    "replaced-twice": (replace_twice, "two-successors", set()),
    "names-that-collide": (collide, "case-collision", set()),
    "draft": (draft, "draft", set()),
    "future": (come_from_the_future, "future-id", set()),
    "edited-and-deleted": (edit_and_delete, "edited-and-deleted", set()),
    "replaced-and-deleted": (replace_and_delete, "edited-and-deleted", set()),
    "name-twice": (name_twice, "same-name", set()),
    "content-twice": (say_twice, "same-content", set()),
    "another-suffix": (write_another_suffix, "wrong-suffix", set()),
    "windows": (name_for_no_windows, "windows-name", {"draft"}),
    "interrupted": (interrupt, "unfinished-change", set()),
}
"""What makes the mistake and returns the path it must be told at, its code, and what else it is."""


IN_THE_WAY = {"config", "names-that-collide", "directory-in-place-of-a-file"}
IN_THE_WAY |= {"edited-and-deleted", "replaced-and-deleted"}
"""Mistakes that hide others."""


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_at_its_path_and_nothing_else_is(mistake: str, root: Path) -> None:
    make, code, others = MISTAKES[mistake]
    path = make(root)
    found = check(root)
    assert sorted((finding.code, finding.path) for finding in found) == sorted((one, path) for one in {code, *others})
    assert all((finding.line, finding.column) == (1, 1) for finding in found)


def test_there_is_a_mistake_of_every_code_that_takes_a_dataset() -> None:
    told = {code for _, code, _ in MISTAKES.values()}
    assert told == OF_DATASETS - {"altered-attachment"}


def test_an_altered_attachment_is_told(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    block = {"type": "file", "file_type": "base64", "mime_type": "image/png", "data": "iVBORw0KGgo="}
    item = {"type": "chat", "function_name": "f", "input": {"messages": [{"role": "user", "content": [block]}]}}
    store.create_datapoints(dataset_name="cases", requests=[item])
    [path] = tmp_path.glob("cases/files/*")
    assert check(tmp_path) == []
    path.write_bytes(b"other")
    assert [(finding.code, finding.path) for finding in check(tmp_path)] == [
        ("altered-attachment", path.relative_to(tmp_path).as_posix())
    ]


def test_all_mistakes_at_once_are_all_told_and_in_several_processes_the_same(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = {name: mistake for name, mistake in MISTAKES.items() if name not in IN_THE_WAY}
    for make, _, _ in together.values():
        make(root)
    found = check(root)
    assert {finding.code for finding in found} >= {code for _, code, _ in together.values()}
    assert found == sorted(found)
    monkeypatch.setattr(workers, "_FEW", 0)
    assert check(root, jobs=2) == found


# --- the command line


def run(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "filestore", *map(str, words)]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GITHUB_")}
    return subprocess.run(command, capture_output=True, text=True, env={**clean, **environment}, check=False)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows allows no such name")
def test_a_path_is_told_on_one_line_as_it_is(root: Path) -> None:
    shutil.copy(live(root), root / DATASET / "two  spaces\nand a line.json")
    shown = rf"{DATASET}/two  spaces\x0aand a line.json"
    done = run("--root", root, "check", "--select", "draft")
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [str(root / shown)]
    done = run("--root", root, "fmt", "--adopt")
    assert [line.split(" -> ")[0] for line in done.stdout.splitlines()] == [str(root / shown)]


def test_text_is_path_line_column_severity_code_and_message(root: Path) -> None:
    path = live(root)
    path.write_text(path.read_text().replace('"role": "user"', '"role": "usr"', 1))
    done = run("--root", root, "check", DATASET)
    [line] = done.stdout.splitlines()
    assert line.startswith(f"{path}:14:17: error wrong-value input.messages[0].role: unknown variant `usr`")
    assert (done.returncode, done.stderr) == (1, "1 error, 0 warnings in 18 files\n")


def test_warnings_alone_exit_with_0(root: Path) -> None:
    done = run("--root", root, "check")
    assert done.returncode == 0
    assert done.stderr.startswith("0 errors, 4 warnings in ")


def test_json_has_all_that_a_program_needs(root: Path) -> None:
    path = live(root)
    path.write_text(path.read_text().replace('"role": "user"', '"role": "usr"', 1))
    [found] = json.loads(run("--root", root, "check", "--format", "json", DATASET).stdout)
    assert found == {
        "code": "wrong-value",
        "severity": "error",
        "path": f"{DATASET}/{path.name}",
        "line": 14,
        "column": 17,
        "pointer": "/input/messages/0/role",
        "message": "input.messages[0].role: unknown variant `usr`, expected `user` or `assistant`.",
    }


def test_github_gets_ten_annotations_of_each_kind_and_a_table(root: Path, tmp_path: Path) -> None:
    for path in (root / "entity_extraction").glob("*.json"):
        path.write_text("// 100%, \n" + path.read_text())
    summary = tmp_path / "summary.md"
    done = run("--root", root, "check", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))
    lines = done.stdout.splitlines()
    errors = [line for line in lines if line.startswith("::error ")]
    assert len(errors) == 10
    assert errors[0].endswith(",line=1,col=1,title=comment::Comment: JSON has none.")
    assert len([line for line in lines if ": error comment " in line]) == len(lines) - 10 - 1
    assert len(summary.read_text().splitlines()) == 2 + 2 + len(lines)
    assert "| error | `comment` |" in summary.read_text()


def test_annotations_are_of_paths_in_the_workspace(root: Path, tmp_path: Path) -> None:
    path = live(root)
    path.write_text("// mine\n" + path.read_text())
    done = run("--root", root, "check", GITHUB_ACTIONS="true", GITHUB_WORKSPACE=str(tmp_path))
    assert f"::error file=store/{DATASET}/{path.name},line=1,col=1,title=comment::" in done.stdout


def test_workflow_commands_are_escaped() -> None:
    finding = Finding("a,b:c%/x.json", 2, 3, "comment", "100%\nno")
    assert list(iter_commands([finding], lambda one: one.path)) == [
        "::error file=a%2Cb%3Ac%25/x.json,line=2,col=3,title=comment::100%25%0Ano"
    ]


def test_select_and_ignore_take_codes_and_patterns(root: Path) -> None:
    draft(root)
    assert run("--root", root, "check", "--select", "draft,link").stdout.count("\n") == 1
    assert run("--root", root, "check", "--ignore", "draft", "--ignore", "raw-*").stdout == ""
    done = run("--root", root, "check", "--select", "darft")
    assert done.returncode == 2
    assert "did you mean 'draft'?" in done.stderr


def test_list_documents_every_code() -> None:
    lines = run("check", "--list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(RULES)


def test_paths_tell_the_store_they_belong_to(root: Path, tmp_path: Path) -> None:
    path = live(root)
    path.write_text(path.read_text().replace('"function_name"', '"functon_name"', 1))
    for words in ([path], [root / DATASET], [root], ["--", path, live(root, 1)]):
        done = run("check", *words)
        assert done.returncode == 1, done
        assert "unknown-key" in done.stdout
    assert run("check", live(root, 1)).stdout == ""


@pytest.mark.parametrize("name", ["nosuch", "builder", "a/b/c"])
def test_what_names_nothing_is_a_mistake_of_usage(root: Path, name: str) -> None:
    done = run("--root", root, "check", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_a_path_outside_of_the_given_root_is_a_mistake_of_usage(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}")
    assert run("--root", root, "check", other).returncode == 2


# --- which files are whose


def test_schemas_of_a_config_are_no_drafts_even_where_it_cannot_be_read(root: Path) -> None:
    (root / "functions" / "out.json").write_text('{"type": "object"}')
    toml = root / "tensorzero.toml"
    good = toml.read_text()
    toml.write_text(
        good + '\n[functions.f]\ntype = "json"\noutput_schema = "functions/out.json"\n[functions.f.variants]\n'
    )
    assert check(root) == []
    assert run("--root", root, "check", root / "functions" / "out.json").stdout == ""
    toml.write_text(toml.read_text() + "broken =\n")
    [found] = [finding for finding in check(root) if finding.path not in (DATASET,)]
    assert (found.code, found.path, found.column) == ("invalid-config", "tensorzero.toml", 9)
    assert found.line == len(toml.read_text().splitlines())


def test_a_mistake_in_a_schema_of_the_config_is_told_there(root: Path) -> None:
    path = next((root / "functions").rglob("*.json"))
    path.write_text("{]")
    [found] = [finding for finding in check(root) if finding.code == "invalid-config"]
    assert (found.path, found.line, found.column) == (path.relative_to(root).as_posix(), 1, 2)


@pytest.mark.parametrize("inner", ["schemas", "tombstones", "."])
def test_a_directory_in_a_dataset_stands_for_the_dataset(
    root: Path, inner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = root / "entity_extraction"
    done = run("check", dataset / inner)
    assert (done.returncode, done.stderr) == (0, "0 errors, 3 warnings in 18 files\n")
    monkeypatch.chdir(dataset)
    assert run("check").stderr == "0 errors, 3 warnings in 18 files\n"


def test_a_store_without_datapoints_is_said_to_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run("--root", tmp_path, "check")
    assert done.stderr.splitlines()[1] == f"There are no datapoints in {tmp_path}; --root names another store."
    monkeypatch.chdir(tmp_path)
    done = run("check")
    assert done.stderr.splitlines()[1] == "There are no datapoints in this directory; --root names another store."


@pytest.mark.parametrize("words", [["check"], ["fmt", "--check"], ["datasets"]])
def test_above_a_store_it_is_said_which_root_may_be_meant(
    root: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(root.parent)
    done = run(*words)
    hint = f"There are no datapoints in this directory; --root names another store, perhaps {root.name}."
    assert (done.returncode, done.stdout) == (0, "")
    assert hint in done.stderr.splitlines()


def test_of_the_other_kind_nothing_but_the_kind_is_told(root: Path) -> None:
    path = live(root)
    path.write_text(path.read_text().replace('"type": "chat"', '"type": "json"', 1))
    assert [finding.code for finding in check(root)] == ["wrong-kind"]


# --- stores from strangers


@pytest.mark.parametrize("inner", ["tombstones", "schemas"])
def test_a_linked_directory_in_a_dataset_is_told_and_not_followed(root: Path, inner: str, tmp_path: Path) -> None:
    path = root / "entity_extraction" / inner
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    found = {(finding.code, finding.path) for finding in check(root)}
    assert ("link", f"entity_extraction/{inner}") in found
    assert not [path for _, path in found if path.startswith(f"entity_extraction/{inner}/")]


def test_a_schema_file_that_holds_no_schema_is_told(root: Path) -> None:
    data = dumps([1])
    (root / "entity_extraction" / "schemas" / f"{schema_digest(data)}.json").write_bytes(data)
    path = f"entity_extraction/schemas/{schema_digest(data)}.json"
    assert {(one.code, one.path) for one in check(root)} == {("wrong-type", path), ("unused-schema", path)}


def test_a_mistake_of_a_config_is_told_from_any_directory(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_config(root)
    monkeypatch.chdir(root.parent)
    done = run("--root", "store", "check", "--format", "json", "--select", "invalid-config")
    assert [one["path"] for one in json.loads(done.stdout)] == ["tensorzero.toml"]
    assert run("--root", "store", "check", "--select", "invalid-config").stdout.startswith("store/tensorzero.toml:")


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes there")
def test_names_that_are_no_text_or_hold_commands_harm_nothing(root: Path, tmp_path: Path) -> None:
    for number in range(12):
        (root / DATASET / f"b\n::error::boo{number}.json").write_text("{}")
    (root / DATASET / "tombstones" / os.fsdecode(b"\xfe")).mkdir()
    (root / DATASET / "tombstones" / os.fsdecode(b"\xfe") / "a").touch()
    assert "Traceback" not in run("--root", root, "check", "--format", "json").stderr
    done = run("--root", root, "check", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"))
    assert "Traceback" not in done.stderr
    assert not [line for line in done.stdout.splitlines() if line.startswith("::error::boo")]


def test_many_files_by_name_are_looked_for_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[object] = []

    def look(*given: Any) -> Any:
        looks.append(given)
        return find_names(*given)

    monkeypatch.setattr("filestore.check.dataset.find_names", look)
    files = [path.relative_to(root).as_posix() for path in (root / DATASET).glob("*.json")]
    with StoreCheck(str(root), None, NOW) as run:
        assert run.check_parts([], files).files == len(files)
    assert len(looks) == 1
