"""Every mistake in the shape of a datapoint file's value, not the first alone.

There is no second grammar here. A value that the parser refuses is taken apart, each part is put alone into an envelope
that has nothing else to be refused, and the parser says what it thinks of that.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence

from filestore.codec import JSONObject, JSONValue
from filestore.datapoint import TOOL_FIELDS
from filestore.datapoint_file import FileContext, parse_datapoint
from filestore.drafts import read_shape
from filestore.errors import Pointer, ShapeError
from filestore.findings import Issue
from filestore.functions import FunctionConfig
from filestore.shapes import expect_object

__all__ = ["issue_of", "iter_draft_issues", "iter_issues"]

_JSON_KEYS = ("output_raw", "output_schema")
_ANY_ID = uuid.UUID("00000000-0000-7000-8000-000000000000")
"""What is wrong with a file does not depend on its id."""
_LISTS = ("allowed_tools", "additional_tools", "provider_tools")
_OUTPUT = ("output", "output_raw")


def issue_of(error: ShapeError) -> Issue:
    """Return what an error says of the value at its pointer."""
    text = str(error)
    return Issue(error.code, text if text.endswith("?") else f"{text}.", error.pointer, error.is_key)


def iter_issues(value: JSONValue, context: FileContext) -> Iterator[Issue]:
    """Yield every mistake in the shape of a datapoint file's value; none iff `parse_datapoint` takes it.

    All unknown keys are told, each wrong field, tag, tool, message and content block, and of each of these the first
    other mistake in the order of the parser. A misspelt key counts as the one that was meant.

    Args:
        value: The value of the file.
        context: What the file does not say itself. Errors of its functions that are no `ShapeError` pass through.
    """
    return _iter_issues(value, lambda part: parse_datapoint(part, _ANY_ID, context), context.load_config)


def iter_draft_issues(value: JSONValue, context: FileContext) -> Iterator[Issue]:
    """Yield every mistake in the shape of a draft's value, as `iter_issues` does; none iff `read_shape` takes it."""
    return _iter_issues(value, lambda part: read_shape(part, _ANY_ID, context), context.load_config)


_Parse = Callable[[JSONValue], object]


def _iter_issues(value: JSONValue, parse: _Parse, load_config: Callable[[], FunctionConfig]) -> Iterator[Issue]:
    try:
        parse(value)
    except ShapeError as error:
        if not isinstance(value, dict):
            yield issue_of(error)
        else:
            yield from dict.fromkeys(_explain(value, parse, load_config()))


def _explain(value: JSONObject, parse: _Parse, config: FunctionConfig) -> Iterator[Issue]:
    """Yield what is wrong with a value that the parser refuses, some of it perhaps twice."""
    corrected, written = value, dict[Pointer, str]()
    for key in value:
        try:
            parse({"type": "chat", "function_name": "", "input": {}, key: None})
        except ShapeError as error:
            if error.is_key and error.meant is not None and error.meant not in corrected:
                yield issue_of(error)
                corrected = expect_object(_correct(corrected, error.pointer, error.meant, written))
    for found in _Envelope(corrected, parse, config).iter_errors():
        yield issue_of(found.elsewhere(_as_written(found.pointer, written)))


class _Envelope:
    """A value that the parser refuses, and the frame in which its parts are shown to it one by one."""

    def __init__(self, value: JSONObject, parse: _Parse, config: FunctionConfig) -> None:
        self._value = value
        self._parse = parse
        self._is_kind_sure, self._kind = _guess_kind(value, config)
        name = value.get("function_name")
        self._frame: JSONObject = {
            "type": self._kind,
            "function_name": name if isinstance(name, str) else "",
            "input": {},
        }
        if self._kind == "json":
            self._frame["output_schema"] = {}

    def iter_errors(self) -> Iterator[ShapeError]:
        yield from self._iter_kind_errors()
        for key, item in self._value.items():
            yield from self._iter_member_errors(key, item)
        for key in ("function_name", "input"):
            if key not in self._value:
                yield from self._explore(_omit(self._frame, key), expect_object, (), ())
        is_named = isinstance(self._value.get("function_name"), str)
        if self._kind == "json" and self._is_kind_sure and is_named and self._value.get("output_schema") is None:
            yield from self._explore(_omit(self._frame, "output_schema"), expect_object, (), ())

    def _iter_kind_errors(self) -> Iterator[ShapeError]:
        if self._value.get("type") in ("chat", "json"):
            return
        head: JSONObject = {key: self._value[key] for key in ("type", "function_name") if key in self._value}
        yield from self._explore(head, lambda part: {"input": {}, **expect_object(part)}, (), ())

    def _iter_member_errors(self, key: str, item: JSONValue) -> Iterator[ShapeError]:
        """Yield what is wrong with one key of the envelope, or with what it holds."""
        if key == "type" or (not self._is_kind_sure and _depends_on_kind(key)):
            return
        if key in _OUTPUT and self._kind == "json":
            both = {key: self._value[key] for key in _OUTPUT if key in self._value}
            yield from self._explore(both, self._frame_keys, (), ())
        elif isinstance(item, list) and key in (*_LISTS, "output"):
            yield from self._explore({key: []}, self._frame_keys, (), ())
            for index, part in enumerate(item):
                yield from self._explore(part, lambda part: {**self._frame, key: [part]}, (key, 0), (key, index))
        elif key == "tags" and isinstance(item, dict):
            for name, tag in item.items():
                yield from self._explore({key: {name: tag}}, self._frame_keys, (), ())
        elif key == "input" and isinstance(item, dict):
            yield from self._iter_input_errors(item)
        else:
            yield from self._explore({key: item}, self._frame_keys, (), ())

    def _iter_input_errors(self, value: JSONObject) -> Iterator[ShapeError]:
        messages = value.get("messages")
        split = isinstance(messages, list)
        rest: JSONObject = {**value, "messages": []} if split else value
        yield from self._explore(rest, lambda part: {**self._frame, "input": part}, ("input",), ("input",))
        for index, message in enumerate(messages if isinstance(messages, list) else ()):
            yield from self._iter_message_errors(message, ("input", "messages", index))

    def _iter_message_errors(self, message: JSONValue, place: Pointer) -> Iterator[ShapeError]:
        shown = ("input", "messages", 0)
        content = message.get("content") if isinstance(message, dict) else None
        if not isinstance(message, dict) or not isinstance(content, list):
            yield from self._explore(message, self._frame_message, shown, place)
            return
        yield from self._explore({**message, "content": ""}, self._frame_message, shown, place)
        role = message.get("role")
        for index, block in enumerate(content):
            yield from self._explore(
                block,
                lambda part: self._frame_message(
                    {"role": role if role in ("user", "assistant") else "user", "content": [part]}
                ),
                (*shown, "content", 0),
                (*place, "content", index),
            )

    def _frame_keys(self, part: JSONValue) -> JSONObject:
        return {**self._frame, **expect_object(part)}

    def _frame_message(self, message: JSONValue) -> JSONObject:
        return {**self._frame, "input": {"messages": [message]}}

    def _explore(
        self, part: JSONValue, embed: Callable[[JSONValue], JSONObject], shown: Pointer, place: Pointer
    ) -> Iterator[ShapeError]:
        """Yield every key of a part that the parser refuses, and the first other mistake in it.

        Args:
            part: What to look at.
            embed: Puts the part into a frame.
            shown: Where it stands in the frame.
            place: Where it stands in the value of the file.
        """
        written: dict[Pointer, str] = {}
        while True:
            try:
                self._parse(embed(part))
            except ShapeError as error:
                inner = error.pointer[len(shown) :]
                pointer = (*place[: len(error.pointer)], *_as_written(inner, written))
                yield error.elsewhere(pointer)
                if not error.is_key or len(error.pointer) == 1:  # keys of the envelope have been corrected before
                    return
                part = _correct(part, inner, error.meant, written)
            else:
                return


def _guess_kind(value: JSONObject, config: FunctionConfig) -> tuple[bool, str]:
    """Return whether it is sure what kind of datapoint a value shall be, and the likeliest kind."""
    kind = value.get("type")
    if kind == "chat" or kind == "json":
        return True, str(kind)
    name = value.get("function_name")
    function = config.find_function(name) if isinstance(name, str) else None
    if function is not None:
        return True, function.type
    return False, "json" if any(key in value for key in _JSON_KEYS) else "chat"


def _depends_on_kind(key: str) -> bool:
    return key in (*_OUTPUT, *_JSON_KEYS, *TOOL_FIELDS)


def _omit(value: JSONObject, key: str) -> JSONObject:
    return {name: item for name, item in value.items() if name != key}


def _correct(value: JSONValue, pointer: Pointer, meant: str | None, written: dict[Pointer, str]) -> JSONValue:
    """Return a copy of `value` in which the key at `pointer` is the one that was meant, or is not there.

    Args:
        value: What holds the key.
        pointer: Where the key is.
        meant: How it is to be spelled; it is left out if that is not known, or there already.
        written: Receives how the key was written, by its new pointer.
    """
    *outer, wrong = pointer

    def correct(holder: JSONValue) -> JSONValue:
        members = expect_object(holder)
        if meant is None or meant in members:
            return _omit(members, str(wrong))
        written[(*outer, meant)] = str(wrong)
        return {meant if key == wrong else key: item for key, item in members.items()}

    return _change(value, outer, correct)


def _change(value: JSONValue, pointer: Sequence[str | int], change: Callable[[JSONValue], JSONValue]) -> JSONValue:
    """Return a copy of `value` with a change made at a pointer; what is beside it is not copied."""
    if not pointer:
        return change(value)
    step, *rest = pointer
    if isinstance(value, list) and isinstance(step, int):
        return [*value[:step], _change(value[step], rest, change), *value[step + 1 :]]
    members = expect_object(value)
    return {**members, str(step): _change(members[str(step)], rest, change)}


def _as_written(pointer: Pointer, written: Mapping[Pointer, str]) -> Pointer:
    """Return a pointer with the keys that a person wrote in place of those that were meant."""
    return tuple(written.get(pointer[: depth + 1], step) for depth, step in enumerate(pointer))
