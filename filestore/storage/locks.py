"""One writer per dataset: a fair queue among threads, then a file lock among processes."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from filestore.errors import LockTimeoutError

__all__ = ["WriterLock", "writer_lock"]

POLL_SECONDS = 0.002


class WriterLock:
    """The lock of one dataset. Holding it is the only proof that no other writer lives."""

    def __init__(self, path: str) -> None:
        from filelock import FileLock  # reads take no lock as a rule, and it is slow to load

        self._path = path
        self._guard = threading.Lock()
        self._is_held = False
        self._waiting: deque[threading.Lock] = deque()
        self._file = FileLock(path, thread_local=False, poll_interval=POLL_SECONDS)

    @contextmanager
    def hold(self, timeout: float) -> Iterator[None]:
        """Hold the lock.

        Args:
            timeout: Seconds to wait for other writers.

        Raises:
            LockTimeoutError: Others held it for longer.
            OSError: The lock file cannot be opened.
        """
        from filelock import Timeout

        deadline = time.monotonic() + timeout
        self._enter_queue(timeout)
        try:
            try:
                self._file.acquire(timeout=max(deadline - time.monotonic(), 0.0))
            except Timeout:
                raise self._timed_out(timeout) from None
            try:
                yield
            finally:
                self._file.release()
        finally:
            self._leave_queue()

    def _enter_queue(self, timeout: float) -> None:
        with self._guard:
            if not self._is_held:
                self._is_held = True
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=timeout):
            return
        with self._guard:
            if turn in self._waiting:
                self._waiting.remove(turn)
                raise self._timed_out(timeout)
        # The turn came between the timeout and the guard: it is ours after all.

    def _leave_queue(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_held = False

    def _timed_out(self, timeout: float) -> LockTimeoutError:
        return LockTimeoutError(f"Another writer held {self._path} for more than {timeout:g} s; try again")


_locks: dict[str, WriterLock] = {}
_locks_guard = threading.Lock()


def writer_lock(path: str) -> WriterLock:
    """Return the process's one lock object for a lock file."""
    with _locks_guard:
        return _locks.setdefault(path, WriterLock(path)) if path not in _locks else _locks[path]


def _forget_locks() -> None:
    """Start afresh in a forked child: the parent's threads, and their turns, are not there."""
    global _locks_guard
    _locks_guard = threading.Lock()
    _locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)
