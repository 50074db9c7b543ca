"""JSON values as text: the canonical bytes of files, and the compact text of the wire."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

import orjson

from filestore.codec.values import JSONValue

__all__ = ["compact", "dumps", "needs_exponent", "pack"]

# Without these, orjson writes dates, dataclasses and subclasses in spellings of its own.
_JSON_ONLY = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS


def dumps(value: JSONValue) -> bytes:
    r"""Return the canonical bytes of a JSON document: UTF-8, two spaces of indent, LF, one final newline.

    Raises:
        ValueError: `value` is no JSON value, or nests too deep to be written.

    >>> dumps({"ключ": [1.0, 1e16]})
    b'{\n  "\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87": [\n    1.0,\n    1e16\n  ]\n}\n'
    """
    return _encode(value, orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def compact(value: JSONValue) -> str:
    """Return JSON text without white space, as upstream spells it.

    Raises:
        ValueError: `value` is no JSON value, or nests too deep to be written.

    >>> print(compact({"a/b": ["ü", 1e-7, None]}))
    {"a/b":["ü",1e-7,null]}
    """
    return _encode(value, 0).decode()


def pack(value: JSONValue) -> bytes:
    """Return bytes for `unpack`, to be kept in memory only: their spelling may change with the JSON library."""
    return orjson.dumps(value, option=_JSON_ONLY)


def needs_exponent(value: JSONValue) -> bool:
    """Return whether some number in `value` is spelled with an exponent.

    >>> needs_exponent([1e15, 0.00001]), needs_exponent({"a": 1e16})
    (False, True)
    """
    return any(number and not 1e-5 <= abs(number) < 1e16 for number in _iter_floats(value))


def _encode(value: JSONValue, option: int) -> bytes:
    try:
        data = orjson.dumps(value, option=option | _JSON_ONLY)
    except orjson.JSONEncodeError as error:
        raise ValueError(str(error)) from error
    if all(_is_plain(number) for number in _iter_floats(value)):
        return data
    return orjson.dumps(_spell_floats(value), option=option | _JSON_ONLY)


def _is_plain(number: float) -> bool:
    """Return whether all versions of orjson spell `number` as we do: neither with an exponent nor as `null`."""
    return 1e-4 <= abs(number) < 1e15 or number == 0


def _spell_floats(value: JSONValue) -> object:
    """Return a copy of `value` for orjson, in which the numbers that it may spell otherwise are text already."""
    if isinstance(value, float):
        return value if _is_plain(value) else orjson.Fragment(_spell_float(value).encode())
    if isinstance(value, list):
        return [_spell_floats(item) for item in value]
    if isinstance(value, dict):
        return {key: _spell_floats(item) for key, item in value.items()}
    return value


def _spell_float(number: float) -> str:
    """Return the shortest digits that read back as `number`, with an exponent below 1e-5 and from 1e16.

    >>> [_spell_float(number) for number in (1e16, 1.5e-7, 0.00001, 1e15)]
    ['1e16', '1.5e-7', '0.00001', '1000000000000000.0']
    """
    if not math.isfinite(number):
        raise ValueError(f"{number} has no JSON form")
    mantissa, _, exponent = repr(number).partition("e")
    if not exponent:
        return mantissa
    if int(exponent) == -5:
        return format(Decimal(repr(number)), "f")
    return f"{mantissa}e{int(exponent)}"


def _iter_floats(value: JSONValue) -> Iterator[float]:
    values = [value]
    for item in values:  # which grows as it goes
        if type(item) is str:  # most are, and every document that is written comes through here
            continue
        if isinstance(item, dict):
            values.extend(item.values())
        elif isinstance(item, list):
            values.extend(item)
        elif isinstance(item, float):
            yield item
