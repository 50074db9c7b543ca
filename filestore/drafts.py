"""Drafts: what a person has just written, and the datapoint that it becomes when it is adopted.

A draft is an insert request of either generation, or a datapoint file, copied or written from nothing. Adopting it does
what an insert does: tools, schema and output are resolved once, against the function config of that moment.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from filestore.attachments import Attachments
from filestore.codec import JSONObject, JSONValue, loads_file
from filestore.content import InputParser
from filestore.datapoint import ChatDatapoint, Datapoint, JsonDatapoint, tool_fields
from filestore.datapoint_file import FileContext, parse_datapoint, placed
from filestore.errors import (
    JSONTextError,
    Pointer,
    RequestError,
    SchemaCompileError,
    SchemaTimeoutError,
    ShapeError,
    UnknownFunctionError,
    suggest_name,
)
from filestore.functions import Function, FunctionConfig, Tool
from filestore.ids import spell_dataset_name
from filestore.outputs import json_output, read_raw
from filestore.schema import compile_schema, limited
from filestore.shapes import Dialect, ObjectReader, expect_object, expect_text
from filestore.tools import ToolParams, resolve_tool_params
from filestore.validation import fits_tool, validate_input

__all__ = ["DROPPED", "parse_draft", "read_draft", "read_shape"]

DROPPED = frozenset(
    {
        *("id", "dataset_name", "is_deleted", "staled_at", "tool_params", "replaces", "updated_at"),
        *("source_inference_id", "auxiliary", "snapshot_hash"),
    }
)
"""Keys that an answer or a copied file may have, and that say nothing of a new datapoint."""

_TOOL_KEYS = ("allowed_tools", "additional_tools", "tool_choice", "parallel_tool_calls", "provider_tools")
Tools = Mapping[str, Tool | None]
"""The tools that an output may call by their display names; None for custom ones, whose arguments are free text."""


def read_draft(data: bytes, path: str, new_id: uuid.UUID, context: FileContext) -> tuple[Datapoint, dict[str, bytes]]:
    """Read a draft as `parse_draft` does.

    Args:
        data: The bytes of the file.
        path: How to name the file in an error; it ends with its name.
        new_id: The id it gets.
        context: What it does not say itself.

    Raises:
        FileContentError: It is none, with the line and column of the mistake.
    """
    stem = path.rpartition("/")[2].removesuffix(".json")
    try:
        return parse_draft(loads_file(data), stem, new_id, context)
    except (JSONTextError, ShapeError) as error:
        raise placed(error, data, path) from None


def parse_draft(
    value: JSONValue, stem: str, new_id: uuid.UUID, context: FileContext
) -> tuple[Datapoint, dict[str, bytes]]:
    """Return the datapoint that a draft becomes, and the files of its base64 blocks by their name in `files/`.

    Args:
        value: The value of the draft.
        stem: The name of its file without the ending: its name, if it says none.
        new_id: The id it gets.
        context: What it does not say itself.

    Raises:
        ShapeError: It is none, or does not fit its function; the pointer leads to the mistake.
    """
    envelope = _undropped(value)
    config = context.load_config()
    name = envelope.get("function_name")
    function = _find_function(name, envelope.get("type"), config) if isinstance(name, str) else None
    datapoint, files = read_shape(envelope, new_id, context)
    datapoint = replace(datapoint, name=stem if datapoint.name is None else datapoint.name)
    with _judging():
        return _resolve(datapoint, envelope, function, config), files


def read_shape(value: JSONValue, new_id: uuid.UUID, context: FileContext) -> tuple[Datapoint, dict[str, bytes]]:
    """Return what a draft says, with nothing looked up in its function, and the files of its base64 blocks.

    Raises:
        ShapeError: It is none; the pointer leads to the mistake.
    """
    envelope = _undropped(value)
    attachments = Attachments(spell_dataset_name(context.dataset_name))
    given = ObjectReader(envelope).require("input", InputParser(Dialect.DRAFT, attachments).parse)
    no_messages: JSONObject = {"messages": []}
    shell = {**_spell_output(envelope), "input": no_messages}
    return replace(parse_datapoint(shell, new_id, context), input=given), attachments.files


def _undropped(value: JSONValue) -> JSONObject:
    return {key: item for key, item in expect_object(value, "a draft").items() if key not in DROPPED}


@contextmanager
def _judging() -> Iterator[None]:
    """Give the schemas of one file the time of one request."""
    try:
        with limited():
            yield
    except SchemaTimeoutError as error:
        raise ShapeError(str(error)) from None


def _spell_output(envelope: JSONObject) -> JSONObject:
    """Spell an output that is the raw/parsed pair of a v1 request or an answer as a file does: the text counts.

    A pair of which the text alone is given could be the output itself, unless that text is JSON.
    """
    output = envelope.get("output")
    if not isinstance(output, dict) or "raw" not in output or not output.keys() <= {"raw", "parsed"}:
        return envelope
    raw = output["raw"]
    is_answer = "parsed" in output or (isinstance(raw, str) and read_raw(raw) is not None)
    if "output_raw" in envelope or not is_answer:
        return envelope
    return {**{key: item for key, item in envelope.items() if key != "output"}, "output_raw": raw}


def _resolve(
    datapoint: Datapoint, envelope: JSONObject, function: Function | None, config: FunctionConfig
) -> Datapoint:
    """Return a datapoint with its tools and its output as an insert would have them."""
    if isinstance(datapoint, JsonDatapoint):
        return _with_parsed_output(datapoint, function, claims_output="output" in envelope)
    if function is None:
        is_bare = datapoint.tool_params == ToolParams()
        return datapoint if is_bare or datapoint.tool_choice else replace(datapoint, tool_choice="auto")
    _check_input(datapoint, function)
    try:
        params, tools = resolve_tool_params(datapoint.tool_params, function, config)
    except RequestError as error:
        key = next((key for key in _TOOL_KEYS if key in envelope), None)
        raise ShapeError(str(error), () if key is None else (key,)) from None
    _check_tool_calls(datapoint, tools)
    blocks = datapoint.output
    output = None if blocks is None else [_complete_tool_call(block, tools) for block in blocks]
    return replace(datapoint, output=output, **tool_fields(params))


def _find_function(name: str, kind: JSONValue, config: FunctionConfig) -> Function | None:
    """Return the function that a datapoint is for, None where there is no config to say.

    Args:
        name: The function's name.
        kind: The type of the datapoint, if it says one.
        config: The function config.

    Raises:
        ShapeError: It is not configured, or for the other kind of datapoints.
    """
    try:
        function = config.get_function(name)
    except UnknownFunctionError as error:
        if not config.is_configured:
            return None
        hint = f", {suggest_name(name, list(config.functions))}" if config.functions else ""
        raise ShapeError(f"{error}{hint}", ("function_name",), code="unknown-function") from None
    if kind is not None and kind != function.type:
        raise ShapeError(f"function `{name}` is a {function.type} function", ("type",), code="wrong-kind")
    return function


def _check_input(datapoint: Datapoint, function: Function) -> None:
    try:
        validate_input(datapoint.input, function)
    except RequestError as error:
        reason, _, _ = str(error).partition("\n\nSchema:\n")  # which the config holds
        raise ShapeError(reason.replace("\n", " "), ("input",), code="input-mismatch") from None


def _with_parsed_output(datapoint: JsonDatapoint, function: Function | None, *, claims_output: bool) -> JsonDatapoint:
    """Return a datapoint whose output has a value iff its text is JSON that fits the schema.

    Raises:
        ShapeError: The input does not fit, the schema is none, or an output that claims to fit it does not.
    """
    if function is not None:
        _check_input(datapoint, function)
    try:
        schema = compile_schema(datapoint.output_schema)
    except SchemaCompileError as error:
        raise ShapeError(f"this JSON Schema does not compile: {error}", ("output_schema",), code="bad-schema") from None
    output = datapoint.output
    if output is None:
        return datapoint
    if claims_output and output["parsed"] is not None:
        mismatch = schema.find_error(output["parsed"])
        if mismatch is not None:
            place = ("output", *mismatch.pointer)
            raise ShapeError(f"it does not fit its schema: {mismatch.message}", place, code="output-mismatch")
        return datapoint
    if output["raw"] is None:
        return datapoint
    raw = expect_text(output["raw"])
    value = read_raw(raw)
    return replace(datapoint, output=json_output(raw, value if schema.is_valid(value) else None))


def _check_tool_calls(datapoint: ChatDatapoint, tools: Tools) -> None:
    for index, block in enumerate(datapoint.output or ()):
        if block["type"] != "tool_call" or block["name"] is None:
            continue
        name = expect_text(block["name"])
        if name not in tools:
            hint = suggest_name(name, list(tools)) if tools else "this datapoint has none"
            raise ShapeError(f"there is no tool `{name}`: {hint}", ("output", index, "name"), code="unknown-tool")
        tool = tools[name]
        if tool is not None and block["arguments"] is not None:
            _check_arguments(tool, block["arguments"], ("output", index, "arguments"))


def _check_arguments(tool: Tool, arguments: JSONValue, place: Pointer) -> None:
    try:
        mismatch = compile_schema(tool.parameters).find_error(arguments)
    except SchemaCompileError as error:
        raise ShapeError(
            f"the parameters of tool `{tool.name}` are no JSON Schema: {error}", place, code="bad-schema"
        ) from None
    if mismatch is not None:
        reason = f"it does not fit the parameters of tool `{tool.name}`: {mismatch.message}"
        raise ShapeError(reason, (*place, *mismatch.pointer), code="tool-call-mismatch")


def _complete_tool_call(block: JSONObject, tools: Tools) -> JSONObject:
    """Return a tool call whose `name` and `arguments` say what is valid in its raw texts, where it says neither."""
    if block["type"] != "tool_call" or (block["name"] is not None and block["arguments"] is not None):
        return block
    name = expect_text(block["raw_name"] if block["name"] is None else block["name"])
    if name not in tools:
        return {**block, "name": None, "arguments": None}
    tool = tools[name]
    arguments = read_raw(expect_text(block["raw_arguments"]))
    fits = tool is not None and fits_tool(tool, arguments)
    return {**block, "name": name, "arguments": arguments if fits else None}
