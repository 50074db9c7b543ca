"""How long to look again at what somebody else, an editor or git, is just writing."""

from __future__ import annotations

import time

__all__ = ["Patience"]

_SECONDS = 0.25
_SECONDS_FOR_MISSING = 1.0
_FEWEST_LOOKS = 10
"""On a busy machine this process loses its turn, too: time alone says nothing about how often it looked."""
_PAUSE_SECONDS = 0.002


class Patience:
    """The patience with one file or one directory."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._looks = 0

    def is_over(self, *, is_missed: bool = False) -> bool:
        """Tell, after a look, whether to take what it gave; if not, pause before the next.

        Args:
            is_missed: Whether something is missing that was there before, which is waited for longer.
        """
        self._looks += 1
        limit = _SECONDS_FOR_MISSING if is_missed else _SECONDS
        if self._looks >= _FEWEST_LOOKS and time.monotonic() - self._began > limit:
            return True
        time.sleep(_PAUSE_SECONDS)
        return False
