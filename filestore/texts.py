"""Short texts that recur, held once."""

from __future__ import annotations

__all__ = ["shared"]

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
