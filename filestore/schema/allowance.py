"""How long schemas may take: they come from users, and a few hundred bytes of one can ask for years of work.

What counts is the time a processor spends in the thread, so that neither a busy machine nor a wait for a lock or the
disk turns a good request away.
"""

from __future__ import annotations

import itertools
import threading
import time

from filestore.codec import JSONValue, pack
from filestore.errors import SchemaTimeoutError

__all__ = ["SECONDS", "SECONDS_PER_MIB", "limited", "seconds_left", "take_step"]

SECONDS = 10.0
"""For all that one request has compiled and judged."""
SECONDS_PER_MIB = 4.0
"""What each MiB of the values that are judged, and of schemas compiled for them, adds."""
_STEPS = 16
"""The clock is looked at once in so many steps of all threads together: a look takes longer than to count."""
_next_step = itertools.count(1).__next__


class _Allowance:
    """What one thread has left; its slots are found faster than the attributes of a `local`."""

    __slots__ = ("depth", "ends", "unmeasured")

    def __init__(self) -> None:
        self.depth = 0
        """How many `with` blocks there are around what the thread is doing."""
        self.ends = 0.0
        """When the time is over, by the thread's own clock."""
        self.unmeasured: list[JSONValue] = []
        """What else there is time for. Its size is found out only when the time runs out."""


class _Thread(threading.local):
    def __init__(self) -> None:
        self.allowance = _Allowance()


_thread = _Thread()


class limited:
    """Limit the time that schemas may take in a `with` block; inside of another one, that one's time goes on.

    Args:
        granted: What the time is for, a larger value having more: a schema to compile or a value to judge.
    """

    __slots__ = ("_allowance", "_granted")

    def __init__(self, *granted: JSONValue) -> None:
        self._granted = granted
        self._allowance = _thread.allowance

    def __enter__(self) -> None:
        allowance = self._allowance
        if not allowance.depth:
            allowance.ends = time.thread_time() + SECONDS
        allowance.depth += 1
        allowance.unmeasured += self._granted

    def __exit__(self, *_: object) -> None:
        allowance = self._allowance
        allowance.depth -= 1
        if not allowance.depth:
            allowance.unmeasured.clear()


def seconds_left() -> float:
    """Return how long what goes on in a `with limited` block may still take.

    Raises:
        SchemaTimeoutError: No longer.
    """
    allowance = _thread.allowance
    if not allowance.depth:
        return SECONDS
    left = allowance.ends - time.thread_time()
    if left <= 0 and allowance.unmeasured:
        size = sum(len(pack(value)) for value in allowance.unmeasured)
        allowance.unmeasured.clear()
        allowance.ends += SECONDS_PER_MIB * size / 2**20
        left = allowance.ends - time.thread_time()
    if left <= 0:
        raise SchemaTimeoutError("Checking this request against its JSON Schemas takes too long")
    return left


def take_step() -> None:
    """Count a step of the work; each takes some microseconds.

    Raises:
        SchemaTimeoutError: The time is over.
    """
    if not _next_step() % _STEPS:
        seconds_left()
