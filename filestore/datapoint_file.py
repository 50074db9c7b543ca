"""The datapoint file: its canonical spelling, and everything people may write instead.

Nothing is said twice: the file name is the id and the directory the dataset, so neither stands inside; fields at their
default are left out; output schemas are shared files.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from filestore.attachments import Attachments
from filestore.codec import JSONObject, JSONValue, dumps, loads_file, pack, unpack
from filestore.content import InputParser
from filestore.datapoint import ChatDatapoint, Datapoint, JsonDatapoint
from filestore.errors import FileContentError, JSONTextError, ShapeError
from filestore.functions import FunctionConfig
from filestore.ids import created_at, format_time, parse_time, spell_dataset_name
from filestore.outputs import (
    parse_chat_output_in_file,
    parse_json_output_in_file,
    render_chat_output_for_file,
    render_json_output_for_file,
)
from filestore.shapes import (
    Dialect,
    ObjectReader,
    describe,
    expect_flag,
    expect_object,
    expect_text,
    expect_uuid,
    parse_list,
    parse_tags,
)
from filestore.spellings import render_input_for_file
from filestore.texts import shared
from filestore.tools import (
    parse_additional_tool,
    parse_names,
    parse_provider_tool,
    parse_tool_choice,
    render_additional_tools_for_file,
)

__all__ = [
    "ENVELOPE",
    "FileContext",
    "canonical_schema",
    "parse_datapoint",
    "placed",
    "read_datapoint",
    "read_schema",
    "render_datapoint",
    "schema_digest",
    "schema_reference",
]

ENVELOPE = (
    "$schema",
    "type",
    "function_name",
    "name",
    "episode_id",
    "input",
    "output",
    "output_raw",
    "output_schema",
    "allowed_tools",
    "additional_tools",
    "tool_choice",
    "parallel_tool_calls",
    "provider_tools",
    "tags",
    "is_custom",
    "source_inference_id",
    "replaces",
    "updated_at",
)
"""The keys of a datapoint file, in canonical order."""

_HINTS = {
    "id": "the file name is the id, it does not stand inside",
    "dataset_name": "the directory is the dataset name, it does not stand inside",
    "is_deleted": "a deleted datapoint has a tombstone, nothing inside its file",
    "staled_at": "a deleted datapoint has a tombstone, nothing inside its file",
    "tool_params": "did you mean `allowed_tools`, `additional_tools` and `tool_choice`?",
}
_TIME = re.compile(r"([0-9T:-]+)(?:\.([0-9]{1,6}))?Z")
_REFERENCE = re.compile(r"schemas/([0-9a-f]{16,64})\.json")


@dataclass(frozen=True, slots=True)
class FileContext:
    """What a datapoint file does not say itself.

    Attributes:
        dataset_name: The dataset the file lies in.
        load_config: Returns today's function config, for a missing `type` or `output_schema`.
        load_schema: Returns the schema with a digest from the dataset's `schemas/`; raises ShapeError where there is
            none or its content has another digest.
    """

    dataset_name: str
    load_config: Callable[[], FunctionConfig]
    load_schema: Callable[[str], JSONValue]


def schema_digest(data: bytes, taken: Callable[[str], bool] = lambda _: False) -> str:
    """Return the name of a schema file: the first 16 hex digits of the SHA-256 of its canonical bytes.

    Args:
        data: Canonical bytes of the schema.
        taken: Tells whether a file of other content has the name; then a longer digest is used.
    """
    import hashlib  # slow to load, as OpenSSL is

    digest = hashlib.sha256(data).hexdigest()
    return next((digest[:size] for size in range(16, 65, 8) if not taken(digest[:size])), digest)


def schema_reference(value: JSONValue) -> str | None:
    """Return the digest if `value` is exactly the store's reference to a schema file."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    target = value.get("$ref")
    match = _REFERENCE.fullmatch(target) if isinstance(target, str) else None
    return match.group(1) if match else None


def read_datapoint(data: bytes, path: str, datapoint_id: uuid.UUID, context: FileContext) -> Datapoint:
    """Read a datapoint file.

    Args:
        data: The bytes of the file, canonical or not.
        path: How to name the file in an error.
        datapoint_id: The id its name spells.
        context: What the file does not say itself.

    Raises:
        FileContentError: The file is not a datapoint, with the line and column of the mistake.
    """
    try:
        return parse_datapoint(loads_file(data), datapoint_id, context)
    except (JSONTextError, ShapeError) as error:
        raise placed(error, data, path) from None


def placed(error: JSONTextError | ShapeError, data: bytes, path: str) -> FileContentError:
    """Return a mistake in the text or in the value of a file as one in the file, with its line and column."""
    if isinstance(error, JSONTextError):
        return FileContentError(path, error.line, max(error.column, 1), error.reason)
    from filestore.codec.positions import locate

    line, column = locate(data, error.pointer, key=error.is_key)
    return FileContentError(path, line, column, str(error))


def parse_datapoint(value: JSONValue, datapoint_id: uuid.UUID, context: FileContext) -> Datapoint:
    """Return the datapoint that the value of a file spells.

    Raises:
        ShapeError: The value is no datapoint; the pointer leads to the mistake.
    """
    envelope = expect_object(value, "a datapoint object")
    kind = envelope.get("type")
    if kind not in ("chat", "json"):
        kind = _find_kind(envelope, context)
    fields: dict[str, Any] = {"dataset_name": context.dataset_name, "id": datapoint_id}
    parsers = _CHAT_PARSERS if kind == "chat" else _JSON_PARSERS
    if not envelope.keys() <= parsers.keys():
        _refuse_keys(envelope, parsers)
    key = ""
    try:
        for key, item in envelope.items():  # only what is there: most of the keys are rare
            field, parse = parsers[key]
            if parse is not None and (item is not None or key in _NOT_NULL):
                fields[field] = parse(item)
    except ShapeError as error:
        raise error.within(key) from None
    for key in ("function_name", "input"):
        if key not in envelope:
            raise ShapeError(f"missing field `{key}`", code="missing-key")
    fields["input"] = _parse_input(envelope["input"], context.dataset_name)
    if "updated_at" not in fields:
        fields["updated_at"] = created_at(datapoint_id)
    return ChatDatapoint.from_fields(fields) if kind == "chat" else _parse_json(ObjectReader(envelope), fields, context)


def _refuse_keys(envelope: JSONObject, parsers: _Parsers) -> NoReturn:
    ObjectReader(envelope).refuse_unknown(ENVELOPE, _HINTS)
    key = next(key for key in envelope if key not in parsers)
    kind = "chat" if parsers is _CHAT_PARSERS else "json"
    raise ShapeError(f"`{key}` has no meaning in a {kind} datapoint", (key,), is_key=True, code="misplaced-key")


def _find_kind(envelope: JSONObject, context: FileContext) -> str:
    """Return the kind of datapoint that a function is for where the file does not say it."""
    ObjectReader(envelope).refuse_unknown(ENVELOPE, _HINTS)
    kind = envelope.get("type")
    if kind is not None:
        if not isinstance(kind, str):
            raise ShapeError(f"invalid type: {describe(kind)}, expected `chat` or `json`", ("type",), code="wrong-type")
        raise ShapeError(f"unknown variant `{kind}`, expected `chat` or `json`", ("type",))
    function_name = ObjectReader(envelope).require("function_name", expect_text)
    function = context.load_config().find_function(function_name)
    if function is None:
        reason = f"missing field `type`, and function `{function_name}` is not configured to tell it"
        raise ShapeError(reason, code="missing-key")
    return function.type


def _parse_input(value: JSONValue, dataset_name: str) -> JSONObject:
    """Return the normal form of an input; the most common spelling, bare strings alone, takes a short way."""
    if isinstance(value, dict) and value.keys() <= _INPUT_KEYS and isinstance(messages := value.get("messages"), list):
        parsed: list[JSONValue] = []
        for message in messages:
            if not (isinstance(message, dict) and len(message) == 2 and isinstance(message.get("content"), str)):
                break
            role = message.get("role")
            if role not in _ROLES:
                break
            # One text is shared by all that is read.
            parsed.append({"role": shared(str(role)), "content": [{"type": "text", "text": message["content"]}]})
        else:
            system = value.get("system")
            return {"messages": parsed} if system is None else {"system": system, "messages": parsed}
    parser = InputParser(Dialect.FILE, Attachments(spell_dataset_name(dataset_name)))
    return ObjectReader({"input": value}).require("input", parser.parse)


def _parse_time(value: JSONValue) -> datetime:
    match = _TIME.fullmatch(expect_text(value))
    try:
        return parse_time(f"{match[1]}.{match[2] or '':0<6}Z" if match else "")
    except ValueError:
        raise ShapeError(f"invalid time {describe(value)}, expected YYYY-MM-DDTHH:MM:SS.ffffffZ (UTC)") from None


_Parsers = dict[str, tuple[str, Callable[[JSONValue], Any] | None]]
"""Key to the field of the datapoint it gives, and how; None where it is read together with others."""

_COMMON_PARSERS: _Parsers = {
    "$schema": ("schema_ref", expect_text),
    "type": ("type", None),
    "function_name": ("function_name", lambda value: shared(expect_text(value))),
    "name": ("name", expect_text),
    "episode_id": ("episode_id", expect_uuid),
    "input": ("input", None),
    "tags": ("tags", lambda value: {key: shared(tag) for key, tag in parse_tags(value).items()}),
    "is_custom": ("is_custom", expect_flag),
    "source_inference_id": ("source_inference_id", expect_uuid),
    "replaces": ("replaces", expect_uuid),
    "updated_at": ("updated_at", _parse_time),
}
_CHAT_PARSERS: _Parsers = {
    **_COMMON_PARSERS,
    "output": ("output", parse_chat_output_in_file),
    "allowed_tools": ("allowed_tools", parse_names),
    "additional_tools": ("additional_tools", lambda value: parse_list(value, parse_additional_tool)),
    "tool_choice": ("tool_choice", parse_tool_choice),
    "parallel_tool_calls": ("parallel_tool_calls", expect_flag),
    "provider_tools": ("provider_tools", lambda value: parse_list(value, parse_provider_tool)),
}
_JSON_PARSERS: _Parsers = {
    **_COMMON_PARSERS,
    **dict.fromkeys(("output", "output_raw", "output_schema"), ("output", None)),
}
_NOT_NULL = frozenset({"function_name", "is_custom"})
_INPUT_KEYS = frozenset({"system", "messages"})
_ROLES = ("user", "assistant")


def _parse_json(reader: ObjectReader, fields: dict[str, Any], context: FileContext) -> JsonDatapoint:
    if reader.value.get("output_schema") is None:
        function = context.load_config().find_function(fields["function_name"])
        if function is None or function.type != "json":
            name = fields["function_name"]
            reason = f"missing field `output_schema`, and no json function `{name}` is configured to tell it"
            raise ShapeError(reason, code="missing-key")
        schema = unpack(pack(function.output_schema))  # a copy: the caller may change what it gets
    else:
        schema = reader.require("output_schema", lambda value: _parse_schema(value, context))
    fields.update(output=parse_json_output_in_file(reader), output_schema=schema)
    return JsonDatapoint.from_fields(fields)


def _parse_schema(value: JSONValue, context: FileContext) -> JSONValue:
    digest = schema_reference(value)
    if digest is not None:
        return context.load_schema(digest)
    return _expect_schema(value)


def _expect_schema(value: JSONValue) -> JSONValue:
    if not isinstance(value, dict | bool):
        raise ShapeError(f"invalid type: {describe(value)}, expected a JSON Schema", code="wrong-type")
    return value


def read_schema(data: bytes, path: str, digest: str) -> JSONValue:
    """Read a file of `schemas/`, whose name is the digest of its canonical bytes.

    Raises:
        FileContentError: It is no JSON, its content has another digest, or is no schema.
    """
    import hashlib

    try:
        schema = loads_file(data)
    except JSONTextError as error:
        raise placed(error, data, path) from None
    if not hashlib.sha256(dumps(schema)).hexdigest().startswith(digest):
        reason = "this schema was altered: its content no longer has the digest in its name (restore it from git)"
        raise FileContentError(path, 1, 1, reason)
    try:
        return _expect_schema(schema)
    except ShapeError as error:
        raise FileContentError(path, 1, 1, str(error)) from None


def canonical_schema(data: bytes) -> bytes:
    """Return the canonical bytes of a schema file, or the bytes as they are where they are no JSON."""
    try:
        return dumps(loads_file(data))
    except JSONTextError:
        return data


def render_datapoint(datapoint: Datapoint, schema_name: str | None = None) -> JSONObject:
    """Return the value of the canonical file.

    Args:
        datapoint: What to spell.
        schema_name: The digest under which the output schema of a JSON datapoint lies in `schemas/`.
    """
    directory = spell_dataset_name(datapoint.dataset_name)
    keys: dict[str, JSONValue] = {
        "$schema": datapoint.schema_ref,
        "type": datapoint.type,
        "function_name": datapoint.function_name,
        "name": datapoint.name,
        "episode_id": _text(datapoint.episode_id),
        "input": render_input_for_file(datapoint.input, directory),
        **(_render_chat(datapoint) if isinstance(datapoint, ChatDatapoint) else {}),
        "tags": dict[str, JSONValue](datapoint.tags) or None,
        "is_custom": None if datapoint.is_custom else False,
        "source_inference_id": _text(datapoint.source_inference_id),
        "replaces": _text(datapoint.replaces),
        "updated_at": None if datapoint.updated_at == created_at(datapoint.id) else format_time(datapoint.updated_at),
    }
    present: JSONObject = {key: value for key, value in keys.items() if value is not None}
    if isinstance(datapoint, JsonDatapoint):
        present["output_schema"] = {"$ref": f"schemas/{schema_name}.json"}
        if datapoint.output is not None:
            present.update(render_json_output_for_file(datapoint.output))
    return {key: present[key] for key in ENVELOPE if key in present}


def _render_chat(datapoint: ChatDatapoint) -> dict[str, JSONValue]:
    output = datapoint.output
    return {
        "output": None if output is None else render_chat_output_for_file(output),
        "allowed_tools": None if datapoint.allowed_tools is None else list[JSONValue](datapoint.allowed_tools),
        "additional_tools": list[JSONValue](render_additional_tools_for_file(datapoint.additional_tools)) or None,
        "tool_choice": datapoint.tool_choice,
        "parallel_tool_calls": datapoint.parallel_tool_calls,
        "provider_tools": list[JSONValue](datapoint.provider_tools) or None,
    }


def _text(value: uuid.UUID | None) -> str | None:
    return None if value is None else str(value)
