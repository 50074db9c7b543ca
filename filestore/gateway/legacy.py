"""Handlers of the legacy generation's routes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from filestore.codec import JSONObject
from filestore.datapoint import Datapoint, render_legacy, render_legacy_transitional
from filestore.errors import RequestError, ShapeError
from filestore.gateway.http import Response, json_response
from filestore.gateway.reading import Call
from filestore.ids import spell_dataset_name
from filestore.shapes import expect_list, expect_text, expect_uuid

__all__ = ["ROUTES"]

_INFERENCE_OUTPUTS = ("inherit", "demonstration", "none")


def bulk_insert(call: Call) -> Response:
    """Insert items; answer the bare list of their ids."""
    reader = call.json_object()
    reader.refuse_unknown(("datapoints",))
    items = reader.require("datapoints", expect_list)
    ids = call.store.bulk_insert_datapoints(dataset_name=call.dataset_name, datapoints=items)
    return json_response([str(one) for one in ids])


def list_datapoints(call: Call) -> Response:
    """Answer the bare list of live datapoints, newest first."""
    query = call.query("function_name", "function", "limit", "offset")
    found = call.store.list_datapoints(
        dataset_name=call.dataset_name,
        function_name=query.get("function_name", query.get("function")),
        limit=call.number(query, "limit", 100),
        offset=call.number(query, "offset", 0),
    )
    return json_response(list(map(_renderer(call), found)))


def get_datapoint(call: Call) -> Response:
    """Answer one live datapoint."""
    found = call.store.get_datapoint(dataset_name=call.dataset_name, datapoint_id=call.path_id())
    return json_response(_renderer(call)(found))


def _renderer(call: Call) -> Callable[[Datapoint], JSONObject]:
    """Return what spells a datapoint for the client."""
    if not call.wants_old_form:
        return lambda datapoint: datapoint.to_dict()
    render = render_legacy_transitional if call.is_early_client else render_legacy
    return partial(render, config=call.store.config)


def delete_datapoint(call: Call) -> Response:
    """Soft-delete one datapoint; the answer is the same whether there was one."""
    call.store.delete_datapoint(dataset_name=call.dataset_name, datapoint_id=call.path_id())
    return Response(200, content_type=None)


def stale_dataset(call: Call) -> Response:
    """Soft-delete every live datapoint."""
    return json_response({"num_staled_datapoints": call.store.delete_dataset(dataset_name=call.dataset_name)})


def put_datapoint(call: Call) -> Response:
    """Create or replace the datapoint with the id in the path."""
    datapoint_id = call.path_id()
    body = call.json()
    call.store.put_datapoint(dataset_name=call.dataset_name, datapoint_id=datapoint_id, datapoint=body)
    return json_response({"id": str(datapoint_id)})


def insert_from_inference(call: Call) -> Response:
    """Refuse: the store keeps no log of inferences to make a datapoint from."""
    reader = call.json_object()
    output = reader.require("output", expect_text)
    if output not in _INFERENCE_OUTPUTS:
        raise ShapeError(f"unknown variant `{output}`, expected one of {', '.join(_INFERENCE_OUTPUTS)}", ("output",))
    inference_id = reader.require("inference_id", expect_uuid)
    function_name = reader.require("function_name", expect_text)
    reader.require("variant_name", expect_text)
    reader.require("episode_id", expect_uuid)
    spell_dataset_name(call.dataset_name)
    call.store.config.get_function(function_name)
    raise RequestError(f"Inference `{inference_id}` not found")


ROUTES: dict[str, Callable[[Call], Response]] = {
    "POST /datasets/{dataset_name}/datapoints/bulk": bulk_insert,
    "POST /datasets/{dataset_name}/datapoints": bulk_insert,
    "GET /datasets/{dataset_name}/datapoints": list_datapoints,
    "GET /datasets/{dataset_name}/datapoints/{datapoint_id}": get_datapoint,
    "DELETE /datasets/{dataset_name}/datapoints/{datapoint_id}": delete_datapoint,
    "DELETE /datasets/{dataset_name}": stale_dataset,
    "POST /internal/datasets/{dataset_name}/datapoints": insert_from_inference,
    "PUT /internal/datasets/{dataset_name}/datapoints/{datapoint_id}": put_datapoint,
}
