"""Handlers of the v1 generation's routes."""

from __future__ import annotations

from collections.abc import Callable

from filestore.gateway.http import Response, json_response
from filestore.gateway.reading import Call
from filestore.query import parse_list_query

__all__ = ["ROUTES"]


def list_datapoints(call: Call) -> Response:
    """Answer a page of live datapoints, the latest update first unless asked otherwise."""
    found = call.store.query_datapoints(dataset_name=call.dataset_name, query=parse_list_query(call.json()))
    return json_response({"datapoints": [datapoint.to_dict() for datapoint in found]})


ROUTES: dict[str, Callable[[Call], Response]] = {
    "POST /v1/datasets/{dataset_name}/list_datapoints": list_datapoints,
}
