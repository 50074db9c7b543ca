"""One dataset directory: reads that see whole changes alone, and the one funnel of every write."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, TypeVar

from filestore.errors import DatasetNameError, FilestoreError, LockTimeoutError, RecoveryNeededError, StorageError
from filestore.storage.change import Change, Pending
from filestore.storage.clashes import creation_lock, holds_json, refuse_clash
from filestore.storage.files import Disk
from filestore.storage.ignoring import ignore_internal
from filestore.storage.index import DatasetIndex, TextBudget
from filestore.storage.journal import ChangedMeanwhileError, Journal
from filestore.storage.layout import INTERNAL, DatasetLayout
from filestore.storage.locks import writer_lock
from filestore.storage.recovery import Decision, Recovery
from filestore.storage.sequence import Sequence
from filestore.storage.view import DatasetView

if TYPE_CHECKING:
    from types import TracebackType

    from filestore.storage.feed import ChangeFeed

__all__ = ["Dataset", "Shared"]

T = TypeVar("T")
_READ_PAUSES = (0.0005, 0.002, 0.008)
_MAX_RESTARTS = 20


class Shared:
    """What the datasets of one store share; it knows none of them, so a store is freed as soon as it is dropped.

    Args:
        root: The store's root.
        watch: Whether to let the kernel tell what changes, where it can.

    Attributes:
        device: The file system that the root was on when it was last looked at, None where there was no root yet.
        budget: What may be kept of texts.
    """

    def __init__(self, root: str, *, watch: bool = True) -> None:
        self.device: int | None = None
        self.budget = TextBudget()
        self._root = root
        self._is_watching = watch and sys.platform == "linux"
        self._feed: ChangeFeed | None = None

    def check_root(self, disk: Disk) -> None:
        """Refuse to take a root that has gone away, or is none, for an empty store.

        Raises:
            StorageError: It was there and is not any more, or it is not a directory.
        """
        had_root = self.device is not None  # before the look: another thread may just be making it
        try:
            status = disk.check_directory(self._root)
        except OSError as error:
            raise StorageError(f"The store {self._root} cannot be used: {error.strerror}") from None
        if status is not None:
            self.device = status.st_dev
        elif had_root:
            raise StorageError(f"The store {self._root} is not there any more")

    def get_feed(self) -> ChangeFeed | None:
        """Return the store's feed of changes, or None where there is none to be had."""
        if self._feed is None and self._is_watching:
            try:
                from filestore.storage.feed import open_feed  # only here: a program that reads once needs none
            except ImportError:  # a Python without ctypes
                return None
            self._feed = open_feed()
        return self._feed

    def renew(self) -> None:
        """Let go of what was shared, for datasets that are not used any more and may hold it still."""
        self.budget = TextBudget()
        self._feed = None


class Dataset:
    """The directory of one dataset.

    Args:
        layout: Where it lies.
        disk: The door to the disk.
        lock_timeout: Seconds to wait for other writers.
        store: What the datasets of the store share.
    """

    def __init__(self, layout: DatasetLayout, disk: Disk, lock_timeout: float, store: Shared) -> None:
        self.layout = layout
        self._disk = disk
        self._journal = Journal(layout, disk)
        self._recovery = Recovery(self._journal)
        self._lock_timeout = lock_timeout
        self._store = store
        self._index = self._make_index()
        self._place: tuple[int, int] | None = None
        self._explained = _Explained(layout)

    def exists(self) -> bool:
        """Tell whether the dataset has a directory, or a committed change that will make it one.

        Raises:
            DatasetNameError: Something that is no directory of the store's own is in its place.
            StorageError: The store itself is gone.
        """
        with self._explained:
            return self._find_directory() is not None or self._journal.has_pending()

    def _find_directory(self) -> os.stat_result | None:
        """Return the status of the dataset's directory, None where there is none.

        Raises:
            DatasetNameError: Something that is no directory of the store's own is in its place.
        """
        try:
            status = self._disk.check_directory(self.layout.path)
        except NotADirectoryError as error:
            raise self._refused(f"{error.strerror}: {self.layout.directory}") from None
        place = None if status is None else (status.st_dev, status.st_ino)
        if place is None or place != self._place:  # otherwise it is where it was, and the root above it
            self._store.check_root(self._disk)
            if place is not None and place[0] != self._store.device:
                raise self._refused(f"its directory {self.layout.directory} is on another file system than the store")
            self._place = place
        return status

    def _refused(self, reason: str) -> DatasetNameError:
        return DatasetNameError(f"Invalid dataset name: {self.layout.name}. It cannot be used here: {reason}")

    def _make_index(self) -> DatasetIndex:
        return DatasetIndex(self.layout, self._disk, self._store.get_feed, self._store.budget)

    def _whole(self, operate: Callable[[], T]) -> T:
        """Operate; forget what is remembered where something may have broken off the bookkeeping of it, ^C for one."""
        try:
            return operate()
        except (FilestoreError, OSError):
            raise
        except BaseException:
            old, self._index = self._index, self._make_index()
            old.release()
            raise

    # --- reading

    def read(self, action: Callable[[DatasetView], T], *, absent: T) -> T:
        """Return what `action` makes of the dataset, seeing every change whole or not at all.

        Args:
            action: Reads the view it is given; it may be called more than once.
            absent: What to return where there is no such dataset.

        Raises:
            FilestoreError: What the action raised of a settled dataset.
            StorageError: The file system refused.
        """
        with self._explained:
            return self._whole(lambda: self._read_settled(action, absent))

    def _read_settled(self, action: Callable[[DatasetView], T], absent: T) -> T:
        """Read between two writes, without the lock; if they leave no gap, with it."""
        deadline = time.monotonic() + self._lock_timeout
        pauses = iter(_READ_PAUSES)
        while True:
            index = self._index
            watches = index.watches
            directory = self._find_directory()
            if directory is None and not self._journal.has_pending():
                return absent
            watches.look(directory)
            before = watches.recall_internal(self._read_settled_sequence)
            sequence = before or self._journal.sequence()
            view = DatasetView(self.layout, self._disk, index, sequence.mtime_ns)
            try:
                outcome = _attempt(action, view)
            except FileNotFoundError:  # a listed file is gone: list again
                self._refuse_late(deadline)
                time.sleep(_READ_PAUSES[0])
                continue
            watches.drain()
            if before is not None and watches.recall_internal(self._read_settled_sequence) == before:
                return outcome()
            pause = next(pauses, None)
            if pause is None:
                return self._read_alone(action)
            time.sleep(pause)

    def _read_settled_sequence(self) -> Sequence | None:
        sequence = self._journal.sequence()
        return sequence if sequence.is_settled and not self._journal.has_pending() else None

    def _read_alone(self, action: Callable[[DatasetView], T]) -> T:
        """Read while no writer can; where that cannot be had, see what is pending as if it were applied."""
        self._check_internal()
        try:
            with self._locked():
                self._recovery.recover()
                return action(self._view(self._journal.sequence()))
        except (OSError, RecoveryNeededError):
            return self._read_overlaid(action)

    def _read_overlaid(self, action: Callable[[DatasetView], T]) -> T:
        deadline = time.monotonic() + self._lock_timeout
        while True:
            before = self._journal.sequence()
            pending = self._journal.pending()
            with suppress(FileNotFoundError):  # a listed file is gone: list again
                outcome = _attempt(action, self._view(before, pending=pending))
                if self._journal.sequence() == before and self._journal.pending() == pending:
                    return outcome()
            self._refuse_late(deadline)
            time.sleep(_READ_PAUSES[0])

    def _refuse_late(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise LockTimeoutError(f"Dataset {self.layout.name} never came to rest; try again")

    def _view(self, sequence: Sequence, pending: Pending | None = None) -> DatasetView:
        """Return a view of what is there now; the sequence number was taken before."""
        self._index.watches.look(self._find_directory())
        return DatasetView(self.layout, self._disk, self._index, sequence.mtime_ns, pending)

    # --- writing

    def write(self, plan: Callable[[DatasetView], tuple[Change, T]]) -> T:
        """Carry out a change: all of it or nothing.

        Args:
            plan: Computes the change, and what to return, from what the dataset holds; it may be called more than once.

        Raises:
            LockTimeoutError: Other writers were at it for longer than the timeout.
            RecoveryNeededError: An interrupted change waits for a person's decision.
            CommittedError: The change happened, but its last steps are left to the next writer.
            StorageError: The file system refused; nothing happened.
        """
        is_there = self.exists()
        with self._explained:
            self._prepare(is_root_there=is_there)
            self._store.check_root(self._disk)
            return self._whole(lambda: self._write_locked(plan))

    def _write_locked(self, plan: Callable[[DatasetView], tuple[Change, T]]) -> T:
        with self._locked():
            sequence = self._recovery.come_to_rest()
            for _ in range(_MAX_RESTARTS):
                try:
                    change, result = plan(self._view(sequence))
                    if change.puts or change.removed:
                        self._commit(change, sequence)
                    return result
                except (ChangedMeanwhileError, FileNotFoundError):
                    time.sleep(_READ_PAUSES[0])
                    sequence = self._recovery.come_to_rest()
        raise LockTimeoutError(f"Files of dataset {self.layout.name} keep changing while they are written; try again")

    def _commit(self, change: Change, sequence: Sequence) -> None:
        is_there = not self._disk.is_free(self.layout.path)
        if is_there and (sequence.number or holds_json(self._disk, self.layout.path)):
            self._journal.commit(change, sequence)
        else:
            with writer_lock(creation_lock(self.layout.root)).hold(self._lock_timeout):
                refuse_clash(self.layout, self._disk)
                self._journal.commit(change, sequence)
        self._index.names.expect(entry.name.removesuffix(".json") for entry in change.puts if entry.kind == "datapoint")

    def recover(self, decision: Decision | None = None) -> bool:
        """Complete or give up an interrupted change; tell whether there was one.

        Raises:
            RecoveryNeededError: HEAD has moved since, and no decision is given.
        """
        with self._explained:
            if not self._check_internal():
                return False
            with self._locked():
                return self._recovery.recover(decision)

    def _locked(self) -> AbstractContextManager[None]:
        return writer_lock(self.layout.lock).hold(self._lock_timeout)

    def _prepare(self, *, is_root_there: bool) -> None:
        """Make the places that a write needs outside the dataset itself."""
        internal = f"{self.layout.root}/{INTERNAL}"
        gained = [] if is_root_there else self._disk.make_directories(self.layout.root)
        parents = {internal: self.layout.root, self.layout.internal: internal}
        gained += [parent for path, parent in parents.items() if self._disk.make_directory(path)]
        self._disk.sync_directories(gained)
        ignore_internal(self._disk, self.layout.root)  # a crash may have come between any two of these steps

    def _check_internal(self) -> bool:
        """Tell whether the dataset has its internal directory.

        Raises:
            OSError: A link is in its place, which would lead out of the store.
        """
        paths = (f"{self.layout.root}/{INTERNAL}", self.layout.internal)
        return all(self._disk.check_directory(path) is not None for path in paths)


class _Explained:
    """Puts words to what the operating system refuses; entered by every operation, and a generator would cost more."""

    def __init__(self, layout: DatasetLayout) -> None:
        self._layout = layout

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, OSError) and not isinstance(error, FilestoreError):
            layout = self._layout
            place = layout.shown(str(error.filename)) if error.filename else f"dataset {layout.name}"
            raise StorageError(f"{place}: {error.strerror or error}") from error


def _attempt(action: Callable[[DatasetView], T], view: DatasetView) -> Callable[[], T]:
    """Run an action and keep its result or its error for when the dataset turns out to have been settled."""
    try:
        result = action(view)
    except FilestoreError as error:
        caught = error

        def fail() -> T:
            raise caught

        return fail
    return lambda: result
