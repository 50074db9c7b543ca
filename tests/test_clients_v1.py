"""Unmodified clients of both generations side by side: what one does to a datapoint, the other sees."""

from __future__ import annotations

import asyncio
import json
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tensorzero import (
    AsyncTensorZeroGateway,
    CreateDatapointRequestChat,
    CreateDatapointRequestJson,
    Input,
    InputMessage,
    InputMessageContentText,
    JsonDatapointOutputUpdate,
    ListDatapointsRequest,
    TensorZeroError,
    TensorZeroGateway,
    UpdateDatapointMetadataRequest,
)
from tensorzero.generated_types import (
    AndDatapointFilter,
    ContentBlockChatOutputText,
    DatapointOrderBySearchRelevance,
    DatapointOrderByTimestamp,
    NotDatapointFilter,
    TagDatapointFilter,
    TimeDatapointFilter,
    UpdateChatDatapointRequest,
    UpdateJsonDatapointRequest,
)

from filestore import FileStore
from filestore.gateway import serve
from tests.client_datapoints import BATCH, CHAT, JSON, NEWER_BLOCKS, NEWER_TOOLS, SYSTEM, TEMPLATED
from tests.client_releases import CURRENT_RELEASE, OLD_RELEASES, Client, ClientError, Send, running_release

LEGACY_RELEASES = (OLD_RELEASES[0], CURRENT_RELEASE)
"""The first that speaks the legacy generation, and the last: it still inserts and gets through legacy routes."""
ANY_DATASET = pytest.mark.filterwarnings("ignore:Calling get_datapoints without a dataset name:DeprecationWarning")
NO_SUCH_ID = "0198c5e0-0000-7000-8000-000000000000"


@pytest.fixture(scope="module", params=LEGACY_RELEASES)
def release(request: pytest.FixtureRequest) -> Iterator[tuple[str, Send]]:
    with running_release(request.param) as send:
        yield request.param, send


@pytest.fixture
def url(store: FileStore) -> Iterator[str]:
    with serve(store) as url:
        yield url


@pytest.fixture
def legacy(release: tuple[str, Send], url: str) -> Client:
    """A client whose methods of the legacy generation are used."""
    return Client(*release, url)


@pytest.fixture
def current(url: str) -> Any:
    """The current client, for the v1 routes; `Any`, as its own types are narrower than what it takes."""
    return TensorZeroGateway.build_http(gateway_url=url)


def legacy_ids(client: Client) -> list[str]:
    """List ids with the legacy method, which in the current release asks the v1 route, and so gets its order."""
    method = "list_datapoints_legacy" if client.release == CURRENT_RELEASE else "list_datapoints"
    return [one["id"] for one in client.call(method, dataset_name="demo")]


def v1_ids(current: Any, **arguments: Any) -> list[str]:
    """List ids through the v1 route."""
    request = ListDatapointsRequest(**arguments)
    return [one.id for one in current.list_datapoints(dataset_name="demo", request=request).datapoints]


def v1_get(current: Any, datapoint_id: str) -> Any:
    """Get a datapoint, live or stale, through the v1 route."""
    [found] = current.get_datapoints(dataset_name="demo", ids=[datapoint_id]).datapoints
    return found


def fetch(url: str, datapoint_id: str) -> dict[str, Any]:
    """Get a datapoint as the gateway writes it, which no client has read and written again."""
    body = json.dumps({"ids": [datapoint_id]}).encode()
    request = urllib.request.Request(f"{url}/v1/datasets/demo/get_datapoints", body)
    with urllib.request.urlopen(request) as answer:
        [found] = json.load(answer)["datapoints"]
    return dict(found)


def without(datapoint: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in datapoint.items() if key not in keys}


def chat(text: str, **fields: Any) -> CreateDatapointRequestChat:
    message = InputMessage(role="user", content=[InputMessageContentText(text=text)])
    return CreateDatapointRequestChat(function_name="plain_chat", input=Input(messages=[message]), **fields)


def create(current: Any, *requests: Any) -> list[str]:
    ids: list[str] = current.create_datapoints(dataset_name="demo", requests=list(requests)).ids
    return ids


def update(current: Any, *requests: Any) -> list[str]:
    ids: list[str] = current.update_datapoints(dataset_name="demo", requests=list(requests)).ids
    return ids


# --- the same data through both generations


def test_what_v1_created_is_read_by_both(legacy: Client, current: Any) -> None:
    output = [{"type": "text", "text": "Hello!"}]
    country = InputMessage(role="user", content=[{"type": "text", "arguments": {"country": "US"}}])  # type: ignore[list-item]  # the field's shorthand
    json_request = CreateDatapointRequestJson(
        function_name="json_success",
        input=Input(system=SYSTEM, messages=[country]),
        output=JsonDatapointOutputUpdate(raw='{"answer": "x"}'),
        output_schema={"type": "object"},
    )
    ids = create(current, chat("Hi", output=output, tags={"a": "b"}, name="first"), json_request)
    assert legacy_ids(legacy) == v1_ids(current) == ids[::-1]
    first, second = map(legacy.get, ids)
    [block] = first["input"]["messages"][0]["content"]
    assert (block["type"], block["text"]) == ("text", "Hi")
    assert [one["text"] for one in first["output"]] == ["Hello!"]
    assert first["printed"]["tags"] == {"a": "b"}
    assert second["output"] == {"raw": '{"answer": "x"}', "parsed": {"answer": "x"}}
    assert second["output_schema"] == {"type": "object"}
    assert v1_get(current, ids[0]).output[0].text == "Hello!"
    assert v1_get(current, ids[1]).output.parsed == {"answer": "x"}


def test_what_the_legacy_generation_inserted_is_read_by_both(legacy: Client, current: Any) -> None:
    ids = legacy.insert(*BATCH)
    assert legacy_ids(legacy) == v1_ids(current) == ids[::-1]
    weather, templated, json_datapoint = (v1_get(current, one) for one in ids)
    assert (weather.type, weather.tags, weather.tool_choice) == ("chat", {"a": "b"}, "auto")
    assert [one.name for one in weather.additional_tools] == ["ask"]
    assert templated.output is None
    assert (json_datapoint.type, json_datapoint.output.parsed) == ("json", {"answer": "Hello"})
    assert [one.staled_at for one in (weather, templated, json_datapoint)] == [None] * 3


def test_a_v1_update_replaces_what_either_generation_reads(legacy: Client, current: Any) -> None:
    kept, old = legacy.insert(JSON, TEMPLATED)
    output = ContentBlockChatOutputText(text="Hello Ada")
    [new] = update(current, UpdateChatDatapointRequest(id=old, output=[output], tags={"by": "v1"}))
    assert legacy_ids(legacy) == v1_ids(current) == [new, kept]
    read = legacy.get(new)
    assert [one["text"] for one in read["output"]] == ["Hello Ada"]
    assert read["printed"]["tags"] == {"by": "v1"}
    assert read["input"]["messages"] == TEMPLATED["input"]["messages"]
    assert_gone(legacy, old)
    stale, live = v1_get(current, old), v1_get(current, new)
    assert (stale.output, stale.staled_at is None) == (None, False)
    assert (live.output[0].text, live.staled_at) == ("Hello Ada", None)


def assert_gone(legacy: Client, datapoint_id: str) -> None:
    with pytest.raises(ClientError) as error:
        legacy.get(datapoint_id)
    assert error.value.status_code == 404
    assert error.value.body == {"error": f"Datapoint not found for dataset: demo and id: {datapoint_id}"}


def test_a_v1_update_of_a_json_output_is_read_by_both(legacy: Client, current: Any) -> None:
    [old] = legacy.insert(JSON)
    output = JsonDatapointOutputUpdate(raw='{"answer":')
    [new] = update(current, UpdateJsonDatapointRequest(id=old, output=output))
    assert legacy.get(new)["output"] == {"raw": '{"answer":', "parsed": None}
    assert (v1_get(current, new).output.raw, v1_get(current, new).output.parsed) == ('{"answer":', None)
    assert v1_get(current, new).output_schema == JSON["output_schema"]


def test_a_rename_keeps_the_id_and_what_either_generation_reads(legacy: Client, current: Any) -> None:
    one, other = legacy.insert(CHAT, JSON)
    before = legacy.get(one)
    requests = [UpdateDatapointMetadataRequest(id=one, name="Renamed")]
    assert current.update_datapoints_metadata(dataset_name="demo", requests=requests).ids == [one]
    assert v1_get(current, one).name == "Renamed"
    assert v1_get(current, one).staled_at is None
    assert v1_ids(current) == [one, other], "the latest change comes first"
    assert legacy_ids(legacy) == ([one, other] if legacy.release == CURRENT_RELEASE else [other, one])
    after = legacy.get(one)
    moving = ("updated_at", "name")
    assert without(after["printed"], *moving) == without(before["printed"], *moving)


@pytest.mark.parametrize("generation", ["legacy", "v1"])
def test_a_delete_by_one_generation_hides_the_datapoint_from_both(
    legacy: Client, current: Any, generation: str
) -> None:
    kept, gone = create(current, chat("one"), chat("two"))
    if generation == "legacy":
        legacy.delete(gone)
    else:
        assert current.delete_datapoints(dataset_name="demo", ids=[gone]).num_deleted_datapoints == 1
    assert legacy_ids(legacy) == v1_ids(current) == [kept]
    assert_gone(legacy, gone)
    assert v1_get(current, gone).staled_at is not None
    assert v1_get(current, gone).input.messages[0].content[0].text == "two"
    assert current.delete_datapoints(dataset_name="demo", ids=[gone, NO_SUCH_ID]).num_deleted_datapoints == 0


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda client, one: update(client, UpdateChatDatapointRequest(id=one, tags={})), id="update"),
        pytest.param(
            lambda client, one: client.update_datapoints_metadata(
                dataset_name="demo", requests=[UpdateDatapointMetadataRequest(id=one, name="n")]
            ),
            id="metadata",
        ),
    ],
)
def test_what_a_legacy_client_deleted_cannot_be_changed(
    legacy: Client, current: Any, change: Callable[[Any, str], Any]
) -> None:
    [gone] = legacy.insert(CHAT)
    legacy.delete(gone)
    with pytest.raises(TensorZeroError) as error:
        change(current, gone)
    assert error.value.status_code == 404
    assert json.loads(error.value.text or "") == {"error": f"Datapoint not found for dataset: demo and id: {gone}"}


@ANY_DATASET
def test_a_dataset_deleted_by_v1_is_empty_for_both(legacy: Client, current: Any) -> None:
    ids = [*legacy.insert(*BATCH), *create(current, chat("text"))]
    assert current.delete_dataset(dataset_name="demo").num_deleted_datapoints == len(ids)
    assert legacy_ids(legacy) == v1_ids(current) == []
    found = current.get_datapoints(ids=ids).datapoints
    assert {one.id for one in found} == set(ids)
    assert all(one.staled_at for one in found)


# --- the v1 generation alone


@ANY_DATASET
def test_the_current_client_gets_live_and_stale_ones_of_any_dataset_and_leaves_out_unknown_ids(current: Any) -> None:
    here, stale = create(current, chat("here"), chat("stale"))
    [there] = current.create_datapoints(dataset_name="elsewhere", requests=[chat("there")]).ids
    current.delete_datapoints(dataset_name="demo", ids=[stale])
    found = {one.id: one for one in current.get_datapoints(ids=[here, there, stale, NO_SUCH_ID]).datapoints}
    assert {one: (each.dataset_name, bool(each.staled_at)) for one, each in found.items()} == {
        here: ("demo", False),
        stale: ("demo", True),
        there: ("elsewhere", False),
    }
    assert current.get_datapoints(dataset_name="demo", ids=[there]).datapoints == []
    assert current.get_datapoints(ids=[]).datapoints == []


def test_the_current_client_lists_by_filter_search_order_and_page(current: Any) -> None:
    tagged = [chat(text, tags={"k": tag}) for text, tag in (("warm", "1"), ("warm warm", "2"), ("cold", "1"))]
    a, b, c, d = create(current, *tagged, chat("Warm, WARM, warm"))
    has_1 = TagDatapointFilter(key="k", value="1", comparison_operator="=")
    recent = TimeDatapointFilter(time="2020-01-01T00:00:00Z", comparison_operator=">")
    assert v1_ids(current, filter=has_1) == [c, a]
    assert v1_ids(current, filter=NotDatapointFilter(child=has_1)) == [d, b]
    assert v1_ids(current, filter=AndDatapointFilter(children=[has_1, NotDatapointFilter(child=recent)])) == []
    assert v1_ids(current, filter=AndDatapointFilter(children=[has_1, recent]), limit=1, offset=1) == [a]
    order: list[Any] = [DatapointOrderBySearchRelevance(direction="descending")]
    assert v1_ids(current, search_query_experimental="WARM", order_by=order) == [d, b, a]
    order = [DatapointOrderBySearchRelevance(direction="ascending"), DatapointOrderByTimestamp(direction="descending")]
    assert v1_ids(current, search_query_experimental="warm", order_by=order, limit=2) == [a, b]
    assert v1_ids(current, function_name="json_success") == []


@pytest.mark.parametrize(
    ("attempt", "status", "message"),
    [
        pytest.param(lambda client: create(client), 400, "At least one datapoint must be provided", id="no-item"),
        pytest.param(
            lambda client: create(client, {"type": "chat", "function_name": "nobody", "input": {"messages": []}}),
            400,
            "Failed to convert chat datapoint to database insert: Unknown function: nobody",
            id="unknown-function",
        ),
        pytest.param(
            lambda client: update(client, *[UpdateChatDatapointRequest(id=NO_SUCH_ID)] * 2),
            400,
            f"Duplicate datapoint id provided: {NO_SUCH_ID}",
            id="twice",
        ),
        pytest.param(
            lambda client: client.delete_datapoints(dataset_name="demo", ids=[]),
            400,
            "ids must be a non-empty list",
            id="delete-nothing",
        ),
        pytest.param(
            lambda client: v1_ids(client, order_by=[DatapointOrderBySearchRelevance(direction="ascending")]),
            400,
            "OrderBy::SearchRelevance requires search_query_experimental to be provided",
            id="relevance-of-nothing",
        ),
    ],
)
def test_the_current_client_is_told_what_is_wrong(
    current: Any, store: FileStore, attempt: Callable[[Any], Any], status: int, message: str
) -> None:
    with pytest.raises(TensorZeroError) as error:
        attempt(current)
    assert error.value.status_code == status
    assert json.loads(error.value.text or "") == {"error": message}
    assert store.dataset_names() == []


@ANY_DATASET
def test_the_asynchronous_client_leads_a_datapoint_through_its_v1_life(store: FileStore, url: str) -> None:
    async def use() -> None:
        setup = AsyncTensorZeroGateway.build_http(gateway_url=url)
        gateway = setup if isinstance(setup, AsyncTensorZeroGateway) else await setup
        async with gateway as client:
            [old] = (await client.create_datapoints(dataset_name="demo", requests=[chat("text")])).ids
            requests = [UpdateChatDatapointRequest(id=old, tags={"a": "b"})]
            [new] = (await client.update_datapoints(dataset_name="demo", requests=requests)).ids
            renames = [UpdateDatapointMetadataRequest(id=new, name="n")]
            assert (await client.update_datapoints_metadata(dataset_name="demo", requests=renames)).ids == [new]
            listed = await client.list_datapoints(dataset_name="demo", request=ListDatapointsRequest())
            assert [(one.id, one.name, one.tags) for one in listed.datapoints] == [(new, "n", {"a": "b"})]
            assert (await client.delete_dataset(dataset_name="demo")).num_deleted_datapoints == 1
            found = await client.get_datapoints(ids=[old, new])
            assert {one.id for one in found.datapoints} == {old, new}

    asyncio.run(use())
    assert store.count_datapoints(dataset_name="demo") == 0


# --- what was got goes back

CREATED: dict[str, dict[str, Any]] = {
    "chat": {**CHAT, "type": "chat", "name": "n", "output": [{"type": "text", "text": "Yes."}]},
    "no-output": {**TEMPLATED, "type": "chat"},
    "newer-tools": {**without(CHAT, "output"), "type": "chat", **NEWER_TOOLS, "tool_choice": {"specific": "ask"}},
    "blocks": {
        "type": "chat",
        "function_name": "weather_helper",
        "input": {"system": SYSTEM, "messages": [{"role": "user", "content": NEWER_BLOCKS}]},
        "output": NEWER_BLOCKS[:2],
        "episode_id": str(uuid.UUID(int=1)),
    },
    "json": {**JSON, "type": "json", "output": {"raw": '{"answer": 1e3}'}, "tags": {"a": "b"}},
    "broken-json": {**JSON, "type": "json", "output": {"raw": "{"}},
    "no-json": {**without(JSON, "output"), "type": "json"},
}


def files_of(store: FileStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (store.root / "demo").glob("files/*")}


@pytest.mark.parametrize("item", CREATED.values(), ids=CREATED)
def test_what_the_gateway_returned_goes_back_unchanged(
    store: FileStore, url: str, current: Any, item: dict[str, Any]
) -> None:
    [old] = create(current, item)
    before, files = fetch(url, old), files_of(store)
    [new] = update(current, before)
    assert new > old
    assert without(fetch(url, new), "id", "updated_at") == without(before, "id", "updated_at")
    assert (v1_get(current, old).staled_at is None, v1_ids(current)) == (False, [new])
    assert files_of(store) == files


@pytest.mark.parametrize("item", CREATED.values(), ids=CREATED)
def test_what_the_current_client_got_goes_back_unchanged(url: str, current: Any, item: dict[str, Any]) -> None:
    [old] = create(current, {**item, "input": without_files(item["input"])})
    before = fetch(url, old)
    [new] = update(current, v1_get(current, old))
    assert without(fetch(url, new), "id", "updated_at") == without(before, "id", "updated_at")


def without_files(value: Any) -> Any:
    """Leave out file blocks: the client's own class for them drops what they say."""
    if isinstance(value, dict):
        return {key: without_files(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_files(item) for item in value if not (isinstance(item, dict) and item.get("type") == "file")]
    return value
