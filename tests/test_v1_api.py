"""The v1 routes: shapes, statuses and messages, without a socket."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from filestore import FileStore
from tests.conftest import Call, snapshot
from tests.test_legacy_api import SYSTEM, UNKNOWN_ID, USER, error_of

ROUTE = "/v1/datasets/demo/datapoints"
CHAT: dict[str, Any] = {"type": "chat", "function_name": "plain_chat", "input": {"messages": [USER]}}
COUNTRY: dict[str, Any] = {"type": "text", "arguments": {"country": "US"}}
JSON: dict[str, Any] = {
    "type": "json",
    "function_name": "json_success",
    "input": {"system": SYSTEM, "messages": [{"role": "user", "content": [COUNTRY]}]},
}
WEATHER: dict[str, Any] = {
    "type": "chat",
    "function_name": "weather_helper",
    "input": {"system": {"assistant_name": "W"}, "messages": [{"role": "user", "content": "NYC?"}]},
}
TOOL: dict[str, Any] = {"name": "t2", "description": "d", "parameters": {"type": "object"}}


def answer_of(answer: Any) -> Any:
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def create(call: Call, *items: Any, dataset: str = "demo") -> list[str]:
    ids: list[str] = answer_of(call("POST", f"/v1/datasets/{dataset}/datapoints", {"datapoints": list(items)}))["ids"]
    return ids


def get(call: Call, *ids: str) -> list[Any]:
    found: list[Any] = answer_of(call("POST", "/v1/datasets/demo/get_datapoints", {"ids": list(ids)}))["datapoints"]
    return found


def get_one(call: Call, datapoint_id: str) -> Any:
    [found] = get(call, datapoint_id)
    return found


def patch(call: Call, *items: Any) -> list[str]:
    ids: list[str] = answer_of(call("PATCH", ROUTE, {"datapoints": list(items)}))["ids"]
    return ids


def listed(call: Call, **body: Any) -> list[Any]:
    found: list[Any] = answer_of(call("POST", "/v1/datasets/demo/list_datapoints", body))["datapoints"]
    return found


def test_a_created_chat_datapoint_reads_back_key_by_key(call: Call) -> None:
    item = {
        **WEATHER,
        "episode_id": UNKNOWN_ID.upper(),
        "output": [
            {"type": "tool_call", "id": "c1", "raw_name": "get_temperature", "raw_arguments": '{"location":"N"}'}
        ],
        "allowed_tools": ["get_temperature", "t2"],
        "additional_tools": [TOOL],
        "tool_choice": {"specific": "get_temperature"},
        "parallel_tool_calls": False,
        "provider_tools": [{"tool": {"foo": "bar"}}],
        "tags": {"env": "test"},
        "name": "first",
        "id": UNKNOWN_ID,
        "is_custom": False,
        "tools": "ignored",
    }
    [one] = create(call, item)
    found = get_one(call, one)
    updated_at = found.pop("updated_at")
    assert len(updated_at) == 20
    assert updated_at.endswith("Z")
    assert json.dumps(found) == json.dumps(
        {
            "type": "chat",
            "dataset_name": "demo",
            "function_name": "weather_helper",
            "id": one,
            "episode_id": UNKNOWN_ID,
            "input": {
                "system": {"assistant_name": "W"},
                "messages": [{"role": "user", "content": [{"type": "text", "text": "NYC?"}]}],
            },
            "output": [
                {
                    "type": "tool_call",
                    "id": "c1",
                    "raw_name": "get_temperature",
                    "raw_arguments": '{"location":"N"}',
                    "name": "get_temperature",
                    "arguments": {"location": "N"},
                }
            ],
            "allowed_tools": ["get_temperature", "t2"],
            "additional_tools": [
                {
                    "type": "function",
                    "description": "d",
                    "parameters": {"type": "object"},
                    "name": "t2",
                    "strict": False,
                }
            ],
            "tool_choice": {"specific": "get_temperature"},
            "parallel_tool_calls": False,
            "provider_tools": [{"scope": None, "tool": {"foo": "bar"}}],
            "tags": {"env": "test"},
            "is_deleted": False,
            "is_custom": True,
            "name": "first",
        }
    )


JSON_OUTPUTS: dict[str, tuple[Any, Any]] = {
    "fits": ({"raw": '{"answer": "x"}'}, {"raw": '{"answer": "x"}', "parsed": {"answer": "x"}}),
    "misses the schema": ({"raw": '{"b":1}'}, {"raw": '{"b":1}', "parsed": None}),
    "is not JSON": ({"raw": "hello"}, {"raw": "hello", "parsed": None}),
    "beyond a double": ({"raw": '{"answer":1e400}'}, {"raw": '{"answer":1e400}', "parsed": None}),
    "null": ({"raw": None}, {"raw": None, "parsed": None}),
    "empty": ({}, {"raw": None, "parsed": None}),
    "parsed is ignored": ({"raw": "x", "parsed": {"answer": "y"}}, {"raw": "x", "parsed": None}),
}


@pytest.mark.parametrize(("sent", "stored"), JSON_OUTPUTS.values(), ids=JSON_OUTPUTS)
def test_a_json_output_is_kept_and_viewed(call: Call, sent: Any, stored: Any) -> None:
    assert get_one(call, create(call, {**JSON, "output": sent})[0])["output"] == stored


TOOLS: dict[str, tuple[Any, Any]] = {
    "no tools": ({**CHAT, "tool_choice": "auto"}, {"provider_tools": []}),
    "an additional one": (
        {**CHAT, "additional_tools": [TOOL]},
        {"additional_tools": ["t2"], "tool_choice": "auto", "provider_tools": []},
    ),
    "the function's": (WEATHER, {"tool_choice": "auto", "provider_tools": []}),
    "none allowed": (
        {**WEATHER, "allowed_tools": []},
        {"allowed_tools": [], "tool_choice": "auto", "provider_tools": []},
    ),
    "one allowed": (
        {**WEATHER, "allowed_tools": ["get_temperature"], "parallel_tool_calls": False},
        {
            "allowed_tools": ["get_temperature"],
            "tool_choice": "auto",
            "parallel_tool_calls": False,
            "provider_tools": [],
        },
    ),
    "none allowed of none": ({**CHAT, "allowed_tools": []}, {"provider_tools": []}),
}


@pytest.mark.parametrize(("item", "stored"), TOOLS.values(), ids=TOOLS)
def test_tool_parameters_are_resolved(call: Call, item: Any, stored: Any) -> None:
    found = get_one(call, create(call, item)[0])
    keys = ("allowed_tools", "additional_tools", "tool_choice", "parallel_tool_calls", "provider_tools")
    tools = {key: found[key] for key in keys if key in found}
    if "additional_tools" in tools:
        tools["additional_tools"] = [tool["name"] for tool in tools["additional_tools"]]
    assert tools == stored


CHAT_PREFIX = "Failed to convert chat datapoint to database insert: "
JSON_PREFIX = "Failed to convert json datapoint to database insert: "
BAD_ITEMS: dict[str, tuple[Any, str]] = {
    "no type": (
        {"function_name": "f"},
        "datapoints[1]: Error during deserialization for TensorZeroDerive: missing tag field `type`",
    ),
    "unknown type": (
        {**CHAT, "type": "x"},
        "datapoints[1]: Error during deserialization for TensorZeroDerive: unknown variant `x`, expected `chat` or"
        " `json`",
    ),
    "no function name": ({"type": "chat", "input": {}}, "datapoints[1]: missing field `function_name`"),
    "null provider tools": (
        {**CHAT, "provider_tools": None},
        "datapoints[1].provider_tools: invalid type: null, expected a sequence",
    ),
    "an output that is no list": (
        {**CHAT, "output": "text"},
        'datapoints[1].output: invalid type: string "text", expected a sequence',
    ),
    "text as value": (
        {**CHAT, "input": {"messages": [{"role": "user", "content": [{"type": "text", "value": "x"}]}]}},
        "datapoints[1].input.messages[0].content[0].value: Unknown key `value` in text content",
    ),
    "unknown function": ({**CHAT, "function_name": "nope"}, f"{CHAT_PREFIX}Unknown function: nope"),
    "a json function as chat": (
        {**CHAT, "function_name": "free_json"},
        f"{CHAT_PREFIX}Function 'free_json' is not configured as a chat function",
    ),
    "a chat function as json": (
        {**JSON, "function_name": "plain_chat"},
        f"{JSON_PREFIX}Function 'plain_chat' is not configured as a JSON function",
    ),
    "no system": (
        {**CHAT, "function_name": "basic_test"},
        f"{CHAT_PREFIX}`input.system` is empty but a system template is present.",
    ),
    "unknown tool": ({**WEATHER, "allowed_tools": ["nope"]}, f"{CHAT_PREFIX}Tool not found: nope"),
    "duplicate tool": (
        {**WEATHER, "additional_tools": [{**TOOL, "name": "get_temperature"}]},
        f"{CHAT_PREFIX}Duplicate tool name: get_temperature. Tool names must be unique.",
    ),
    "a choice that is not there": (
        {**CHAT, "tool_choice": {"specific": "x"}},
        f"{CHAT_PREFIX}Tool not found: x",
    ),
}


@pytest.mark.parametrize(("item", "message"), BAD_ITEMS.values(), ids=BAD_ITEMS)
def test_a_bad_item_is_refused_and_nothing_is_stored(call: Call, store: FileStore, item: Any, message: str) -> None:
    create(call, CHAT)
    before = snapshot(store.root)
    answer = call("POST", ROUTE, {"datapoints": [CHAT, item]})
    assert (answer.status, error_of(answer)) == (400, message)
    assert snapshot(store.root) == before


def test_a_schema_that_does_not_compile_is_refused_with_or_without_an_output(call: Call) -> None:
    for schema in ({"type": "invalid"}, "text", [1]):
        answer = call("POST", ROUTE, {"datapoints": [{**JSON, "output_schema": schema}]})
        assert answer.status == 400
        assert error_of(answer).startswith(f"{JSON_PREFIX}Error in compiling client-provided JSON schema: ")
    assert get_one(call, create(call, {**JSON, "output_schema": True})[0])["output_schema"] is True


def test_an_empty_list_is_refused(call: Call) -> None:
    for method, route in (("POST", ROUTE), ("PATCH", ROUTE), ("PATCH", f"{ROUTE}/metadata")):
        answer = call(method, route, {"datapoints": []})
        assert (answer.status, error_of(answer)) == (400, "At least one datapoint must be provided")
    answer = call("DELETE", ROUTE, {"ids": []})
    assert (answer.status, error_of(answer)) == (400, "ids must be a non-empty list")


def test_reserved_names_are_refused_everywhere(call: Call) -> None:
    requests: list[tuple[str, str, Any]] = [
        ("POST", "datapoints", {"datapoints": []}),
        ("PATCH", "datapoints", {"datapoints": []}),
        ("DELETE", "datapoints", {"ids": []}),
        ("POST", "list_datapoints", {}),
        ("POST", "get_datapoints", {"ids": []}),
    ]
    for method, path, body in requests:
        answer = call(method, f"/v1/datasets/builder/{path}", body)
        assert answer.status == 400
        assert error_of(answer).startswith("Invalid dataset name: builder.")
    assert call("DELETE", "/v1/datasets/builder").status == 400


class TestUpdate:
    """PATCH: a successor takes over, the old datapoint becomes stale."""

    def test_a_successor_takes_over(self, call: Call) -> None:
        [old] = create(call, {**CHAT, "tags": {"a": "b"}, "name": "n", "episode_id": UNKNOWN_ID})
        [new] = patch(call, {"type": "chat", "id": old, "output": [{"type": "text", "text": "x"}]})
        assert new > old
        found = get_one(call, new)
        assert (found["tags"], found["name"], found["episode_id"]) == ({"a": "b"}, "n", UNKNOWN_ID)
        assert found["output"] == [{"type": "text", "text": "x"}]
        assert [one["id"] for one in listed(call)] == [new]
        assert "staled_at" in get_one(call, old)
        answer = call("PATCH", ROUTE, {"datapoints": [{"type": "chat", "id": old}]})
        assert (answer.status, error_of(answer)) == (
            404,
            f"Datapoint not found for dataset: demo and id: {old}",
        )

    FIELDS: ClassVar[dict[str, tuple[Any, Any, Any]]] = {
        "input": (
            {},
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "My synthetic input"}]}]},
            "same",
        ),
        "output": ([{"type": "text", "text": "o"}], [{"type": "text", "text": "o"}], "gone"),
        "tags": ({"a": "b"}, {"a": "b"}, "same"),
        "name": ("n", "n", "gone"),
        "provider_tools": ([{"tool": 1}], [{"scope": None, "tool": 1}], "same"),
    }

    @pytest.mark.parametrize("key", FIELDS)
    def test_null_clears_or_leaves_alone_by_field(self, call: Call, key: str) -> None:
        sent, stored, by_null = self.FIELDS[key]
        item = {**CHAT, "additional_tools": [TOOL], **({} if key == "input" else {key: sent})}
        [one] = create(call, item)
        assert get_one(call, one)[key] == stored
        [one] = patch(call, {"type": "chat", "id": one})
        assert get_one(call, one)[key] == stored
        [one] = patch(call, {"type": "chat", "id": one, key: None})
        if by_null == "gone":
            assert key not in get_one(call, one)
        else:
            assert get_one(call, one)[key] == stored

    def test_tool_fields_are_rebuilt_when_one_is_given(self, call: Call) -> None:
        [one] = create(call, {**WEATHER, "tool_choice": "required", "allowed_tools": ["get_time"]})
        [one] = patch(call, {"type": "chat", "id": one, "tool_choice": None})
        assert get_one(call, one)["tool_choice"] == "auto"
        assert get_one(call, one)["allowed_tools"] == ["get_time"]
        [one] = patch(call, {"type": "chat", "id": one, "allowed_tools": None, "additional_tools": [TOOL]})
        assert "allowed_tools" not in get_one(call, one)
        answer = call("PATCH", ROUTE, {"datapoints": [{"type": "chat", "id": one, "allowed_tools": ["nope"]}]})
        assert (answer.status, error_of(answer)) == (400, "Tool not found: nope")

    def test_a_json_output_is_viewed_through_the_new_or_the_old_schema(self, call: Call) -> None:
        [one] = create(call, {**JSON, "output": {"raw": '{"answer":"x"}'}})
        [one] = patch(call, {"type": "json", "id": one, "output_schema": {"type": "string"}})
        assert get_one(call, one)["output"]["parsed"] == {"answer": "x"}
        [one] = patch(call, {"type": "json", "id": one, "output": {"raw": '"text"'}})
        assert get_one(call, one)["output"] == {"raw": '"text"', "parsed": "text"}
        [one] = patch(call, {"type": "json", "id": one, "output": {"answer": "x"}})
        assert get_one(call, one)["output"] == {"raw": None, "parsed": None}
        [one] = patch(call, {"type": "json", "id": one, "output": None})
        assert "output" not in get_one(call, one)

    def test_a_chat_output_is_stored_as_sent(self, call: Call) -> None:
        [one] = create(call, WEATHER)
        block = {"type": "tool_call", "id": "1", "raw_name": "get_temperature", "raw_arguments": "{}", "name": "x"}
        [one] = patch(call, {"type": "chat", "id": one, "output": [block]})
        assert get_one(call, one)["output"] == [{**block, "arguments": None}]

    def test_a_fetched_datapoint_can_be_sent_back(self, call: Call) -> None:
        ids = create(call, {**WEATHER, "additional_tools": [TOOL], "name": "n"}, {**JSON, "output": {"raw": "{}"}})
        before = [get_one(call, one) for one in ids]
        after = [get_one(call, one) for one in patch(call, *before)]
        moving = ("id", "updated_at")
        assert [{k: v for k, v in one.items() if k not in moving} for one in after] == [
            {k: v for k, v in one.items() if k not in moving} for one in before
        ]

    def test_all_or_nothing_with_the_first_failure(self, call: Call, store: FileStore) -> None:
        chat, other = create(call, CHAT, JSON)
        before = snapshot(store.root)
        cases = [
            ([{"type": "chat", "id": chat}, {"type": "chat", "id": UNKNOWN_ID}], 404, UNKNOWN_ID),
            ([{"type": "chat", "id": chat}, {"type": "chat", "id": chat.upper()}], 400, "Duplicate datapoint id"),
            ([{"type": "chat", "id": other}], 400, "is a JSON datapoint but a chat update was provided"),
            ([{"type": "json", "id": chat}], 400, "is a chat datapoint but a JSON update was provided"),
        ]
        for items, status, text in cases:
            answer = call("PATCH", ROUTE, {"datapoints": items})
            assert answer.status == status
            assert text in error_of(answer)
        assert snapshot(store.root) == before

    def test_metadata_renames_in_place(self, call: Call) -> None:
        one, other = create(call, {**CHAT, "name": "a"}, CHAT)
        route = f"{ROUTE}/metadata"
        items = [{"id": other, "name": "b"}, {"id": one, "name": None}]
        assert answer_of(call("PATCH", route, {"datapoints": items}))["ids"] == [other, one]
        assert get_one(call, other)["name"] == "b"
        assert "name" not in get_one(call, one)
        answer = call("PATCH", route, {"datapoints": [{"id": one, "name": "x"}, {"id": UNKNOWN_ID}]})
        assert answer.status == 404
        assert "name" not in get_one(call, one)


class TestDeleteAndGet:
    """Soft deletion, and the one route that still sees what is stale."""

    def test_only_live_ids_count(self, call: Call) -> None:
        one, other, third = create(call, CHAT, JSON, CHAT)
        body = {"ids": [one, one.upper(), UNKNOWN_ID, str(uuid.uuid4())]}
        assert answer_of(call("DELETE", ROUTE, body)) == {"num_deleted_datapoints": 1}
        assert answer_of(call("DELETE", ROUTE, body)) == {"num_deleted_datapoints": 0}
        assert answer_of(call("DELETE", "/v1/datasets/demo")) == {"num_deleted_datapoints": 2}
        assert answer_of(call("DELETE", "/v1/datasets/demo")) == {"num_deleted_datapoints": 0}
        found = get(call, other, one, third, one, UNKNOWN_ID)
        assert {each["id"] for each in found} == {one, other, third}
        assert all("staled_at" in each and each["is_deleted"] is False for each in found)
        assert all(each["updated_at"] == each["staled_at"] for each in found)

    def test_get_is_scoped_or_not(self, call: Call) -> None:
        [one] = create(call, CHAT, dataset="other")
        assert get(call, one) == []
        found = answer_of(call("POST", "/v1/datasets/get_datapoints", {"ids": [one]}))["datapoints"]
        assert [each["dataset_name"] for each in found] == ["other"]
        answer = call("POST", "/v1/datasets/demo/get_datapoints", {"ids": ["x"]})
        assert answer.status == 400
        assert error_of(answer).startswith("ids[0]: UUID parsing failed: ")

    def test_a_dataset_may_be_called_like_a_route(self, call: Call) -> None:
        create(call, CHAT, dataset="get_datapoints")
        assert answer_of(call("DELETE", "/v1/datasets/get_datapoints")) == {"num_deleted_datapoints": 1}


class TestList:
    """POST list_datapoints: filters, orders, search and pages."""

    def test_it_takes_a_page(self, call: Call) -> None:
        ids = create(call, *[CHAT] * 25)[::-1]
        assert [one["id"] for one in listed(call)] == ids[:20]
        assert [one["id"] for one in listed(call, limit=3, offset=2, page_size=9)] == ids[2:5]
        assert [one["id"] for one in listed(call, page_size=3, limit=None)] == ids[:3]
        assert listed(call, limit=0) == []

    @pytest.mark.parametrize("bad", [-1, 1.5, 2.0, "3", True, 2**32])
    def test_a_bad_limit_is_refused(self, call: Call, bad: Any) -> None:
        answer = call("POST", "/v1/datasets/demo/list_datapoints", {"limit": bad})
        assert answer.status == 400

    def test_filters(self, call: Call) -> None:
        a, b, c = create(call, {**CHAT, "tags": {"k": "1"}}, {**CHAT, "tags": {"k": "2"}}, JSON)

        def names(tree: Any) -> str:
            found = {one["id"] for one in listed(call, filter=tree)}
            return "".join(name for name, one in zip("abc", (a, b, c), strict=True) if one in found)

        def tag(operator: str) -> Any:
            return {"type": "tag", "key": "k", "value": "1", "comparison_operator": operator}

        assert names(tag("=")) == "a"
        assert names(tag("!=")) == "b"
        assert names({"type": "not", "child": tag("=")}) == "bc"
        assert names({"type": "and", "children": []}) == "abc"
        assert names({"type": "or", "children": []}) == ""
        assert names({"type": "or", "children": [tag("="), tag("!=")]}) == "ab"
        assert names({"type": "time", "time": "2000-01-01T00:00:00Z", "comparison_operator": ">"}) == "abc"
        assert names({"type": "time", "time": "2000-01-01 00:00:00.5+0100", "comparison_operator": "<="}) == ""
        precise = f"2000-01-01T00:00:00.{'1' * 5000}Z"
        assert names({"type": "time", "time": precise, "comparison_operator": ">"}) == "abc"
        assert [one["id"] for one in listed(call, function_name="json_success")] == [c]

    BAD: ClassVar[dict[str, Any]] = {
        "unknown type": {"filter": {"type": "metric"}},
        "unknown operator": {"filter": {"type": "tag", "key": "a", "value": "b", "comparison_operator": "=="}},
        "a date alone": {"filter": {"type": "time", "time": "2026-01-01", "comparison_operator": "="}},
        "no offset": {"filter": {"type": "time", "time": "2026-01-01T00:00:00", "comparison_operator": "="}},
        "an impossible date": {"filter": {"type": "time", "time": "2026-02-30T00:00:00Z", "comparison_operator": "="}},
        "no direction": {"order_by": [{"by": "timestamp"}]},
        "relevance without a search": {"order_by": [{"by": "search_relevance", "direction": "descending"}]},
        "260 nots": {"filter": json.loads('{"type":"not","child":' * 120 + '{"type":"and","children":[]}' + "}" * 120)},
    }

    @pytest.mark.parametrize("body", [body for name, body in BAD.items() if name != "260 nots"])
    def test_a_bad_query_is_refused(self, call: Call, body: Any) -> None:
        assert call("POST", "/v1/datasets/demo/list_datapoints", body).status == 400

    def test_nesting_110_deep_works_and_beyond_128_is_refused(self, call: Call) -> None:
        for depth, status in ((108, 200), (260, 400)):
            tree = '{"type":"not","child":' * depth + '{"type":"and","children":[]}' + "}" * depth
            answer = call("POST", "/v1/datasets/demo/list_datapoints", raw=f'{{"filter":{tree}}}'.encode())
            assert answer.status == status

    def test_orders_and_search(self, call: Call) -> None:
        def item(text: str) -> Any:
            return {**CHAT, "input": {"messages": [{"role": "user", "content": text}]}}

        a, b, c = create(call, item('Say "Ünicode" twice, ünicode'), item("ünicode\n100%"), item("none"))
        ids = {a: "a", b: "b", c: "c"}

        def order(query: str | None, *terms: tuple[str, str]) -> str:
            order_by = [{"by": by, "direction": direction} for by, direction in terms]
            found = listed(call, search_query_experimental=query, order_by=order_by)
            return "".join(ids[one["id"]] for one in found)

        assert order(None) == "cba"
        assert order(None, ("timestamp", "ascending")) in ("abc", "cba")
        assert order("ÜNICODE") == "ba"
        assert order("ünicode", ("search_relevance", "descending")) == "ab"
        assert order('"Ünicode"') == "a"
        assert order("\n100") == "b"
        assert order("%") == "b"
        assert order("") == "cba"
        assert order("plain_chat") == ""
        [greek] = create(call, item("ΣΑΣΑ"))
        assert [one["id"] for one in listed(call, search_query_experimental="ΣΑΣ")] == [greek]


def test_clone_copies_what_is_live_anywhere(call: Call) -> None:
    [one] = create(call, {**CHAT, "name": "n", "tags": {"a": "b"}, "episode_id": UNKNOWN_ID}, dataset="source")
    gone, kept = create(call, CHAT, JSON)
    call("DELETE", ROUTE, {"ids": [gone]})
    body = {"datapoint_ids": [one, gone, UNKNOWN_ID, kept, one]}
    copies = answer_of(call("POST", "/internal/datasets/demo/datapoints/clone", body))["datapoint_ids"]
    assert [copy is None for copy in copies] == [False, True, True, False, False]
    assert copies[0] == copies[4] != one
    found = get_one(call, copies[0])
    assert (found["name"], found["tags"], found["episode_id"]) == ("n", {"a": "b"}, UNKNOWN_ID)
    answer = call("POST", "/internal/datasets/demo/datapoints/clone", {"datapoint_ids": []})
    assert answer_of(answer) == {"datapoint_ids": []}


def test_counts_and_datasets(call: Call) -> None:
    create(call, CHAT, JSON, CHAT)
    create(call, JSON, dataset="other")
    count = "/internal/datasets/demo/datapoints/count"
    assert answer_of(call("GET", count)) == {"datapoint_count": 3}
    assert answer_of(call("GET", f"{count}?function_name=json_success")) == {"datapoint_count": 1}
    assert answer_of(call("GET", f"{count}?function_name=nope")) == {"datapoint_count": 0}
    assert answer_of(call("GET", "/internal/datasets/unheard/datapoints/count")) == {"datapoint_count": 0}
    rows = answer_of(call("GET", "/internal/datasets"))["datasets"]
    assert [(row["dataset_name"], row["datapoint_count"]) for row in rows] == [("other", 1), ("demo", 3)]
    rows = answer_of(call("GET", "/internal/datasets?function_name=plain_chat"))["datasets"]
    assert [(row["dataset_name"], row["datapoint_count"]) for row in rows] == [("demo", 2)]
    assert len(answer_of(call("GET", "/internal/datasets?limit=1&offset=1"))["datasets"]) == 1


def test_from_inferences_finds_none(call: Call) -> None:
    route = "/v1/datasets/demo/from_inferences"
    answer = call("POST", route, {"type": "inference_ids", "inference_ids": [UNKNOWN_ID]})
    assert (answer.status, error_of(answer)) == (400, f"Inference `{UNKNOWN_ID}` not found")
    assert answer_of(call("POST", route, {"type": "inference_query"})) == {"ids": []}
    answer = call("POST", route, {"type": "inference_query", "before": UNKNOWN_ID, "after": UNKNOWN_ID})
    assert answer.status == 400
    assert call("POST", route, {"type": "x"}).status == 400


def test_base64_files_are_kept_beside_the_datapoints(call: Call, store: FileStore) -> None:
    png = "iVBORw0KGgo="
    item = {**CHAT, "input": {"messages": [{"role": "user", "content": [{"type": "file", "data": png}]}]}}
    [one] = create(call, item)
    [block] = get_one(call, one)["input"]["messages"][0]["content"]
    assert block["file_type"] == "object_storage_pointer"
    assert block["storage_path"]["kind"] == {"type": "filesystem", "path": "demo"}
    path = block["storage_path"]["path"]
    assert (store.root / "demo" / path).read_bytes() == b"\x89PNG\r\n\x1a\n"
    query = json.dumps(block["storage_path"]).replace(" ", "%20").replace('"', "%22")
    assert answer_of(call("GET", f"/internal/object_storage?storage_path={query}"))["data"] == png
    copies = answer_of(call("POST", "/internal/datasets/copy/datapoints/clone", {"datapoint_ids": [one]}))
    assert (store.root / "copy" / path).exists()
    assert copies["datapoint_ids"] != [None]
    sent_back = {**CHAT, "input": get_one(call, one)["input"]}
    create(call, sent_back, dataset="third")
    assert (store.root / "third" / path).exists()
    (store.root / "demo" / path).write_bytes(b"\x89PNG\n\x1a\n")  # as git does where it takes it for text
    answer = call("GET", f"/internal/object_storage?storage_path={query}")
    assert (answer.status, f"demo/{path}:1:1: this file was altered" in error_of(answer)) == (500, True)
    elsewhere = {"kind": {"type": "filesystem", "path": "demo"}, "path": f"files/{'0' * 64}.png"}
    block = {"type": "file", "file_type": "object_storage_pointer", "mime_type": "image/png", "storage_path": elsewhere}
    [other] = create(call, {**CHAT, "input": {"messages": [{"role": "user", "content": [block]}]}}, dataset="third")
    body = {"datapoint_ids": [other]}
    assert answer_of(call("POST", "/internal/datasets/copy/datapoints/clone", body))["datapoint_ids"] != [None]


class TestRestore:
    """Undoing a soft deletion, with a clear answer where there is nothing to undo."""

    ROUTE = "/v1/datasets/demo/restore_datapoints"

    def test_it_undoes_a_deletion(self, call: Call, store: FileStore) -> None:
        one, other = create(call, CHAT, JSON)
        before = snapshot(store.root)
        call("DELETE", "/v1/datasets/demo")
        assert listed(call) == []
        assert answer_of(call("POST", self.ROUTE, {"ids": [one, other]})) == {"ids": [one, other]}
        assert snapshot(store.root) == before
        assert "staled_at" not in get_one(call, one)

    def test_it_says_why_not(self, call: Call, store: FileStore) -> None:
        live, old = create(call, CHAT, CHAT)
        [middle] = patch(call, {"type": "chat", "id": old})
        [new] = patch(call, {"type": "chat", "id": middle})
        before = snapshot(store.root)
        cases = {
            live: (400, f"Datapoint {live} is not deleted"),
            old: (400, f"Datapoint {old} was replaced by {new}: delete that first to have the old one back"),
            UNKNOWN_ID: (404, f"Datapoint not found for dataset: demo and id: {UNKNOWN_ID}"),
        }
        for one, (status, message) in cases.items():
            answer = call("POST", self.ROUTE, {"ids": [one]})
            assert (answer.status, error_of(answer)) == (status, message)
        assert call("POST", self.ROUTE, {"ids": []}).status == 400
        assert snapshot(store.root) == before
        call("DELETE", ROUTE, {"ids": [new]})
        assert answer_of(call("POST", self.ROUTE, {"ids": [old]})) == {"ids": [old]}


def test_purge_removes_what_nothing_needs_and_says_so_first(call: Call, store: FileStore) -> None:
    png = {"messages": [{"role": "user", "content": [{"type": "file", "data": "iVBORw0KGgo="}]}]}
    kept, gone, file = create(call, JSON, {**JSON, "output_schema": {"title": "own"}}, {**CHAT, "input": png})
    call("DELETE", ROUTE, {"ids": [gone, file]})
    before = snapshot(store.root)
    planned = store.purge_dataset(dataset_name="demo", dry_run=True)
    assert snapshot(store.root) == before
    assert {str(one) for one in planned.datapoints} == {gone, file}
    assert (len(planned.schemas), len(planned.files)) == (1, 1)
    assert store.purge_dataset(dataset_name="demo", older_than=timedelta(days=1)).datapoints == []
    assert snapshot(store.root) == before
    assert store.purge_dataset(dataset_name="demo") == planned
    assert sorted(path.split("/")[1] for path in snapshot(store.root)) == [f"{kept}.json", "schemas"]
    assert [one["id"] for one in listed(call)] == [kept]
