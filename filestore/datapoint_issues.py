"""Everything that is wrong in the shape of a datapoint file, where a reader stops at the first mistake.

Each key, message, block, tool and tag is read by itself, with the reader's own parsers: a file has no issues if and
only if it can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches

from filestore.attachments import Attachments
from filestore.codec import JSONObject, JSONValue
from filestore.content import InputParser
from filestore.datapoint_file import (
    CHAT_PARSERS,
    ENVELOPE,
    HINTS,
    JSON_PARSERS,
    FileContext,
    find_kind,
    parse_schema,
)
from filestore.errors import Pointer, ShapeError
from filestore.findings import Issue
from filestore.ids import spell_dataset_name
from filestore.outputs import parse_json_output_in_file
from filestore.shapes import Dialect, ObjectReader, expect_object, expect_text

__all__ = ["issue_of", "iter_issues"]

Parse = Callable[[JSONValue], object]
Parsers = Mapping[str, tuple[str, Parse | None]]
_LISTS = frozenset({"output", "additional_tools", "provider_tools", "allowed_tools"})
"""Keys of a chat datapoint that may hold a list, of which each item is read by itself."""
_NOT_NULL = frozenset({"function_name", "is_custom"})


def issue_of(error: ShapeError) -> Issue:
    """Return what an error says of the value at its pointer."""
    text = str(error)
    return Issue(error.code, text if text.endswith("?") else f"{text}.", error.pointer, error.is_key)


def iter_issues(value: JSONValue, context: FileContext) -> Iterator[Issue]:
    """Yield every issue in the value of a datapoint file.

    Args:
        value: The value of the file.
        context: What the file does not say itself.
    """
    try:
        envelope = expect_object(value, "a datapoint object")
    except ShapeError as error:
        yield issue_of(error)
    else:
        yield from map(issue_of, _iter_envelope(envelope, context))


def _iter_envelope(envelope: JSONObject, context: FileContext) -> Iterator[ShapeError]:
    yield from _iter_unknown(envelope, ENVELOPE, HINTS)
    known = {key: item for key, item in envelope.items() if key in ENVELOPE}
    kind, mistake = _find_kind(known, context)
    if mistake is not None:
        yield mistake
    parsers: Parsers = CHAT_PARSERS if kind == "chat" else JSON_PARSERS
    for key in known.keys() - parsers.keys():
        yield ShapeError(f"`{key}` has no meaning in a {kind} datapoint", (key,), is_key=True, code="misplaced-key")
    meant = {near for key in envelope.keys() - known.keys() for near in get_close_matches(key, ENVELOPE, n=1)}
    for key in ("function_name", "input"):
        if key not in known and key not in meant:  # a slip in it is told already
            yield ShapeError(f"missing field `{key}`", code="missing-key")
    own = {key: item for key, item in known.items() if key in parsers}
    yield from _iter_members(own, parsers)
    if "input" in own:
        yield from _iter_input(own["input"], context)
    if kind == "json":
        yield from _iter_json(own, context, is_kind_known=mistake is None)


def _find_kind(known: JSONObject, context: FileContext) -> tuple[str, ShapeError | None]:
    """Return the kind of the datapoint, guessed where the file does not say it, and what is wrong with what it says."""
    if known.get("type") in ("chat", "json"):
        return str(known["type"]), None
    guess = "json" if "output_schema" in known or "output_raw" in known else "chat"
    try:
        return find_kind(known, context), None
    except ShapeError as error:
        # A function name that is missing or no text is told by itself.
        is_told = known.get("type") is None and not isinstance(known.get("function_name"), str)
        return guess, None if is_told else error


def _iter_unknown(
    value: JSONObject, known: Iterable[str], hints: Mapping[str, str] | None = None
) -> Iterator[ShapeError]:
    for key in value:
        yield from _try(lambda one: ObjectReader(one).refuse_unknown(known, hints), {key: None})


def _try(parse: Parse, value: JSONValue, *outer: str | int) -> Iterator[ShapeError]:
    try:
        parse(value)
    except ShapeError as error:
        yield error.within(*outer)


def _moved(errors: Iterable[ShapeError], outer: Pointer, steps: int) -> Iterator[ShapeError]:
    """Yield errors found in a stand-in, whose first steps lead to the value under `outer`."""
    for error in errors:
        yield ShapeError(error.reason, (*outer, *error.pointer[steps:]), is_key=error.is_key, code=error.code)


def _iter_members(own: JSONObject, parsers: Parsers) -> Iterator[ShapeError]:
    for key, item in own.items():
        parse = parsers[key][1]
        if parse is None or (item is None and key not in _NOT_NULL):
            continue
        if isinstance(item, list) and key in _LISTS:
            for index, part in enumerate(item):
                yield from _moved(_try(parse, [part]), (key, index), 1)
        elif isinstance(item, dict) and key == "tags":
            for tag, text in item.items():
                yield from _try(expect_text, text, key, tag)
        else:
            yield from _try(parse, item, key)


def _iter_input(value: JSONValue, context: FileContext) -> Iterator[ShapeError]:
    parser = InputParser(Dialect.FILE, Attachments(spell_dataset_name(context.dataset_name)))
    if not isinstance(value, dict):
        yield from _try(parser.parse, value, "input")
        return
    yield from _moved(_iter_unknown(value, ("system", "messages")), ("input",), 0)
    messages = value.get("messages")
    if isinstance(messages, list):
        for index, message in enumerate(messages):
            yield from _iter_message(parser, message, ("input", "messages", index))
    elif "messages" in value:
        yield from _try(parser.parse, {"messages": messages}, "input")
    if value.get("system") is not None:
        yield from _try(parser.parse, {"system": value["system"]}, "input")


def _iter_message(parser: InputParser, message: JSONValue, place: Pointer) -> Iterator[ShapeError]:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(content, list):
        yield from _try(parser.parse_message, message, *place)
        return
    yield from _try(parser.parse_message, {**message, "content": list[JSONValue]()}, *place)
    for index, block in enumerate(content):
        alone: JSONObject = {"role": "user", "content": [block]}
        yield from _moved(_try(parser.parse_message, alone), (*place, "content", index), 2)


def _iter_json(own: JSONObject, context: FileContext, *, is_kind_known: bool) -> Iterator[ShapeError]:
    yield from _try(lambda value: parse_json_output_in_file(ObjectReader(value)), own)
    if own.get("output_schema") is not None:
        yield from _try(lambda value: parse_schema(value, context), own["output_schema"], "output_schema")
        return
    name = own.get("function_name")
    function = context.load_config().find_function(name) if isinstance(name, str) else None
    if is_kind_known and isinstance(name, str) and (function is None or function.type != "json"):
        reason = f"missing field `output_schema`, and no json function `{name}` is configured to tell it"
        yield ShapeError(reason, code="missing-key")
