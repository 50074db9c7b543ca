"""Handlers that say something of the gateway itself, or hand out attached files."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable
from importlib import resources

from filestore.codec import JSONValue, loads
from filestore.errors import JSONTextError, ShapeError
from filestore.gateway.http import GATEWAY_VERSION, Response, json_response
from filestore.gateway.reading import Call
from filestore.gateway.routing import PathError
from filestore.shapes import ObjectReader, expect_text

__all__ = ["ROUTES"]


def status(call: Call) -> Response:
    """Say that the gateway is up, and which contract it speaks."""
    return json_response({"status": "ok", "version": GATEWAY_VERSION})


def health(call: Call) -> Response:
    """Say that the store and its config can be read."""
    _ = call.store.config
    call.store.dataset_names()
    return json_response({"gateway": "ok", "store": "ok"})


def openapi(call: Call) -> Response:
    """Hand out the OpenAPI document that describes the gateway."""
    return Response(200, _read_openapi())


@functools.cache
def _read_openapi() -> bytes:
    return resources.files("filestore.gateway").joinpath("openapi.json").read_bytes()


def object_storage(call: Call) -> Response:
    """Hand out the bytes of an attached file, in base64."""
    text = call.query("storage_path").get("storage_path")
    if text is None:
        raise PathError("Failed to deserialize query string: missing field `storage_path`")
    try:
        directory, path = _parse_storage_path(loads(text.encode(errors="replace")))
    except (JSONTextError, ShapeError) as error:
        raise PathError(f"Failed to deserialize query string: storage_path: {error}") from None
    data = call.store.read_attachment(directory, path)
    return json_response({"data": base64.b64encode(data).decode(), "reused_object_store": True})


def _parse_storage_path(value: JSONValue) -> tuple[str, str]:
    reader = ObjectReader(value, "struct StoragePath")
    kind = reader.require("kind", ObjectReader)
    if kind.require("type", expect_text) != "filesystem":
        raise ShapeError("the store hands out files of its own alone, whose kind is `filesystem`", ("kind", "type"))
    return kind.require("path", expect_text), reader.require("path", expect_text)


ROUTES: dict[str, Callable[[Call], Response]] = {
    "GET /status": status,
    "GET /health": health,
    "GET /openapi.json": openapi,
    "GET /internal/object_storage": object_storage,
}
