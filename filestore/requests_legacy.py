"""Requests of the legacy generation (2025.9.6): an item to insert or to put, checked, becomes a datapoint."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from filestore.attachments import Attachments
from filestore.codec import JSONObject, JSONValue, compact
from filestore.content import InputParser, text_block
from filestore.datapoint import ChatDatapoint, Datapoint, JsonDatapoint, tool_fields
from filestore.errors import (
    RequestError,
    SchemaCompileError,
    SchemaMismatchError,
    ShapeError,
    UnknownFunctionError,
)
from filestore.functions import FunctionConfig, Tool
from filestore.ids import created_at
from filestore.outputs import json_output, tool_call
from filestore.schema import compile_schema
from filestore.shapes import (
    Dialect,
    ObjectReader,
    expect_flag,
    expect_text,
    expect_uuid,
    parse_list,
    parse_tags,
)
from filestore.tools import (
    ToolParams,
    parse_additional_tool_legacy,
    parse_names,
    parse_tool_choice,
    parse_tool_params_legacy,
    resolve_tool_params_legacy,
)
from filestore.validation import fits_tool, validate_input

__all__ = ["LegacyRequests"]


@dataclass(frozen=True, slots=True)
class _ItemTexts:
    """How upstream wraps the failures of one item of a bulk insert; `{}` stands for its index."""

    deserialize: str
    input: str
    resolve: str
    output: str


_BULK_TEXTS = {
    "chat": _ItemTexts(
        deserialize="Failed to deserialize chat datapoint {}: ",
        input="Failed to validate chat input for datapoint {}: ",
        resolve="Failed to lazily resolve chat input for datapoint {}: ",
        output="Failed to validate chat output for datapoint {}: ",
    ),
    "json": _ItemTexts(
        deserialize="Failed to deserialize json datapoint {}: ",
        input="Failed to validate input for datapoint {}: ",
        resolve="",
        output="Failed to validate chat output for datapoint {}: ",
    ),
}


@dataclass(frozen=True, slots=True)
class LegacyRequests:
    """Turns legacy request items into datapoints of one dataset.

    Attributes:
        dataset_name: The dataset they go into, as the request spelled it.
        directory: Its directory name.
        config: The function config.
    """

    dataset_name: str
    directory: str
    config: FunctionConfig

    def parse_bulk_item(self, item: JSONValue, index: int, new_id: uuid.UUID) -> tuple[Datapoint, dict[str, bytes]]:
        """Check one item of a bulk insert.

        Returns:
            The datapoint, and the files of its base64 blocks by their name in `files/`.

        Raises:
            RequestError: In upstream's words and order of checks.
        """
        name = item.get("function_name") if isinstance(item, dict) else None
        if not isinstance(name, str):
            raise RequestError(f"Expected function name for datapoint {index}")
        reader = ObjectReader(item)
        try:
            function = self.config.get_item_function(name, reader.value.get("type"))
        except UnknownFunctionError as error:
            raise RequestError(f"Failed to get function config for datapoint {index}: {error}") from None
        texts = _BULK_TEXTS[function.type]
        attachments = Attachments(self.directory)
        parser = InputParser(Dialect.LEGACY, attachments)
        with _Prefix(texts.deserialize, index):
            value = reader.require("input", parser.parse)
            common = self._common(name, new_id, value, created_at(new_id), reader)
            tools = _parse_tool_fields(reader) if function.type == "chat" else ToolParams()
            common["name"] = reader.take("name", expect_text)
        with _Prefix(texts.input, index):
            validate_input(value, function)
        if parser.deferred is not None:
            raise RequestError(f"{texts.resolve.format(index)}{parser.deferred.reason}")
        output = reader.value.get("output")
        prefix = _Prefix(texts.output, index)
        if function.type == "json":
            schema = reader.value.get("output_schema")
            schema = function.output_schema if schema is None else schema
            return self._json(common, output, schema, prefix), attachments.files
        params, available = resolve_tool_params_legacy(tools, function, self.config)
        return self._chat(common, output, params, available, prefix), attachments.files

    def parse_put(self, body: JSONValue, datapoint_id: uuid.UUID, now: datetime) -> tuple[Datapoint, dict[str, bytes]]:
        """Check the body of the internal PUT, whose id the client chose.

        Raises:
            UnknownFunctionError: The function is not configured.
            RequestError: In upstream's words and order of checks.
        """
        reader = ObjectReader(body)
        with _Prefix("Failed to deserialize `function_name`: "):
            name = reader.require("function_name", expect_text)
        function = self.config.get_item_function(name, reader.value.get("type"))
        attachments = Attachments(self.directory)
        parser = InputParser(Dialect.LEGACY, attachments)
        is_chat = function.type == "chat"
        with _Prefix(f"Failed to deserialize {'chat' if is_chat else 'JSON'} datapoint: "):
            own = "tool_params" if is_chat else "output_schema"
            reader.refuse_unknown((*_PUT_FIELDS, own) if self.config.is_configured else (*_PUT_FIELDS, own, "type"))
            value = reader.require("input", parser.parse)
            common = self._common(name, datapoint_id, value, now, reader)
            reader.take_present("auxiliary", expect_text, "")
            common["is_custom"] = reader.require("is_custom", expect_flag)
            common["source_inference_id"] = reader.take("source_inference_id", expect_uuid)
            params, available = reader.take("tool_params", self._parse_tool_params) or (ToolParams(), [])
            schema = None if is_chat else reader.require("output_schema", lambda schema: schema)
        if parser.deferred is not None:
            raise RequestError(parser.deferred.reason)
        validate_input(value, function)
        output = reader.value.get("output")
        if is_chat:
            return self._chat(common, output, params, available, _Prefix("")), attachments.files
        return self._json(common, output, schema, _Prefix("")), attachments.files

    def _parse_tool_params(self, value: JSONValue) -> tuple[ToolParams, list[Tool]]:
        return parse_tool_params_legacy(value, self.config)

    def _common(
        self, function_name: str, datapoint_id: uuid.UUID, value: JSONObject, now: datetime, reader: ObjectReader
    ) -> dict[str, Any]:
        return {
            "dataset_name": self.dataset_name,
            "function_name": function_name,
            "id": datapoint_id,
            "input": value,
            "updated_at": now,
            "tags": reader.take("tags", parse_tags) or {},
        }

    def _chat(
        self, common: dict[str, Any], output: JSONValue, params: ToolParams, available: list[Tool], prefix: _Prefix
    ) -> ChatDatapoint:
        blocks = None
        if output is not None:
            with prefix:
                blocks = parse_demonstration(output, available)
        return ChatDatapoint(**common, output=blocks, **tool_fields(params))

    def _json(self, common: dict[str, Any], output: JSONValue, schema: JSONValue, prefix: _Prefix) -> JsonDatapoint:
        if output is None and isinstance(schema, dict | bool):  # what is neither could not be read again
            return JsonDatapoint(**common, output_schema=schema)
        with prefix:
            try:
                compile_schema(schema).validate(output)
            except SchemaCompileError as error:
                raise RequestError(f"Failed to compile JSON Schema: {error}") from None
            except SchemaMismatchError as error:
                raise RequestError(f"Demonstration does not fit function output schema: {error}") from None
        return JsonDatapoint(**common, output=json_output(compact(output), output), output_schema=schema)


_PUT_FIELDS = ("function_name", "input", "output", "tags", "auxiliary", "is_custom", "source_inference_id")


class _Prefix:
    """Puts upstream's words in front of the request errors raised in its block.

    Args:
        text: The words.
        index: What stands for `{}` in them: the item that they are about.
    """

    __slots__ = ("_index", "_text")

    def __init__(self, text: str, index: int = 0) -> None:
        self._text = text
        self._index = index

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._text and isinstance(error, RequestError):
            raise RequestError(f"{self._text.format(self._index)}{error}") from None


def _parse_tool_fields(reader: ObjectReader) -> ToolParams:
    return ToolParams(
        allowed_tools=reader.take("allowed_tools", parse_names),
        additional_tools=reader.take("additional_tools", lambda v: parse_list(v, parse_additional_tool_legacy)) or [],
        tool_choice=reader.take("tool_choice", parse_tool_choice),
        parallel_tool_calls=reader.take("parallel_tool_calls", expect_flag),
    )


def parse_demonstration(value: JSONValue, available: list[Tool]) -> list[JSONObject]:
    """Return the blocks of a legacy chat output, whose tool calls must be valid.

    Args:
        value: A string or a list of `text` and `tool_call` blocks.
        available: The tools whose calls are valid.
    """
    if isinstance(value, str):
        return [text_block(value)]
    if not isinstance(value, list):
        raise RequestError("Demonstration must be a string or an array of content blocks")
    tools = {tool.name: tool for tool in available}
    return [_parse_demonstration_block(block, tools) for block in value]


def _parse_demonstration_block(value: JSONValue, tools: dict[str, Tool]) -> JSONObject:
    try:
        reader = ObjectReader(value, "a content block")
        kind = reader.require("type", expect_text)
        if kind == "text":
            return text_block(reader.require("text", expect_text))
        if kind != "tool_call":
            raise ShapeError(f"unknown variant `{kind}`, expected `text` or `tool_call`", ("type",))
        name = reader.require("name", expect_text)
        arguments = reader.require("arguments", lambda arguments: arguments)
    except ShapeError as error:
        raise RequestError(f"Invalid demonstration content block: {error}") from None
    if name not in tools:
        raise RequestError("Demonstration contains invalid tool name")
    if not fits_tool(tools[name], arguments):
        raise RequestError("Demonstration contains invalid tool call arguments")
    return tool_call("", name, compact(arguments), name, arguments)
