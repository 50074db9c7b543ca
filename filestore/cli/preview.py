"""One line that lets a person recognise a datapoint's input or output."""

from __future__ import annotations

from collections.abc import Iterable

from filestore.cli.terminal import one_line
from filestore.codec import JSONValue, compact

__all__ = ["preview_input", "preview_output", "preview_tags"]

_LIMIT = 400
"""Characters of a preview at most: no terminal shows more on a line, and texts may be megabytes."""


def preview_input(value: JSONValue) -> str:
    """Return the messages of an input on one line, each with its role unless a single user speaks.

    >>> greeting = {"role": "user", "content": [{"type": "text", "text": "Hi!"}]}
    >>> preview_input({"system": "Be brief.", "messages": [greeting]})
    'Hi!'
    """
    if not isinstance(value, dict):
        return _one_line(value)
    messages = value.get("messages")
    if not isinstance(messages, list) or not messages:
        return _joined(f"system: {_one_line(value['system'])}" for _ in range(1) if "system" in value)
    is_dialogue = len(messages) > 1
    return _joined(_preview_message(message, is_dialogue) for message in messages)


def preview_output(value: JSONValue) -> str:
    """Return the output of a datapoint on one line: the text of a chat, the JSON value otherwise.

    >>> preview_output([{"type": "tool_call", "id": "", "raw_name": "search", "raw_arguments": '{"q":"tea"}'}])
    'search({"q":"tea"})'
    >>> preview_output({"raw": '{ "name": "Ada" }', "parsed": {"name": "Ada"}})
    '{ "name": "Ada" }'
    """
    if value is None:
        return ""
    if isinstance(value, list):
        return _joined(map(_preview_block, value))
    raw = value.get("raw") if isinstance(value, dict) else value
    return "" if raw is None else _one_line(raw)


def preview_tags(tags: dict[str, str]) -> str:
    """Return tags on one line.

    >>> preview_tags({"split": "test", "source": "support"})
    'split=test source=support'
    """
    return _joined((_one_line(f"{key}={value}") for key, value in tags.items()), " ")


def _preview_message(message: JSONValue, is_dialogue: bool) -> str:
    if not isinstance(message, dict):
        return _one_line(message)
    role = message.get("role")
    content = message.get("content")
    text = _joined(map(_preview_block, content)) if isinstance(content, list) else _one_line(content)
    return f"{role}: {text}" if is_dialogue or role != "user" else text


def _preview_block(block: JSONValue) -> str:
    if not isinstance(block, dict):
        return _one_line(block)
    kind = block.get("type")
    if kind == "text":
        return _one_line(block.get("text"))
    if kind == "template":
        return _one_line(block.get("arguments"))
    if kind == "tool_call":
        name = block.get("raw_name", block.get("name"))
        arguments = block.get("raw_arguments", block.get("arguments"))
        return f"{_one_line(name)}({_one_line(arguments)})"
    if kind == "tool_result":
        return f"{_one_line(block.get('name'))} -> {_one_line(block.get('result'))}"
    return f"[{_one_line(kind)}]"


def _one_line(value: JSONValue) -> str:
    text = value if isinstance(value, str) else compact(value)
    return one_line(text[:_LIMIT])


def _joined(parts: Iterable[str], separator: str = " | ") -> str:
    text = ""
    for part in parts:
        text = f"{text}{separator}{part}" if text else part
        if len(text) > _LIMIT:
            break
    return text[:_LIMIT]
