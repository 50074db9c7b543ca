"""What was made of the texts used last: kept up to a number of characters, as texts of users have any size."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Recent"]

Made = TypeVar("Made")

_CHARACTERS_EACH = 100
"""What the shortest text counts for: whatever is made of it takes memory too."""


class Recent(Generic[Made]):
    """A function of a text that remembers its results, the last one always; safe to share among threads.

    Args:
        make: The function; what it raises is not remembered.
        most_characters: How many the texts of all results that are remembered have together.
        measure: What to count a result by instead of its text's characters.
    """

    def __init__(
        self,
        make: Callable[[str], Made],
        most_characters: int,
        measure: Callable[[str, Made], int] = lambda text, made: len(text),
    ) -> None:
        self._make = make
        self._measure = measure
        self._left = most_characters
        self._made: OrderedDict[str, Made] = OrderedDict()
        self._guard = threading.Lock()

    def __call__(self, text: str) -> Made:
        """Return what is made of a text, or was made of it before."""
        try:
            made = self._made[text]
            self._made.move_to_end(text)
        except KeyError:  # or another thread has just put it out
            made = self._make(text)
            self._remember(text, made)
        return made

    def _remember(self, text: str, made: Made) -> None:
        with self._guard:
            if text not in self._made:
                self._left -= self._size(text, made)
            self._made[text] = made
            while self._left < 0 and len(self._made) > 1:
                self._left += self._size(*self._made.popitem(last=False))

    def _size(self, text: str, made: Made) -> int:
        return _CHARACTERS_EACH + self._measure(text, made)
