"""A new draft: what a function asks for, with nothing in it, and the whole way from there to a datapoint."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from filestore import FileStore
from filestore.cli import main
from filestore.codec import JSONObject, dumps
from filestore.skeleton import make_skeleton
from tests.conftest import snapshot

SAMPLES = Path(__file__).parent.parent / "sample_datasets"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return shutil.copytree(SAMPLES, tmp_path / "samples")


def run(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), *arguments])


SKELETONS: dict[str, tuple[Any, Any]] = {
    "nothing said": ({}, None),
    "true": (True, None),
    "required alone": (
        {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a"]},
        {"a": ""},
    ),
    "in the order of the properties": (
        {"properties": {"b": {"type": "integer"}, "a": {"type": "boolean"}}, "required": ["a", "b", "c"]},
        {"b": 0, "a": False, "c": None},
    ),
    "enum": ({"type": "string", "enum": ["x", "y"]}, "x"),
    "const": ({"const": {"k": 1}}, {"k": 1}),
    "default": ({"type": "integer", "default": 7}, 7),
    "minimum": ({"type": "number", "minimum": 2}, 2),
    "negative minimum": ({"type": "integer", "minimum": -2}, 0),
    "first type": ({"type": ["array", "null"]}, []),
    "first choice": ({"anyOf": [{"type": "array"}, {"type": "string"}]}, []),
    "all of": (
        {"required": ["a"], "properties": {"a": {"type": "string"}}, "allOf": [{"required": ["b"]}]},
        {"a": "", "b": None},
    ),
    "reference": ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "string"}}}, ""),
    "reference to nothing": ({"$ref": "#/$defs/x"}, None),
    "remote reference": ({"$ref": "https://example.com/x.json"}, None),
    "no schema": ({"type": 1, "enum": 2, "required": "x", "anyOf": 3}, None),
}


@pytest.mark.parametrize(("schema", "value"), SKELETONS.values(), ids=SKELETONS)
def test_a_skeleton_is_the_emptiest_value(schema: Any, value: Any) -> None:
    assert make_skeleton(schema) == value


def test_a_schema_that_requires_itself_ends() -> None:
    schema: Any = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    assert make_skeleton(schema) == {"next": None}


def test_a_draft_has_what_the_function_asks_for(root: Path) -> None:
    result = run(root, "new", "email_application", "draft_email", "--name", "lease")
    path = root / "email_application" / "lease.json"
    assert result.exit_code == 0
    assert Path(result.stdout.strip()).resolve() == path.resolve()
    content = {"recipient_name": "", "purpose": "", "key_points": []}
    value: Any = {
        "function_name": "draft_email",
        "input": {"system": {"sender_name": "", "tone": "warm"}, "messages": [{"role": "user", "content": content}]},
        "output": "",
        "tags": {},
    }
    assert path.read_bytes() == dumps(value)


def test_a_draft_names_the_schema_that_editors_complete_it_with(root: Path) -> None:
    (root / "email_application" / "schemas" / "datapoint.schema.json").write_text("{}")
    run(root, "new", "email_application", "draft_email", "--name", "lease")
    found = json.loads((root / "email_application" / "lease.json").read_bytes())
    assert next(iter(found)) == "$schema"
    assert (root / "email_application" / found["$schema"]).is_file()


def test_no_file_is_replaced(root: Path) -> None:
    run(root, "new", "email_application", "draft_email", "--name", "lease")
    before = snapshot(root)
    again = run(root, "new", "email_application", "draft_email", "--name", "lease.json")
    assert (again.exit_code, again.stdout) == (1, "")
    assert again.stderr == "Error: there is a file email_application/lease.json already: give the draft another name\n"
    assert snapshot(root) == before
    unnamed = [run(root, "new", "new dataset", "draft_email").stdout.strip() for _ in range(2)]
    assert [Path(path).name for path in unnamed] == ["new-draft_email.json", "new-draft_email-2.json"]


def test_a_new_dataset_with_nearly_the_name_of_another_is_told(root: Path) -> None:
    result = run(root, "new", "email_aplication", "draft_email")
    assert result.exit_code == 0
    assert "This makes a new dataset, 'email_aplication'. Did you mean 'email_application'?\n" in result.stderr
    for dataset in ("email_application", "email_aplication", "something else"):
        assert "new dataset" not in run(root, "new", dataset, "draft_email").stderr


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["extract_recipent"], 1, "Unknown function: extract_recipent, did you mean `extract_recipient`?"),
        (["draft_email", "--name", "../up"], 1, "a draft cannot be called '../up.json'"),
        (["draft_email", "--name", ".hidden"], 1, "a draft cannot be called '.hidden.json'"),
        (["draft_email", "--name", ""], 1, "a draft cannot be called '.json'"),
        (["draft_email", "--name", "019A4903-0e5f-7522-aed5-b912bbcb6b2a"], 1, "a draft cannot be called"),
        ([], 2, "Missing argument 'FUNCTION'"),
    ],
    ids=["function", "path", "hidden", "empty", "id", "none"],
)
def test_a_wrong_use_is_told_and_makes_nothing(root: Path, arguments: list[str], code: int, reason: str) -> None:
    before = snapshot(root)
    result = run(root, "new", "fresh", *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert reason in result.stderr
    assert snapshot(root) == before
    assert not (root / "fresh").exists()


def test_without_a_config_the_function_is_told_to_be_described(tmp_path: Path) -> None:
    result = run(tmp_path, "new", "demo", "greet")
    assert result.exit_code == 1
    assert "describe the function in a tensorzero.toml in the root" in result.stderr


@pytest.mark.parametrize("function", ["extract_recipient", "draft_email", "extract_entities", "support_agent"])
def test_the_whole_way_from_a_draft_to_a_datapoint(root: Path, function: str) -> None:
    path = Path(run(root, "new", "fresh", function, "--name", "first case").stdout.strip())
    store = FileStore(root)
    assert store.list_datapoints(dataset_name="fresh") == []
    draft = json.loads(path.read_bytes())
    draft["input"]["messages"][0]["content"] = (
        {"recipient_name": "Bo", "purpose": "a greeting", "key_points": ["hello"]}
        if function == "draft_email"
        else "Hi"
    )
    if function == "support_agent":
        draft["input"]["system"]["today"] = "2025-11-10"
    path.write_text(json.dumps(draft))
    result = run(root, "fmt", "--adopt", str(path))
    assert (result.exit_code, result.stderr) == (0, "0 formatted, 1 adopted, 0 fine already\n")
    [datapoint] = store.list_datapoints(dataset_name="fresh")
    assert (datapoint.name, datapoint.function_name) == ("first case", function)
    assert result.stdout.strip().endswith(f"-> {path.parent / str(datapoint.id)}.json")
    assert not path.exists()
    assert run(root, "fmt", "--check").exit_code == 0


def test_a_schema_that_asks_for_itself_again_and_again_gives_a_small_draft() -> None:
    node: JSONObject = {
        "type": "object",
        "required": list("abcdef"),
        "properties": {name: {"$ref": "#"} for name in "abcdef"},
    }
    assert make_skeleton(node) == dict.fromkeys("abcdef")
