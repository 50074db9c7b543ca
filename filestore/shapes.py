"""Typed access to JSON objects: every miss is a `ShapeError` that says where and what was expected.

The texts follow upstream's parser (Rust's serde), which clients show verbatim.
"""

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from filestore.codec import JSONObject, JSONValue, compact
from filestore.errors import InvalidIdError, ShapeError, find_near, suggest_name
from filestore.ids import parse_uuid

__all__ = [
    "Dialect",
    "ObjectReader",
    "describe",
    "expect_flag",
    "expect_list",
    "expect_object",
    "expect_text",
    "expect_u32",
    "expect_uuid",
    "parse_list",
    "parse_tags",
]

T = TypeVar("T")


class Dialect(enum.Enum):
    """Which grammar a value is written in."""

    LEGACY = "legacy"
    """Requests of the legacy generation (2025.9.6)."""
    V1 = "v1"
    """Requests of the v1 generation."""
    FILE = "file"
    """A datapoint file: the v1 blocks and shorthands; unknown keys are mistakes."""
    DRAFT = "draft"
    """A draft: what a file or a request of either generation may say; unknown keys are mistakes."""

    @property
    def is_file(self) -> bool:
        """Whether it is written in a file of a dataset, and not in a request."""
        return self in (Dialect.FILE, Dialect.DRAFT)


def describe(value: JSONValue) -> str:
    """Name a value's type and, where it is short, the value.

    >>> describe(True), describe("a"), describe([1])
    ('boolean `true`', 'string "a"', 'sequence')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"boolean `{compact(value)}`"
    if isinstance(value, int):
        return f"integer `{value}`"
    if isinstance(value, float):
        return f"floating point `{compact(value)}`"
    if isinstance(value, str):
        return f"string {compact(value if len(value) <= 100 else value[:100] + '…')}"
    return "sequence" if isinstance(value, list) else "map"


def expect_object(value: JSONValue, what: str = "an object") -> JSONObject:
    """Return `value` if it is a JSON object."""
    if not isinstance(value, dict):
        raise ShapeError(f"invalid type: {describe(value)}, expected {what}", code="wrong-type")
    return value


def expect_list(value: JSONValue, what: str = "a sequence") -> list[JSONValue]:
    """Return `value` if it is a JSON array."""
    if not isinstance(value, list):
        raise ShapeError(f"invalid type: {describe(value)}, expected {what}", code="wrong-type")
    return value


def expect_text(value: JSONValue) -> str:
    """Return `value` if it is a string."""
    if not isinstance(value, str):
        raise ShapeError(f"invalid type: {describe(value)}, expected a string", code="wrong-type")
    return value


def expect_flag(value: JSONValue) -> bool:
    """Return `value` if it is a boolean."""
    if not isinstance(value, bool):
        raise ShapeError(f"invalid type: {describe(value)}, expected a boolean", code="wrong-type")
    return value


def expect_u32(value: JSONValue) -> int:
    """Return `value` if it is an integer from 0 to 2**32 - 1 (`2.0` and `true` are none)."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ShapeError(f"invalid type: {describe(value)}, expected u32", code="wrong-type")
    if not 0 <= value < 2**32:
        raise ShapeError(f"invalid value: integer `{value}`, expected u32")
    return value


def expect_uuid(value: JSONValue) -> uuid.UUID:
    """Return the UUID that a string spells."""
    try:
        return parse_uuid(expect_text(value))
    except InvalidIdError as error:
        raise ShapeError(str(error)) from None


_ONLY_TEXT = frozenset({str})


def parse_tags(value: JSONValue) -> dict[str, str]:
    """Return `value` if it maps strings to strings."""
    tags = expect_object(value, "a map")
    if _ONLY_TEXT.issuperset(map(type, tags.values())):
        return tags  # type: ignore[return-value]  # text to text, as has just been seen
    return {key: _within(key, expect_text, tag) for key, tag in tags.items()}


def _within(step: str | int, parse: Callable[[JSONValue], T], value: JSONValue) -> T:
    try:
        return parse(value)
    except ShapeError as error:
        raise error.within(step) from None


class ObjectReader:
    """One JSON object whose keys are taken one by one, each checked as it is taken."""

    __slots__ = ("value",)

    def __init__(self, value: JSONValue, what: str = "an object") -> None:
        self.value: Mapping[str, JSONValue] = expect_object(value, what)

    def __contains__(self, key: str) -> bool:
        return key in self.value

    def require(self, key: str, parse: Callable[[JSONValue], T]) -> T:
        """Take a key that must be there; `parse` decides about null."""
        if key not in self.value:
            raise ShapeError(f"missing field `{key}`", code="missing-key")
        return _within(key, parse, self.value[key])

    def take(self, key: str, parse: Callable[[JSONValue], T]) -> T | None:
        """Take a key that may be absent or null."""
        value = self.value.get(key)
        return None if value is None else _within(key, parse, value)

    def take_present(self, key: str, parse: Callable[[JSONValue], T], default: T) -> T:
        """Take a key that may be absent but, once there, may not be null."""
        return _within(key, parse, self.value[key]) if key in self.value else default

    def require_list(self, key: str, parse_item: Callable[[JSONValue], T]) -> list[T]:
        """Take a list that must be there, item by item."""
        return self.require(key, lambda value: parse_list(value, parse_item))

    def refuse_unknown(self, known: Iterable[str], hints: Mapping[str, str] | None = None) -> None:
        """Refuse every key that is not in `known`, naming the nearest one that is.

        Args:
            known: The keys that may stand in the object.
            hints: What to say about an unknown key that people are known to write.
        """
        allowed = tuple(known)
        for key in self.value:
            if key not in allowed:
                if hint := (hints or {}).get(key):
                    raise ShapeError(f"unknown field `{key}`, {hint}", (key,), is_key=True, code="misplaced-key")
                reason = f"unknown field `{key}`, {suggest_name(key, allowed)}"
                near = find_near(key, allowed)
                raise ShapeError(reason, (key,), is_key=True, code="unknown-key", meant=near)


def parse_list(value: JSONValue, parse_item: Callable[[JSONValue], T]) -> list[T]:
    """Parse every item of a JSON array."""
    return [_within(index, parse_item, item) for index, item in enumerate(expect_list(value))]
