"""The legacy routes: shapes, statuses and messages, each row of the contract, without a socket."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any, ClassVar

import pytest

from filestore import FileStore
from tests.conftest import Call, snapshot

BULK = "/datasets/demo/datapoints/bulk"
SYSTEM = {"assistant_name": "Dummy"}
USER = {"role": "user", "content": "My synthetic input"}
CHAT: dict[str, Any] = {"function_name": "plain_chat", "input": {"messages": [USER]}, "output": "My synthetic output"}
JSON: dict[str, Any] = {
    "function_name": "json_success",
    "input": {
        "system": SYSTEM,
        "messages": [{"role": "user", "content": [{"type": "text", "arguments": {"country": "US"}}]}],
    },
    "output": {"answer": "Hello"},
}
WEATHER: dict[str, Any] = {
    "function_name": "weather_helper",
    "input": {"system": {"assistant_name": "W"}, "messages": [{"role": "user", "content": "NYC?"}]},
}
UNKNOWN_ID = "01995f6a-1c2d-7c11-9d3e-0f5b7a1c2d3e"
NOT_FOUND = f"Datapoint not found for dataset: demo and id: {UNKNOWN_ID}"


def insert(call: Call, *items: Any) -> list[str]:
    answer = call("POST", BULK, {"datapoints": list(items)})
    assert answer.status == 200, answer.body
    ids: list[str] = json.loads(answer.body)
    return ids


def get(call: Call, datapoint_id: str, agent: str | None = None) -> Any:
    answer = call("GET", f"/datasets/demo/datapoints/{datapoint_id}", agent=agent)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def error_of(answer: Any) -> Any:
    assert set(json.loads(answer.body)) == {"error"}
    return json.loads(answer.body)["error"]


def without_time(datapoint: dict[str, Any]) -> dict[str, Any]:
    assert datapoint["updated_at"].endswith("Z")
    return {key: value for key, value in datapoint.items() if key != "updated_at"}


def test_a_chat_datapoint_reads_back_in_the_old_form(call: Call) -> None:
    [one] = insert(call, {**CHAT, "function_name": "basic_test", "input": {**CHAT["input"], "system": SYSTEM}})
    assert without_time(get(call, one)) == {
        "type": "chat",
        "dataset_name": "demo",
        "function_name": "basic_test",
        "id": one,
        "episode_id": None,
        "input": {
            "system": SYSTEM,
            "messages": [{"role": "user", "content": [{"type": "text", "value": "My synthetic input"}]}],
        },
        "output": [{"type": "text", "text": "My synthetic output"}],
        "tags": {},
        "is_deleted": False,
        "is_custom": True,
    }


def test_a_tool_call_and_its_tools_read_back_in_the_old_form(call: Call) -> None:
    arguments = {"location": "New York", "units": "fahrenheit"}
    output = [{"type": "tool_call", "name": "get_temperature", "arguments": arguments, "id": "ignored"}]
    [one] = insert(call, {**WEATHER, "output": output, "tags": {"k": "v"}})
    found = get(call, one)
    compact = '{"location":"New York","units":"fahrenheit"}'
    assert found["output"] == [
        {
            "type": "tool_call",
            "arguments": arguments,
            "id": "",
            "name": "get_temperature",
            "raw_arguments": compact,
            "raw_name": "get_temperature",
        }
    ]
    [tool] = found["tool_params"]["tools_available"]
    assert list(tool) == ["description", "parameters", "name", "strict"]
    assert (tool["name"], tool["strict"]) == ("get_temperature", False)
    assert found["tool_params"]["tool_choice"] == "auto"
    assert found["tool_params"]["parallel_tool_calls"] is None


def test_a_json_datapoint_reads_back_in_the_old_form(call: Call) -> None:
    [one] = insert(call, JSON)
    found = get(call, one)
    assert found["output"] == {"raw": '{"answer":"Hello"}', "parsed": {"answer": "Hello"}}
    assert found["output_schema"]["required"] == ["answer"]
    block = {"type": "template", "name": "user", "arguments": {"country": "US"}}
    assert found["input"]["messages"] == [{"role": "user", "content": [block]}]
    assert list(found)[:6] == ["type", "dataset_name", "function_name", "id", "episode_id", "input"]


def test_clients_with_a_user_agent_read_the_v1_form(call: Call) -> None:
    [one] = insert(call, {**WEATHER, "allowed_tools": ["get_time"], "parallel_tool_calls": True})
    found = get(call, one, agent="TensorZero/2026.1.8")
    assert found["input"]["messages"] == [{"role": "user", "content": [{"type": "text", "text": "NYC?"}]}]
    assert found["allowed_tools"] == ["get_time"]
    assert (found["tool_choice"], found["parallel_tool_calls"], found["provider_tools"]) == ("auto", True, [])
    assert "tool_params" not in found
    assert [tool["name"] for tool in get(call, one)["tool_params"]["tools_available"]] == ["clock"]


def test_a_system_of_any_json_value_reads_back_where_a_template_takes_it(call: Call) -> None:
    for system in (5, [1, "a"], False, 1.5):
        [one] = insert(call, {"function_name": "templated", "input": {"system": system}})
        assert get(call, one)["input"] == {"system": system, "messages": []}


def test_ids_come_in_request_order_and_ascend_for_a_mixed_batch(call: Call) -> None:
    ids = insert(call, CHAT, JSON, CHAT, JSON)
    assert ids == sorted(ids)
    assert all(uuid.UUID(one).version == 7 for one in ids)
    listed = json.loads(call("GET", "/datasets/demo/datapoints").body)
    assert [one["id"] for one in listed] == ids[::-1]


def test_an_empty_batch_is_fine(call: Call) -> None:
    answer = call("POST", BULK, {"datapoints": []})
    assert (answer.status, answer.body) == (200, b"[]")


def test_bulk_has_a_later_name(call: Call) -> None:
    answer = call("POST", "/datasets/demo/datapoints", {"datapoints": [CHAT]})
    assert answer.status == 200
    assert len(json.loads(answer.body)) == 1


MISMATCH = (
    'JSON Schema validation failed:\n{error}\n\nSchema:\n{{"type":"object","properties":{{"assistant_name":'
    '{{"type":"string"}}}},"required":["assistant_name"]}}'
)
BAD_ITEMS = {
    "no object": (5, "Expected function name for datapoint 1"),
    "no function name": ({"input": {}}, "Expected function name for datapoint 1"),
    "function name no string": ({**CHAT, "function_name": 5}, "Expected function name for datapoint 1"),
    "unknown function": (
        {**CHAT, "function_name": "nope"},
        "Failed to get function config for datapoint 1: Unknown function: nope",
    ),
    "no input": (
        {"function_name": "plain_chat"},
        "Failed to deserialize chat datapoint 1: missing field `input`",
    ),
    "no input for json": (
        {"function_name": "free_json"},
        "Failed to deserialize json datapoint 1: missing field `input`",
    ),
    "unknown key in input": (
        {**CHAT, "input": {"mesages": []}},
        "Failed to deserialize chat datapoint 1: input.mesages: unknown field `mesages`, did you mean `messages`?",
    ),
    "null messages": (
        {**CHAT, "input": {"messages": None}},
        "Failed to deserialize chat datapoint 1: input.messages: invalid type: null, expected a sequence",
    ),
    "unknown role": (
        {**CHAT, "input": {"messages": [{"role": "system", "content": "x"}]}},
        "Failed to deserialize chat datapoint 1: input.messages[0].role: unknown variant `system`, expected `user` or"
        " `assistant`",
    ),
    "two keys in a text block": (
        {**CHAT, "input": {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "value": "b"}]}]}},
        "Failed to deserialize chat datapoint 1: input.messages[0].content[0]: Expected exactly one other key in text"
        " content, found 2 other keys",
    ),
    "unknown key in a text block": (
        {**CHAT, "input": {"messages": [{"role": "user", "content": [{"type": "text", "txt": "a"}]}]}},
        "Failed to deserialize chat datapoint 1: input.messages[0].content[0].txt: Unknown key 'txt' in text content",
    ),
    "tags no map of strings": (
        {**CHAT, "tags": {"a": 1}},
        "Failed to deserialize chat datapoint 1: tags.a: invalid type: integer `1`, expected a string",
    ),
    "additional tool with a type": (
        {
            **CHAT,
            "additional_tools": [{"type": "function", "name": "t", "description": "d", "parameters": {}}],
        },
        "Failed to deserialize chat datapoint 1: additional_tools[0].type: unknown field `type`, expected one of"
        " `description`, `parameters`, `name`, `strict`",
    ),
    "no system": (
        {**CHAT, "function_name": "basic_test"},
        "Failed to validate chat input for datapoint 1: `input.system` is empty but a system template is present.",
    ),
    "system misses its schema": (
        {**CHAT, "function_name": "basic_test", "input": {"system": {}}},
        "Failed to validate chat input for datapoint 1: "
        + MISMATCH.format(error='"assistant_name" is a required property'),
    ),
    "system misses its schema for json": (
        {**JSON, "input": {"system": "text"}},
        "Failed to validate input for datapoint 1: " + MISMATCH.format(error='"text" is not of type "object"'),
    ),
    "system object without a template": (
        {**CHAT, "input": {"system": {"a": 1}}},
        "Failed to validate chat input for datapoint 1: System message has non-string content but there is no template"
        " `system` in any variant",
    ),
    "text against a schema": (
        {"function_name": "write_haiku", "input": {"messages": [USER]}},
        "Failed to validate chat input for datapoint 1: JSON Schema validation failed:\n"
        '"My synthetic input" is not of type "object"\n\nSchema:\n'
        '{"type":"object","properties":{"topic":{"type":"string"}},"required":["topic"]}',
    ),
    "template without a name in any variant": (
        {
            **CHAT,
            "input": {
                "messages": [USER, {"role": "user", "content": [{"type": "template", "name": "t", "arguments": {}}]}]
            },
        },
        "Failed to validate chat input for datapoint 1: Message at index 1 has non-string content but there is no"
        " template `t` in any variant",
    ),
    "tool call without a name": (
        {
            **CHAT,
            "input": {"messages": [{"role": "user", "content": [{"type": "tool_call", "id": "1", "arguments": "{}"}]}]},
        },
        "Failed to lazily resolve chat input for datapoint 1: ToolCall must have `name` or `raw_name` set",
    ),
    "text value of another type": (
        {**CHAT, "input": {"messages": [{"role": "user", "content": [{"type": "text", "value": 5}]}]}},
        "Failed to lazily resolve chat input for datapoint 1: The 'value' field in a `text` content block must be a"
        " string or object",
    ),
    "tool call arguments of another type, json": (
        {
            "function_name": "free_json",
            "input": {
                "messages": [
                    {"role": "user", "content": [{"type": "tool_call", "id": "1", "name": "n", "arguments": 5}]}
                ]
            },
        },
        "ToolCall arguments must be a string or an object",
    ),
    "unknown tool": ({**WEATHER, "allowed_tools": ["nope"]}, "Tool not found: nope"),
    "tool by display name": ({**WEATHER, "allowed_tools": ["clock"]}, "Tool not found: clock"),
    "repeated tool": (
        {**WEATHER, "allowed_tools": ["get_time", "get_time"]},
        "Duplicate tool name: clock. Tool names must be unique.",
    ),
    "additional tool of a function tool's name": (
        {**WEATHER, "additional_tools": [{"name": "get_temperature", "description": "", "parameters": {}}]},
        "Duplicate tool name: get_temperature. Tool names must be unique.",
    ),
    "choice of a tool that is not there": (
        {**CHAT, "tool_choice": {"specific": "x"}},
        "Tool not found: x",
    ),
    "chat output of another type": (
        {**CHAT, "output": 5},
        "Failed to validate chat output for datapoint 1: Demonstration must be a string or an array of content blocks",
    ),
    "thought in an output": (
        {**CHAT, "output": [{"type": "thought", "text": "x"}]},
        "Failed to validate chat output for datapoint 1: Invalid demonstration content block: type: unknown variant"
        " `thought`, expected `text` or `tool_call`",
    ),
    "call of a tool that is not there": (
        {**CHAT, "output": [{"type": "tool_call", "name": "get_temperature", "arguments": {"location": "x"}}]},
        "Failed to validate chat output for datapoint 1: Demonstration contains invalid tool name",
    ),
    "call of a tool that is not allowed": (
        {
            **WEATHER,
            "allowed_tools": ["get_time"],
            "output": [{"type": "tool_call", "name": "get_temperature", "arguments": {"location": "x"}}],
        },
        "Failed to validate chat output for datapoint 1: Demonstration contains invalid tool name",
    ),
    "call with arguments that miss the schema": (
        {**WEATHER, "output": [{"type": "tool_call", "name": "get_temperature", "arguments": {}}]},
        "Failed to validate chat output for datapoint 1: Demonstration contains invalid tool call arguments",
    ),
    "call with arguments as text": (
        {**WEATHER, "output": [{"type": "tool_call", "name": "get_temperature", "arguments": '{"location":"x"}'}]},
        "Failed to validate chat output for datapoint 1: Demonstration contains invalid tool call arguments",
    ),
    "json output that misses its schema": (
        {**JSON, "output": [{"response": "Hello"}]},
        "Failed to validate chat output for datapoint 1: Demonstration does not fit function output schema: JSON"
        ' Schema validation failed:\n[{"response":"Hello"}] is not of type "object"\n\nSchema:\n'
        '{"type":"object","properties":{"answer":{"type":"string"}},"required":["answer"],'
        '"additionalProperties":false}',
    ),
    "json output in the v1 form": (
        {**JSON, "output": {"raw": '{"answer":"x"}'}},
        "Failed to validate chat output for datapoint 1: Demonstration does not fit function output schema: JSON"
        " Schema validation failed:\nAdditional properties are not allowed ('raw' was unexpected)\n\nSchema:\n"
        '{"type":"object","properties":{"answer":{"type":"string"}},"required":["answer"],'
        '"additionalProperties":false}',
    ),
}


@pytest.mark.parametrize(("item", "message"), BAD_ITEMS.values(), ids=BAD_ITEMS)
def test_a_bad_item_is_refused_in_upstreams_words_and_nothing_is_stored(
    call: Call, store: FileStore, item: Any, message: str
) -> None:
    insert(call, CHAT)
    before = snapshot(store.root)
    answer = call("POST", BULK, {"datapoints": [CHAT, item, {"function_name": 0}]})
    assert (answer.status, error_of(answer)) == (400, message)
    assert snapshot(store.root) == before


def test_a_broken_schema_is_refused_only_where_an_output_is_checked(call: Call) -> None:
    item = {"function_name": "free_json", "input": {}, "output_schema": {"type": "invalid"}}
    insert(call, item)
    answer = call("POST", BULK, {"datapoints": [{**item, "output": 1}]})
    assert answer.status == 400
    assert error_of(answer).startswith(
        "Failed to validate chat output for datapoint 0: Failed to compile JSON Schema: "
    )


@pytest.mark.parametrize("schema", [5, "x", [], 1.5], ids=str)
def test_an_output_schema_that_no_file_could_hold_is_refused_also_without_an_output(call: Call, schema: Any) -> None:
    """Stored, it would make every later list of the dataset fail."""
    item = {"function_name": "free_json", "input": {}, "output_schema": schema}
    for method, path, body in (
        ("POST", BULK, {"datapoints": [item]}),
        ("PUT", f"/internal/datasets/demo/datapoints/{UNKNOWN_ID}", {**item, "is_custom": True}),
    ):
        answer = call(method, path, body)
        assert answer.status == 400
        assert error_of(answer).endswith('is not of types "boolean", "object"')
    assert call("GET", "/datasets/demo/datapoints").body == b"[]"


BAD_BODIES = {
    "empty": (
        b"",
        "Failed to parse the request body as JSON: EOF while parsing a value at line 1 column 0 (400 Bad Request)",
    ),
    "no datapoints": (b"{}", "missing field `datapoints`"),
    "unknown key": (
        b'{"datapoints":[],"x":1}',
        "x: unknown field `x`, expected `datapoints`",
    ),
    "null": (b"null", "invalid type: null, expected struct Params"),
    "list": (b"[[]]", "invalid type: sequence, expected struct Params"),
    "datapoints no list": (b'{"datapoints":{}}', "datapoints: invalid type: map, expected a sequence"),
}


@pytest.mark.parametrize(("body", "message"), BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_bad_body_is_refused(call: Call, body: bytes, message: str) -> None:
    answer = call("POST", BULK, raw=body)
    assert (answer.status, error_of(answer)) == (400, message)


LOSSY = {
    "duplicate keys": b'{"datapoints":[],"datapoints":[]}',
    "a big integer": b'{"datapoints":[{"a":18446744073709551616}]}',
    "NaN": b'{"datapoints":[NaN]}',
    "a lone surrogate": rb'{"datapoints":["\ud800"]}',
    "invalid UTF-8": b'{"datapoints":["\xff"]}',
    "a number beyond a double": b'{"datapoints":[1e400]}',
    "129 levels": b'{"datapoints":' + b"[" * 128 + b"]" * 128 + b"}",
    "10,000 levels": b"[" * 10_000,
    "a second value": b'{"datapoints":[]} {}',
}


@pytest.mark.parametrize("body", LOSSY.values(), ids=LOSSY)
def test_what_would_not_come_back_as_it_went_in_is_refused(call: Call, body: bytes) -> None:
    answer = call("POST", BULK, raw=body)
    assert answer.status == 400
    assert error_of(answer).startswith("Failed to parse the request body as JSON: ")
    assert error_of(answer).endswith(" (400 Bad Request)")


@pytest.mark.parametrize("name", ["builder", "tensorzero::x"])
def test_reserved_names_are_refused_only_where_upstream_does(call: Call, name: str) -> None:
    message = f'Invalid dataset name: {name}. Datasets cannot be named "builder" or begin with "tensorzero::"'
    for answer in (
        call("POST", f"/datasets/{name}/datapoints/bulk", {"datapoints": []}),
        call("PUT", f"/internal/datasets/{name}/datapoints/{UNKNOWN_ID}", {}),
    ):
        assert (answer.status, error_of(answer)) == (400, message)
    assert call("GET", f"/datasets/{name}/datapoints").body == b"[]"
    assert call("GET", f"/datasets/{name}/datapoints/{UNKNOWN_ID}").status == 404
    assert call("DELETE", f"/datasets/{name}/datapoints/{UNKNOWN_ID}").status == 200
    assert json.loads(call("DELETE", f"/datasets/{name}").body) == {"num_staled_datapoints": 0}


ROUTES = [
    ("POST", "/datasets/{}/datapoints/bulk"),
    ("GET", "/datasets/{}/datapoints"),
    ("GET", f"/datasets/{{}}/datapoints/{UNKNOWN_ID}"),
    ("DELETE", f"/datasets/{{}}/datapoints/{UNKNOWN_ID}"),
    ("DELETE", "/datasets/{}"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=lambda part: part)
def test_names_that_only_this_store_refuses_are_refused_everywhere(call: Call, method: str, path: str) -> None:
    for name in ("a%40b", "x" * 121, "%20" * 121):
        answer = call(method, path.format(name), {"datapoints": []})
        assert answer.status == 400, name
        assert error_of(answer).startswith("Invalid dataset name: ")


@pytest.mark.parametrize("name", ["a%2Fb", "..", "%2E%2E", "a%3Fb", "%C3%A9", "CON", "a b", "a%00b", "x%0Ay", "+"])
def test_any_other_name_is_a_name_and_never_leaves_the_root(call: Call, store: FileStore, name: str) -> None:
    answer = call("POST", f"/datasets/{name}/datapoints/bulk", {"datapoints": [CHAT]})
    assert answer.status == 200
    [one] = json.loads(call("GET", f"/datasets/{name}/datapoints").body)
    assert call("GET", f"/datasets/{name}/datapoints/{one['id']}").status == 200
    assert {path.parent.parent for path in store.root.parent.rglob(f"{one['id']}.json")} == {store.root}


def test_two_names_that_differ_in_case_alone_are_refused_when_the_second_is_made(call: Call) -> None:
    insert(call, CHAT)
    answer = call("POST", "/datasets/DEMO/datapoints/bulk", {"datapoints": [CHAT]})
    assert answer.status == 400
    assert "letter case" in error_of(answer)
    assert call("GET", "/datasets/DEMO/datapoints").body == b"[]"


def test_a_composed_and_a_decomposed_name_are_one_dataset_answered_as_it_was_asked(call: Call) -> None:
    composed, decomposed = "%C3%A9", "e%CC%81"
    call("POST", f"/datasets/{composed}/datapoints/bulk", {"datapoints": [CHAT]})
    [one] = json.loads(call("GET", f"/datasets/{decomposed}/datapoints").body)
    assert one["dataset_name"] == "e\u0301"


def test_list_takes_function_name_limit_and_offset(call: Call) -> None:
    ids = insert(call, CHAT, JSON, CHAT, JSON, CHAT)

    def listed(query: str) -> list[int]:
        answer = call("GET", f"/datasets/demo/datapoints?{query}")
        assert answer.status == 200
        return [ids.index(one["id"]) for one in json.loads(answer.body)]

    assert listed("") == [4, 3, 2, 1, 0]
    assert listed("limit=2") == [4, 3]
    assert listed("limit=2&offset=3") == [1, 0]
    assert listed("limit=0") == []
    assert listed("offset=9") == []
    assert listed("function_name=json_success&limit=1&offset=1") == [1]
    assert listed("function=json_success") == [3, 1]
    assert listed("function_name=nope") == []
    assert listed("function_name=") == []
    assert listed("unknown=1&limit=1") == [4]


@pytest.mark.parametrize(
    "query", ["limit=-1", "limit=1.5", "limit=x", "limit=", "offset=4294967296", "limit=1&limit=2", "limit=%FF"]
)
def test_a_bad_query_is_refused_in_plain_text(call: Call, query: str) -> None:
    answer = call("GET", f"/datasets/demo/datapoints?{query}")
    assert (answer.status, answer.content_type) == (400, "text/plain; charset=utf-8")
    assert answer.body.startswith(b"Failed to deserialize query string: ")


def test_get_finds_live_datapoints_of_its_own_dataset_alone(call: Call) -> None:
    [one] = insert(call, CHAT)
    answer = call("GET", f"/datasets/demo/datapoints/{UNKNOWN_ID}")
    assert (answer.status, error_of(answer)) == (404, NOT_FOUND)
    assert call("GET", f"/datasets/other/datapoints/{one}").status == 404
    for spelling in (one.upper(), one.replace("-", ""), f"%7B{one}%7D", f"urn:uuid:{one}"):
        assert get(call, spelling)["id"] == one


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("text", ["x", "123", "%20" + UNKNOWN_ID, UNKNOWN_ID + "0", "%FF"])
def test_a_malformed_id_in_the_path_is_refused_in_plain_text(call: Call, method: str, text: str) -> None:
    answer = call(method, f"/datasets/demo/datapoints/{text}")
    assert (answer.status, answer.content_type) == (400, "text/plain; charset=utf-8")
    assert answer.body.startswith(b"Invalid URL: ")


def test_delete_answers_the_same_whether_there_was_one(call: Call, store: FileStore) -> None:
    one, other = insert(call, CHAT, JSON)
    for datapoint_id in (one, one, UNKNOWN_ID, str(uuid.uuid4())):
        answer = call("DELETE", f"/datasets/demo/datapoints/{datapoint_id}")
        assert (answer.status, answer.body, answer.content_type) == (200, b"", None)
    assert call("GET", f"/datasets/demo/datapoints/{one}").status == 404
    assert [found["id"] for found in json.loads(call("GET", "/datasets/demo/datapoints").body)] == [other]
    [tombstone] = [name for name in snapshot(store.root) if "tombstones" in name]
    assert Path(tombstone).parent.name == one[-2:]
    assert Path(tombstone).name.startswith(f"{one}@")
    assert call("DELETE", f"/datasets/unheard/datapoints/{one}").status == 200
    assert not (store.root / "unheard").exists()


def test_stale_dataset_counts_what_it_staled_and_does_not_repeat_itself(call: Call, store: FileStore) -> None:
    insert(call, CHAT, JSON, CHAT)
    assert json.loads(call("DELETE", "/datasets/demo").body) == {"num_staled_datapoints": 3}
    before = snapshot(store.root)
    assert json.loads(call("DELETE", "/datasets/demo").body) == {"num_staled_datapoints": 0}
    assert json.loads(call("DELETE", "/datasets/unheard").body) == {"num_staled_datapoints": 0}
    assert snapshot(store.root) == before
    assert call("GET", "/datasets/demo/datapoints").body == b"[]"


def test_unknown_routes_and_methods(call: Call) -> None:
    answer = call("GET", "/nope/x")
    assert (answer.status, error_of(answer)) == (404, "Route not found: GET /nope/x")
    assert call("GET", "/datasets/demo/datapoints/").status == 404
    answer = call("GET", "/datasets/demo/datapoints/bulk")
    assert (answer.status, answer.body, answer.headers) == (405, b"", (("allow", "POST"),))
    answer = call("PATCH", "/datasets/demo/datapoints")
    assert (answer.status, answer.headers) == (405, (("allow", "POST,GET,HEAD"),))


class TestPut:
    """The internal PUT: create or overwrite under an id of the client's choice."""

    PATH = f"/internal/datasets/demo/datapoints/{UNKNOWN_ID}"
    BODY: ClassVar[dict[str, Any]] = {"function_name": "plain_chat", "input": {"messages": [USER]}, "is_custom": False}

    def test_it_creates_replaces_wholesale_and_revives(self, call: Call) -> None:
        body = {**self.BODY, "tags": {"a": "b"}, "output": "x", "source_inference_id": UNKNOWN_ID, "auxiliary": "{}"}
        answer = call("PUT", self.PATH, body)
        assert (answer.status, json.loads(answer.body)) == (200, {"id": UNKNOWN_ID})
        found = get(call, UNKNOWN_ID)
        assert (found["tags"], found["is_custom"], found["source_inference_id"]) == ({"a": "b"}, False, UNKNOWN_ID)
        call("DELETE", f"/datasets/demo/datapoints/{UNKNOWN_ID}")
        assert call("PUT", self.PATH, self.BODY).status == 200
        found = get(call, UNKNOWN_ID)
        assert found["tags"] == {}
        assert "output" not in found
        assert "source_inference_id" not in found

    def test_its_tools_are_those_of_the_body_alone(self, call: Call) -> None:
        own = {"name": "own", "description": "d", "parameters": {"type": "object"}}
        params = {"tools_available": [own], "tool_choice": "required", "parallel_tool_calls": True}
        output = [{"type": "tool_call", "name": "own", "arguments": {}}]
        body = {**self.BODY, "function_name": "weather_helper", "output": output, "tool_params": params}
        body["input"] = {"system": SYSTEM}
        assert call("PUT", self.PATH, body).status == 200
        assert get(call, UNKNOWN_ID)["tool_params"] == {**params, "tools_available": [{**own, "strict": False}]}
        call_of_function_tool = [{"type": "tool_call", "name": "get_temperature", "arguments": {"location": "x"}}]
        answer = call("PUT", self.PATH, {**body, "output": call_of_function_tool})
        assert (answer.status, error_of(answer)) == (400, "Demonstration contains invalid tool name")

    BAD: ClassVar[dict[str, Any]] = {
        "version": (
            "01995f6a-1c2d-4c11-9d3e-0f5b7a1c2d3e",
            {},
            400,
            "Invalid Datapoint ID: Version must be 7, got 4",
        ),
        "too early": (
            "00000000-0000-7000-8000-000000000000",
            {},
            400,
            "Invalid Datapoint ID: Timestamp is too early",
        ),
        "future": (
            "ff000000-0000-7000-8000-000000000000",
            {},
            400,
            "Invalid Datapoint ID: Timestamp is in the future",
        ),
        "no function": (
            UNKNOWN_ID,
            {"input": {}},
            400,
            "Failed to deserialize `function_name`: missing field `function_name`",
        ),
        "unknown function": (UNKNOWN_ID, {"function_name": "nope"}, 404, "Unknown function: nope"),
        "no input": (
            UNKNOWN_ID,
            {"function_name": "plain_chat", "is_custom": True},
            400,
            "Failed to deserialize chat datapoint: missing field `input`",
        ),
        "no is_custom": (
            UNKNOWN_ID,
            {"function_name": "plain_chat", "input": {}},
            400,
            "Failed to deserialize chat datapoint: missing field `is_custom`",
        ),
        "no output schema": (
            UNKNOWN_ID,
            {"function_name": "free_json", "input": {}, "is_custom": True},
            400,
            "Failed to deserialize JSON datapoint: missing field `output_schema`",
        ),
    }

    @pytest.mark.parametrize(("datapoint_id", "body", "status", "message"), BAD.values(), ids=BAD)
    def test_it_refuses(
        self, call: Call, store: FileStore, datapoint_id: str, body: Any, status: int, message: str
    ) -> None:
        answer = call("PUT", f"/internal/datasets/demo/datapoints/{datapoint_id}", body)
        assert (answer.status, error_of(answer)) == (status, message)
        assert snapshot(store.root.parent / "store") == {} if store.root.exists() else True

    @pytest.mark.parametrize("key", ["type", "id", "dataset_name", "episode_id", "name", "allowed_tools"])
    def test_it_denies_unknown_keys(self, call: Call, key: str) -> None:
        answer = call("PUT", self.PATH, {**self.BODY, key: "x"})
        assert answer.status == 400
        assert f"unknown field `{key}`" in error_of(answer)


def test_a_datapoint_from_an_inference_finds_no_inference(call: Call) -> None:
    body = {
        "output": "inherit",
        "inference_id": UNKNOWN_ID,
        "function_name": "plain_chat",
        "variant_name": "v",
        "episode_id": UNKNOWN_ID,
    }
    path = "/internal/datasets/demo/datapoints"
    answer = call("POST", path, body)
    assert (answer.status, error_of(answer)) == (400, f"Inference `{UNKNOWN_ID}` not found")
    answer = call("POST", path, {**body, "function_name": "nope"})
    assert (answer.status, error_of(answer)) == (404, "Unknown function: nope")
    answer = call("POST", path, {**body, "output": "x"})
    assert answer.status == 400
