"""The operating system in front of a fault: the n-th call that a store makes of it is refused, cut short or the last.

It stands in for `os`, `fcntl` and the C library in the modules of the store that call them, and passes on every call
but the one that the fault befalls. Calls that change something and calls that only look are all counted, down to the
single `fstat` and `close`; what lies outside of the root is not.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import pytest

from filestore.storage import config_files, files, locks
from tests.proofs.faults import NEVER, Stopped

if sys.platform != "win32":
    import fcntl

__all__ = ["NOTHING", "Blow", "Manner", "System"]

T = TypeVar("T")
Manner = Literal["refused", "done", "short", "stopped"]
"""What befalls a call.

- `refused`: nothing is done, and an error comes back; a write is done by half before.
- `done`: all is done, and then an error comes back.
- `short`: a write is done by half, as its answer says, without an error. Other calls are not befallen.
- `stopped`: nothing is done any more, ever; a write is torn in the middle.
"""

_CHANGING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
"""Errors that meet changes alone; a full disk refuses no removal."""
_REMOVING = {"unlink", "rmdir"}


class Blow(NamedTuple):
    """What befalls the n-th call, of those that it can befall.

    Attributes:
        at: Which one, from 1.
        manner: What befalls it.
        code: The errno of the error that comes back.
        is_lasting: Whether each later call is refused, too.
    """

    at: int
    manner: Manner = "refused"
    code: int = errno.EIO
    is_lasting: bool = False

    def can_befall(self, name: str, *, changes: bool, opens: bool, by_path: bool) -> bool:
        """Tell whether a call may end like this at all."""
        if self.manner == "short":
            return name == "write"
        if self.manner == "stopped" or (self.manner == "done" and self.code == errno.EIO):
            return changes
        if self.code in _CHANGING:
            return changes and not (name in _REMOVING and self.code != errno.EROFS)
        if self.code == errno.EMFILE:
            return opens
        return by_path or self.code != errno.EACCES


NOTHING = Blow(NEVER)


class System:
    """The operating system as the store sees it.

    Args:
        root: What lies here and below is before the fault.
        blow: The fault.

    Attributes:
        struck: The path of the call that it befell first, from the root on; None until it does.
        count: How many calls there were that it can befall.
    """

    def __init__(self, root: Path, blow: Blow) -> None:
        self.struck: str | None = None
        self.count = 0
        self.synced: list[str] = []
        """Where the system was asked to make something durable, and did; `*` stands for everything."""
        self.unsynced: set[int] = set()
        """Inodes of files that the system refused to make durable: what is in them is lost, whatever it says later."""
        self._root = str(root)
        self._blow = blow
        self._is_over = False
        self._paths: dict[int, str] = {}
        self._writable: set[int] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    @contextmanager
    def installed(self) -> Iterator[System]:
        """Let the store meet this system."""
        with pytest.MonkeyPatch.context() as patch:
            for module in (files, locks, config_files):
                patch.setattr(module, "os", self)
            patch.setattr(locks, "fcntl", _Locks(self))
            patch.setattr(files, "_libc", lambda: self)
            yield self

    # --- the fault

    def call(
        self, name: str, path: str, act: Callable[[], T], *, changes: bool = False, opens: bool = False, by_path: bool
    ) -> T:
        """Make a call, unless the fault befalls it."""
        if not self._is_befallen(name, path, changes=changes, opens=opens, by_path=by_path):
            return act()
        if self._blow.manner == "stopped":
            self._is_over = True
            raise Stopped
        if self._blow.manner == "done" and self.count == self._blow.at:
            act()
        raise self._error(path, by_path=by_path)

    def _is_befallen(self, name: str, path: str, **kind: bool) -> bool:
        if self._is_over:
            raise Stopped
        if path != self._root and not path.startswith(f"{self._root}/"):
            return False
        if not self._blow.can_befall(name, **kind):
            return False
        self.count += 1
        is_befallen = self.count == self._blow.at or (self._blow.is_lasting and self.count > self._blow.at)
        if is_befallen and self.struck is None:
            self.struck = path.removeprefix(self._root)
        return is_befallen

    def _error(self, path: str, *, by_path: bool) -> OSError:
        """Return the error as Python makes it: that of a call by descriptor names no file."""
        code = self._blow.code
        return OSError(code, os.strerror(code), path) if by_path else OSError(code, os.strerror(code))

    # --- calls by path

    def lstat(self, path: str) -> os.stat_result:
        return self.call("lstat", path, lambda: os.lstat(path), by_path=True)

    def stat(self, path: str) -> os.stat_result:
        return self.call("stat", path, lambda: os.stat(path), by_path=True)

    def access(self, path: str, mode: int) -> bool:
        try:
            return self.call("access", path, lambda: os.access(path, mode), by_path=True)
        except OSError:  # as it answers whatever the error
            return False

    def listdir(self, path: str) -> list[str]:
        return self.call("listdir", path, lambda: os.listdir(path), opens=True, by_path=True)

    def scandir(self, path: str) -> Any:
        return self.call("scandir", path, lambda: os.scandir(path), opens=True, by_path=True)

    def mkdir(self, path: str, mode: int = 0o777) -> None:
        self.call("mkdir", path, lambda: os.mkdir(path, mode), changes=True, by_path=True)

    def replace(self, source: str, target: str) -> None:
        self.call("replace", target, lambda: os.replace(source, target), changes=True, by_path=True)

    def unlink(self, path: str) -> None:
        self.call("unlink", path, lambda: os.unlink(path), changes=True, by_path=True)

    def rmdir(self, path: str) -> None:
        self.call("rmdir", path, lambda: os.rmdir(path), changes=True, by_path=True)

    def open(self, path: str, flags: int, mode: int = 0o777) -> int:
        descriptors: list[int] = []

        def act() -> int:
            descriptors.append(os.open(path, flags, mode))
            return descriptors[0]

        try:
            descriptor = self.call("open", path, act, changes=bool(flags & os.O_CREAT), opens=True, by_path=True)
        except OSError:
            for one in descriptors:  # the caller knows of none
                os.close(one)
            raise
        self._paths[descriptor] = path
        if flags & (os.O_WRONLY | os.O_RDWR):
            self._writable.add(descriptor)
        return descriptor

    # --- calls by descriptor

    def fstat(self, descriptor: int) -> os.stat_result:
        return self.call("fstat", self._path(descriptor), lambda: os.fstat(descriptor), by_path=False)

    def read(self, descriptor: int, size: int) -> bytes:
        return self.call("read", self._path(descriptor), lambda: os.read(descriptor, size), by_path=False)

    def fchmod(self, descriptor: int, mode: int) -> None:
        act = lambda: os.fchmod(descriptor, mode)  # noqa: E731
        self.call("fchmod", self._path(descriptor), act, changes=True, by_path=False)

    def write(self, descriptor: int, data: bytes) -> int:
        path = self._path(descriptor)
        half = data[: len(data) // 2] if len(data) > 1 else data
        if self._blow.manner == "short":
            is_short = self._is_befallen("write", path, changes=True, opens=False, by_path=False)
            return os.write(descriptor, half if is_short else data)
        try:
            return self.call("write", path, lambda: os.write(descriptor, data), changes=True, by_path=False)
        except BaseException:
            if self.count == self._blow.at and self._blow.manner != "done":
                os.write(descriptor, half)
            raise

    def fsync(self, descriptor: int) -> None:
        """Answer at once: no power is lost here."""
        self._sync("fsync", descriptor)

    def syncfs(self, descriptor: int) -> int:
        """Answer as the C library does."""
        try:
            self._sync("syncfs", descriptor)
        except OSError as error:
            ctypes.set_errno(error.errno or 0)
            return -1
        return 0

    def _sync(self, name: str, descriptor: int) -> None:
        path = self._path(descriptor)
        try:
            self.call(name, path, lambda: None, changes=True, by_path=False)
        except OSError:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode):
                self.unsynced.add(status.st_ino)
            elif "/stage-" in path:
                self.unsynced.update(entry.inode() for entry in os.scandir(path))
            raise
        self.synced.append("*" if name == "syncfs" else path.removeprefix(self._root))

    def close(self, descriptor: int) -> None:
        """Close it in any case, as the kernel does before it answers."""
        path = self._paths.pop(descriptor, "")
        changes = self._blow.manner == "refused" and descriptor in self._writable
        self._writable.discard(descriptor)
        os.close(descriptor)
        if not self._is_over:
            self.call("close", path, lambda: None, changes=changes, by_path=False)

    def flock(self, descriptor: int, operation: int) -> None:
        """Take or give back a lock; a process that is gone has given it back."""
        if self._is_over and operation & fcntl.LOCK_UN:
            fcntl.flock(descriptor, operation)
        else:
            path = self._path(descriptor)
            self.call("flock", path, lambda: fcntl.flock(descriptor, operation), by_path=False)

    def _path(self, descriptor: int) -> str:
        return self._paths.get(descriptor, "")


class _Locks:
    """The module `fcntl` as the store sees it."""

    def __init__(self, system: System) -> None:
        self.flock = system.flock

    def __getattr__(self, name: str) -> Any:
        return getattr(fcntl, name)
