"""The one door to the disk: every read, write, rename and sync of the store passes here.

Errors of the operating system come out as they are (`OSError`); rooms above give them words.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from filestore.storage.patience import is_near

if TYPE_CHECKING:
    import ctypes
    from types import TracebackType

__all__ = ["MOST_BYTES", "YOUNG_NS", "Disk", "LinkError", "Signature", "is_young", "signature"]

Signature = tuple[int, int, int, int]
"""Inode, size, mtime and ctime (nanoseconds) of a file: what tells one state of it from the next."""

YOUNG_NS = 20_000_000
"""A directory changed less than this ago may change again without a new mtime (clock ticks of up to 10 ms)."""

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_READING = os.O_RDONLY | _NOFOLLOW | _BINARY | _NONBLOCK
_USUAL_BYTES = 1 << 15
MOST_BYTES = 1 << 29
"""Of a file that is read whole: five times as much as a request brings. A file of holes takes no space on the disk."""
_SYNCFS_FROM = 3
"""From this many files on, one `syncfs` is cheaper than an fsync for each and one for their directory."""


def signature(status: os.stat_result) -> Signature:
    """Return what tells this state of a file from the next."""
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def is_young(status: os.stat_result, since_ns: int) -> bool:
    """Tell whether something changed so lately that one more change might leave the same times.

    Args:
        status: Its status.
        since_ns: A time before the status was taken.
    """
    return any(is_near(changed, since_ns, YOUNG_NS) for changed in (status.st_mtime_ns, status.st_ctime_ns))


_IS_LINK = "it is a symbolic link, which is not followed"


class LinkError(NotADirectoryError):
    """A symbolic link is in the place of a directory."""


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system, with or without durability.

    Attributes:
        durable: Whether `sync_*` and `write_new` make things survive power loss, or do nothing to that end.
    """

    durable: bool = True

    # --- reading

    def status(self, path: str) -> os.stat_result | None:
        """Return the status of what lies at `path`, a link itself included, or None where nothing does."""
        try:
            return os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def is_free(self, path: str) -> bool:
        """Tell whether nothing lies at `path`, for less than `status`; a link that leads nowhere is nothing here."""
        return not os.access(path, os.F_OK)

    def check_directory(self, path: str) -> os.stat_result | None:
        """Return the status of a directory, or None where there is none.

        Raises:
            NotADirectoryError: A file is in the way, or as `LinkError` a link; links are never followed.
            OSError: The file system refuses.
        """
        status = self.status(path)
        if status is None or stat.S_ISDIR(status.st_mode):
            return status
        if stat.S_ISLNK(status.st_mode):
            raise LinkError(errno.ENOTDIR, _IS_LINK, path)
        raise NotADirectoryError(errno.ENOTDIR, "it is not a directory", path)

    def names(self, path: str) -> list[str]:
        """Return the names in a directory, in no order; none where there is no directory."""
        try:
            return os.listdir(path)
        except FileNotFoundError:
            return []

    def iter_names(self, path: str) -> Iterator[str]:
        """Iterate over the names in a directory as `names` returns them, without holding all of them."""
        try:
            entries = os.scandir(path)
        except FileNotFoundError:
            return
        with entries:
            for entry in entries:
                yield entry.name

    def read(self, path: str) -> tuple[bytes, os.stat_result]:
        """Return the bytes of a regular file and the status it had when it was opened.

        Raises:
            OSError: It is missing, unreadable, a link, or no regular file.
        """
        with _Opened(path, _READING) as descriptor:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file", path)
            if status.st_size > MOST_BYTES:
                raise _too_large(path)
            data = os.read(descriptor, status.st_size + 1)
            if len(data) != status.st_size:  # it is growing, or larger than one read
                data += _read_rest(descriptor, path)
            return data, status

    def read_unchecked(self, path: str) -> bytes:
        """Return the bytes of a file for the least that it can cost; `read` tells what is wrong where they are none.

        Raises:
            OSError: It is missing, unreadable, or a link.
        """
        descriptor = os.open(path, _READING)
        try:
            data = os.read(descriptor, _USUAL_BYTES)
            return data if len(data) < _USUAL_BYTES else data + _read_rest(descriptor, path)
        finally:
            os.close(descriptor)

    # --- writing

    def make_directory(self, path: str) -> bool:
        """Make a directory whose parent exists; tell whether it is new.

        Raises:
            OSError: A link or a file is in the way, or the file system refuses.
        """
        if self.check_directory(path) is not None:  # nearly always: this costs less than to be refused
            return False
        try:
            os.mkdir(path)
        except FileExistsError:  # another process was faster
            self.check_directory(path)
            return False
        return True

    def make_directories(self, path: str) -> list[str]:
        """Make a directory and the parents it lacks; return the directories that gained one.

        Raises:
            OSError: A file is in the way, or the file system refuses.
        """
        missing = []
        while self.status(path) is None:
            missing.append(path)
            path = os.path.dirname(path)
        return [os.path.dirname(one) for one in reversed(missing) if self.make_directory(one)]

    def write_new(self, path: str, data: bytes, mode: int | None = None, *, sync: bool = False) -> None:
        """Write a file that must not exist yet.

        Args:
            path: Where.
            data: The bytes.
            mode: Permission bits to give it, or None for what the umask leaves.
            sync: Whether to make its content durable before returning.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _BINARY
        with _Opened(path, flags, 0o666 if mode is None else mode & 0o600) as descriptor:
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(descriptor, mode)
            _write_all(descriptor, data)
            if sync and self.durable:
                _sync_descriptor(descriptor)

    def write_all_new(self, directories: Sequence[str], files: Mapping[str, bytes], modes: Mapping[str, int]) -> None:
        """Write files that must not exist yet and make their content and names durable, once for all.

        Args:
            directories: Those whose names are to be made durable, the files' own among them; on one file system.
            files: Path to bytes.
            modes: Permission bits for those that must not get what the umask leaves.
        """
        if not (self.durable and sys.platform == "linux" and len(files) >= _SYNCFS_FROM):
            for path, data in files.items():
                self.write_new(path, data, modes.get(path), sync=True)
            self.sync_directories(directories)
            return
        # Opened before the writes, so that it reports their errors.
        with _Opened(directories[0], os.O_RDONLY | os.O_DIRECTORY) as watched:
            for path, data in files.items():
                self.write_new(path, data, modes.get(path))
            _sync_file_system(watched)

    def sync_file(self, path: str) -> None:
        """Make the content of a file durable, and that it exists."""
        if self.durable:
            self._sync(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)

    def sync_all(self, directories: Sequence[str], files: Sequence[str]) -> None:
        """Make files that are there already, and their names, durable, once for all where there are many.

        Args:
            directories: Those whose names are to be made durable, the files' own among them; on one file system.
            files: Their paths.
        """
        if self.durable and sys.platform == "linux" and len(files) >= _SYNCFS_FROM:
            self._sync(directories[0], os.O_RDONLY | os.O_DIRECTORY, everything=True)
            return
        for path in files:
            self.sync_file(path)
        self.sync_directories(directories)

    def overwrite(self, path: str, data: bytes) -> None:
        """Write a few bytes at the start of a file in one call, making it where it is missing; never durable."""
        with _Opened(path, os.O_WRONLY | os.O_CREAT | _NOFOLLOW | _BINARY | _NONBLOCK, 0o666) as descriptor:
            _write_all(descriptor, data)

    def append(self, path: str, data: bytes) -> None:
        """Append to a file, making it where it is missing."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | _NOFOLLOW | _BINARY | _NONBLOCK
        with _Opened(path, flags, 0o666) as descriptor:
            _write_all(descriptor, data)

    def rename(self, source: str, target: str) -> None:
        """Rename, replacing what `target` names."""
        if sys.platform != "win32":
            os.replace(source, target)
            return
        deadline = time.monotonic() + 2.0  # a reader that holds the target open makes Windows refuse for a moment
        while True:
            try:
                os.replace(source, target)
                return
            except PermissionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)

    def remove(self, path: str) -> None:
        """Remove a file; nothing happens where there is none."""
        with suppress(FileNotFoundError):
            os.unlink(path)

    def remove_tree(self, path: str) -> None:
        """Remove a file, a link or a directory with the files and directories in it, following no link."""
        status = self.status(path)
        if status is None:
            return
        if not stat.S_ISDIR(status.st_mode):
            self.remove(path)
            return
        with os.scandir(path) as entries:
            children = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for child, is_directory in children:
            if is_directory:
                self.remove_tree(child)
            else:
                self.remove(child)
        os.rmdir(path)

    def sync_directories(self, paths: Iterable[str]) -> None:
        """Make the names in directories of one file system durable, as far as they are still there."""
        if not self.durable or sys.platform == "win32":
            return
        unique = list(dict.fromkeys(paths))
        one_sync = sys.platform == "linux" and len(unique) >= _SYNCFS_FROM
        for path in unique:
            try:
                self._sync(path, os.O_RDONLY | os.O_DIRECTORY, everything=one_sync)
            except FileNotFoundError:  # git removes a directory with the last file in it
                continue
            if one_sync:
                return

    @staticmethod
    def _sync(path: str, flags: int, *, everything: bool = False) -> None:
        with _Opened(path, flags | _NOFOLLOW | _BINARY) as descriptor:
            if everything:
                _sync_file_system(descriptor)
            else:
                _sync_descriptor(descriptor)


class _Opened:
    """A file or directory, open for a while; errors name it, as those of calls by descriptor do not by themselves."""

    __slots__ = ("_descriptor", "_flags", "_mode", "_path")

    def __init__(self, path: str, flags: int, mode: int = 0o777) -> None:
        self._path = path
        self._flags = flags
        self._mode = mode

    def __enter__(self) -> int:
        try:
            self._descriptor = os.open(self._path, self._flags, self._mode)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise OSError(errno.ELOOP, _IS_LINK, self._path) from None
            raise
        return self._descriptor

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            os.close(self._descriptor)
        except OSError as failure:
            if error is None:
                raise OSError(failure.errno, failure.strerror, self._path) from None
        if isinstance(error, OSError) and error.filename is None:
            error.filename = self._path


def _too_large(path: str) -> OSError:
    return OSError(errno.EFBIG, f"it is larger than {MOST_BYTES >> 20} MiB", path)


def _read_rest(descriptor: int, path: str) -> bytes:
    parts = []
    size = 0
    while data := os.read(descriptor, 1 << 20):
        parts.append(data)
        size += len(data)
        if size > MOST_BYTES:
            raise _too_large(path)
    return b"".join(parts)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_descriptor(descriptor: int) -> None:
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # fsync alone leaves the data in the drive's cache there
    else:
        os.fsync(descriptor)


def _sync_file_system(descriptor: int) -> None:
    import ctypes

    if _libc().syncfs(descriptor) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


@cache
def _libc() -> ctypes.CDLL:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)
