"""One writer per dataset: a fair queue among threads, then a file lock among processes."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from filestore.errors import LockTimeoutError

if sys.platform != "win32":
    import fcntl
if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["WriterLock", "writer_lock"]

POLL_SECONDS = 0.002


class _FileLock:
    """The lock on a file that one process holds: flock(2) on POSIX, as filelock takes it, and filelock elsewhere.

    The file is locked as filelock locks it, so that processes that use filelock are kept out, and no link is followed;
    its own bookkeeping costs as much as the whole rest of a small write.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._portable: BaseFileLock | None = None

    def acquire(self, timeout: float) -> bool:
        """Take the lock, waiting for so many seconds at most; tell whether it is ours.

        Raises:
            OSError: The file cannot be opened, or the file system knows no locks.
        """
        if sys.platform == "win32":
            return self._acquire_portably(timeout)
        deadline = time.monotonic() + timeout
        while True:
            try:
                if self._try():
                    return True
            except OSError as error:
                if error.errno != errno.ENOSYS:
                    error.filename = self._path
                    raise
                return self._acquire_portably(timeout)
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return False
            time.sleep(min(POLL_SECONDS, remaining))

    def release(self) -> None:
        """Give the lock back."""
        if self._portable is not None:
            self._portable.release()
        elif self._descriptor is not None and sys.platform != "win32":
            # What was done under the lock is done, whatever the system says of giving it back. Closing alone would not
            # do where a child that was forked meanwhile shares the lock.
            with suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            with suppress(OSError):
                self.close()

    def close(self) -> None:
        """Close the file without giving up the lock of the process that opened it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _try(self) -> bool:
        if sys.platform == "win32":
            return False
        with _opening:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        is_held = False
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_held = os.fstat(self._descriptor).st_nlink > 0  # else somebody has removed it in between
        except (BlockingIOError, PermissionError):  # both say that another process has it
            pass
        finally:
            if not is_held:
                self.close()
        return is_held

    def _acquire_portably(self, timeout: float) -> bool:
        from filelock import FileLock, Timeout

        if self._portable is None:
            self._portable = FileLock(self._path, thread_local=False, poll_interval=POLL_SECONDS)
        try:
            self._portable.acquire(timeout=timeout)
        except Timeout:
            return False
        return True


class WriterLock:
    """The lock of one dataset. Holding it is the only proof that no other writer lives."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._guard = threading.Lock()
        self._holder: threading.Lock | None = None
        self._waiting: deque[threading.Lock] = deque()
        self._file = _FileLock(path)

    @contextmanager
    def hold(self, timeout: float) -> Iterator[None]:
        """Hold the lock.

        Args:
            timeout: Seconds to wait for other writers.

        Raises:
            LockTimeoutError: Others held it for longer.
            OSError: The lock file cannot be opened.
        """
        deadline = time.monotonic() + timeout
        turn = threading.Lock()
        turn.acquire()
        try:  # from here on, as ^C may come at any time
            self._wait_for(turn, timeout)
            if not self._file.acquire(max(deadline - time.monotonic(), 0.0)):
                raise self._timed_out(timeout)
            try:
                yield
            finally:
                self._file.release()
        finally:
            self._leave(turn)

    def forget(self) -> None:
        """Have no part any more in the lock of the process that this one was forked from."""
        self._file.close()

    def _wait_for(self, turn: threading.Lock, timeout: float) -> None:
        with self._guard:
            if self._holder is None:
                self._holder = turn
                return
            self._waiting.append(turn)
        if not turn.acquire(timeout=timeout) and self._holder is not turn:  # it may come with the timeout
            raise self._timed_out(timeout)

    def _leave(self, turn: threading.Lock) -> None:
        """Pass the turn on, or wait for it no longer, whichever it is."""
        with self._guard:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif self._holder is turn:
                self._holder = self._waiting.popleft() if self._waiting else None
                if self._holder is not None:
                    self._holder.release()

    def _timed_out(self, timeout: float) -> LockTimeoutError:
        return LockTimeoutError(f"Another writer held {self._path} for more than {timeout:g} s; try again")


_locks: dict[str, WriterLock] = {}
_locks_guard = threading.Lock()
_opening = threading.RLock()
"""Held while a lock file is opened, and during a fork: each child then knows what it has inherited."""


def writer_lock(path: str) -> WriterLock:
    """Return the process's one lock object for a lock file."""
    with _locks_guard:
        return _locks.setdefault(path, WriterLock(path)) if path not in _locks else _locks[path]


def _forget_locks() -> None:
    """Start afresh in a forked child: the parent's threads, and their turns, are not there."""
    global _locks_guard, _opening
    _locks_guard, _opening = threading.Lock(), threading.RLock()
    for lock in _locks.values():
        lock.forget()
    _locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _opening.acquire(), after_in_parent=lambda: _opening.release(), after_in_child=_forget_locks
    )
