"""Unmodified releases of the TensorZero client use the gateway over a real socket, each the way it always did."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from tensorzero import AsyncTensorZeroGateway, ListDatapointsRequest, TensorZeroError

from filestore import FileStore
from filestore.gateway import serve
from tests.client_datapoints import (
    BATCH,
    CHAT,
    CHAT_OUTPUT,
    JSON,
    NEWER_BLOCKS,
    NEWER_TOOLS,
    PNG,
    SYSTEM,
    TEMPLATE,
    TOOL_RESULT,
    chat_input,
    chat_tools,
    printed,
)
from tests.client_releases import CURRENT_RELEASE, OLD_RELEASES, Client, ClientError, Send, running_release


@pytest.fixture(scope="module", params=[*OLD_RELEASES, CURRENT_RELEASE])
def release(request: pytest.FixtureRequest) -> Iterator[tuple[str, Send]]:
    with running_release(request.param) as send:
        yield request.param, send


@pytest.fixture
def client(release: tuple[str, Send], store: FileStore) -> Iterator[Client]:
    with serve(store) as url:
        yield Client(*release, url)


@pytest.fixture
def current(store: FileStore) -> Iterator[Client]:
    with running_release(CURRENT_RELEASE) as send, serve(store) as url:
        yield Client(CURRENT_RELEASE, send, url)


def datapoint_files(store: FileStore) -> list[str]:
    return sorted(path.stem for path in (store.root / "demo").glob("*.json"))


def tombstones(store: FileStore) -> list[str]:
    return sorted(path.name.partition("@")[0] for path in (store.root / "demo").glob("tombstones/*/*"))


def test_a_mixed_batch_gets_ascending_version_7_ids_in_its_order(client: Client) -> None:
    ids = client.insert(*BATCH)
    assert [uuid.UUID(one).version for one in ids] == [7, 7, 7]
    assert ids == sorted(ids)
    assert [client.get(one)["function_name"] for one in ids] == ["weather_helper", "templated", "json_success"]


def test_a_batch_is_one_file_for_each_datapoint(client: Client, store: FileStore) -> None:
    ids = client.insert(*BATCH)
    assert datapoint_files(store) == ids
    assert [path.read_bytes() for path in (store.root / "demo" / "files").iterdir()] == [PNG]
    assert tombstones(store) == []


def test_an_empty_batch_is_inserted(client: Client) -> None:
    assert client.insert() == []


def test_a_chat_datapoint_comes_back_as_its_release_spells_it(client: Client) -> None:
    [datapoint_id] = client.insert(CHAT)
    fields = {
        "type": "chat",
        "function_name": "weather_helper",
        "input": chat_input(client.release),
        "output": CHAT_OUTPUT,
        "tags": {"a": "b"},
        **chat_tools(client.release),
    }
    assert client.get(datapoint_id)["printed"] == printed(client.release, datapoint_id, fields)


def test_a_json_datapoint_comes_back_as_its_release_spells_it(client: Client) -> None:
    [datapoint_id] = client.insert(JSON)
    block = {"type": "template", "name": "user", "arguments": {"country": "US"}}
    fields = {
        "type": "json",
        "function_name": "json_success",
        "input": {"system": SYSTEM, "messages": [{"role": "user", "content": [block]}]},
        "output": {"raw": '{"answer":"Hello"}', "parsed": {"answer": "Hello"}},
        "output_schema": JSON["output_schema"],
    }
    assert client.get(datapoint_id)["printed"] == printed(client.release, datapoint_id, fields)


def test_the_attributes_of_a_datapoint_are_set(client: Client) -> None:
    chat, templated, json_datapoint = map(client.get, client.insert(*BATCH))
    for datapoint in (chat, templated, json_datapoint):
        assert datapoint["dataset_name"] == "demo"
        assert datapoint["is_custom"] is True
    [text, call] = chat["output"]
    assert (text["text"], call["name"], call["arguments"]) == ("Yes.", "get_temperature", {"location": "NYC"})
    assert chat["input"]["system"] == SYSTEM
    assert [message["role"] for message in chat["input"]["messages"]] == ["user", "assistant", "user"]
    assert templated["input"]["messages"][0]["content"] == [TEMPLATE]
    assert templated["output"] is None
    assert json_datapoint["output"] == {"raw": '{"answer":"Hello"}', "parsed": {"answer": "Hello"}}
    assert json_datapoint["output_schema"] == JSON["output_schema"]


def test_a_list_is_what_get_returns_newest_first(client: Client) -> None:
    ids = client.insert(*BATCH)
    keys = ("id", "dataset_name", "function_name", "input")
    listed = [{key: datapoint[key] for key in keys} for datapoint in client.list()]
    assert listed == [{key: client.get(one)[key] for key in keys} for one in reversed(ids)]


def test_a_list_is_cut_by_function_limit_and_offset(client: Client) -> None:
    first, second, third = client.insert(CHAT, JSON, CHAT)
    assert client.list_ids(function_name="weather_helper") == [third, first]
    assert client.list_ids(function_name="nobody") == []
    assert client.list_ids(limit=1) == [third]
    assert client.list_ids(limit=2, offset=1) == [second, first]
    assert client.list_ids(function_name="weather_helper", limit=1, offset=1) == [first]
    assert client.list_ids("elsewhere") == []


def test_a_deleted_datapoint_is_gone_for_the_client_and_keeps_its_file(client: Client, store: FileStore) -> None:
    kept, deleted = client.insert(CHAT, JSON)
    client.delete(deleted)
    with pytest.raises(ClientError) as error:
        client.get(deleted)
    assert error.value.status_code == 404
    assert error.value.body == {"error": f"Datapoint not found for dataset: demo and id: {deleted}"}
    assert client.list_ids() == [kept]
    assert datapoint_files(store) == [kept, deleted]
    assert tombstones(store) == [deleted]


def test_a_second_delete_changes_nothing(client: Client, store: FileStore) -> None:
    [deleted] = client.insert(JSON)
    client.delete(deleted)
    if client.release in ("2025.9.6", "2025.10.7"):
        client.delete(deleted)
    else:
        # Later releases delete through the v1 route, read that it deleted nothing, and raise an error of their own.
        with pytest.raises(ClientError, match=f"Datapoint with ID {deleted} not found") as error:
            client.delete(deleted)
        assert error.value.status_code is None
    assert tombstones(store) == [deleted]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        pytest.param({"input": {}}, "Expected function name for datapoint 1", id="no-function"),
        pytest.param(
            {"function_name": "nobody", "input": {}},
            "Failed to get function config for datapoint 1: Unknown function: nobody",
            id="unknown-function",
        ),
        pytest.param(
            {"function_name": "weather_helper"},
            "Failed to deserialize chat datapoint 1: missing field `input`",
            id="no-chat-input",
        ),
        pytest.param(
            {"function_name": "json_success"},
            "Failed to deserialize json datapoint 1: missing field `input`",
            id="no-json-input",
        ),
        pytest.param(
            {"function_name": "weather_helper", "input": {"messages": []}},
            "Failed to validate chat input for datapoint 1: `input.system` is empty but a system template is present.",
            id="no-system",
        ),
        pytest.param({**CHAT, "allowed_tools": ["nothing"]}, "Tool not found: nothing", id="unknown-tool"),
        pytest.param(
            {**CHAT, "output": [{"type": "tool_call", "name": "nothing", "arguments": {}}]},
            "Failed to validate chat output for datapoint 1: Demonstration contains invalid tool name",
            id="invalid-output",
        ),
    ],
)
def test_a_bad_item_is_refused_with_its_reason_and_nothing_is_inserted(
    client: Client, store: FileStore, item: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError) as error:
        client.insert(CHAT, item)
    assert error.value.status_code == 400
    assert error.value.body == {"error": message}
    assert datapoint_files(store) == []


def test_a_reserved_dataset_name_is_refused(client: Client, store: FileStore) -> None:
    with pytest.raises(ClientError, match=r"Invalid dataset name: builder\.") as error:
        client.call("bulk_insert_datapoints", dataset_name="builder", datapoints=[CHAT])
    assert error.value.status_code == 400
    assert not list(store.root.glob("*/*.json"))


def test_typed_items_whose_unset_fields_go_out_as_null_are_taken(client: Client) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "Hello"}, TOOL_RESULT]}]
    ids = client.insert(
        {"$new": ["ChatDatapointInsert", {"function_name": "plain_chat", "input": {"messages": messages}}]},
        {"$new": ["JsonDatapointInsert", {"function_name": "free_json", "input": {"messages": messages}}]},
    )
    chat, json_datapoint = map(client.get, ids)
    for datapoint in (chat, json_datapoint):
        text, result = datapoint["input"]["messages"][0]["content"]
        assert text["text"] == "Hello"
        assert result == TOOL_RESULT
        assert datapoint["output"] is None
        assert datapoint["printed"]["tags"] == {}
    assert json_datapoint["output_schema"] == {}


def test_typed_content_blocks_are_taken(client: Client) -> None:
    text = {"$new": ["Text", {"type": "text", "text": "Hello"}]}
    result = {"$new": ["ToolResult", {key: TOOL_RESULT[key] for key in ("name", "result", "id")}]}
    messages = [{"role": "user", "content": [text, result]}]
    [datapoint_id] = client.insert({"function_name": "plain_chat", "input": {"messages": messages}})
    inserted_text, inserted_result = client.get(datapoint_id)["input"]["messages"][0]["content"]
    assert inserted_text["text"] == "Hello"
    assert inserted_result == TOOL_RESULT


@pytest.mark.parametrize(
    "fields",
    [
        *(
            pytest.param({"input": {"messages": [{"role": "user", "content": [block]}]}}, id=f"{block['type']}-{index}")
            for index, block in enumerate(NEWER_BLOCKS)
        ),
        pytest.param({"input": {"messages": []}, "output": NEWER_BLOCKS[:2]}, id="output"),
        pytest.param({"input": {"messages": []}, "name": "A name", "episode_id": str(uuid.uuid4())}, id="name"),
        *(pytest.param({"input": {"messages": []}, key: value}, id=key) for key, value in NEWER_TOOLS.items()),
    ],
)
def test_every_release_reads_what_the_v1_generation_wrote(
    client: Client, store: FileStore, fields: dict[str, Any]
) -> None:
    request = {"type": "chat", "function_name": "weather_helper", **fields}
    request["input"] = {"system": SYSTEM, **fields["input"]}
    [datapoint_id] = map(str, store.create_datapoints(dataset_name="demo", requests=[request]))
    assert client.get(datapoint_id)["id"] == datapoint_id
    assert client.list_ids() == [datapoint_id]


def test_the_current_client_lists_by_its_older_method_as_well(current: Client) -> None:
    ids = current.insert(*BATCH)
    listed = current.call("list_datapoints_legacy", dataset_name="demo", limit=2)
    assert listed == [current.get(ids[2]), current.get(ids[1])]


def test_the_current_client_drops_a_dataset(current: Client, store: FileStore) -> None:
    ids = current.insert(*BATCH)
    assert current.call("delete_dataset", dataset_name="demo") == {"num_deleted_datapoints": 3}
    assert current.list_ids() == []
    assert tombstones(store) == datapoint_files(store) == ids


def test_the_current_client_leads_a_datapoint_through_its_v1_life(current: Client) -> None:
    prompt = {"$new": ["Input", {"messages": []}]}
    request = {
        "$new": ["CreateDatapointRequestChat", {"function_name": "plain_chat", "input": prompt, "tags": {"a": "b"}}]
    }
    [created] = current.call("create_datapoints", dataset_name="demo", requests=[request])["ids"]
    update = {"type": "chat", "id": created, "tags": {"a": "c"}}
    [updated] = current.call("update_datapoints", dataset_name="demo", requests=[update])["ids"]
    rename = {"$new": ["UpdateDatapointMetadataRequest", {"id": updated, "name": "Renamed"}]}
    assert current.call("update_datapoints_metadata", dataset_name="demo", requests=[rename]) == {"ids": [updated]}
    assert current.call("delete_datapoints", dataset_name="demo", ids=[updated]) == {"num_deleted_datapoints": 1}
    found = current.call("get_datapoints", dataset_name="demo", ids=[created, updated])["datapoints"]
    assert {one["id"]: (one["tags"], one["name"]) for one in found} == {
        created: ({"a": "b"}, None),
        updated: ({"a": "c"}, "Renamed"),
    }
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", one["staled_at"]) for one in found)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_asynchronous_client_inserts_lists_and_deletes(store: FileStore) -> None:
    items: list[Any] = [*BATCH]

    async def use(url: str) -> None:
        setup = AsyncTensorZeroGateway.build_http(gateway_url=url)
        gateway = setup if isinstance(setup, AsyncTensorZeroGateway) else await setup
        async with gateway as client:
            ids = await client.bulk_insert_datapoints(dataset_name="demo", datapoints=items)
            listed = await client.list_datapoints(dataset_name="demo", request=ListDatapointsRequest())
            assert [one.id for one in listed.datapoints] == [str(one) for one in reversed(ids)]
            await client.delete_datapoint(dataset_name="demo", datapoint_id=ids[0])
            with pytest.raises(TensorZeroError, match="Datapoint not found for") as error:
                await client.get_datapoint(dataset_name="demo", datapoint_id=ids[0])
            assert error.value.status_code == 404

    with serve(store) as url:
        asyncio.run(use(url))
