"""Laws of the editor: the language service of VS Code completes and underlines by the schema that is written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from filestore import FileStore
from filestore.check import StoreCheck
from filestore.cli import main

SAMPLES = Path(__file__).parent.parent / "sample_datasets"
SCRIPT = Path(__file__).parent / "editor" / "language_service.mjs"
PACKAGE = "vscode-json-languageservice@5.7.2"
DATASET = "entity_extraction"
WRITTEN = "schemas/datapoint.schema.json"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "repository" / "evals"
    shutil.copytree(SAMPLES, root)
    (root.parent / ".git").mkdir()
    return root


def run(root: Path, *words: str) -> tuple[int, list[str]]:
    result = CliRunner().invoke(main, ["--root", str(root), "schema", *words])
    return result.exit_code, result.stdout.splitlines()


def test_it_is_printed_and_nothing_is_written(root: Path) -> None:
    before = sorted(root.rglob("*"))
    for words in ([], [DATASET]):
        code, lines = run(root, *words)
        assert code == 0
        assert json.loads("\n".join(lines))["title"] == "Datapoint"
    assert sorted(root.rglob("*")) == before


def test_it_is_written_where_it_changes_alone(root: Path) -> None:
    path = root / DATASET / WRITTEN
    assert run(root, DATASET, "--write") == (0, [str(path)])
    before = path.stat()
    assert run(root, DATASET, "--write") == (0, [])
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    toml = root / "tensorzero.toml"
    toml.write_text(toml.read_text() + '\n[functions.one_more]\ntype = "chat"\n[functions.one_more.variants]\n')
    assert run(root, DATASET, "--write") == (0, [str(path)])
    assert [one.name for one in (root / DATASET).iterdir() if one.name.startswith("datapoint")] == []


def test_every_dataset_gets_it_and_the_store_goes_on_as_before(root: Path) -> None:
    code, lines = run(root, "--write")
    datasets = {path.parent.name for path in root.glob("*/*-*-*.json")}
    assert (code, lines) == (0, sorted(str(root / name / WRITTEN) for name in datasets))
    store = FileStore(root)
    live = store.list_datapoints(dataset_name=DATASET, limit=1000)
    store.purge_dataset(dataset_name=DATASET)
    assert (root / DATASET / WRITTEN).is_file()
    assert store.list_datapoints(dataset_name=DATASET, limit=1000) == live
    with StoreCheck(str(root), None, store.now()) as check:
        assert {finding.code for finding in check.check_all().findings} == {"raw-output-mismatch"}


def test_vs_code_is_told_and_other_settings_stay(root: Path) -> None:
    settings = root.parent / ".vscode" / "settings.json"
    settings.parent.mkdir()
    mine = {"editor.tabSize": 2, "json.schemas": [{"fileMatch": ["/a.json"], "url": "./a.schema.json"}]}
    settings.write_text(json.dumps(mine))
    assert run(root, DATASET, "--vscode") == (0, [str(root / DATASET / WRITTEN), str(settings)])
    added = {"fileMatch": [f"/evals/{DATASET}/*.json"], "url": f"./evals/{DATASET}/{WRITTEN}"}
    assert json.loads(settings.read_text()) == {**mine, "json.schemas": [*mine["json.schemas"], added]}  # type: ignore[misc]
    assert run(root, DATASET, "--vscode") == (0, [])


@pytest.mark.parametrize("text", ["// mine\n{}", "[]", '{"json.schemas": 1}'])
def test_settings_that_could_lose_something_are_left_alone(root: Path, text: str) -> None:
    settings = root.parent / ".vscode" / "settings.json"
    settings.parent.mkdir()
    settings.write_text(text)
    code, lines = run(root, DATASET, "--vscode")
    assert code == 1
    assert json.loads("\n".join(lines[1:]))["json.schemas"][0]["url"] == f"./evals/{DATASET}/{WRITTEN}"
    assert settings.read_text() == text


# --- the language service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The directory that the language service of VS Code is installed in."""
    if given := os.environ.get("LANGUAGE_SERVICE"):
        return given
    if shutil.which("npm") is None:
        pytest.skip("needs node and npm")
    directory = tmp_path_factory.mktemp("npm")
    words = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(directory), PACKAGE]
    if subprocess.run(words, capture_output=True, check=False, timeout=120).returncode:
        pytest.skip(f"npm could not install {PACKAGE}")
    return str(directory)


def ask(service: str, schema: Path, *asked: tuple[str, int | None]) -> Any:
    """Return what an editor shows of texts, and offers at an offset of each."""
    given = json.dumps({"ask": [{"text": text, "complete": offset} for text, offset in asked]})
    words = ["node", str(SCRIPT), str(schema)]
    environment = {**os.environ, "LANGUAGE_SERVICE": service}
    done = subprocess.run(words, input=given, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout)


def test_no_sample_is_underlined(service: str, root: Path) -> None:
    run(root, "--write")
    for dataset in ("email_application", DATASET, "support_conversations"):
        texts = [(path.read_text(), None) for path in sorted((root / dataset).glob("*.json"))]
        assert len(texts) > 10
        answers = ask(service, root / dataset / WRITTEN, *texts)
        assert [answer["diagnostics"] for answer in answers] == [[]] * len(texts)


def test_functions_and_the_keys_of_an_output_are_completed(service: str, root: Path) -> None:
    run(root, "--write")
    name = '{"type": "json", "function_name": "'
    output = '{"function_name": "extract_recipient", "input": {"messages": []}, "output": {"'
    system = '{"function_name": "support_agent", "input": {"system": {"'
    named, keyed, asked = ask(
        service,
        root / DATASET / WRITTEN,
        (name + '"}', len(name) - 1),
        (output + '": 1}}', len(output)),
        (system + '": 1}}}', len(system)),
    )
    functions = {f'"{function}"' for function in FileStore(SAMPLES).config.functions}
    assert functions <= set(named["labels"])
    assert {"verdict", "recipient_name", "recipient_email", "others"} <= set(keyed["labels"])
    assert "shop_name" in asked["labels"]


def test_a_wrong_output_is_underlined_where_it_is(service: str, root: Path) -> None:
    run(root, "--write")
    path = next(path for path in sorted((root / "email_application").glob("*.json")) if '"verdict"' in path.read_text())
    text = path.read_text()
    value = json.loads(text)["output"]["verdict"]
    wrong = text.replace(f'"verdict": "{value}"', '"verdict": "perhaps"')
    [answer] = ask(service, root / "email_application" / WRITTEN, (wrong, None))
    [diagnostic] = answer["diagnostics"]
    line = next(number for number, one in enumerate(wrong.splitlines()) if "perhaps" in one)
    assert (diagnostic["start"]["line"], diagnostic["end"]["line"]) == (line, line)
    assert wrong.splitlines()[line][diagnostic["start"]["character"] : diagnostic["end"]["character"]] == '"perhaps"'
    assert "Value is not accepted" in diagnostic["message"]


def test_a_misspelt_key_is_underlined(service: str, root: Path) -> None:
    run(root, "--write")
    path = sorted((root / DATASET).glob("*.json"))[0]
    [answer] = ask(service, root / DATASET / WRITTEN, (path.read_text().replace('"tags"', '"tgas"'), None))
    assert [one["message"] for one in answer["diagnostics"]] == ["Property tgas is not allowed."]
