"""The directories of one dataset that are watched, and what has come into doubt there."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, TypeVar

from filestore.ids import is_file_name
from filestore.storage.files import Disk
from filestore.storage.layout import INTERNAL, DatasetLayout

if TYPE_CHECKING:
    from filestore.storage.feed import ChangeFeed

__all__ = ["Doubts", "Watches"]

T = TypeVar("T")
_MOST_EVENTS = 20_000
"""So many that nobody has asked for are kept."""
_RETRY_SECONDS = 10.0
"""Where a watch could not be had, it is tried again only then."""
_SHARD_DIGITS = 2


@dataclass(slots=True)
class Doubts:
    """What may be otherwise than it was.

    Attributes:
        everything: Whether anything may be.
        names: Names in the dataset's directory whose file may have come, gone or changed.
        tombstones: Names in the shards of the tombstone index that may have come or gone.
        shards: Shards in which any may have.
        schemas: Whether a schema file may be.
    """

    everything: bool = False
    names: set[str] = field(default_factory=set)
    tombstones: set[str] = field(default_factory=set)
    shards: set[str] = field(default_factory=set)
    schemas: bool = False

    def __bool__(self) -> bool:
        return self.everything or self.schemas or bool(self.names or self.tombstones or self.shards)


_NO_DOUBTS = Doubts()


class Watches:
    """What the kernel tells of one dataset's directories.

    Args:
        layout: Where they lie.
        disk: The door to the disk.
        get_feed: Returns the store's feed, or None where there is none.
    """

    def __init__(self, layout: DatasetLayout, disk: Disk, get_feed: Callable[[], ChangeFeed | None]) -> None:
        self._layout = layout
        self._disk = disk
        self._get_feed = get_feed
        self._feed: ChangeFeed | None = None
        self._lock = threading.Lock()
        self._events: deque[tuple[str, str | None, bool]] = deque()
        self._watched: dict[str, int] = {}
        self._place: tuple[int, int] | None = None
        self._doubts = Doubts()
        self._has_internal_doubt = True
        self._recalled: tuple[Any] | None = None
        self._has_lost_events = False
        self._retry_at = 0.0

    @property
    def is_on(self) -> bool:
        """Whether every change is told."""
        return self._place is not None

    def start(self) -> bool:
        """Begin to tell every change from now on, which puts everything before in doubt; False where it cannot be."""
        with self._lock:
            if self.is_on:  # another thread was faster
                return True
            if self._retry_at > time.monotonic():
                return False
            self._feed = self._feed or self._get_feed()
            if self._feed is None or not self._watch_everything():
                self._stop()
                self._retry_at = time.monotonic() + _RETRY_SECONDS
            return self.is_on

    def _watch_everything(self) -> bool:
        """Watch all directories of the dataset, if its own is still the same afterwards."""
        paths = [self._layout.path, self._layout.schemas, f"{self._layout.root}/{INTERNAL}", self._layout.internal]
        with self._stopping_on_error():
            before = self._disk.check_directory(self._layout.path)
            if before is None or not (all(map(self._watch, paths)) and self._watch_tombstones()):
                return False
            after = self._disk.check_directory(self._layout.path)
            if after is None or (after.st_dev, after.st_ino) != (before.st_dev, before.st_ino):
                return False
            self._place = (before.st_dev, before.st_ino)
            self._doubts = Doubts(everything=True)
            # What was read before the watch is not told of: a change may have begun in between.
            self._recalled = None
            return True

    @contextmanager
    def _stopping_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:  # what could not be looked at stays in doubt
            self._stop()
            raise

    def close(self) -> None:
        """Stop, for good or until the next start."""
        with self._lock:
            self._stop()

    def look(self, directory: os.stat_result | None) -> None:
        """Take notice of all that has changed until now.

        Args:
            directory: The status of what lies at the dataset's path now: parents may have been moved, of which no
                watch tells.
        """
        if self._place is None:
            return
        if directory is None or (directory.st_dev, directory.st_ino) != self._place:
            self.close()
        else:
            self.drain()

    def drain(self) -> None:
        """Take notice of all that the kernel has told until now."""
        feed = self._feed
        if feed is None or self._place is None:
            return
        feed.drain()
        if self._events or self._has_lost_events:
            with self._lock, self._stopping_on_error():
                if self._has_lost_events:
                    self._stop()
                while self._events:
                    self._take_notice(*self._events.popleft())

    def take_doubts(self) -> Doubts:
        """Return what has come into doubt since it was asked last; whoever asks looks at all of it."""
        with self._lock:
            if not self.is_on:
                return Doubts(everything=True)
            if not self._doubts:
                return _NO_DOUBTS
            doubts, self._doubts = self._doubts, Doubts()
            return doubts

    def recall_internal(self, read: Callable[[], T]) -> T:
        """Return what `read` finds in the dataset's internal directory, from memory while nothing happens there.

        By the time it returns, all that had changed by the time of the reading has been taken notice of.
        """
        with self._lock:
            is_told = self.is_on and self._layout.internal in self._watched
            if self._recalled is not None and is_told and not self._has_internal_doubt:
                value: T = self._recalled[0]
                return value
            value = read()
            self._recalled = (value,)
            self._has_internal_doubt = False
        self.drain()
        return value

    def _watch(self, path: str) -> bool:
        """Watch a directory; one that is not there is nothing to watch, its parent tells when it comes.

        Where something else is in its place, there is no watching: whether that is a mistake is for the reads to say
        that need it.
        """
        assert self._feed is not None
        try:
            if self._disk.check_directory(path) is None:
                return True
            watch = self._feed.watch(path, self, is_internal=path == self._layout.internal)
            if watch is None:
                return self._disk.check_directory(path) is None
        except NotADirectoryError:
            return False
        self._watched[path] = watch
        return True

    def _watch_tombstones(self) -> bool:
        if not self._watch(self._layout.tombstones):
            return False
        # Only now: of a shard that comes later the watch tells.
        names = [name for name in self._disk.names(self._layout.tombstones) if len(name) == _SHARD_DIGITS]
        return all(self._watch_shard(name) for name in names)

    def _watch_shard(self, name: str) -> bool:
        self._doubts.shards.add(name)
        path = f"{self._layout.tombstones}/{name}"
        self._unwatch(path)
        return self._watch(path)

    def _unwatch(self, path: str) -> None:
        if path in self._watched and self._feed is not None:
            self._feed.unwatch(self._watched.pop(path), self)

    def _take_notice(self, path: str, name: str | None, is_write: bool) -> None:
        """Note what an event brings into doubt, and watch directories that it brings."""
        layout = self._layout
        is_watched = True
        if path == layout.internal and name is not None:
            self._has_internal_doubt = True
        elif path.startswith(layout.tombstones) and path != layout.tombstones:
            if name is None:
                is_watched = self._watch_shard(path[-_SHARD_DIGITS:])
            else:
                self._doubts.tombstones.add(name)
        elif name is None:
            is_watched = False
        elif path == layout.path:
            is_watched = self._take_notice_of_entry(name, is_write=is_write)
        elif path == layout.tombstones:
            is_watched = len(name) != _SHARD_DIGITS or self._watch_shard(name)
        elif path == layout.schemas:
            self._doubts.schemas = True
        else:
            self._has_internal_doubt = True
            is_watched = name != layout.directory or self._watch_again(layout.internal)
        if not is_watched:
            self._stop()

    def _take_notice_of_entry(self, name: str, *, is_write: bool) -> bool:
        path = f"{self._layout.path}/{name}"
        if path == self._layout.tombstones:
            for shard in [one for one in self._watched if one.startswith(f"{path}/")]:
                self._unwatch(shard)
            self._doubts.shards.update(f"{number:02x}" for number in range(256))
            self._unwatch(path)
            return self._watch_tombstones()
        if path == self._layout.schemas:
            self._doubts.schemas = True
            return self._watch_again(path)
        if name.endswith(".json"):
            self._doubts.names.add(name)
        if is_file_name(name):
            return True
        # A file may be written under its other name, and one without a name (O_TMPFILE) is called `#` and a number.
        status = self._disk.status(path)
        if status is None and is_write:  # unless it went afterwards, it may have been written under a name that is left
            return any((self._layout.path, name, False) == later for later in self._events)
        return not name.startswith("#") and (status is None or not S_ISREG(status.st_mode) or status.st_nlink == 1)

    def _watch_again(self, path: str) -> bool:
        self._unwatch(path)
        return self._watch(path)

    def _stop(self) -> None:
        for path in list(self._watched):
            self._unwatch(path)
        self._place = None
        self._events.clear()
        self._has_lost_events = False
        self._doubts = Doubts(everything=True)
        self._recalled = None

    def note(self, path: str, name: str | None, *, is_write: bool) -> None:
        """Keep an event until it is asked for; called by whichever thread drains, so that no lock may be taken here."""
        if len(self._events) < _MOST_EVENTS:
            self._events.append((path, name, is_write))
        else:  # nobody has asked for a long time
            self._has_lost_events = True
