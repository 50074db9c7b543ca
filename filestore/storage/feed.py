"""What changes in directories, told by the kernel: inotify(7), on file systems where it tells everything.

The kernel queues an event before the system call that caused it returns. So whatever ended before `drain` was called
has reached its listener when `drain` returns, and where nothing happened that costs one system call, however many files
are watched. Elsewhere (other platforms, network and FUSE mounts, no watches left) there is no feed, and files are
looked at one by one.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import termios
import threading
import weakref
from collections import deque
from functools import partial
from typing import Protocol

__all__ = ["ChangeFeed", "Listener", "open_feed"]


class Listener(Protocol):
    """Hears of events."""

    def note(self, path: str, name: str | None, *, is_write: bool) -> None:
        """Take notice of an event; called by whichever thread drains, so it must take no lock that is held then.

        Args:
            path: The directory, as it was given to `watch`.
            name: The name in it; None where anything may have happened.
            is_write: Whether it was written, and not that the name has come or gone.
        """


# <sys/inotify.h>
_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF = 0x400, 0x800
_UNMOUNT, _OVERFLOW, _IGNORED = 0x2000, 0x4000, 0x8000
_ONLYDIR, _DONT_FOLLOW = 0x1000000, 0x2000000
_WRITES = _MODIFY | _CLOSE_WRITE
_OWN_EVENTS = _MODIFY | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF
_EVENTS = _OWN_EVENTS | _ATTRIB | _CLOSE_WRITE  # chmod counts, and what was written through a mapping
_ABOUT_ALL = _DELETE_SELF | _MOVE_SELF | _UNMOUNT | _IGNORED
_HEAD = struct.Struct("iIII")

_COMPLETE = frozenset({0xEF53, 0x58465342, 0x9123683E, 0x01021994, 0x794C7630})
"""`f_type` of statfs(2) for ext2/3/4, xfs, btrfs, tmpfs and overlay: all their changes pass through this kernel.

(The layers of a mounted overlay must not be changed from elsewhere, and the upper one cannot be on a network.)"""


class ChangeFeed:
    """One queue of events, for any number of directories.

    Args:
        descriptor: An inotify descriptor, non-blocking; the feed owns it.
        libc: The C library.
    """

    def __init__(self, descriptor: int, libc: object) -> None:
        self._descriptor = descriptor
        self._libc = libc
        self._lock = threading.Lock()
        self._listeners: dict[int, list[tuple[str, weakref.ref[Listener]]]] = {}
        self._abandoned: deque[int] = deque()
        weakref.finalize(self, os.close, descriptor)

    def watch(self, path: str, listener: Listener, *, is_internal: bool = False) -> int | None:
        """Tell a listener of every event in a directory from now on; return what ends that, or None where it cannot be.

        Args:
            path: The directory; a link is not followed.
            listener: Whom to tell, while it lives.
            is_internal: Whether only the store's own writes in it count: these are told when they are made.
        """
        if not _is_complete(self._libc, path):
            return None
        with self._lock:
            self._end_abandoned()
            watch: int = self._libc.inotify_add_watch(  # type: ignore[attr-defined]  # a ctypes library
                self._descriptor, os.fsencode(path), (_OWN_EVENTS if is_internal else _EVENTS) | _ONLYDIR | _DONT_FOLLOW
            )
            if watch < 0:
                return None
            # A listener is freed at any moment, also while this thread holds the lock: that is only noted then.
            abandon = partial(_abandon, self._abandoned, watch)
            self._listeners.setdefault(watch, []).append((path, weakref.ref(listener, abandon)))
        return watch

    def unwatch(self, watch: int, listener: Listener) -> None:
        """End what `watch` began."""
        with self._lock:
            self._end(watch, listener)

    def _end(self, watch: int, listener: Listener | None) -> None:
        """Take a listener, and those that are freed, from a watch, and end it if there is no other."""
        others = [pair for pair in self._listeners.get(watch, []) if pair[1]() not in (listener, None)]
        if others:
            self._listeners[watch] = others
        elif self._listeners.pop(watch, None) is not None:
            self._libc.inotify_rm_watch(self._descriptor, watch)  # type: ignore[attr-defined]

    def _end_abandoned(self) -> None:
        while self._abandoned:
            self._end(self._abandoned.popleft(), None)

    def drain(self) -> None:
        """Hand every event that is queued by now to its listeners; of those that come meanwhile there may be no end."""
        with self._lock:  # also waits for another thread that has read events and not handed them on yet
            size = ctypes.c_int()
            fcntl.ioctl(self._descriptor, termios.FIONREAD, size)
            if size.value:
                try:
                    self._dispatch(os.read(self._descriptor, size.value))
                except BaseException:  # ^C, for one: what was read and not handed on is lost
                    self._tell_all()
                    raise
            self._end_abandoned()

    def _dispatch(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            watch, mask, _, size = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            # An event without a name is about the directory itself.
            name = os.fsdecode(data[at : at + size].rstrip(b"\0")) or None
            at += size
            if mask & _OVERFLOW:
                self._tell_all()
                continue
            for pair in self._listeners.get(watch, ()):
                _tell(pair, None if mask & _ABOUT_ALL else name, is_write=bool(mask & _WRITES))
            if mask & _IGNORED:  # the kernel has ended the watch, and may give its number away
                self._listeners.pop(watch, None)

    def _tell_all(self) -> None:
        for pairs in self._listeners.values():
            for pair in pairs:
                _tell(pair, None)


def _abandon(abandoned: deque[int], watch: int, _: object) -> None:
    abandoned.append(watch)


def _tell(pair: tuple[str, weakref.ref[Listener]], name: str | None, *, is_write: bool = False) -> None:
    path, reference = pair
    listener = reference()
    if listener is not None:
        listener.note(path, name, is_write=is_write)


_current: weakref.ref[ChangeFeed] | None = None
"""The process's one feed: a user has no more than 128 of them, for all programs."""


def open_feed() -> ChangeFeed | None:
    """Return the process's feed, or None where there is none to be had."""
    global _current
    feed = None if _current is None else _current()
    if feed is not None:
        return feed
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    except AttributeError:  # a C library without it
        return None
    if descriptor < 0:
        return None
    feed = ChangeFeed(descriptor, libc)
    _current = weakref.ref(feed)
    return feed


def _forget() -> None:
    """Leave the feed to the parent: its queue is shared, and whoever reads from it takes away."""
    global _current
    _current = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _is_complete(libc: object, path: str) -> bool:
    """Tell whether every change below a path raises an event, by the type of its file system."""
    # `f_type` comes first in `struct statfs`, as a word; the rest is just to be overwritten.
    status = (ctypes.c_long * 64)()
    if libc.statfs(os.fsencode(path), status) != 0:  # type: ignore[attr-defined]
        return False
    return status[0] & 0xFFFFFFFF in _COMPLETE
