"""How long schemas may take: they come from users, and a few hundred bytes of one can ask for years of work.

What counts is the time a processor spends in the thread, so that neither a busy machine nor a wait for a lock or the
disk turns a good request away.
"""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from collections.abc import Callable

from filestore.codec import JSONValue, pack
from filestore.errors import SchemaTimeoutError

__all__ = ["SECONDS", "SECONDS_PER_MIB", "limited", "seconds_left", "take_step"]

SECONDS = 10.0
"""For all that one request has compiled and judged."""
SECONDS_PER_MIB = 8.0
"""What each MiB of the values that are judged, and of schemas compiled for them, adds."""
_STEPS = 16
"""The clock is looked at once in so many steps of all threads together: a look takes longer than to count."""
_next_step = itertools.count(1).__next__


Owner = Callable[[], "limited | None"]
"""Returns the block that something belongs to, None where that is over, however it was left: by ^C anywhere in it."""
_NOBODY: Owner = lambda: None  # noqa: E731


class _Allowance:
    """What one thread has left; its slots are found faster than the attributes of a `local`."""

    __slots__ = ("charge", "left", "looked", "request", "schemas", "unmeasured")

    def __init__(self) -> None:
        self.request = _NOBODY
        """The outermost `limited` block around what the thread is doing."""
        self.charge = _NOBODY
        """The outermost `charged` block."""
        self.left = 0.0
        """Seconds for the `charged` blocks of the request, from the moment of `looked` on."""
        self.looked = 0.0
        """When the time was last taken, by the thread's own clock."""
        self.unmeasured: list[JSONValue] = []
        """What else there is time for. Its size is found out only when the time runs out."""
        self.schemas: set[str] = set()
        """The schemas among them: one that is forgotten and compiled again has no more time for it."""

    def begin(self, request: limited) -> None:
        self.end()
        self.left = SECONDS
        self.request = weakref.ref(request)

    def end(self) -> None:
        self.request = _NOBODY
        self.unmeasured.clear()
        self.schemas.clear()

    def take_time(self) -> None:
        now = time.thread_time()
        self.left -= now - self.looked
        self.looked = now


class _Thread(threading.local):
    def __init__(self) -> None:
        self.allowance = _Allowance()


_thread = _Thread()


class limited:
    """Make the work with schemas in a `with` block share the time of one request; the outermost such block counts."""

    __slots__ = ("__weakref__", "_allowance", "_is_request")

    def __init__(self) -> None:
        self._allowance = _thread.allowance
        self._is_request = self._allowance.request() is None

    def __enter__(self) -> None:
        if self._is_request:
            self._allowance.begin(self)

    def __exit__(self, *_: object) -> None:
        if self._is_request:
            self._allowance.end()


class charged(limited):
    """Take what is done in a `with` block off the time of the request it belongs to, or of a request of its own.

    Args:
        value: The value that is judged; a larger one has more time.
        schema: The text of the schema that is compiled, likewise.
    """

    __slots__ = ("_is_charge", "_schema", "_value")

    def __init__(self, value: JSONValue = None, *, schema: str | None = None) -> None:
        super().__init__()
        self._value = value
        self._schema = schema
        self._is_charge = self._allowance.charge() is None

    def __enter__(self) -> None:
        super().__enter__()
        allowance = self._allowance
        if self._is_charge:
            allowance.looked = time.thread_time()
            allowance.charge = weakref.ref(self)
        if self._schema is None:
            allowance.unmeasured.append(self._value)
        elif self._schema not in allowance.schemas:
            allowance.schemas.add(self._schema)
            allowance.unmeasured.append(self._schema)

    def __exit__(self, *error: object) -> None:
        allowance = self._allowance
        if self._is_charge:
            allowance.take_time()
            allowance.charge = _NOBODY
        super().__exit__(*error)


def seconds_left() -> float:
    """Return how long what goes on in a `with charged` block may still take.

    Raises:
        SchemaTimeoutError: No longer.
    """
    allowance = _thread.allowance
    if allowance.charge() is None:
        return SECONDS
    allowance.take_time()
    if allowance.left <= 0 and allowance.unmeasured:
        size = sum(len(pack(value)) for value in allowance.unmeasured)
        allowance.unmeasured.clear()
        allowance.left += SECONDS_PER_MIB * size / 2**20
    if allowance.left <= 0:
        raise SchemaTimeoutError("Checking this request against its JSON Schemas takes too long")
    return allowance.left


def take_step() -> None:
    """Count a step of the work; each takes some microseconds.

    Raises:
        SchemaTimeoutError: The time is over.
    """
    if not _next_step() % _STEPS:
        seconds_left()
