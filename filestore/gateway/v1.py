"""Handlers of the v1 generation's routes, and of the internal ones that go with it."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from filestore.codec import JSONObject
from filestore.datapoint import Datapoint, render_transitional
from filestore.errors import RequestError, ShapeError
from filestore.gateway.http import Response, json_response
from filestore.gateway.reading import Call
from filestore.ids import format_wire_time, spell_dataset_name
from filestore.query import parse_list_query
from filestore.shapes import ObjectReader, expect_list, expect_text, expect_u32, expect_uuid, parse_list

__all__ = ["ROUTES"]

_OUTPUT_SOURCES = ("none", "inference", "demonstration")


def create_datapoints(call: Call) -> Response:
    """Create datapoints; answer their ids in request order."""
    items = call.json_object().require("datapoints", expect_list)
    return _ids(call.store.create_datapoints(dataset_name=call.dataset_name, requests=items))


def update_datapoints(call: Call) -> Response:
    """Replace datapoints by successors; answer the new ids in request order."""
    items = call.json_object().require("datapoints", expect_list)
    return _ids(call.store.update_datapoints(dataset_name=call.dataset_name, requests=items))


def update_metadata(call: Call) -> Response:
    """Rename datapoints in place; answer their ids."""
    items = call.json_object().require("datapoints", expect_list)
    return _ids(call.store.update_datapoints_metadata(dataset_name=call.dataset_name, requests=items))


def delete_datapoints(call: Call) -> Response:
    """Soft-delete those of the ids that are live."""
    count = call.store.delete_datapoints(dataset_name=call.dataset_name, ids=_read_ids(call.json_object(), "ids"))
    return json_response({"num_deleted_datapoints": count})


def delete_dataset(call: Call) -> Response:
    """Soft-delete every live datapoint."""
    spell_dataset_name(call.dataset_name)
    return json_response({"num_deleted_datapoints": call.store.delete_dataset(dataset_name=call.dataset_name)})


def delete_dataset_of_that_name(call: Call) -> Response:
    """Soft-delete the dataset whose name is the word another method's route has in its place."""
    count = call.store.delete_dataset(dataset_name="get_datapoints")
    return json_response({"num_deleted_datapoints": count})


def list_datapoints(call: Call) -> Response:
    """Answer a page of live datapoints, the latest update first unless asked otherwise."""
    query = parse_list_query(call.json())
    return _datapoints(call, call.store.query_datapoints(dataset_name=call.dataset_name, query=query))


def get_datapoints(call: Call) -> Response:
    """Answer datapoints of one dataset by id, live and stale."""
    ids = _read_ids(call.json_object(), "ids")
    return _datapoints(call, call.store.get_datapoints(ids=ids, dataset_name=call.dataset_name))


def get_datapoints_of_any_dataset(call: Call) -> Response:
    """Answer datapoints by id, live and stale."""
    return _datapoints(call, call.store.get_datapoints(ids=_read_ids(call.json_object(), "ids")))


def restore_datapoints(call: Call) -> Response:
    """Undo the soft deletion of datapoints; answer their ids."""
    ids = _read_ids(call.json_object(), "ids")
    return _ids(call.store.restore_datapoints(dataset_name=call.dataset_name, ids=ids))


def clone_datapoints(call: Call) -> Response:
    """Copy live datapoints of any dataset; answer the new ids, null for what is not there."""
    ids = _read_ids(call.json_object(), "datapoint_ids")
    copies = call.store.clone_datapoints(dataset_name=call.dataset_name, ids=ids)
    return json_response({"datapoint_ids": [None if one is None else str(one) for one in copies]})


def count_datapoints(call: Call) -> Response:
    """Answer the number of live datapoints."""
    count = call.store.count_datapoints(
        dataset_name=call.dataset_name, function_name=call.query("function_name").get("function_name")
    )
    return json_response({"datapoint_count": count})


def list_datasets(call: Call) -> Response:
    """Answer the datasets that have live datapoints, the one updated last first."""
    query = call.query("function_name", "limit", "offset")
    summaries = call.store.list_datasets(
        function_name=query.get("function_name"),
        limit=call.number(query, "limit", 0) if "limit" in query else None,
        offset=call.number(query, "offset", 0),
    )
    rows = [
        {
            "dataset_name": summary.dataset_name,
            "datapoint_count": summary.datapoint_count,
            "last_updated": format_wire_time(summary.last_updated),
        }
        for summary in summaries
    ]
    return json_response({"datasets": rows})


def create_from_inferences(call: Call) -> Response:
    """Check the request, and find nothing: the store keeps no log of inferences."""
    reader = call.json_object()
    kind = reader.value.get("type")
    if not isinstance(kind, str):
        raise ShapeError("Error during deserialization for TensorZeroDerive: missing tag field `type`")
    source = reader.take("output_source", expect_text)
    if source is not None and source not in _OUTPUT_SOURCES:
        raise ShapeError(f"unknown variant `{source}`, expected one of {', '.join(_OUTPUT_SOURCES)}")
    if kind == "inference_ids":
        ids = reader.require("inference_ids", lambda value: parse_list(value, expect_uuid))
        spell_dataset_name(call.dataset_name)
        if ids:
            raise RequestError(f"Inference `{ids[0]}` not found")
    elif kind == "inference_query":
        _check_inference_query(reader)
        spell_dataset_name(call.dataset_name)
        if reader.value.get("before") is not None and reader.value.get("after") is not None:
            raise RequestError("Cannot specify both `before` and `after`")
    else:
        raise ShapeError(
            f"Error during deserialization for TensorZeroDerive: unknown variant `{kind}`, expected `inference_ids` or"
            " `inference_query`"
        )
    return _ids([])


def _check_inference_query(reader: ObjectReader) -> None:
    for key in ("function_name", "variant_name", "search_query_experimental"):
        reader.take(key, expect_text)
    for key in ("limit", "offset"):
        reader.take(key, expect_u32)
    for key in ("episode_id", "before", "after"):
        reader.take(key, expect_uuid)
    reader.take("filters", lambda value: ObjectReader(value).require("type", expect_text))
    reader.take("order_by", expect_list)


def _read_ids(reader: ObjectReader, key: str) -> list[uuid.UUID]:
    return reader.require(key, lambda value: parse_list(value, expect_uuid))


def _ids(ids: list[uuid.UUID]) -> Response:
    return json_response({"ids": [str(one) for one in ids]})


def _datapoints(call: Call, datapoints: list[Datapoint]) -> Response:
    return json_response({"datapoints": [_render(call, datapoint) for datapoint in datapoints]})


def _render(call: Call, datapoint: Datapoint) -> JSONObject:
    return render_transitional(datapoint) if call.is_early_client else datapoint.to_dict()


ROUTES: dict[str, Callable[[Call], Response]] = {
    "POST /v1/datasets/{dataset_name}/datapoints": create_datapoints,
    "PATCH /v1/datasets/{dataset_name}/datapoints": update_datapoints,
    "DELETE /v1/datasets/{dataset_name}/datapoints": delete_datapoints,
    "PATCH /v1/datasets/{dataset_name}/datapoints/metadata": update_metadata,
    "POST /v1/datasets/{dataset_name}/from_inferences": create_from_inferences,
    "POST /v1/datasets/{dataset_name}/list_datapoints": list_datapoints,
    "POST /v1/datasets/{dataset_name}/get_datapoints": get_datapoints,
    "POST /v1/datasets/{dataset_name}/restore_datapoints": restore_datapoints,
    "POST /v1/datasets/get_datapoints": get_datapoints_of_any_dataset,
    "DELETE /v1/datasets/get_datapoints": delete_dataset_of_that_name,
    "DELETE /v1/datasets/{dataset_name}": delete_dataset,
    "POST /internal/datasets/{dataset_name}/datapoints/clone": clone_datapoints,
    "GET /internal/datasets/{dataset_name}/datapoints/count": count_datapoints,
    "GET /internal/datasets": list_datasets,
}
