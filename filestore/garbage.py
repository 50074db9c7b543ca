"""The search for garbage, put off while many values are made that come to stay."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collected_later", "leave_behind"]


_MOST_ASKERS = 50
"""So many may ask one after the other before it is searched again: some thread or other may ask all the time."""


class _Collector:
    """Puts the search off while any thread asks for that, but not for long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._askers = 0
        self._was_enabled = False
        self._asked = 0

    def put_off(self) -> bool:
        """Put it off, unless that was done too often without a search; tell whether `go_on` has to follow."""
        with self._lock:
            if not self._askers:
                self._was_enabled = gc.isenabled()
                self._asked = 0
                gc.disable()
            elif self._asked > _MOST_ASKERS:
                return False
            self._asked += 1
            self._askers += 1
            return True

    def go_on(self) -> None:
        with self._lock:
            self._askers -= 1
            if not self._askers and self._was_enabled:
                gc.enable()

    def leave_behind(self) -> None:
        self._lock = threading.Lock()
        if self._askers and self._was_enabled:
            gc.enable()
        self._askers = 0


_collector = _Collector()


@contextmanager
def collected_later() -> Iterator[None]:
    """Search for no garbage meanwhile: among many new objects of which none is any, it would look over and over."""
    has_asked = _collector.put_off()
    try:
        yield
    finally:
        if has_asked:
            _collector.go_on()


def leave_behind() -> None:
    """Go on in a forked child: the threads that asked for peace are not there."""
    _collector.leave_behind()
