"""Strict JSON reading: fast where text is what a writer makes, with the place of the mistake where it is wrong."""

from __future__ import annotations

import json
import re

import orjson

from filestore.codec.values import FILE_DEPTH, MAX_DEPTH, RAW_DEPTH, JSONObject, JSONValue, depth
from filestore.errors import JSONTextError

__all__ = ["BYTE_ORDER_MARK", "loads", "loads_file", "parse_integer", "parse_raw", "unpack"]

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_INDENTS = {levels: b"\n" + b"  " * levels for levels in (MAX_DEPTH, FILE_DEPTH)}
_CANONICAL = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
_NEGATIVE_ZERO = r"-0(?=[\s,\]}]|\Z)"
_STRING_OR_BRACKET = r'"(?:[^"\\]++|\\.)*+"|[\[{\]}]'


def loads(data: bytes, *, max_depth: int = MAX_DEPTH) -> JSONValue:
    """Read strict JSON text, or say where it stops being that.

    Beyond RFC 8259, whatever would not come back as it was is refused: duplicate keys, integers beyond 64 bits, numbers
    beyond a double, lone surrogates, and nesting beyond `max_depth`.

    Args:
        data: UTF-8 text, without a byte-order mark.
        max_depth: Levels of arrays and objects that are read, at most some 250 (what orjson can write).

    Raises:
        JSONTextError: The first mistake in the order of the text, with its line and column.
    """
    try:
        value: JSONValue = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        _check(data, max_depth)
        raise JSONTextError(error.msg, error.lineno, error.colno) from None
    if _is_canonical(value, data, max_depth):
        return value
    if _may_nest_deeper(data, max_depth) and depth(value) > max_depth:
        _check(data, max_depth)
    return value if data == orjson.dumps(value) else _loads_closely(data, max_depth)


def loads_file(data: bytes) -> JSONValue:
    """Read strict JSON text as `loads` does, with the allowances for files: more depth, and a byte-order mark.

    Raises:
        JSONTextError: The first mistake; positions count as if the mark were not there.
    """
    if data[:1] != b"{":
        data = data.removeprefix(BYTE_ORDER_MARK)
    return loads(data, max_depth=FILE_DEPTH)


def parse_raw(text: str) -> JSONValue:
    """Read JSON text that a model wrote, as upstream does: nothing is strict beyond RFC 8259.

    Of duplicate keys the last counts, and integers beyond 64 bits become floats.

    Raises:
        ValueError: The text is not JSON, or has more than 127 levels, or a number beyond a double.

    >>> parse_raw(' {"a": 1, "a": 18446744073709551616} ')
    {'a': 1.8446744073709552e+19}
    """
    data = text.encode()
    value: JSONValue = orjson.loads(data)
    if _may_nest_deeper(data, RAW_DEPTH) and _text_depth(text) > RAW_DEPTH:
        raise ValueError(f"nested more than {RAW_DEPTH} levels deep")
    if "-0" in text and re.search(_NEGATIVE_ZERO, text):
        value = json.loads(text, parse_int=_parse_raw_integer)
    return value


def unpack(data: bytes) -> JSONValue:
    """Return a new copy of the value that `pack` or `compact` wrote; nothing is checked."""
    value: JSONValue = orjson.loads(data)
    return value


def parse_integer(digits: str) -> int | float:
    """Return the integer that JSON digits spell; `-0` is the float -0.0, as upstream's parser reads it.

    Raises:
        ValueError: It does not fit into 64 bits, signed or unsigned.
    """
    if digits == "-0":
        return -0.0
    # `int` refuses more than some thousand digits with a text about its own limits.
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**64:
        raise ValueError("integer beyond 64 bits")
    return int(digits)


def _check(data: bytes, max_depth: int) -> None:
    """Raise the first mistake in a text in which a fast parser has found some."""
    from filestore.codec.positions import check

    check(data, max_depth)


def _is_canonical(value: JSONValue, data: bytes, max_depth: int) -> bool:
    """Return whether `data` is what writing `value` gives: equal bytes prove that reading has lost nothing.

    Text that is indented so has a line with two spaces for each level around a bracket that is too deep.
    """
    if data[-1:] != b"\n" or (_INDENTS.get(max_depth) or b"\n" + b"  " * max_depth) in data:
        return False
    try:
        return data == orjson.dumps(value, option=_CANONICAL)
    except orjson.JSONEncodeError:  # it nests deeper than orjson writes, on one line
        return False


def _loads_closely(data: bytes, max_depth: int) -> JSONValue:
    """Read again what orjson has accepted, with the standard library's hooks looking at what orjson ignores."""
    try:
        value: JSONValue = json.loads(data.decode(), object_pairs_hook=_unique_pairs, parse_int=parse_integer)
    except (ValueError, RecursionError):  # the latter from nesting under a key that a later one replaces
        _check(data, max_depth)
        raise
    return value


def _unique_pairs(pairs: list[tuple[str, JSONValue]]) -> JSONObject:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError("duplicate key")
    return unique


def _parse_raw_integer(digits: str) -> int | float:
    try:
        return parse_integer(digits)
    except ValueError:
        return float(digits)


def _may_nest_deeper(data: bytes, levels: int) -> bool:
    return data.count(b"[") + data.count(b"{") > levels


def _text_depth(text: str) -> int:
    """Return the levels of valid JSON text, those under a key that a later one replaces included."""
    deepest = level = 0
    for match in re.finditer(_STRING_OR_BRACKET, text):
        if match[0] in ("[", "{"):
            level += 1
            deepest = max(deepest, level)
        elif match[0] in ("]", "}"):
            level -= 1
    return deepest
