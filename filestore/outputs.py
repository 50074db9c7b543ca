"""Outputs: what requests and files may say, one normal form, and its spelling in a datapoint file.

The normal form is the v1 wire form: a list of blocks for chat, `{"raw", "parsed"}` for JSON. `raw` is opaque text, kept
as it came; `parsed` is only a view of it.
"""

from __future__ import annotations

from filestore.codec import JSONObject, JSONValue, compact, is_same, needs_exponent, parse_raw
from filestore.content import parse_thought, parse_unknown, text_block
from filestore.errors import ShapeError
from filestore.shapes import Dialect, ObjectReader, expect_list, expect_text, parse_list
from filestore.spellings import render_thought_for_file, shorten_blocks

__all__ = [
    "json_output",
    "parse_chat_output",
    "parse_chat_output_in_file",
    "parse_json_output",
    "parse_json_output_in_file",
    "read_raw",
    "render_chat_output_for_file",
    "render_json_output_for_file",
]


def read_raw(raw: str) -> JSONValue:
    """Return the value that `raw` spells as JSON, or None where it spells none (or null)."""
    try:
        return parse_raw(raw)
    except ValueError:
        return None


def json_output(raw: str | None, parsed: JSONValue) -> JSONObject:
    """Return the normal form of a JSON output."""
    return {"raw": raw, "parsed": parsed}


def parse_chat_output(value: JSONValue) -> list[JSONObject]:
    """Return the blocks of a v1 chat output as sent; absent `name` and `arguments` of tool calls are null."""
    return parse_list(value, lambda block: _parse_block(block, Dialect.V1))


def parse_chat_output_in_file(value: JSONValue) -> list[JSONObject]:
    """Return the normal form of a chat output as a datapoint file spells it."""
    if isinstance(value, str):
        return [text_block(value)]
    return parse_list(expect_list(value, "a string or a list of blocks"), lambda b: _parse_block(b, Dialect.FILE))


def _parse_block(value: JSONValue, dialect: Dialect) -> JSONObject:
    reader = ObjectReader(value, "an object with a `type`")
    kind = reader.require("type", expect_text)
    if kind == "text":
        reader.refuse_unknown(("type", "text"))
        return text_block(reader.require("text", expect_text))
    if kind == "tool_call":
        return _parse_tool_call_in_file(reader) if dialect is Dialect.FILE else _parse_tool_call(reader)
    if kind == "thought":
        return parse_thought(reader, dialect)
    if kind == "unknown":
        return parse_unknown(reader, dialect)
    kinds = "`text`, `tool_call`, `thought`, `unknown`"
    raise ShapeError(f"unknown variant `{kind}`, expected one of {kinds}", ("type",))


def tool_call(call_id: str, raw_name: str, raw_arguments: str, name: str | None, arguments: JSONValue) -> JSONObject:
    """Return the normal form of a tool call in an output: always all five keys."""
    return {
        "type": "tool_call",
        "id": call_id,
        "raw_name": raw_name,
        "raw_arguments": raw_arguments,
        "name": name,
        "arguments": arguments,
    }


def _parse_tool_call(reader: ObjectReader) -> JSONObject:
    return tool_call(
        reader.require("id", expect_text),
        reader.require("raw_name", expect_text),
        reader.require("raw_arguments", expect_text),
        reader.take("name", expect_text),
        reader.value.get("arguments"),
    )


def _parse_tool_call_in_file(reader: ObjectReader) -> JSONObject:
    reader.refuse_unknown(("type", "id", "name", "raw_name", "arguments", "raw_arguments"))
    name = reader.take("name", expect_text)
    arguments = reader.value.get("arguments")
    raw_name = reader.take("raw_name", expect_text)
    raw_arguments = reader.take("raw_arguments", expect_text)
    if raw_name is None:
        raw_name = reader.require("name", expect_text) if name is None else name
    if raw_arguments is None:
        if arguments is None:
            reason = "missing field `arguments` (or `raw_arguments`, for a text that is not JSON)"
            raise ShapeError(reason, code="missing-key")
        raw_arguments = compact(arguments)
    return tool_call(reader.take_present("id", expect_text, ""), raw_name, raw_arguments, name, arguments)


def render_chat_output_for_file(blocks: list[JSONObject]) -> JSONValue:
    """Spell a chat output as a datapoint file does: one lone text block is the bare string."""
    return shorten_blocks([_render_block_for_file(block) for block in blocks])


def _render_block_for_file(block: JSONObject) -> JSONObject:
    """Leave out what can be derived from the rest of a block."""
    if block["type"] == "thought":
        return render_thought_for_file(block)
    if block["type"] != "tool_call":
        return block
    name, arguments, raw_arguments = block["name"], block["arguments"], block["raw_arguments"]
    keys = {
        "id": block["id"] or None,
        "name": name,
        "raw_name": None if block["raw_name"] == name else block["raw_name"],
        "arguments": arguments,
        "raw_arguments": None if arguments is not None and compact(arguments) == raw_arguments else raw_arguments,
    }
    return {"type": "tool_call", **{key: value for key, value in keys.items() if value is not None}}


def parse_json_output(value: JSONValue) -> str | None:
    """Return the `raw` text of a v1 JSON output; its other keys are ignored."""
    return ObjectReader(value, "struct JsonDatapointOutput").take("raw", expect_text)


def parse_json_output_in_file(reader: ObjectReader) -> JSONObject | None:
    """Return the normal form of the JSON output that the keys `output` and `output_raw` of a file spell.

    Where the two disagree after a hand edit, `output` counts.
    """
    output = reader.value.get("output")
    if "output_raw" not in reader:
        if output is None:
            return None
        if _looks_like_answer(output):
            reason = (
                "this is an API answer's `raw`/`parsed` pair, not the output itself: write the value of `parsed`"
                " here (or, if the output really is such an object, repeat its text under `output_raw`)"
            )
            raise ShapeError(reason, ("output",), code="api-answer")
        return json_output(compact(output), output)
    raw = reader.take("output_raw", expect_text)
    if output is None:
        return json_output(raw, None)
    if raw is not None and is_same(read_raw(raw), output):
        return json_output(raw, output)
    return json_output(compact(output), output)


def _looks_like_answer(output: JSONValue) -> bool:
    return isinstance(output, dict) and bool(output) and output.keys() <= {"raw", "parsed"}


def render_json_output_for_file(output: JSONObject) -> JSONObject:
    """Return the keys `output` and `output_raw` of a datapoint file, each only where it is needed."""
    raw, parsed = output["raw"], output["parsed"]
    if parsed is None:
        return {"output_raw": raw}
    if not isinstance(raw, str):
        raise ShapeError("a parsed output has a raw text", ("raw",))
    if _looks_like_answer(parsed) or needs_exponent(parsed) or compact(parsed) != raw:
        return {"output": parsed, "output_raw": raw}
    return {"output": parsed}
