"""Requests of the v1 generation: items to create and to update, checked, become datapoints.

The shape of every item is checked first, and a wrong one fails the whole body; what an item means is looked into only
then, so that upstream's words stand around the right failures.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from filestore.attachments import Attachments
from filestore.codec import JSONObject, JSONValue
from filestore.content import InputParser
from filestore.datapoint import ChatDatapoint, Datapoint, JsonDatapoint, tool_fields
from filestore.errors import RequestError, SchemaCompileError, ShapeError, UnknownFunctionError
from filestore.functions import Function, FunctionConfig, Tool
from filestore.ids import created_at
from filestore.outputs import json_output, parse_chat_output, parse_json_output, read_raw
from filestore.schema import compile_schema
from filestore.shapes import Dialect, ObjectReader, expect_flag, expect_text, expect_uuid, parse_list, parse_tags
from filestore.tools import (
    ToolParams,
    parse_additional_tool,
    parse_names,
    parse_provider_tool,
    parse_tool_choice,
    resolve_tool_params,
)
from filestore.validation import fits_tool, validate_input

if TYPE_CHECKING:
    from filestore.schema.compiled import CompiledSchema

__all__ = [
    "CreateItem",
    "MetadataItem",
    "UpdateItem",
    "build_created",
    "build_updated",
    "parse_create_item",
    "parse_metadata_item",
    "parse_update_item",
]

_CHAT_PARSERS: dict[str, Callable[[JSONValue], Any]] = {
    "output": parse_chat_output,
    "allowed_tools": parse_names,
    "additional_tools": lambda value: parse_list(value, parse_additional_tool),
    "tool_choice": parse_tool_choice,
    "parallel_tool_calls": expect_flag,
    "provider_tools": lambda value: parse_list(value, parse_provider_tool),
}
_JSON_PARSERS: dict[str, Callable[[JSONValue], Any]] = {
    "output": lambda value: JsonOutput(parse_json_output(value)),
    "output_schema": lambda value: value,
}
_COMMON_PARSERS: dict[str, Callable[[JSONValue], Any]] = {"tags": parse_tags, "name": expect_text}
_UNCHANGED_BY_NULL = ("input", "tags", "additional_tools", "provider_tools", "output_schema")
_TOOL_KEYS = ("allowed_tools", "additional_tools", "tool_choice", "parallel_tool_calls", "provider_tools")


@dataclass(frozen=True, slots=True)
class JsonOutput:
    """The `raw` text of a JSON output, which may be null."""

    raw: str | None


@dataclass(frozen=True, slots=True)
class CreateItem:
    """An item of a create request whose shape is right.

    Attributes:
        kind: `chat` or `json`.
        function_name: The function it is for.
        input: In normal form.
        episode_id: The episode it belongs to.
        fields: Its other fields as far as they were given, parsed.
        files: The bytes of its base64 blocks by their name in `files/`.
    """

    kind: str
    function_name: str
    input: JSONObject
    episode_id: uuid.UUID | None
    fields: Mapping[str, Any]
    files: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class UpdateItem:
    """An item of an update request whose shape is right.

    Attributes:
        kind: `chat` or `json`.
        id: The live datapoint to update.
        changes: Field to new value; None clears it, a missing field stays as it is.
        files: The bytes of its base64 blocks by their name in `files/`.
    """

    kind: str
    id: uuid.UUID
    changes: Mapping[str, Any]
    files: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class MetadataItem:
    """An item of a metadata update: `name` is left alone unless `sets_name`."""

    id: uuid.UUID
    sets_name: bool
    name: str | None


def _parse_kind(reader: ObjectReader) -> str:
    kind = reader.value.get("type")
    if not isinstance(kind, str):
        raise ShapeError("Error during deserialization for TensorZeroDerive: missing tag field `type`")
    if kind not in ("chat", "json"):
        raise ShapeError(
            f"Error during deserialization for TensorZeroDerive: unknown variant `{kind}`, expected `chat` or `json`"
        )
    return kind


def _parsers(kind: str, attachments: Attachments) -> dict[str, Callable[[JSONValue], Any]]:
    own = _CHAT_PARSERS if kind == "chat" else _JSON_PARSERS
    return {"input": InputParser(Dialect.V1, attachments).parse, **own, **_COMMON_PARSERS}


def parse_create_item(value: JSONValue, directory: str) -> CreateItem:
    """Check the shape of an item to create.

    Args:
        value: The item.
        directory: The directory name of the dataset it goes into.

    Raises:
        ShapeError: A field is missing or of the wrong type; unknown keys are ignored.
    """
    reader = ObjectReader(value)
    kind = _parse_kind(reader)
    function_name = reader.require("function_name", expect_text)
    attachments = Attachments(directory)
    parsers = _parsers(kind, attachments)
    parsed_input = reader.require("input", parsers.pop("input"))
    fields: dict[str, Any] = {
        key: reader.take_present(key, parse, []) if key == "provider_tools" else reader.take(key, parse)
        for key, parse in parsers.items()
    }
    given = {key: field for key, field in fields.items() if field is not None}
    episode_id = reader.take("episode_id", expect_uuid)
    return CreateItem(kind, function_name, parsed_input, episode_id, given, attachments.files)


def build_created(item: CreateItem, dataset_name: str, new_id: uuid.UUID, config: FunctionConfig) -> Datapoint:
    """Make the datapoint that an item asks for.

    Raises:
        RequestError: With upstream's words around the reason, an unknown function included.
    """
    try:
        return _build_created(item, dataset_name, new_id, config)
    except (RequestError, UnknownFunctionError) as error:
        raise RequestError(f"Failed to convert {item.kind} datapoint to database insert: {error}") from None


def _build_created(item: CreateItem, dataset_name: str, new_id: uuid.UUID, config: FunctionConfig) -> Datapoint:
    function = config.get_item_function(item.function_name, item.kind)
    if function.type != item.kind:
        wanted = "a chat" if item.kind == "chat" else "a JSON"
        raise RequestError(f"Function '{item.function_name}' is not configured as {wanted} function")
    validate_input(item.input, function)
    common: dict[str, Any] = {
        "dataset_name": dataset_name,
        "function_name": item.function_name,
        "id": new_id,
        "input": item.input,
        "updated_at": created_at(new_id),
        "episode_id": item.episode_id,
        "tags": item.fields.get("tags", {}),
        "name": item.fields.get("name"),
    }
    output = item.fields.get("output")
    if item.kind == "chat":
        request = ToolParams(**{key: item.fields[key] for key in _TOOL_KEYS if key in item.fields})
        params, available = resolve_tool_params(request, function, config)
        blocks = None if output is None else [_recompute_tool_call(block, available) for block in output]
        return ChatDatapoint(**common, output=blocks, **tool_fields(params))
    schema = item.fields.get("output_schema", function.output_schema)
    compiled = compile_client_schema(schema)
    parsed = None if output is None else _view_output(output, compiled)
    return JsonDatapoint(**common, output=parsed, output_schema=schema)


def compile_client_schema(schema: JSONValue) -> CompiledSchema:
    """Compile a schema that came with a request.

    Raises:
        RequestError: It does not compile, in upstream's words.
    """
    try:
        return compile_schema(schema)
    except SchemaCompileError as error:
        raise RequestError(f"Error in compiling client-provided JSON schema: {error}") from None


def _view_output(output: JsonOutput, schema: CompiledSchema) -> JSONObject:
    """Return the normal form of a JSON output: `parsed` is there iff `raw` is JSON that fits the schema."""
    if output.raw is None:
        return json_output(None, None)
    value = read_raw(output.raw)
    return json_output(output.raw, value if schema.is_valid(value) else None)


def _recompute_tool_call(block: JSONObject, available: Mapping[str, Tool | None]) -> JSONObject:
    """Return a tool call whose `name` and `arguments` say what is valid in its raw texts."""
    if block["type"] != "tool_call":
        return block
    name = block["raw_name"]
    if name not in available:
        return {**block, "name": None, "arguments": None}
    tool = available[str(name)]
    arguments = read_raw(str(block["raw_arguments"]))
    fits = tool is not None and fits_tool(tool, arguments)
    return {**block, "name": name, "arguments": arguments if fits else None}


def parse_update_item(value: JSONValue, directory: str) -> UpdateItem:
    """Check the shape of an item to update.

    Raises:
        ShapeError: A field is missing or of the wrong type; unknown keys are ignored.
    """
    reader = ObjectReader(value)
    kind = _parse_kind(reader)
    datapoint_id = reader.require("id", expect_uuid)
    attachments = Attachments(directory)
    changes = {
        key: reader.take(key, parse)
        for key, parse in _parsers(kind, attachments).items()
        if key in reader and not (key in _UNCHANGED_BY_NULL and reader.value[key] is None)
    }
    return UpdateItem(kind, datapoint_id, changes, attachments.files)


def build_updated(current: Datapoint, item: UpdateItem, config: FunctionConfig) -> Datapoint:
    """Return `current` with an item's changes, under the same id and time.

    Raises:
        RequestError: The item is of the other kind, or a change does not fit the function.
        UnknownFunctionError: The function is no longer configured.
    """
    if current.type != item.kind:
        spelled = {"chat": "chat", "json": "JSON"}
        raise RequestError(
            f"Datapoint {current.id} is a {spelled[current.type]} datapoint but a {spelled[item.kind]} update was"
            " provided"
        )
    function = config.get_item_function(current.function_name, current.type)
    changes = dict(item.changes)
    if "input" in changes:
        validate_input(changes["input"], function)
    if isinstance(current, JsonDatapoint):
        return replace(current, **_updated_json(current, changes), is_custom=True)
    return replace(current, **_updated_chat(current, changes, function, config), is_custom=True)


def _updated_json(current: JsonDatapoint, changes: dict[str, Any]) -> dict[str, Any]:
    current_schema = compile_client_schema(current.output_schema)
    schema = compile_client_schema(changes["output_schema"]) if "output_schema" in changes else current_schema
    if changes.get("output") is not None:
        changes["output"] = _view_output(changes["output"], schema)
    return changes


def _updated_chat(
    current: ChatDatapoint, changes: dict[str, Any], function: Function, config: FunctionConfig
) -> dict[str, Any]:
    given = {key: changes.pop(key) for key in _TOOL_KEYS if key in changes}
    if not given:
        return changes
    base = current.tool_params if current.tool_choice is not None else ToolParams(tool_choice="auto")
    params, _ = resolve_tool_params(replace(base, **given), function, config)
    return {**changes, **tool_fields(params)}


def parse_metadata_item(value: JSONValue) -> MetadataItem:
    """Check the shape of an item of a metadata update.

    Raises:
        ShapeError: A field is missing or of the wrong type; unknown keys are ignored.
    """
    reader = ObjectReader(value)
    return MetadataItem(reader.require("id", expect_uuid), "name" in reader, reader.take("name", expect_text))


def successor(datapoint: Datapoint, new_id: uuid.UUID) -> Datapoint:
    """Return an updated datapoint under the new id that takes over from its old one."""
    return replace(datapoint, id=new_id, replaces=datapoint.id, updated_at=created_at(new_id))


def in_place(datapoint: Datapoint, now: datetime) -> Datapoint:
    """Return an updated datapoint under its old id."""
    return replace(datapoint, updated_at=now)
