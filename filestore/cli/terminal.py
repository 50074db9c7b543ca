"""Text for terminals: how wide it is, how to shorten it, and what must never reach one."""

from __future__ import annotations

import re

__all__ = ["display_width", "escape_breaks", "escape_controls", "one_line", "shorten"]

_ELLIPSIS = "…"
_ZERO_WIDTH_JOINER = "\u200d"
# C0 controls but the newline, DEL, C1 controls, surrogates, and what turns the direction of the text around:
# nothing that is printable.
_UNSAFE = "[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"


def escape_controls(text: str) -> str:
    r"""Spell out the characters that a terminal would obey, newlines excepted.

    >>> print(escape_controls("red: \x1b[31m, ring: \a"))
    red: \x1b[31m, ring: \x07
    """
    return text if text.isprintable() else re.sub(_UNSAFE, _escape, text)


def escape_breaks(text: str) -> str:
    r"""Spell out newlines, too, for what is one line whatever is in it, such as a path.

    >>> print(escape_breaks("two  lines\nin a name.json"))
    two  lines\x0ain a name.json
    """
    return escape_controls(text).replace("\n", "\\x0a")


def one_line(text: str) -> str:
    r"""Return text on one line: white space becomes single spaces, controls are spelled out.

    >>> one_line("Dear  Ms. Lee,\n\n  thank you")
    'Dear Ms. Lee, thank you'
    """
    return escape_controls(" ".join(text.split()))


def display_width(text: str) -> int:
    """Return the number of terminal columns that text takes.

    >>> [display_width(text) for text in ("cafe", "cafe\u0301", "日本", "👍🏽")]
    [4, 4, 4, 4]
    """
    return len(text) if text.isascii() else sum(map(_character_width, text))


def shorten(text: str, width: int) -> str:
    """Cut text that is wider than `width` columns, and say so with an ellipsis.

    >>> shorten("evaluation", 10), shorten("evaluation", 6), shorten("日本語", 4)
    ('evaluation', 'evalu…', '日…')
    """
    if display_width(text) <= width:
        return text
    kept, used = [], 0
    for character in text:
        used += _character_width(character)
        if used > width - 1:
            break
        kept.append(character)
    return "".join(kept).rstrip(f" {_ZERO_WIDTH_JOINER}") + _ELLIPSIS


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _character_width(character: str) -> int:
    if character.isascii():
        return 1
    import unicodedata  # most text is ASCII

    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
