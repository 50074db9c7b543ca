"""JSON values: their type, what can be made one, and when two are the same."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import orjson

from filestore.errors import Pointer, ShapeError

__all__ = [
    "FILE_DEPTH",
    "MAX_DEPTH",
    "RAW_DEPTH",
    "JSONObject",
    "JSONValue",
    "depth",
    "is_same",
    "to_json_value",
]

JSONValue: TypeAlias = "bool | int | float | str | list[JSONValue] | dict[str, JSONValue] | None"
JSONObject: TypeAlias = dict[str, JSONValue]

MAX_DEPTH = 128
"""Levels that a request body or a schema may nest."""
FILE_DEPTH = 136
"""Levels that a file may nest: the deepest view of a raw text, inside the envelope of a datapoint."""
RAW_DEPTH = 127
"""Levels that upstream's parser reads in a `raw` text."""


def depth(value: JSONValue) -> int:
    """Return how many levels of arrays and objects `value` has.

    >>> depth(1), depth([]), depth([{"a": [1]}])
    (0, 1, 3)
    """
    levels = 0
    containers = [value] if isinstance(value, (dict, list)) else []
    while containers:
        levels += 1
        containers = [
            child
            for container in containers
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, (dict, list))
        ]
    return levels


def is_same(a: JSONValue, b: JSONValue) -> bool:
    """Return whether two values are the same JSON: the order of keys is not told apart, 1 and 1.0 and `true` are.

    >>> is_same({"a": 1, "b": 2}, {"b": 2, "a": 1}), is_same(1, 1.0), is_same(0.0, -0.0)
    (True, False, False)
    """
    return a == b and orjson.dumps(a, option=orjson.OPT_SORT_KEYS) == orjson.dumps(b, option=orjson.OPT_SORT_KEYS)


def to_json_value(obj: object, pointer: Iterable[str | int] = ()) -> JSONValue:
    """Return a deep copy of what a Python caller passed, as plain JSON values.

    Mappings, tuples, UUIDs (of any library), subclasses of the JSON types, and dataclass instances are taken. Of the
    last, those that have a method `to_dict`, as datapoints and the client's content blocks do, are what it returns.

    Args:
        obj: What the caller passed.
        pointer: Where it stands, for errors.

    Raises:
        ShapeError: Something in it has no JSON form, or would not come back as it was.

    >>> from uuid import UUID
    >>> to_json_value({"ids": (UUID(int=7),)})
    {'ids': ['00000000-0000-0000-0000-000000000007']}
    """
    try:
        return _copy_plain(obj, MAX_DEPTH)
    except (_NotPlainError, UnicodeEncodeError):
        return _Converter().convert(obj, tuple(pointer))


class _NotPlainError(Exception):
    """Something that is not exactly of a JSON type, or is no JSON value at all: it takes a closer look."""


def _copy_plain(obj: object, levels: int) -> JSONValue:
    """Return a deep copy of what is exactly of the JSON types, as nearly all is; it keeps no places for errors.

    Args:
        obj: What the caller passed.
        levels: How many it may nest.

    Raises:
        _NotPlainError: It is not.
        UnicodeEncodeError: It holds a lone surrogate.
    """
    if type(obj) is str:
        if not obj.isascii():
            obj.encode()
        return obj
    if type(obj) is dict and levels:
        copy: JSONObject = {}
        for key, item in obj.items():
            if type(key) is not str or not (key.isascii() or key.encode()):
                raise _NotPlainError
            copy[key] = item if type(item) is str and item.isascii() else _copy_plain(item, levels - 1)
        return copy
    if type(obj) is list and levels:
        return [_copy_plain(item, levels - 1) for item in obj]
    if obj is None or type(obj) is bool:
        return obj
    if type(obj) is int and -(2**63) <= obj < 2**64:
        return obj
    if type(obj) is float and math.isfinite(obj):
        return obj
    raise _NotPlainError


class _Converter:
    """One deep copy: it knows the containers that are open, to find cycles."""

    def __init__(self) -> None:
        self._open: set[int] = set()

    def convert(self, obj: object, pointer: Pointer) -> JSONValue:
        if obj is None or isinstance(obj, bool):
            return obj
        if isinstance(obj, str):
            return _convert_text(obj, pointer)
        if isinstance(obj, int):
            return _convert_integer(obj, pointer)
        if isinstance(obj, float):
            return _convert_float(obj, pointer)
        if _is_uuid(obj):
            return str(obj)
        return self._convert_container(obj, pointer)

    def _convert_container(self, obj: object, pointer: Pointer) -> JSONValue:
        if id(obj) in self._open:
            raise ShapeError("invalid value: it contains itself", pointer)
        if len(self._open) == MAX_DEPTH:
            raise ShapeError(f"nested more than {MAX_DEPTH} levels deep", pointer)
        self._open.add(id(obj))
        try:
            if isinstance(obj, (list, tuple)):
                return [self.convert(item, (*pointer, index)) for index, item in enumerate(obj)]
            return {
                _convert_key(key, pointer): self.convert(item, (*pointer, key))
                for key, item in _members(obj, pointer).items()
            }
        finally:
            self._open.remove(id(obj))


def _members(obj: object, pointer: Pointer) -> Mapping[str, object]:
    if isinstance(obj, Mapping):
        return obj
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        if hasattr(obj, "to_dict"):
            return dict(obj.to_dict())
        fields = {field.name: getattr(obj, field.name) for field in dataclasses.fields(obj)}
        # TensorZero's client marks the fields that it does not send with an instance of this class.
        return {name: value for name, value in fields.items() if type(value).__name__ != "OmitType"}
    raise ShapeError(f"invalid type: {type(obj).__name__}, expected a JSON value", pointer)


def _convert_key(key: object, pointer: Pointer) -> str:
    if not isinstance(key, str):
        raise ShapeError(f"invalid type: key {key!r} is not a string", pointer)
    return _convert_text(key, pointer)


def _convert_text(text: str, pointer: Pointer) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ShapeError("invalid value: text with a lone surrogate", pointer) from None
    return str.__str__(text)  # not `str()`, which a subclass may override, as string enums do


def _convert_integer(number: int, pointer: Pointer) -> int:
    if not -(2**63) <= number < 2**64:
        raise ShapeError("invalid value: integer beyond 64 bits", pointer)
    return int.__int__(number)


def _convert_float(number: float, pointer: Pointer) -> float:
    if not math.isfinite(number):
        raise ShapeError("invalid value: number is not finite", pointer)
    return float.__float__(number)


def _is_uuid(obj: object) -> bool:
    """Return whether `obj` is a UUID, also of a library such as `uuid_utils`, whose class is not the standard one's."""
    digits = getattr(obj, "hex", None)
    return isinstance(digits, str) and len(digits) == 32 and isinstance(getattr(obj, "int", None), int)
