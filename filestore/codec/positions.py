"""Positions in JSON text: where a value stands, and where text stops being the strict JSON of the store.

This reader is written for its answers, not for speed: it is asked only about text that a fast parser has found wrong,
and about the place of a value that turned out to be a mistake.

Lines and columns count from 1, columns in code points. A line ends at LF, and a CR before it belongs to the line end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from filestore.codec.reading import BYTE_ORDER_MARK, parse_integer
from filestore.errors import JSONTextError, Pointer

__all__ = ["Place", "SourceMap", "check", "find_crlf", "locate", "map_source"]

Place = tuple[int, int]
"""Line and column."""

_ANY_DEPTH = 1024  # as deep as orjson reads; a pointer to every level of endless brackets would fill the memory

_SPACE = re.compile(r"[ \t\n\r]*+")
_LITERAL = re.compile(r"true\b|false\b|null\b")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(\.[0-9]++)?([eE][+-]?[0-9]++)?")
_NUMBER_TO_THE_MISTAKE = re.compile(
    r"-?(?:(?:0|[1-9][0-9]*)(?:\.(?:[0-9]+(?:[eE][+-]?[0-9]*)?)?|[eE][+-]?[0-9]*)?)?",
)
_WORD = re.compile(r"-?[A-Za-z_]\w{0,30}")
_CONFLICT_MARKER = re.compile(r"<{7}|={7}|>{7}|\|{7}")
_COMMENT = re.compile(r"//|/\*|#")
# All characters up to the closing quote, or to the mistake: a `\ud8xx` passes only together with its second half.
_STRING_BODY = re.compile(
    r'(?:[^"\\\x00-\x1f]++|\\["\\/bfnrt]|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}'
    r"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*+"
)
_HALF_SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_STARTS_VALUE = re.compile(r"""["'\[{\w+.-]""")
_NO_NUMBERS = ("nan", "inf", "infinity")


def check(data: bytes, max_depth: int) -> None:
    """Check text against RFC 8259 and the store's stricter rules.

    Raises:
        JSONTextError: The first mistake, in the order of the text.
    """
    _Reader(_decode(data), max_depth).read()


def find_crlf(data: bytes) -> Place | None:
    r"""Return the place of the first CR that ends a line together with a LF, or None; the text is valid UTF-8.

    >>> find_crlf(b'{\r\n}'), find_crlf(b"{}\n")
    ((1, 2), None)
    """
    at = data.find(b"\r\n")
    return None if at < 0 else _place(data[:at].removeprefix(BYTE_ORDER_MARK).decode(), len(data))


@dataclass(frozen=True, slots=True)
class SourceMap:
    """Where the values and keys of a text stand.

    Attributes:
        values: Pointer to the place of every value, containers before what they hold, in the order of the text.
        keys: Pointer of every member of an object to the place of its key.
    """

    values: dict[Pointer, Place]
    keys: dict[Pointer, Place]

    def locate(self, pointer: Sequence[str | int], *, key: bool = False) -> Place:
        """Return the place of the value at `pointer`, or of the innermost container that exists.

        Args:
            pointer: The keys and indexes that lead to the value.
            key: Whether the place of the value's key is wanted, where it has one.
        """
        wanted = tuple(pointer)
        if key and wanted in self.keys:
            return self.keys[wanted]
        while wanted not in self.values:
            wanted = wanted[:-1]
        return self.values[wanted]


def map_source(data: bytes) -> SourceMap:
    """Return where the values and keys of JSON text stand; a byte-order mark does not count.

    Raises:
        JSONTextError: `data` is not strict JSON.

    >>> map_source(b'{"a": [true, 1]}').values
    {(): (1, 1), ('a',): (1, 7), ('a', 0): (1, 8), ('a', 1): (1, 14)}
    """
    reader = _Recorder(_decode(data.removeprefix(BYTE_ORDER_MARK)), _ANY_DEPTH)
    reader.read()
    return SourceMap(reader.values, reader.keys)


def locate(data: bytes, pointer: Sequence[str | int], *, key: bool = False) -> Place:
    """Return the place of one value or key in JSON text, as `SourceMap.locate` does.

    Raises:
        JSONTextError: `data` is not strict JSON.

    >>> locate(b'{"a": [true, 1]}', ("a", 1))
    (1, 14)
    """
    return map_source(data).locate(pointer, key=key)


def _decode(data: bytes) -> str:
    if not data:
        raise JSONTextError("EOF while parsing a value", 1, 0, code="empty-file")
    if data.startswith(BYTE_ORDER_MARK):
        raise JSONTextError("byte-order mark", 1, 1, code="byte-order-mark")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        place = _place(data[: error.start].decode(), len(data))
        raise JSONTextError("invalid UTF-8", *place, code="invalid-utf8") from None


def _place(text: str, offset: int) -> Place:
    before = text[:offset]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


@dataclass(slots=True)
class _Container:
    """An array or object that is being read."""

    pointer: Pointer
    is_object: bool
    start: int
    size: int = 0
    keys: set[str] = field(default_factory=set)

    @property
    def closer(self) -> str:
        return "}" if self.is_object else "]"

    @property
    def name(self) -> str:
        return "an object" if self.is_object else "a list"


class _Reader:
    """One pass over a text, without recursion, up to the first mistake."""

    def __init__(self, text: str, max_depth: int) -> None:
        self.text = text
        self._at = 0
        self._end_of_value = 0
        self._max_depth = max_depth
        self._open: list[_Container] = []

    def read(self) -> None:
        """Read the whole text.

        Raises:
            JSONTextError: The first mistake.
        """
        self._skip_space()
        if not self._peek():
            self._fail("EOF while parsing a value", self._at, "empty-file")
        self._read_value(())
        while self._open:
            self._read_member(self._open[-1])
        self._skip_space()
        if self._at < len(self.text):
            self._fail_here("a value", "trailing characters")

    def note_value(self, pointer: Pointer, offset: int) -> None:
        """Take notice of a value that starts here."""

    def note_key(self, pointer: Pointer, offset: int) -> None:
        """Take notice of a key that starts here."""

    def _read_member(self, container: _Container) -> None:
        """Read the next member of `container` as far as its value opens or ends, or read the closing bracket."""
        self._skip_space()
        comma = self._at
        if container.size and self._peek() == ",":
            self._at += 1
            self._skip_space()
            if self._peek() == container.closer:
                self._fail("trailing comma", comma, "trailing-comma")
        elif self._peek() == container.closer:
            self._at += 1
            self._open.pop()
            self._end_of_value = self._at
            return
        elif container.size:
            self._fail_here(container.name, f"expected `,` or `{container.closer}`", is_comma_missing=True)
        step = self._read_key(container) if container.is_object else container.size
        container.size += 1
        self._read_value((*container.pointer, step))

    def _read_key(self, container: _Container) -> str:
        start = self._at
        if self._peek() != '"':
            self._fail_here(container.name, "expected a key in double quotes")
        self._read_string()
        key: str = json.loads(self.text[start : self._at])
        if key in container.keys:
            self._fail(f"duplicate key {self.text[start : self._at]}", start, "duplicate-key")
        container.keys.add(key)
        self.note_key((*container.pointer, key), start)
        self._skip_space()
        if self._peek() != ":":
            self._fail_here(container.name, "expected `:`")
        self._at += 1
        return key

    def _read_value(self, pointer: Pointer) -> None:
        """Read a scalar, or the opening bracket of a container."""
        self._skip_space()
        self.note_value(pointer, self._at)
        character = self._peek()
        if character in ("{", "["):
            if len(self._open) == self._max_depth:
                self._fail(f"nested more than {self._max_depth} levels deep", self._at, "too-deep")
            self._open.append(_Container(pointer, is_object=character == "{", start=self._at))
            self._at += 1
        elif character == '"':
            self._read_string()
        elif match := _LITERAL.match(self.text, self._at):
            self._at = match.end()
        elif match := _NUMBER.match(self.text, self._at):
            self._read_number(match)
        else:
            self._fail_at_value()
        self._end_of_value = self._at

    def _read_string(self) -> None:
        start = self._at
        match = _STRING_BODY.match(self.text, start + 1)
        assert match is not None  # it matches the empty text
        self._at = match.end()
        mistake = self._peek()
        if mistake == "\\":
            if _HALF_SURROGATE.match(self.text, self._at):
                self._fail("lone surrogate in a string", self._at, "lone-surrogate")
            self._fail("invalid escape in a string", self._at)
        elif mistake in ("\n", "\r"):
            self._fail('line break in a string: close it with `"`, or spell the line break `\\n`', self._at)
        elif not mistake:
            self._fail_at_end("a string", start)
        elif mistake != '"':
            self._fail(f"control character in a string: spell it `\\u{ord(mistake):04x}`", self._at)
        self._at += 1

    def _read_number(self, match: re.Match[str]) -> None:
        end = match.end()
        if self.text[end : end + 1].isalnum() or self.text[end : end + 1] in (".", "_"):
            self._fail_in_number()
        if match[1] or match[2]:
            if abs(float(match[0])) == float("inf"):
                self._fail("number beyond a double", self._at, "big-number")
        else:
            try:
                parse_integer(match[0])
            except ValueError as error:
                self._fail(str(error), self._at, "big-integer")
        self._at = end

    def _fail_at_value(self) -> NoReturn:
        if match := _WORD.match(self.text, self._at):
            is_number = match[0].lstrip("-").lower() in _NO_NUMBERS
            self._fail(f"`{match[0]}` is not JSON", self._at, "not-a-number" if is_number else "invalid-json")
        if self._peek() == "-":
            self._fail_in_number()
        if self._peek() == "'":
            self._fail("expected double quotes around a string", self._at)
        self._fail_here("a value", "expected a value")

    def _fail_in_number(self) -> NoReturn:
        match = _NUMBER_TO_THE_MISTAKE.match(self.text, self._at)
        self._fail("invalid number", match.end() if match else self._at)

    def _fail_here(self, name: str, reason: str, *, is_comma_missing: bool = False) -> NoReturn:
        """Fail at a character that cannot stand here.

        Args:
            name: What is being parsed, should the text have ended.
            reason: What is wrong, if it is nothing that people are known to write.
            is_comma_missing: Whether a comma would have made it right, if a value or a key starts here: then the place
                to look at is where the comma belongs, which may be many lines above.
        """
        at_line_start = self.text[self._at - 1 : self._at] in ("", "\n")
        if not self._peek():
            self._fail_at_end(name, self._open[-1].start if self._open else 0)
        if at_line_start and _CONFLICT_MARKER.match(self.text, self._at):
            self._fail("merge conflict marker: resolve the conflict", self._at, "conflict-marker")
        if _COMMENT.match(self.text, self._at):
            self._fail("comment: JSON has none", self._at, "comment")
        if is_comma_missing and _STARTS_VALUE.match(self.text, self._at):
            self._fail(reason, self._end_of_value)
        if self._peek() in ("}", "]") and self._open:
            self._fail(reason, self._at, hint=f"{self._spell_opening(self._open[-1].start)} is still open")
        self._fail(reason, self._at)

    def _fail_at_end(self, name: str, opening: int) -> NoReturn:
        """Fail as the text ends in the middle of something; `opening` is where that, or what holds it, began."""
        is_open = self._open or name == "a string"
        hint = f"{self._spell_opening(opening)} is never closed" if is_open else ""
        self._fail(f"EOF while parsing {name}", self._at, hint=hint)

    def _spell_opening(self, offset: int) -> str:
        line, column = _place(self.text, offset)
        return f"the `{self.text[offset]}` at line {line} column {column}"

    def _fail(self, reason: str, offset: int, code: str = "invalid-json", *, hint: str = "") -> NoReturn:
        raise JSONTextError(reason, *_place(self.text, offset), code=code, hint=hint)

    def _peek(self) -> str:
        return self.text[self._at : self._at + 1]

    def _skip_space(self) -> None:
        match = _SPACE.match(self.text, self._at)
        assert match is not None  # it matches the empty text
        self._at = match.end()


class _Recorder(_Reader):
    """A reader that remembers the place of every value and key."""

    def __init__(self, text: str, max_depth: int) -> None:
        super().__init__(text, max_depth)
        self.values: dict[Pointer, Place] = {}
        self.keys: dict[Pointer, Place] = {}
        self._counted = 0
        """Up to where line ends have been counted."""
        self._line = 1
        self._line_start = 0

    def note_value(self, pointer: Pointer, offset: int) -> None:
        self.values[pointer] = self._count_to(offset)

    def note_key(self, pointer: Pointer, offset: int) -> None:
        self.keys[pointer] = self._count_to(offset)

    def _count_to(self, offset: int) -> Place:
        """Return the place of an offset, which is not before the last one asked for."""
        ends = self.text.count("\n", self._counted, offset)
        if ends:
            self._line += ends
            self._line_start = self.text.rindex("\n", self._counted, offset) + 1
        self._counted = offset
        return self._line, offset - self._line_start + 1
