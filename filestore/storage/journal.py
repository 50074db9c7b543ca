"""How a change gets onto the disk: staged, committed by one rename, and applied.

The caller holds the dataset's lock throughout. Until the rename of `stage-<n>` to `pending` nothing has happened; from
it on everything has, and what is not yet in its place is put there by whoever holds the lock next (`recovery`).

A change of one file needs no manifest: its one rename is all of it. A single tombstone needs no staging either: an
empty file is whole as soon as its name is there, so making it under that name is the whole change, and a crash leaves
it made or not made. Between the two steps of the sequence number readers wait for it as for any other change.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterable, Mapping

from filestore.errors import CommittedError, RecoveryNeededError, RequestError
from filestore.storage.change import Change, Pending, Replaced
from filestore.storage.files import MOST_BYTES, Disk, Signature, signature
from filestore.storage.layout import DatasetLayout, Entry
from filestore.storage.names import list_json_names
from filestore.storage.placing import OWN_WORK, Placing, is_as_read
from filestore.storage.repository import read_head
from filestore.storage.sequence import Sequence, SequenceFile

__all__ = ["ChangedMeanwhileError", "Journal"]

_MANIFEST = "manifest.json"
_MOST_RELIED_ON = 4000
"""Of so many files it is remembered in which state they were synced."""


class ChangedMeanwhileError(Exception):
    """A file was saved by somebody else between its reading and the commit: the operation starts over."""


class Journal:
    """The write protocol of one dataset.

    Args:
        layout: Where the dataset lies.
        disk: The door to the disk.

    Attributes:
        numbers: Where the sequence number is kept.
        placing: What puts files into their places.
    """

    def __init__(self, layout: DatasetLayout, disk: Disk) -> None:
        self.layout = layout
        self.disk = disk
        self.numbers = SequenceFile(layout, disk)
        self.placing = Placing(layout, disk)
        self._relied_on: dict[Entry, Signature] = {}

    def sequence(self) -> Sequence:
        """Return the sequence number."""
        return self.numbers.read()

    def has_pending(self) -> bool:
        """Tell whether a committed change may not be wholly in its place."""
        return self.disk.status(self.layout.pending) is not None

    def pending(self) -> Pending | None:
        """Return the committed change that may not be wholly in its place; None where nothing is left of one to be put.

        Raises:
            RecoveryNeededError: Something is pending, and its manifest cannot be read.
        """
        path = f"{self.layout.pending}/{_MANIFEST}"
        try:
            if self.disk.check_directory(self.layout.pending) is None:
                return None
            return Pending.parse(self.disk.read(path)[0])
        except FileNotFoundError:
            if not self.disk.names(self.layout.pending):  # nor was anything left to do when the manifest was removed
                return None
            reason = "it is missing"
        except (RequestError, ValueError) as error:
            reason = str(error)
        shown = self.layout.shown(path)
        raise RecoveryNeededError(
            f"{shown} cannot be read ({reason}); `filestore recover --discard` gives up the interrupted change"
        )

    # --- committing

    def commit(self, change: Change, sequence: Sequence) -> None:
        """Make a change happen.

        Args:
            change: At least one file to write or to remove.
            sequence: The sequence number, settled.

        Raises:
            RequestError: A file would be larger than any that is read; nothing happened.
            ChangedMeanwhileError: A file it replaces is not in the state it was read in; nothing happened.
            OSError: The file system refused; nothing happened.
            CommittedError: The change happened, and its last steps are left to the next writer.
        """
        for entry, data in change.puts.items():
            if len(data) > MOST_BYTES:
                raise RequestError(f"The file {entry.name} would be larger than {MOST_BYTES >> 20} MiB")
        number = sequence.number
        new_directories = self.placing.make_directories(change.puts, is_first=number == 0)
        if len(change.puts) > 1 or change.removed:
            self._commit_many(change, number, new_directories)
            return
        ((entry, data),) = change.puts.items()
        if entry.kind == "tombstone":
            self._commit_tombstone(entry, number, new_directories)
        else:
            self._commit_one(change, entry, data, number, new_directories)

    def _commit_tombstone(self, entry: Entry, number: int, new_directories: list[str]) -> None:
        path = self.layout.final(entry)
        self.numbers.write(number + 1)
        try:
            self.disk.write_new(path, b"")
        except BaseException as error:
            if isinstance(error, OSError) and not isinstance(error, FileExistsError) and self._holds(path):
                raise self._committed(error) from error  # made, and then refused: it is there for every reader
            self.numbers.write(number + 2)
            if isinstance(error, FileExistsError):
                raise ChangedMeanwhileError(entry.name) from error
            raise
        try:
            self.disk.sync_file(path)
            self.settle(number, [self.layout.parent(entry), *new_directories])
        except OSError as error:
            raise self._committed(error) from error

    def _commit_one(self, change: Change, entry: Entry, data: bytes, number: int, new_directories: list[str]) -> None:
        stage = f"{self.layout.internal}/stage-{number}"
        replaced = change.replaced.get(entry)
        try:
            self.disk.write_new(stage, data, replaced.mode if replaced else None, sync=True)
            self._check_unchanged(change)
        except BaseException:
            self._discard(stage)
            raise
        self.numbers.write(number + 1)
        try:
            self.disk.rename(stage, self.layout.final(entry))
        except BaseException as error:
            if isinstance(error, OSError) and self._holds(stage) is False:
                raise self._committed(error) from error  # done, and then refused
            self.numbers.write(number + 2)
            self._discard(stage)
            raise
        try:
            self.settle(number, [self.layout.parent(entry), *new_directories])
        except OSError as error:
            raise self._committed(error) from error

    def _commit_many(self, change: Change, number: int, new_directories: list[str]) -> None:
        stage = f"{self.layout.internal}/stage-{number}"
        pending = Pending.of(change, read_head(self.disk, self.layout.root))
        files = {f"{stage}/{entry.staged_name}": data for entry, data in change.puts.items()}
        modes = {f"{stage}/{entry.staged_name}": replaced.mode for entry, replaced in change.replaced.items()}
        try:
            self.disk.make_directory(stage)
            files[f"{stage}/{_MANIFEST}"] = pending.render()
            self.disk.write_all_new([stage, *new_directories], files, modes)
            self._check_unchanged(change)
            self.disk.rename(stage, self.layout.pending)
        except BaseException as error:
            if isinstance(error, OSError) and self._holds(self.layout.pending):
                raise self._committed(error) from error  # done, and then refused
            self._discard(stage)
            raise
        try:
            self.disk.sync_directories([self.layout.internal])
            self.numbers.write(number + 1)
            self.settle(number, self.placing.apply(pending, change.replaced), is_pending=True)
        except OSError as error:
            raise self._committed(error) from error

    def _check_unchanged(self, change: Change) -> None:
        """Look, as the last thing before a commit, whether all is still there that the change was computed from.

        Raises:
            ChangedMeanwhileError: Something is not, or is another.
            OSError: The file system refused, or a directory is in the place of a file to remove.
        """
        for entry, replaced in change.replaced.items():
            if not is_as_read(self.disk, self.layout.final(entry), replaced):
                raise ChangedMeanwhileError(entry.name)
        self._rely_on(change.needed)
        for entry in change.puts:
            is_new = entry.kind in OWN_WORK and entry not in change.replaced
            if is_new and not self.disk.is_free(self.layout.final(entry)):
                raise ChangedMeanwhileError(entry.name)
        for entry in change.removed:
            final = self.layout.final(entry)
            status = self.disk.status(final)
            if status is None and entry.kind == "tombstone":  # somebody took the deletion back
                raise ChangedMeanwhileError(entry.name)
            if status is not None and stat.S_ISDIR(status.st_mode):  # once committed, it would stop every later write
                raise IsADirectoryError(errno.EISDIR, "it is a directory", final)
        if change.referrers is not None:
            self._check_referrers(change.referrers, change.removed)

    def _rely_on(self, needed: Iterable[Entry]) -> None:
        """Look whether the files are there that a change needs, and make them as durable as it: git syncs nothing."""
        unsynced: dict[Entry, Signature] = {}
        for entry in needed:
            status = self.disk.status(self.layout.final(entry))
            if status is None:
                raise ChangedMeanwhileError(entry.name)
            if self._relied_on.get(entry) != signature(status):
                unsynced[entry] = signature(status)
        if unsynced:
            directories = [self.layout.path, *dict.fromkeys(map(self.layout.parent, unsynced))]
            self.disk.sync_all(directories, list(map(self.layout.final, unsynced)))
            if len(self._relied_on) >= _MOST_RELIED_ON:
                self._relied_on.clear()
            self._relied_on.update(unsynced)

    def _check_referrers(self, referrers: Mapping[str, Replaced], removed: Iterable[Entry]) -> None:
        """Look whether any file has come, or is another, that may refer to what is purged."""
        names = list_json_names(self.disk, self.layout).difference(entry.name for entry in removed)
        for name in names | referrers.keys():
            if name not in referrers or not is_as_read(self.disk, f"{self.layout.path}/{name}", referrers[name]):
                raise ChangedMeanwhileError(name)

    def settle(self, number: int, directories: list[str], *, is_pending: bool = False) -> None:
        """Make an applied change durable and close it."""
        self.disk.sync_directories(directories)
        if is_pending:
            trash = f"{self.layout.internal}/stage-{number}"
            self.disk.rename(self.layout.pending, trash)
            self.disk.remove_tree(trash)
        self.numbers.write(number + 2)

    def _holds(self, path: str) -> bool | None:
        """Tell whether something is at a path; None where the system does not say."""
        try:
            return self.disk.status(path) is not None
        except OSError:
            return None

    def _discard(self, stage: str) -> None:
        """Give up a stage; what cannot be removed now is removed by the next writer."""
        try:
            self.disk.remove_tree(stage)
        except OSError:
            return

    def _committed(self, error: OSError) -> CommittedError:
        return CommittedError(
            f"The change to dataset {self.layout.name} is committed but could not be completed ({error});"
            " the next write to the dataset, or `filestore recover`, completes it"
        )
