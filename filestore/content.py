"""Content blocks and inputs: what requests and files may say, and its one normal form, the v1 wire form."""

from __future__ import annotations

from collections.abc import Callable

from filestore.attachments import Attachments, parse_file_block
from filestore.codec import FILE_DEPTH, JSONObject, JSONValue, compact, depth
from filestore.errors import ShapeError
from filestore.shapes import Dialect, ObjectReader, expect_object, expect_text, parse_list

__all__ = [
    "InputParser",
    "parse_thought",
    "parse_unknown",
    "text_block",
]

LEGACY_PROVIDER_PREFIX = "tensorzero::model_name::"
LEGACY_PROVIDER_INFIX = "::provider_name::"
_ARGUMENTS_DEPTH = FILE_DEPTH - 6
"""Levels that the arguments of a template may have where its block is spelled out in a file."""


def text_block(text: JSONValue) -> JSONObject:
    """Return the normal form of a text block."""
    return {"type": "text", "text": text}


class InputParser:
    """Turns the `input` of a request or a file into its normal form.

    Attributes:
        dialect: The grammar the input is written in.
        attachments: Receives the bytes of base64 file blocks.
        deferred: The first problem that upstream meets only after it has validated the input against the function
            (legacy grammar alone); the caller raises it then.
    """

    def __init__(self, dialect: Dialect, attachments: Attachments) -> None:
        self.dialect = dialect
        self.attachments = attachments
        self.deferred: ShapeError | None = None

    def parse(self, value: JSONValue) -> JSONObject:
        """Return the normal form: `{"system"?, "messages": [{"role", "content": [blocks]}]}`."""
        reader = ObjectReader(value, "struct Input")
        reader.refuse_unknown(("system", "messages"))
        parsed: JSONObject = {}
        system = reader.take("system", self._parse_system)
        if system is not None:
            parsed["system"] = system
        parsed["messages"] = reader.take_present("messages", self._parse_messages, list[JSONValue]())
        return parsed

    def _parse_messages(self, value: JSONValue) -> list[JSONValue]:
        return list[JSONValue](parse_list(value, self._parse_message))

    def _parse_system(self, value: JSONValue) -> JSONValue:
        if self.dialect is Dialect.V1 and not isinstance(value, str | dict):
            raise ShapeError("data did not match any variant of untagged enum System: expected a string or an object")
        return value

    def _parse_message(self, value: JSONValue) -> JSONObject:
        """Return the normal form of one message."""
        reader = ObjectReader(value, "struct InputMessage")
        reader.refuse_unknown(("role", "content"))
        role = reader.require("role", _parse_role)
        return {"role": role, "content": reader.require("content", lambda content: self._parse_content(content, role))}

    def _parse_content(self, value: JSONValue, role: str) -> list[JSONValue]:
        if isinstance(value, str):
            return [text_block(value)]
        if isinstance(value, dict):
            if self.dialect.is_file and depth(value) > _ARGUMENTS_DEPTH:  # the canonical file would be deeper
                raise ShapeError(f"nested more than {_ARGUMENTS_DEPTH} levels deep", code="too-deep")
            return [_template_block(role, value)]
        if not isinstance(value, list):
            raise ShapeError("expected a string, object, or array", code="wrong-type")
        return list[JSONValue](parse_list(value, lambda block: self._parse_block(block, role)))

    def _parse_block(self, value: JSONValue, role: str) -> JSONObject:
        block = expect_object(value, "an object with a `type`")
        reader = ObjectReader(block)
        kind = reader.require("type", expect_text)
        if kind == "text":
            return self._parse_text(block, role)
        if kind == "file" or (kind == "image" and self.dialect is not Dialect.FILE):
            return self._defer(block, lambda: parse_file_block(reader, self.dialect, self.attachments))
        parse = _BLOCK_PARSERS.get(kind)
        if parse is None:
            kinds = ", ".join(f"`{name}`" for name in ("text", "file", *_BLOCK_PARSERS))
            raise ShapeError(f"unknown variant `{kind}`, expected one of {kinds}", ("type",))
        if kind == "tool_call":
            return self._defer(block, lambda: parse(reader, self.dialect))
        return parse(reader, self.dialect)

    def _defer(self, block: JSONObject, parse: Callable[[], JSONObject]) -> JSONObject:
        try:
            return parse()
        except DeferredShapeError as error:
            if self.dialect is not Dialect.LEGACY:
                raise
            self.deferred = self.deferred or error
            return block

    def _parse_text(self, block: JSONObject, role: str) -> JSONObject:
        quote = "'" if self.dialect is Dialect.LEGACY else "`"
        if self.dialect.is_file:
            value_key = ("value",) if self.dialect is Dialect.DRAFT else ()
            ObjectReader(block).refuse_unknown(("type", "text", "arguments", *value_key))
        keys = [key for key in block if key != "type"]
        if len(keys) != 1:
            reason = f"Expected exactly one other key in text content, found {len(keys)} other keys"
            raise ShapeError(reason, code="misplaced-key" if keys else "missing-key")
        key = keys[0]
        value = block[key]
        if key == "text":
            return text_block(_deserialize(key, quote, lambda: expect_text(value)))
        if key == "arguments":
            return _template_block(role, _deserialize(key, quote, lambda: expect_object(value, "a map")))
        if key == "value" and self.dialect in (Dialect.LEGACY, Dialect.DRAFT):
            return self._parse_text_value(block, value, role)
        raise ShapeError(f"Unknown key {quote}{key}{quote} in text content", (key,), is_key=True, code="unknown-key")

    def _parse_text_value(self, block: JSONObject, value: JSONValue, role: str) -> JSONObject:
        if isinstance(value, str):
            return text_block(value)
        if isinstance(value, dict):
            return _template_block(role, value)
        reason = "The 'value' field in a `text` content block must be a string or object"
        if self.dialect is not Dialect.LEGACY:
            raise ShapeError(reason, ("value",), code="wrong-type")
        self.deferred = self.deferred or DeferredShapeError(reason)
        return block


class DeferredShapeError(ShapeError):
    """A malformed block that the legacy grammar reads at first and refuses when it normalises the input."""


def _deserialize(key: str, quote: str, parse: Callable[[], JSONValue]) -> JSONValue:
    try:
        return parse()
    except ShapeError as error:
        raise ShapeError(f"Error deserializing {quote}{key}{quote}: {error.reason}", (key,), code=error.code) from None


def _parse_role(value: JSONValue) -> str:
    role = expect_text(value)
    if role not in ("user", "assistant"):
        raise ShapeError(f"unknown variant `{role}`, expected `user` or `assistant`")
    return role


def _template_block(name: JSONValue, arguments: JSONValue) -> JSONObject:
    return {"type": "template", "name": name, "arguments": arguments}


def _parse_template(reader: ObjectReader, dialect: Dialect) -> JSONObject:
    reader.refuse_unknown(("type", "name", "arguments"))
    return _template_block(reader.require("name", expect_text), reader.require("arguments", expect_object))


def _parse_raw_text(reader: ObjectReader, dialect: Dialect) -> JSONObject:
    if dialect is not Dialect.LEGACY:
        reader.refuse_unknown(("type", "value"))
    return {"type": "raw_text", "value": reader.require("value", expect_text)}


def _parse_tool_result(reader: ObjectReader, dialect: Dialect) -> JSONObject:
    reader.refuse_unknown(("type", "name", "result", "id"))
    return {"type": "tool_result", **{key: reader.require(key, expect_text) for key in ("name", "result", "id")}}


def _parse_tool_call(reader: ObjectReader, dialect: Dialect) -> JSONObject:
    if dialect in (Dialect.LEGACY, Dialect.DRAFT):
        return _parse_tool_call_legacy(reader)
    if dialect is Dialect.FILE:
        reader.refuse_unknown(("type", "id", "name", "arguments"))
        name: JSONValue = reader.require("name", expect_text)
        return _tool_call(reader.require("id", expect_text), name, _arguments_text(reader.require("arguments", _keep)))
    call_id = reader.require("id", expect_text)
    name, arguments = reader.value.get("name"), reader.value.get("arguments")
    if isinstance(name, str) and isinstance(arguments, str | dict):
        return _tool_call(call_id, name, _arguments_text(arguments))
    raw_name, raw_arguments = reader.value.get("raw_name"), reader.value.get("raw_arguments")
    if isinstance(raw_name, str) and isinstance(raw_arguments, str):
        return _tool_call(call_id, raw_name, raw_arguments)
    raise ShapeError(
        "data did not match any variant of untagged enum ToolCall: expected `name` and `arguments`, or `raw_name` and"
        " `raw_arguments`"
    )


def _parse_tool_call_legacy(reader: ObjectReader) -> JSONObject:
    reader.refuse_unknown(("type", "name", "arguments", "id", "raw_name", "raw_arguments"))
    call_id = reader.require("id", expect_text)
    name = reader.take("name", expect_text)
    raw_name = reader.take("raw_name", expect_text)
    raw_arguments = reader.take("raw_arguments", expect_text)
    arguments = reader.value.get("arguments")
    if name is None and raw_name is None:
        raise DeferredShapeError("ToolCall must have `name` or `raw_name` set")
    if arguments is None:
        if raw_arguments is None:
            raise DeferredShapeError("ToolCall must have `arguments` or `raw_arguments` set")
        arguments = raw_arguments
    if not isinstance(arguments, str | dict):
        raise DeferredShapeError("ToolCall arguments must be a string or an object")
    return _tool_call(call_id, raw_name if name is None else name, _arguments_text(arguments))


def _tool_call(call_id: str, name: JSONValue, arguments: str) -> JSONObject:
    return {"type": "tool_call", "id": call_id, "name": name, "arguments": arguments}


def _keep(value: JSONValue) -> JSONValue:
    return value


def _arguments_text(arguments: JSONValue) -> str:
    if isinstance(arguments, str):
        return arguments
    return compact(expect_object(arguments, "a string or an object"))


def parse_thought(reader: ObjectReader, dialect: Dialect) -> JSONObject:
    """Return the normal form of a thought block; `text` is null where it was left out."""
    known = ("type", "text", "signature", "summary", "provider_type", "_internal_provider_type", "extra_data")
    if dialect.is_file:
        reader.refuse_unknown(known)
    block: JSONObject = {"type": "thought", "text": reader.take("text", expect_text)}
    optional: dict[str, JSONValue] = {"signature": reader.take("signature", expect_text)}
    provider_type = reader.take("_internal_provider_type", expect_text)
    if dialect is not Dialect.LEGACY:
        optional["summary"] = reader.take("summary", _parse_summary)
        both = provider_type is not None and reader.value.get("provider_type") is not None
        if both:
            raise ShapeError("duplicate field `provider_type`")
        if provider_type is None:
            provider_type = reader.take("provider_type", expect_text)
        optional["provider_type"] = provider_type
        optional["extra_data"] = reader.value.get("extra_data")
    else:
        optional["provider_type"] = provider_type
    block.update((key, value) for key, value in optional.items() if value is not None)
    return block


def _parse_summary(value: JSONValue) -> list[JSONValue]:
    return list[JSONValue](parse_list(value, _parse_summary_item))


def _parse_summary_item(value: JSONValue) -> JSONObject:
    reader = ObjectReader(value)
    kind = reader.require("type", expect_text)
    if kind != "summary_text":
        raise ShapeError(f"unknown variant `{kind}`, expected `summary_text`", ("type",))
    return {"type": "summary_text", "text": reader.require("text", expect_text)}


def parse_unknown(reader: ObjectReader, dialect: Dialect) -> JSONObject:
    """Return the normal form of an `unknown` block: `data`, and the model and provider it is meant for."""
    if dialect.is_file:
        reader.refuse_unknown(("type", "data", "model_name", "provider_name", "model_provider_name"))
    block: JSONObject = {"type": "unknown", "data": reader.require("data", _keep)}
    legacy_name = reader.take("model_provider_name", expect_text)
    names: JSONObject = {}
    if dialect is not Dialect.LEGACY:
        names = {key: reader.take(key, expect_text) for key in ("model_name", "provider_name")}
        names = {key: name for key, name in names.items() if name is not None}
        if names and legacy_name is not None:
            raise ShapeError("Cannot specify both `model_provider_name` and `model_name`/`provider_name`")
    if legacy_name is not None:
        names = _split_model_provider(legacy_name)
        if "model_provider_name" in names and dialect is Dialect.V1:
            raise ShapeError(f"Invalid legacy `model_provider_name` format (missing prefix): {legacy_name}")
    return {**block, **names}


def _split_model_provider(text: str) -> JSONObject:
    """Split a legacy name into the v1 fields where that loses nothing, else keep it under its own key."""
    model, infix, provider = text.removeprefix(LEGACY_PROVIDER_PREFIX).partition(LEGACY_PROVIDER_INFIX)
    if text.startswith(LEGACY_PROVIDER_PREFIX) and infix:
        return {"model_name": model, "provider_name": provider}
    return {"model_provider_name": text}


_BLOCK_PARSERS: dict[str, Callable[[ObjectReader, Dialect], JSONObject]] = {
    "template": _parse_template,
    "raw_text": _parse_raw_text,
    "tool_call": _parse_tool_call,
    "tool_result": _parse_tool_result,
    "thought": parse_thought,
    "unknown": parse_unknown,
}
