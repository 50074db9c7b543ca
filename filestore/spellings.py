"""The other spellings of an input in normal form: for people in a datapoint file, and for clients of older releases."""

from __future__ import annotations

from collections.abc import Callable

from filestore.attachments import render_file_block_for_file, render_file_block_legacy
from filestore.codec import RAW_DEPTH, JSONObject, JSONValue, compact, depth, parse_raw
from filestore.content import LEGACY_PROVIDER_INFIX, LEGACY_PROVIDER_PREFIX
from filestore.shapes import expect_list, expect_object, expect_text

__all__ = [
    "render_input_for_file",
    "render_input_legacy",
    "render_input_transitional",
    "render_thought_for_file",
    "shorten_blocks",
]

ARGUMENTS_DEPTH = RAW_DEPTH - 6
"""Deepest `arguments` object spelled out in a file: the envelope around it adds levels."""


def render_input_for_file(value: JSONObject, directory: str) -> JSONObject:
    """Spell an input as a datapoint file does: a lone text block is the bare string.

    Args:
        value: The input in normal form.
        directory: The dataset's directory name: its own files are spelled relative to it.
    """
    rendered: JSONObject = {"system": value["system"]} if "system" in value else {}
    rendered["messages"] = [
        {**message, "content": _render_content_for_file(expect_list(message["content"]), directory)}
        for message in map(expect_object, expect_list(value["messages"]))
    ]
    return rendered


def _render_content_for_file(blocks: list[JSONValue], directory: str) -> JSONValue:
    """Spell a list of blocks as a datapoint file does."""
    return shorten_blocks([_render_block_for_file(expect_object(block), directory) for block in blocks])


def shorten_blocks(blocks: list[JSONObject]) -> JSONValue:
    """Return the bare string that stands for a lone text block, else the list."""
    if len(blocks) == 1 and blocks[0]["type"] == "text":
        return blocks[0]["text"]
    return list[JSONValue](blocks)


def _render_block_for_file(block: JSONObject, directory: str) -> JSONObject:
    kind = block["type"]
    if kind == "tool_call":
        return {**block, "arguments": _spell_out_arguments(expect_text(block["arguments"]))}
    if kind == "thought":
        return render_thought_for_file(block)
    if kind == "file":
        return render_file_block_for_file(block, directory)
    return block


def render_thought_for_file(block: JSONObject) -> JSONObject:
    """Leave out the text of a thought that has none."""
    return {key: value for key, value in block.items() if key != "text" or value is not None}


def _spell_out_arguments(text: str) -> JSONValue:
    """Return the object that `text` spells if it can be derived back from it, else the text."""
    try:
        arguments = parse_raw(text)
    except ValueError:
        return text
    is_derivable = isinstance(arguments, dict) and depth(arguments) <= ARGUMENTS_DEPTH and compact(arguments) == text
    return arguments if is_derivable else text


def render_input_legacy(value: JSONObject) -> JSONObject:
    """Spell an input as gateways up to 2025.10 did: text blocks say `value`."""
    return _map_blocks(value, _render_block_legacy)


def render_input_transitional(value: JSONObject) -> JSONObject:
    """Spell an input so that the first v1 clients (2025.10 and 2025.11) can read it, as well as later ones.

    They know v1 lists, but neither the split model name of `unknown` blocks nor files that are URLs.
    """
    return _map_blocks(value, lambda block: _render_block_legacy(block) if _is_too_new(block) else block)


def _is_too_new(block: JSONObject) -> bool:
    return block["type"] == "unknown" or (block["type"] == "file" and block["file_type"] == "url")


def _map_blocks(value: JSONObject, render: Callable[[JSONObject], JSONObject]) -> JSONObject:
    messages: list[JSONValue] = [
        {**message, "content": [render(expect_object(block)) for block in expect_list(message["content"])]}
        for message in map(expect_object, expect_list(value["messages"]))
    ]
    return {**value, "messages": messages}


def _render_block_legacy(block: JSONObject) -> JSONObject:
    """Spell one input block as gateways up to 2025.10 did."""
    kind = block["type"]
    if kind == "text":
        return {"type": "text", "value": block["text"]}
    if kind == "tool_call":
        return {key: block[key] for key in ("type", "name", "arguments", "id")}
    if kind == "thought":
        return {_LEGACY_THOUGHT_KEYS.get(key, key): item for key, item in block.items()}
    if kind == "unknown":
        return {"type": "unknown", "data": block["data"], "model_provider_name": _join_model_provider(block)}
    if kind == "file":
        return render_file_block_legacy(block)
    return block


_LEGACY_THOUGHT_KEYS = {"provider_type": "_internal_provider_type"}


def _join_model_provider(block: JSONObject) -> JSONValue:
    if "model_name" in block and "provider_name" in block:
        return f"{LEGACY_PROVIDER_PREFIX}{block['model_name']}{LEGACY_PROVIDER_INFIX}{block['provider_name']}"
    return block.get("model_provider_name")
