"""The datapoint file: one canonical spelling, everything else people may write, and a place for every mistake."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filestore.attachments import Attachments
from filestore.codec import JSONObject, JSONValue, compact, dumps
from filestore.content import InputParser
from filestore.datapoint import ChatDatapoint, Datapoint, JsonDatapoint
from filestore.datapoint_file import FileContext, parse_datapoint, read_datapoint, render_datapoint, schema_digest
from filestore.errors import FileContentError, ShapeError
from filestore.functions import EMPTY_CONFIG, FunctionConfig, bare_function
from filestore.outputs import read_raw
from filestore.shapes import Dialect, ObjectReader

ID = uuid.UUID("01995f6a-1c2d-7c11-9d3e-0f5b7a1c2d3e")
CREATED = datetime(2025, 9, 19, 0, 40, 13, 613000, tzinfo=UTC)
SCHEMA: JSONObject = {"type": "object"}
DIGEST = schema_digest(dumps(SCHEMA))
REFERENCE = {"$ref": f"schemas/{DIGEST}.json"}
CONFIG = FunctionConfig(
    {"chat_f": bare_function("chat_f", "chat"), "json_f": bare_function("json_f", "json")}, {}, True
)


def load_schema(digest: str) -> JSONValue:
    if digest != DIGEST:
        raise ShapeError(f"there is no schemas/{digest}.json")
    return SCHEMA


def read(value: Any, config: FunctionConfig = EMPTY_CONFIG) -> Datapoint:
    data = value if isinstance(value, bytes) else orjson.dumps(value)
    return read_datapoint(data, "demo/x.json", ID, FileContext("demo", lambda: config, load_schema))


def chat(**fields: Any) -> dict[str, Any]:
    return {"type": "chat", "function_name": "f", "input": {"messages": []}, **fields}


def json_file(**fields: Any) -> dict[str, Any]:
    return {"type": "json", "function_name": "f", "input": {"messages": []}, "output_schema": REFERENCE, **fields}


def canonical(datapoint: Datapoint) -> JSONValue:
    return render_datapoint(datapoint, DIGEST)


# --- JSON outputs: one row of the format for each

RAW_OUTPUTS: dict[str, tuple[str | None, JSONValue, dict[str, JSONValue]]] = {
    "compact": ('{"a":1}', {"a": 1}, {"output": {"a": 1}}),
    "a scalar": ("1.0", 1.0, {"output": 1.0}),
    "white space": ('{"a": 1}', {"a": 1}, {"output": {"a": 1}, "output_raw": '{"a": 1}'}),
    "escapes": ('"\\u00e9"', "é", {"output": "é", "output_raw": '"\\u00e9"'}),
    "duplicate keys": ('{"a":1,"a":2}', {"a": 2}, {"output": {"a": 2}, "output_raw": '{"a":1,"a":2}'}),
    "an exponent": ("1e21", 1e21, {"output": 1e21, "output_raw": "1e21"}),
    "a big integer": (str(2**64), float(2**64), {"output": float(2**64), "output_raw": str(2**64)}),
    "not JSON": ("hello", None, {"output_raw": "hello"}),
    "misses its schema": ('{"b":1}', None, {"output_raw": '{"b":1}'}),
    "null": ("null", None, {"output_raw": "null"}),
    "no text": (None, None, {"output_raw": None}),
    "looks like an answer": ('{"raw":"x"}', {"raw": "x"}, {"output": {"raw": "x"}, "output_raw": '{"raw":"x"}'}),
    "looks like nothing": ("{}", {}, {"output": {}}),
}


@pytest.mark.parametrize(("raw", "parsed", "spelled"), RAW_OUTPUTS.values(), ids=RAW_OUTPUTS)
def test_a_json_output_is_spelled_once_and_reads_back(
    raw: str | None, parsed: JSONValue, spelled: dict[str, JSONValue]
) -> None:
    datapoint = read(json_file(output_raw=raw, **({} if parsed is None else {"output": parsed})))
    assert isinstance(datapoint, JsonDatapoint)
    assert datapoint.output == {"raw": raw, "parsed": parsed}
    rendered = canonical(datapoint)
    assert isinstance(rendered, dict)
    assert {key: rendered[key] for key in rendered if key.startswith("output") and key != "output_schema"} == spelled
    assert read(dumps(rendered)) == datapoint


def test_no_output_has_no_key() -> None:
    assert canonical(read(json_file(output=None))) == json_file()
    assert canonical(read(chat(output=None))) == chat()


def test_where_output_and_its_text_disagree_the_output_counts() -> None:
    datapoint = read(json_file(output={"a": 2}, output_raw='{"a": 1}'))
    assert datapoint.output == {"raw": '{"a":2}', "parsed": {"a": 2}}
    assert canonical(datapoint) == json_file(output={"a": 2})


# --- chat outputs

CHAT_OUTPUTS: dict[str, tuple[JSONValue, JSONValue]] = {
    "one text": ([{"type": "text", "text": "x"}], "x"),
    "no block": ([], []),
    "two texts": ([{"type": "text", "text": "x"}] * 2, [{"type": "text", "text": "x"}] * 2),
    "a valid call": (
        [
            {
                "type": "tool_call",
                "id": "1",
                "raw_name": "t",
                "raw_arguments": '{"a":1}',
                "name": "t",
                "arguments": {"a": 1},
            }
        ],
        [{"type": "tool_call", "id": "1", "name": "t", "arguments": {"a": 1}}],
    ),
    "a legacy call without an id": (
        [{"type": "tool_call", "id": "", "raw_name": "t", "raw_arguments": "{}", "name": "t", "arguments": {}}],
        [{"type": "tool_call", "name": "t", "arguments": {}}],
    ),
    "an unknown tool": (
        [{"type": "tool_call", "id": "1", "raw_name": "t", "raw_arguments": "{}", "name": None, "arguments": None}],
        [{"type": "tool_call", "id": "1", "raw_name": "t", "raw_arguments": "{}"}],
    ),
    "arguments spelled otherwise": (
        [{"type": "tool_call", "id": "1", "raw_name": "t", "raw_arguments": "{ }", "name": "t", "arguments": {}}],
        [{"type": "tool_call", "id": "1", "name": "t", "arguments": {}, "raw_arguments": "{ }"}],
    ),
    "a name of its own": (
        [{"type": "tool_call", "id": "1", "raw_name": "r", "raw_arguments": "[]", "name": "n", "arguments": []}],
        [{"type": "tool_call", "id": "1", "name": "n", "raw_name": "r", "arguments": []}],
    ),
    "a thought without text": ([{"type": "thought", "text": None}], [{"type": "thought"}]),
}


@pytest.mark.parametrize(("wire", "spelled"), CHAT_OUTPUTS.values(), ids=CHAT_OUTPUTS)
def test_a_chat_output_is_spelled_for_people_and_reads_back(wire: JSONValue, spelled: JSONValue) -> None:
    datapoint = read(chat(output=spelled))
    assert datapoint.output == wire
    assert canonical(datapoint) == chat(output=spelled)


# --- inputs

BLOCKS: dict[str, tuple[Any, Any]] = {
    "text": ([{"type": "text", "text": "x"}], "x"),
    "arguments as an object": (
        [{"type": "tool_call", "id": "1", "name": "t", "arguments": '{"a":[1.5,"é"]}'}],
        [{"type": "tool_call", "id": "1", "name": "t", "arguments": {"a": [1.5, "é"]}}],
    ),
    "arguments spelled otherwise": (
        [{"type": "tool_call", "id": "1", "name": "t", "arguments": '{"a": 1}'}],
        [{"type": "tool_call", "id": "1", "name": "t", "arguments": '{"a": 1}'}],
    ),
    "arguments that are no object": (
        [{"type": "tool_call", "id": "1", "name": "t", "arguments": "[1]"}],
        [{"type": "tool_call", "id": "1", "name": "t", "arguments": "[1]"}],
    ),
    "arguments with duplicate keys": (
        [{"type": "tool_call", "id": "1", "name": "t", "arguments": '{"a":1,"a":2}'}],
        [{"type": "tool_call", "id": "1", "name": "t", "arguments": '{"a":1,"a":2}'}],
    ),
    "template": (
        [{"type": "template", "name": "user", "arguments": {"b": 1, "a": 2}}],
        [{"type": "template", "name": "user", "arguments": {"b": 1, "a": 2}}],
    ),
    "unknown": (
        [{"type": "unknown", "data": None, "model_provider_name": "odd"}],
        [{"type": "unknown", "data": None, "model_provider_name": "odd"}],
    ),
    "own file": (
        [
            {
                "type": "file",
                "file_type": "object_storage_pointer",
                "source_url": None,
                "mime_type": "image/png",
                "storage_path": {"kind": {"type": "filesystem", "path": "demo"}, "path": f"files/{'0' * 64}.png"},
            }
        ],
        [{"type": "file", "mime_type": "image/png", "storage_path": f"files/{'0' * 64}.png"}],
    ),
    "file elsewhere": (
        [
            {
                "type": "file",
                "file_type": "object_storage_pointer",
                "source_url": "https://example.com",
                "mime_type": "image/png",
                "storage_path": {"kind": {"type": "disabled"}, "path": "x"},
            }
        ],
    )
    * 2,
    "url": ([{"type": "file", "file_type": "url", "url": "https://example.com/a.png"}],) * 2,
}


@pytest.mark.parametrize(("wire", "spelled"), BLOCKS.values(), ids=BLOCKS)
def test_an_input_block_is_spelled_for_people_and_reads_back(wire: JSONValue, spelled: JSONValue) -> None:
    value = chat(input={"messages": [{"role": "user", "content": spelled}]})
    datapoint = read(value)
    assert datapoint.input == {"messages": [{"role": "user", "content": wire}]}
    assert canonical(datapoint) == value


# --- lenient reading

LENIENT: dict[str, tuple[Any, Any]] = {
    "key order and white space": (b'{"input":{"messages":[]},"function_name":"f","type":"chat"}', chat()),
    "CRLF": (dumps(chat()).replace(b"\n", b"\r\n"), chat()),
    "byte-order mark": (b"\xef\xbb\xbf" + dumps(chat()), chat()),
    "text blocks spelled out": (
        chat(input={"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}),
        chat(input={"messages": [{"role": "user", "content": "x"}]}),
    ),
    "arguments as a message": (
        chat(input={"messages": [{"role": "user", "content": {"a": 1}}]}),
        chat(
            input={
                "messages": [{"role": "user", "content": [{"type": "template", "name": "user", "arguments": {"a": 1}}]}]
            }
        ),
    ),
    "an inline schema": (json_file(output_schema=SCHEMA), json_file()),
    "defaults spelled out": (
        chat(tags={}, is_custom=True, episode_id=None, provider_tools=[], name=None, output=None),
        chat(),
    ),
    "no messages": (chat(input={}), chat()),
    "an id in another spelling": (
        {"type": "chat", "function_name": "f", "episode_id": f"{{{str(ID).upper()}}}", "input": {"messages": []}},
        {"type": "chat", "function_name": "f", "episode_id": str(ID), "input": {"messages": []}},
    ),
    "the time of the id": (chat(updated_at="2025-09-19T00:40:13.613000Z"), chat()),
    "another time": (chat(updated_at="2025-09-19T02:49:40.5Z"), chat(updated_at="2025-09-19T02:49:40.500000Z")),
    "an editor's schema": (chat(**{"$schema": "x.json"}), {"$schema": "x.json", **chat()}),
}


@pytest.mark.parametrize(("written", "spelled"), LENIENT.values(), ids=LENIENT)
def test_what_people_write_reads_and_has_one_canonical_spelling(written: Any, spelled: Any) -> None:
    rendered = canonical(read(written))
    assert rendered == spelled
    assert dumps(rendered) == dumps(spelled)
    assert dumps(canonical(read(dumps(rendered)))) == dumps(rendered)


def test_a_missing_type_or_schema_is_the_functions_as_configured_now() -> None:
    value = {"function_name": "json_f", "input": {}}
    datapoint = read(value, CONFIG)
    assert isinstance(datapoint, JsonDatapoint)
    assert datapoint.output_schema == {}
    assert isinstance(read({"function_name": "chat_f", "input": {}}, CONFIG), ChatDatapoint)


def test_a_canonical_file_reads_when_its_function_has_left_the_config() -> None:
    assert read(chat(), CONFIG).function_name == "f"
    assert read(json_file(), CONFIG).function_name == "f"


# --- mistakes, each with its place

JSON_HEAD = b'{"type": "json", "function_name": "f", "input": {}, '
MISTAKES: dict[str, tuple[bytes, str]] = {
    "misspelt key": (
        b'{\n  "function_name": "f",\n  "imput": {}\n}',
        "3:3: imput: unknown field `imput`, did you mean `input`?",
    ),
    "an id inside": (
        b'{"id": "x", "function_name": "f", "input": {}}',
        "1:2: id: unknown field `id`, the file name is the id, it does not stand inside",
    ),
    "merge conflict": (
        b'{\n<<<<<<< HEAD\n  "a": 1\n=======\n  "a": 2\n>>>>>>> x\n}',
        "2:1: merge conflict marker: resolve the conflict",
    ),
    "no function": (b'{"type": "chat", "input": {}}', "1:1: missing field `function_name`"),
    "no type": (
        b'{"function_name": "f", "input": {}}',
        "1:1: missing field `type`, and function `f` is not configured to tell it",
    ),
    "an API answer pasted": (
        JSON_HEAD + b'"output_schema": {},\n "output": {"raw": "1", "parsed": 1}}',
        "2:12: output: this is an API answer's `raw`/`parsed` pair, not the output itself: write the value of `parsed`"
        " here (or, if the output really is such an object, repeat its text under `output_raw`)",
    ),
    "a missing schema": (
        JSON_HEAD + b'"output_schema": {"$ref": "schemas/0123456789abcdef.json"}}',
        "1:70: output_schema: there is no schemas/0123456789abcdef.json",
    ),
    "duplicate key": (b'{"type": "chat",\n "type": "chat"}', '2:2: duplicate key "type"'),
    "tools in a json file": (
        b'{"type": "json", "function_name": "f", "input": {}, "output_schema": {},\n "tool_choice": "auto"}',
        "2:2: tool_choice: `tool_choice` has no meaning in a json datapoint",
    ),
    "a wrong block": (
        b'{"type": "chat", "function_name": "f", "input":\n'
        b' {"messages": [{"role": "user", "content": [{"type": "txt"}]}]}}',
        "2:54: input.messages[0].content[0].type: unknown variant `txt`, expected one of `text`, `file`, `template`,"
        " `raw_text`, `tool_call`, `tool_result`, `thought`, `unknown`",
    ),
    "not a datapoint": (b"[]", "1:1: invalid type: sequence, expected a datapoint object"),
    "empty": (b"", "1:1: EOF while parsing a value"),
}


@pytest.mark.parametrize(("data", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_line_and_column(data: bytes, message: str) -> None:
    with pytest.raises(FileContentError) as caught:
        read(data)
    assert str(caught.value) == f"demo/x.json:{message}"


# --- laws

texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values: st.SearchStrategy[Any] = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner))


@given(values)
def test_any_json_output_survives_its_file(value: JSONValue) -> None:
    for raw in (compact(value), orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()):
        datapoint = JsonDatapoint(
            dataset_name="demo",
            function_name="f",
            id=ID,
            input={"messages": []},
            updated_at=CREATED,
            output={"raw": raw, "parsed": read_raw(raw)},
            output_schema=SCHEMA,
        )
        data = dumps(canonical(datapoint))
        assert repr(read(data)) == repr(datapoint)
        assert dumps(canonical(read(data))) == data


@given(texts, values, st.dictionaries(texts, texts))
def test_any_chat_datapoint_survives_its_file(text: str, value: JSONValue, tags: dict[str, str]) -> None:
    call: JSONObject = {"type": "tool_call", "id": text, "name": text, "arguments": compact(value)}
    output: JSONObject = {
        "type": "tool_call",
        "id": text,
        "raw_name": text,
        "raw_arguments": compact(value),
        "name": None,
        "arguments": value,
    }
    datapoint = ChatDatapoint(
        dataset_name="demo",
        function_name=text,
        id=ID,
        input={"messages": [{"role": "user", "content": [call]}]},
        updated_at=CREATED,
        tags=tags,
        name=text,
        output=[output],
    )
    data = dumps(render_datapoint(datapoint))
    assert repr(read(data)) == repr(datapoint)
    assert dumps(render_datapoint(read(data))) == data


# --- the short ways of reading

USUAL_MESSAGES = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": texts})

ROLES = st.sampled_from(["user", "assistant", "system", "", None])
ANY_BLOCKS = st.sampled_from(
    [
        {"type": "text", "text": "a"},
        {"type": "text", "arguments": {}},
        {"type": "raw_text", "value": "b"},
        {"type": "tool_result", "name": "n", "result": "r", "id": "i"},
        {"type": "text"},
        {"type": "x"},
        {},
    ]
)
CONTENTS = texts | st.lists(ANY_BLOCKS, max_size=2) | st.dictionaries(texts, values, max_size=1) | values
ANY_MESSAGES = st.fixed_dictionaries({}, optional={"role": ROLES, "content": CONTENTS, "name": texts}) | values
ANY_INPUTS = st.fixed_dictionaries(
    {}, optional={"messages": st.lists(USUAL_MESSAGES | ANY_MESSAGES, max_size=3), "system": values}
)
INPUTS = (
    st.fixed_dictionaries({"messages": st.lists(USUAL_MESSAGES, max_size=3)}, optional={"system": values})
    | ANY_INPUTS
    | st.fixed_dictionaries({"messages": values}, optional={"x": values})
    | values
)


def outcome(parse: Callable[[], object]) -> tuple[str, object]:
    """Return what is made of a value, or what is said of the mistake in it."""
    try:
        return repr(parse()), None
    except ShapeError as error:
        return str(error), error.pointer


@given(INPUTS)
def test_the_short_way_of_an_input_ends_where_the_long_way_does(value: JSONValue) -> None:
    envelope: JSONObject = {"type": "chat", "function_name": "f", "input": value}
    context = FileContext("demo", lambda: EMPTY_CONFIG, load_schema)
    parser = InputParser(Dialect.FILE, Attachments("demo"))
    assert outcome(lambda: parse_datapoint(envelope, ID, context).input) == outcome(
        lambda: ObjectReader({"input": value}).require("input", parser.parse)
    )


KINDS = st.sampled_from(["chat", "json"])
FILES = st.fixed_dictionaries(
    {
        "type": KINDS | st.sampled_from(["", None, "Chat"]),
        "function_name": st.sampled_from(["chat_f", "json_f", "f", None]),
        "input": INPUTS,
    },
    optional={
        "name": texts | values,
        "episode_id": st.uuids().map(str) | values,
        "output": texts | values,
        "output_raw": texts | values,
        "output_schema": st.sampled_from([REFERENCE, SCHEMA, True, "x", {"$ref": "schemas/0123456789abcdef.json"}]),
        "tags": st.dictionaries(texts, texts) | values,
        "tool_choice": st.sampled_from(["auto", {"specific": "x"}]) | values,
        "is_custom": st.booleans() | values,
        "updated_at": st.sampled_from(["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.5Z", "2026-13-02T03:04:05Z"]),
        "id": texts,
        "tag": values,
    },
)
SPELLINGS: dict[str, Callable[[Any], bytes]] = {
    "canonical": dumps,
    "compact": orjson.dumps,
    "escaped": lambda value: json.dumps(value).encode(),
    "of another system": lambda value: b"\xef\xbb\xbf" + json.dumps(value, indent=4).replace("\n", "\r\n").encode(),
}


def read_or_reason(data: bytes) -> str:
    try:
        return repr(read(data, CONFIG))
    except FileContentError as error:
        return f"mistake: {error.reason}"


@given(FILES | st.fixed_dictionaries({"type": KINDS, "function_name": texts, "input": INPUTS}) | values)
def test_a_file_means_the_same_in_every_spelling(value: JSONValue) -> None:
    found = {name: read_or_reason(spell(value)) for name, spell in SPELLINGS.items()}
    assert found == dict.fromkeys(SPELLINGS, found["canonical"])


@pytest.mark.parametrize(("levels", "is_read"), [(130, True), (131, False), (132, False)])
def test_a_file_is_refused_where_its_canonical_spelling_would_be_too_deep_to_read(levels: int, is_read: bool) -> None:
    content = json.loads('{"a":' * levels + "1" + "}" * levels)
    value = chat(input={"messages": [{"role": "user", "content": content}]})
    if not is_read:
        with pytest.raises(FileContentError, match=r"content: nested more than 130 levels deep"):
            read(value)
        return
    datapoint = read(value)
    assert read(dumps(canonical(datapoint))) == datapoint
