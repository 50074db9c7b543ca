r"""Patterns of schemas: ECMA 262 regular expressions, as upstream's engine reads them, on the `regex` package.

The dialect is ECMA 262 with the liberties that engine takes: a stray `]` or `}` and a `]` first in a class stand for
themselves; `(?P<name>…)`, `\A`, `\z`, `\pL`, possessive quantifiers and the flags `i` and `s`, leading or of a group,
are understood; `.` stops at a line feed only; `\b` knows the letters of all scripts. What it refuses is refused: `[]`,
`\0`, `\k<name>`, `[\b]`, halves of surrogate pairs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import regex

from filestore.errors import SchemaCompileError, SchemaTimeoutError
from filestore.schema.allowance import seconds_left, take_step
from filestore.schema.recent import Recent

__all__ = ["Pattern", "compile_pattern", "is_pattern"]

_UNNOTICED_SECONDS = 0.005
"""How long a search keeps Python's other threads waiting, which is how long each of them may have its turn anyway."""

MAX_SIZE = 200_000
"""How many atoms a pattern may have once its counted repeats are written out, as the engine does in memory."""

_MOST_TRANSLATED = 4 * 2**20
"""Characters of a translation: a class such as `\\S` has hundreds, and each takes a tenth of a microsecond or so."""

_MOST_SHOWN = 200
"""Characters of a pattern that an error quotes."""

Range = tuple[int, int]

_DIGITS: tuple[Range, ...] = ((0x30, 0x39),)
_WORD: tuple[Range, ...] = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACE: tuple[Range, ...] = (
    *((0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)),
    *((0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)),
)


def _spell(ranges: Iterable[Range]) -> str:
    return "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in ranges)


def _complement(ranges: Iterable[Range]) -> list[Range]:
    bounds = [-1, *(bound for pair in ranges for bound in pair), 0x110000]
    return [(low + 1, high - 1) for low, high in zip(bounds[::2], bounds[1::2], strict=True)]


# The insides of a character class.
_CLASSES = {
    name: inside
    for letter, ranges in (("d", _DIGITS), ("w", _WORD), ("s", _SPACE))
    for name, inside in ((letter, _spell(ranges)), (letter.upper(), _spell(_complement(ranges))))
}
_ASSERTIONS = {"b": r"\b", "B": r"\B", "A": r"\A", "z": r"\Z"}
_CONTROLS = {"t": 0x09, "n": 0x0A, "v": 0x0B, "f": 0x0C, "r": 0x0D}

_FLAGS = regex.compile(r"\(\?([is]+)\)")
_GROUP = regex.compile(r"\((?:\?(?::|=|!|<=|<!|[is]+:|-[is]+:|P?<(?P<name>[^\W\d]\w*)>)|(?!\?))")
_QUANTIFIER = regex.compile(r"(?:[*+?]|\{(?P<min>[0-9]{1,9})(?:,(?P<max>[0-9]{0,9}))?\})[?+]?")
_REFERENCE = regex.compile(r"[1-9][0-9]{0,2}")
_CODE_POINT = regex.compile(r"(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|[xuU]\{([0-9A-Fa-f]{1,8})\})")
_PROPERTY = regex.compile(r"[pP](?:[A-Z]|\{\^?\w+(?:=\w+)?\})", regex.ASCII)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern."""

    text: str
    compiled: regex.Pattern[str]

    def search(self, text: str) -> bool:
        """Tell whether the pattern occurs anywhere in `text`.

        Raises:
            SchemaTimeoutError: When that takes too long: backtracking can outlast the universe.
        """
        take_step()
        try:
            return self.compiled.search(text, timeout=_UNNOTICED_SECONDS, concurrent=False) is not None
        except TimeoutError:
            return self._search_beside_others(text)
        except MemoryError:
            raise self._refused("too much memory") from None

    def _search_beside_others(self, text: str) -> bool:
        # Not so from the start: it costs more than an ordinary search, and who lets go of the interpreter for some
        # microseconds at a time, over and over, has it back before another thread is awake.
        try:
            return self.compiled.search(text, timeout=seconds_left(), concurrent=True) is not None
        except TimeoutError:
            raise self._refused("too long") from None
        except MemoryError:
            raise self._refused("too much memory") from None

    def _refused(self, reason: str) -> SchemaTimeoutError:
        shown = self.text if len(self.text) <= _MOST_SHOWN else f"{self.text[:_MOST_SHOWN]}…"
        return SchemaTimeoutError(f'The pattern "{shown}" takes {reason} on a text of the value')


def compile_pattern(text: str) -> Pattern:
    r"""Compile a pattern, or return what it was compiled to before.

    >>> compile_pattern(r"^\d+$").search("42"), compile_pattern(r"^\d+$").search("42\n")
    (True, False)

    Raises:
        SchemaCompileError: When it is none.
    """
    return _recent(text)


def is_pattern(text: str) -> bool:
    """Tell whether `text` is a pattern.

    >>> is_pattern("^a+$"), is_pattern("(")
    (True, False)
    """
    try:
        compile_pattern(text)
    except SchemaCompileError:
        return False
    return True


@dataclass(slots=True)
class _Translation:
    """One pass over a pattern that spells it anew for the `regex` package; ValueError where it is none."""

    text: str
    position: int = 0
    flags: int = 0
    repeatable: bool = False
    """Whether a quantifier may come next."""
    open_groups: list[bool] = field(default_factory=list)
    """For each open group, whether it may be repeated: a look-around may not."""
    sizes: list[int] = field(default_factory=lambda: [0])
    """How many atoms stand in the pattern so far, and in each open group."""
    size: int = 0
    """How many atoms stand in the last term, which a quantifier would repeat."""
    captures: int = 0
    names: set[str] = field(default_factory=set)

    def translate(self) -> str:
        if flags := self._take(_FLAGS):
            self.flags = regex.IGNORECASE * ("i" in flags[1]) | regex.DOTALL * ("s" in flags[1])
        parts = []
        while self.position < len(self.text):
            parts.append(self._part())
        if self.open_groups:
            raise ValueError("a group is not closed")
        return "".join(parts)

    def _take(self, construct: regex.Pattern[str]) -> regex.Match[str] | None:
        match = construct.match(self.text, self.position)
        if match is not None:
            self.position = match.end()
        return match

    def _take_character(self) -> str:
        if self.position == len(self.text):
            raise ValueError("the pattern ends too early")
        self.position += 1
        return self.text[self.position - 1]

    def _part(self) -> str:
        match self.text[self.position]:
            case "*" | "+" | "?" | "{":
                return self._quantifier()
            case "(":
                return self._open_group()
        character = self._take_character()
        self.repeatable = character not in "^$|"
        if character != ")":
            self._count(1)
        match character:
            case ")":
                return self._close_group()
            case "[":
                return self._class()
            case "\\":
                return self._escape()
            case "$":
                return r"\Z"
            case "^" | "|" | ".":
                return character
        return regex.escape(character)

    def _quantifier(self) -> str:
        quantifier = self._take(_QUANTIFIER)
        if quantifier is None or not self.repeatable:
            raise ValueError("nothing to repeat, or no quantifier")
        self.repeatable = False
        self._count(self.size * (int(quantifier["max"] or quantifier["min"] or 1) - 1))
        return quantifier[0]

    def _count(self, atoms: int) -> None:
        self.size = atoms
        self.sizes[-1] += atoms
        if self.sizes[-1] > MAX_SIZE:
            raise ValueError("too large")

    def _open_group(self) -> str:
        group = self._take(_GROUP)
        if group is None:
            raise ValueError("no kind of group")
        self.repeatable = False
        self.open_groups.append(group[0][-1] not in "=!")
        self.sizes.append(0)
        name = group["name"]
        self.captures += name is not None or group[0] == "("
        if name in self.names:
            raise ValueError("two groups of one name")
        if name is None:
            return group[0]
        self.names.add(name)
        return f"(?P<{name}>"

    def _close_group(self) -> str:
        if not self.open_groups:
            raise ValueError("no group is open")
        self.repeatable = self.open_groups.pop()
        self._count(self.sizes.pop())
        return ")"

    def _escape(self) -> str:
        if reference := self._take(_REFERENCE):
            if int(reference[0]) > self.captures:
                raise ValueError("no such group")
            return f"(?:\\{reference[0]})"
        if self.text[self.position : self.position + 1] in tuple(_ASSERTIONS):
            self.repeatable = False
            return _ASSERTIONS[self._take_character()]
        escaped = self._class_escape()
        return f"[{escaped}]" if isinstance(escaped, str) else regex.escape(chr(escaped))

    def _class(self) -> str:
        """Translate a class whose opening bracket is taken. A `]` or `[` first, or a `[` anywhere, is a literal."""
        out = ["["]
        if self.text[self.position : self.position + 1] == "^":
            self.position += 1
            out.append("^")
        first = self.position
        while self.position == first or self.text[self.position : self.position + 1] != "]":
            low = self._class_atom()
            if self.text[self.position : self.position + 1] != "-" or self.text[self.position + 1 :][:1] == "]":
                out.append(_spell([(low, low)]) if isinstance(low, int) else low)
                continue
            self.position += 1
            high = self._class_atom()
            if isinstance(low, str) or isinstance(high, str) or low > high:
                raise ValueError("no range of characters")
            out.append(_spell([(low, high)]))
        self.position += 1
        return "".join([*out, "]"])

    def _class_atom(self) -> int | str:
        character = self._take_character()
        return self._class_escape() if character == "\\" else ord(character)

    def _class_escape(self) -> int | str:
        """Translate an escape whose backslash is taken into a code point, or into the insides of a class."""
        if code := self._take(_CODE_POINT):
            return _check_code_point(int(code[code.lastindex or 0], 16))
        if unicode_property := self._take(_PROPERTY):
            return f"\\{unicode_property[0]}"
        character = self._take_character()
        if character in _CLASSES:
            return _CLASSES[character]
        if character in _CONTROLS:
            return _CONTROLS[character]
        if character == "c" and (letter := self._take_character()).isascii() and letter.isalpha():
            return ord(letter) % 32
        if character.isascii() and not character.isalnum():
            return ord(character)
        raise ValueError("no such escape")


def _check_code_point(code: int) -> int:
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise ValueError("no character")
    return code


def _compile(text: str) -> Pattern:
    seconds_left()  # every time, as the largest takes seconds
    translation = _Translation(text)
    try:
        translated = translation.translate()
        if len(translated) > _MOST_TRANSLATED:
            raise ValueError("too large")
        return Pattern(text, regex.compile(translated, translation.flags | regex.VERSION0, cache_pattern=False))
    except (ValueError, OverflowError, RecursionError, regex.error):
        raise SchemaCompileError(f'"{text}" is not a "regex"') from None


def _measure(text: str, pattern: Pattern) -> int:
    return len(text) + len(pattern.compiled.pattern) // 8


_MOST_CHARACTERS = 2 * 2**20
"""Of the patterns that are kept, which take up to 120 bytes for each, and for each 8 of their translations."""
_recent = Recent(_compile, _MOST_CHARACTERS, _measure)
