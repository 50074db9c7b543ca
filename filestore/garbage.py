"""The search for garbage, put off while many values are made that come to stay."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collected_later", "leave_behind"]


class _Collector:
    """Puts the search off for as long as any thread asks for that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._askers = 0
        self._was_enabled = False

    def put_off(self) -> None:
        with self._lock:
            if not self._askers:
                self._was_enabled = gc.isenabled()
                gc.disable()
            self._askers += 1

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
    _collector.put_off()
    try:
        yield
    finally:
        _collector.go_on()


def leave_behind() -> None:
    """Go on in a forked child: the threads that asked for peace are not there."""
    _collector.leave_behind()
