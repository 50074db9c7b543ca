"""How long to look again at what somebody else, an editor or git, is just writing.

git and many editors replace a file by removing and creating it; between the two its name is missing, and after it the
file is empty for a while. On a busy machine such a gap lasts as long as its process waits for its turn.
"""

from __future__ import annotations

import os
import time

__all__ = ["GAP_NS", "LONG_GAP_NS", "RECENT_NS", "Patience", "is_near", "is_recent", "is_settled"]

_SECONDS = 0.25
_FEWEST_LOOKS = 10
"""This process may lose its turn, too: time alone says nothing about how often it looked."""
_PAUSE_SECONDS = 0.002
GAP_NS = 60_000_000
"""In a directory that has not changed for so long, no name is on its way."""
LONG_GAP_NS = 250_000_000
"""The same, for those who would take away what a missing file needs."""
RECENT_NS = 1_000_000_000
"""What is missing or torn is waited for only where something changed within this time."""


class Patience:
    """The patience with one file or one directory."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._looks = 0

    def is_over(self) -> bool:
        """Tell, after a look, whether to take what it gave; if not, pause before the next."""
        self._looks += 1
        if self._looks >= _FEWEST_LOOKS and time.monotonic() - self._began > _SECONDS:
            return True
        time.sleep(_PAUSE_SECONDS)
        return False


def is_near(changed_ns: int, since_ns: int, span_ns: int) -> bool:
    """Tell whether something changed between a span before a moment and now, or a span from now.

    Args:
        changed_ns: When it changed.
        since_ns: The moment, before the look whose worth is asked for: this process may have lost its turn since.
        span_ns: The span, also ahead, for clocks that differ a little.
    """
    return since_ns - span_ns < changed_ns < time.time_ns() + span_ns


def is_settled(directory: os.stat_result, since_ns: int, gap_ns: int = GAP_NS) -> bool:
    """Tell whether the names in a directory are complete, as far as its age can tell.

    Args:
        directory: Its status.
        since_ns: A time before the look at its names.
        gap_ns: For how long a name may be gone that comes back.
    """
    return not is_near(directory.st_mtime_ns, since_ns, gap_ns)


def is_recent(status: os.stat_result | None, since_ns: int) -> bool:
    """Tell whether something is there and changed so lately that what it lacks may still come.

    Args:
        status: Its status.
        since_ns: A time before the look at what it lacks.
    """
    return status is not None and is_near(status.st_mtime_ns, since_ns, RECENT_NS)
