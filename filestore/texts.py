"""Short texts: those that recur, held once, and numbers of things."""

from __future__ import annotations

__all__ = ["counted", "shared"]

_MOST_TEXTS = 10_000
_LONGEST = 64

_texts: dict[str, str] = {}


def shared(text: str) -> str:
    """Return an equal text that others have too, if there is one.

    Not `sys.intern`: from Python 3.12 on, what that is given is never freed.

    >>> shared("".join(["te", "st"])) is shared("".join(["tes", "t"]))
    True
    """
    found = _texts.get(text)
    if found is not None:
        return found
    if len(text) <= _LONGEST:
        if len(_texts) >= _MOST_TEXTS:
            _texts.clear()
        _texts[text] = text
    return text


def counted(number: int, noun: str) -> str:
    """Return a number of things, whose plural ends in `s`.

    >>> counted(1, "file"), counted(2000, "file")
    ('1 file', '2,000 files')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
