"""Drafts: whatever a person or an API says of a new case, adopted once and for all."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from filestore import FileStore
from filestore.cli import main
from filestore.codec import dumps
from filestore.datapoint import Datapoint, render_legacy
from filestore.errors import FileContentError
from filestore.formatting.batches import format_dataset
from filestore.formatting.files import Options, State
from filestore.ids import is_draft_name
from tests.conftest import SCHEMAS, snapshot
from tests.test_fmt import ID, states, write

TEMPERATURE = {"location": "Oslo", "units": "celsius"}
PNG = b"\x89PNG\r\n\x1a\n"


def chat(**rest: Any) -> dict[str, Any]:
    return {"function_name": "plain_chat", "input": {"messages": [{"role": "user", "content": "Hi"}]}, **rest}


def weather(**rest: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "How cold is it?"}]
    given = {"system": {"assistant_name": "Ada"}, "messages": messages}
    return {"function_name": "weather_helper", "input": given, **rest}


def answer(**rest: Any) -> dict[str, Any]:
    content = [{"type": "template", "name": "user", "arguments": {"country": "Norway"}}]
    value = {"system": {"assistant_name": "Ada"}, "messages": [{"role": "user", "content": content}]}
    return {"function_name": "json_success", "input": value, **rest}


def call(**rest: Any) -> list[dict[str, Any]]:
    return [{"type": "tool_call", **rest}]


@pytest.fixture
def dataset(store: FileStore) -> Path:
    path = store.root / "demo"
    path.mkdir(parents=True)
    return path


def adopt(store: FileStore, value: Any, name: str = "new-case.json") -> Datapoint:
    """Adopt a draft, which must be right, and return the datapoint."""
    draft = write(store.root / "demo" / name, value)
    [outcome] = format_dataset(store, "demo", [name], Options(adopts=True))
    assert outcome.error is None
    assert outcome.state is State.ADOPTED
    assert not draft.exists()
    assert (store.root / outcome.new_path).read_bytes() == outcome.after
    return store.get_datapoint(dataset_name="demo", datapoint_id=Path(outcome.new_path).stem)


def refuse(store: FileStore, value: Any, name: str = "new-case.json") -> FileContentError:
    """Try to adopt a draft that is wrong, and return what is said of it."""
    write(store.root / "demo" / name, value)
    before = snapshot(store.root)
    [outcome] = format_dataset(store, "demo", [name], Options(adopts=True))
    assert outcome.error is not None
    assert snapshot(store.root) == before
    return outcome.error


# --- what a draft may say

CHATS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a request": (weather(output="Cold."), weather(output="Cold.")),
    "a file": (
        weather(type="chat", output=call(name="get_temperature", arguments=TEMPERATURE)),
        weather(output=call(name="get_temperature", arguments=TEMPERATURE)),
    ),
    "a legacy request": (
        weather(
            input={
                "system": {"assistant_name": "Ada"},
                "messages": [{"role": "user", "content": [{"type": "text", "value": "How cold is it?"}]}],
            },
            allowed_tools=["get_temperature"],
            output=call(name="get_temperature", arguments=TEMPERATURE),
        ),
        weather(allowed_tools=["get_temperature"], output=call(name="get_temperature", arguments=TEMPERATURE)),
    ),
    "a v1 request": (
        weather(
            type="chat",
            output=call(id="1", raw_name="get_temperature", raw_arguments=json.dumps(TEMPERATURE)),
        ),
        weather(
            output=call(id="1", name="get_temperature", arguments=TEMPERATURE, raw_arguments=json.dumps(TEMPERATURE))
        ),
    ),
    "a v1 request with a call that is not valid": (
        weather(type="chat", output=call(id="1", raw_name="fly", raw_arguments="{}")),
        weather(output=call(id="1", raw_name="fly", raw_arguments="{}")),
    ),
}


@pytest.mark.parametrize(("written", "meant"), CHATS.values(), ids=CHATS)
def test_a_chat_draft_is_resolved_as_an_insert_is(
    store: FileStore, dataset: Path, written: dict[str, Any], meant: dict[str, Any]
) -> None:
    datapoint = adopt(store, written)
    found = json.loads((dataset / f"{datapoint.id}.json").read_bytes())
    expected = {"type": "chat", "name": "new-case", "tool_choice": "auto", **meant}
    assert found == expected


JSONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a value": ({"output": {"answer": "Oslo"}}, {"output": {"answer": "Oslo"}}),
    "no output": ({"output": None}, {}),
    "a raw text": (
        {"output_raw": '{"answer": "Oslo"}'},
        {"output": {"answer": "Oslo"}, "output_raw": '{"answer": "Oslo"}'},
    ),
    "a raw text that does not fit": ({"output_raw": '{"reply":1}'}, {"output_raw": '{"reply":1}'}),
    "a v1 request": ({"type": "json", "output": {"raw": '{"answer":"Oslo"}'}}, {"output": {"answer": "Oslo"}}),
    "an answer": (
        {"output": {"raw": '{"answer":"Oslo"}', "parsed": {"answer": "Oslo"}}},
        {"output": {"answer": "Oslo"}},
    ),
    "an answer that does not fit": ({"output": {"raw": "Oslo", "parsed": None}}, {"output_raw": "Oslo"}),
    "an edited copy": (
        {"output": {"answer": "Bergen"}, "output_raw": '{"answer": "Oslo"}'},
        {"output": {"answer": "Bergen"}},
    ),
}


@pytest.mark.parametrize(("written", "meant"), JSONS.values(), ids=JSONS)
def test_a_json_draft_gets_the_schema_and_a_checked_output(
    store: FileStore, dataset: Path, written: dict[str, Any], meant: dict[str, Any]
) -> None:
    datapoint = adopt(store, answer(**written))
    found = json.loads((dataset / f"{datapoint.id}.json").read_bytes())
    reference = found.pop("output_schema")
    assert found == {"type": "json", "name": "new-case", **answer(**meant)}
    assert json.loads((dataset / reference["$ref"]).read_bytes()) == SCHEMAS["answer.json"]


def test_a_draft_keeps_the_schema_that_it_brings(store: FileStore, dataset: Path) -> None:
    own = {"type": "object", "required": ["x"]}
    first = adopt(store, answer(output_schema=own, output={"x": 1}))
    copy = (dataset / f"{first.id}.json").read_bytes()
    second = adopt(store, copy, "copy.json")
    assert [one.to_dict()["output_schema"] for one in (first, second)] == [own, own]
    assert [path.name for path in (dataset / "schemas").iterdir()] == [
        hashlib.sha256(dumps(own)).hexdigest()[:16] + ".json"  # type: ignore[arg-type]
    ]


def test_a_copied_file_is_a_new_case_with_a_name_of_its_own(store: FileStore, dataset: Path) -> None:
    [old] = store.bulk_insert_datapoints(dataset_name="demo", datapoints=[weather(output="Cold.")])
    new = adopt(store, (dataset / f"{old}.json").read_bytes(), "colder.json")
    assert new.id > old
    assert new.name == "colder"
    found = {datapoint.id: datapoint for datapoint in store.list_datapoints(dataset_name="demo")}
    assert found.keys() == {old, new.id}
    assert found[old].name is None


@pytest.mark.parametrize("form", ["v1", "legacy"])
def test_an_answer_of_the_api_is_a_draft_and_its_own_keys_are_dropped(
    store: FileStore, dataset: Path, form: str
) -> None:
    items = [weather(output="Cold.", tags={"a": "b"}), answer(output={"answer": "Oslo"})]
    for old in store.bulk_insert_datapoints(dataset_name="demo", datapoints=items):
        datapoint = store.get_datapoint(dataset_name="demo", datapoint_id=old)
        said = datapoint.to_dict() if form == "v1" else render_legacy(datapoint, store.config)
        said |= {"replaces": ID, "source_inference_id": ID, "staled_at": "2026-01-02T03:04:05Z", "is_deleted": True}
        new = adopt(store, said)
        kept = {key: value for key, value in new.to_dict().items() if key not in ("id", "name", "updated_at")}
        assert kept == {key: value for key, value in datapoint.to_dict().items() if key not in ("id", "updated_at")}
        assert new.replaces is None
        assert new.updated_at != datapoint.updated_at


def test_the_bytes_of_a_file_block_become_a_file(store: FileStore, dataset: Path) -> None:
    block = {"type": "file", "mime_type": "image/png", "data": base64.b64encode(PNG).decode()}
    datapoint = adopt(store, chat(input={"messages": [{"role": "user", "content": [block]}]}))
    path = f"files/{hashlib.sha256(PNG).hexdigest()}.png"
    assert (dataset / path).read_bytes() == PNG
    found = json.loads((dataset / f"{datapoint.id}.json").read_bytes())
    assert found["input"]["messages"][0]["content"] == [
        {"type": "file", "mime_type": "image/png", "storage_path": path}
    ]


def test_a_name_that_the_draft_says_counts(store: FileStore, dataset: Path) -> None:
    assert adopt(store, chat(name="said")).name == "said"
    assert adopt(store, chat(name=None), "grüße an alle.json").name == "grüße an alle"


def test_without_any_config_a_draft_says_what_it_is_and_is_taken_at_its_word(tmp_path: Path) -> None:
    store = FileStore(tmp_path, durable=False)
    said = chat(type="chat", function_name="f", allowed_tools=["x"], output=call(name="x", arguments={"a": 1}))
    datapoint = adopt(store, said)
    assert datapoint.to_dict()["tool_choice"] == "auto"
    assert json.loads((tmp_path / "demo" / f"{datapoint.id}.json").read_bytes())["output"] == said["output"]
    error = refuse(store, chat(function_name="f"))
    assert error.reason == "missing field `type`, and function `f` is not configured to tell it"


# --- mistakes

WRONG: dict[str, tuple[Any, str, str]] = {
    "half a file": (b'{"function_name":', "1:18", "EOF while parsing a value"),
    "no object": (b"[]", "1:1", "invalid type: sequence, expected a draft"),
    "unknown key": (chat(tagz={}), "11:5", "tagz: unknown field `tagz`, did you mean `tags`?"),
    "no input": ({"function_name": "plain_chat"}, "1:1", "missing field `input`"),
    "unknown function": (
        chat(function_name="plane_chat"),
        "2:22",
        "function_name: Unknown function: plane_chat, did you mean `plain_chat`?",
    ),
    "wrong kind": (chat(type="json"), "11:13", "type: function `plain_chat` is a chat function"),
    "an input that does not fit": (
        weather(input={"messages": []}),
        "3:14",
        "input: `input.system` is empty but a system template is present.",
    ),
    "a block of no kind": (
        chat(input={"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}),
        "10:33",
        "input.messages[0].content[0].text: Error deserializing `text`: invalid type: integer `1`, expected a string",
    ),
    "a tool that is none": (
        weather(output=call(name="get_temprature", arguments=TEMPERATURE)),
        "17:21",
        "output[0].name: there is no tool `get_temprature`: did you mean `get_temperature`?",
    ),
    "arguments that do not fit": (
        weather(output=call(name="get_temperature", arguments={})),
        "18:26",
        "output[0].arguments: it does not fit the parameters of tool `get_temperature`: ",
    ),
    "an allowed tool that is none": (chat(allowed_tools=["fly"]), "11:22", "allowed_tools: Tool not found: fly"),
    "a schema that is not there": (
        answer(output_schema={"$ref": "schemas/0123456789abcdef.json"}),
        "22:22",
        "output_schema: there is no demo/schemas/0123456789abcdef.json: restore it from git",
    ),
    "a schema that is none": (
        answer(output_schema={"type": 1}),
        "22:22",
        "output_schema: this JSON Schema does not compile: ",
    ),
    "an output that does not fit": (
        answer(output={"reply": 1}),
        "22:15",
        "output: it does not fit its schema: ",
    ),
    "a pair that may be the output": (
        answer(output={"raw": "Oslo"}),
        "22:15",
        "output: this is an API answer's `raw`/`parsed` pair, not the output itself",
    ),
}


@pytest.mark.parametrize(("value", "place", "reason"), WRONG.values(), ids=WRONG)
def test_a_wrong_draft_stays_and_the_mistake_is_named_with_its_place(
    store: FileStore, dataset: Path, value: Any, place: str, reason: str
) -> None:
    error = refuse(store, value)
    assert f"{error.line}:{error.column}" == place
    assert error.reason.startswith(reason)


# --- the command


def run(store: FileStore, config_file: Path, *arguments: str) -> Result:
    options = ["--root", str(store.root), "--config-file", str(config_file)]
    return CliRunner().invoke(main, [*options, "fmt", *arguments])


def test_drafts_are_left_alone_unless_told_otherwise(store: FileStore, dataset: Path, config_file: Path) -> None:
    draft = write(dataset / "idea.json", chat())
    before = states(store.root)
    assert run(store, config_file).exit_code == 0
    named = run(store, config_file, str(draft))
    assert (named.exit_code, named.stdout) == (0, "")
    assert named.stderr.endswith(
        "idea.json is a draft and stays as it is; --adopt makes it a datapoint\n0 formatted, 0 fine already, 1 draft\n"
    )
    assert run(store, config_file, "--adopt", "--check").exit_code == 1
    assert run(store, config_file, "--adopt", "--diff").exit_code == 0
    assert states(store.root) == before


def test_all_right_drafts_are_adopted_in_the_order_of_their_names(
    store: FileStore, dataset: Path, config_file: Path
) -> None:
    names = [f"case-{number:03}" for number in range(150)]
    for name in names:
        write(dataset / f"{name}.json", chat())
    write(dataset / "wrong.json", b"{")
    hidden = write(dataset / ".hidden.json", chat())
    result = run(store, config_file, "--adopt", "demo")
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 150
    assert result.stderr.endswith("0 formatted, 150 adopted, 0 fine already, 1 left as they are: see above\n")
    found = store.list_datapoints(dataset_name="demo", limit=1000)
    assert [one.name for one in reversed(found)] == names
    assert sorted(path.name for path in dataset.glob("[!0]*.json")) == [".hidden.json", "wrong.json"]
    assert hidden.exists()


def test_a_name_that_looks_like_an_id_is_no_draft() -> None:
    assert not is_draft_name(f"{uuid.uuid4()}.json")
    assert not is_draft_name(f"{ID.upper()}.json")
    assert not is_draft_name("no\udc80text.json")
    assert not is_draft_name("a/b.json")
    assert is_draft_name(f"recovered-{ID}.json")
