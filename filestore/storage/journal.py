"""How a change gets onto the disk: staged, committed by one rename, applied, and recovered after a crash.

The caller holds the dataset's lock throughout. Until the rename of `stage-<n>` to `pending` nothing has happened; from
it on everything has, and what is not yet in its place is put there by whoever holds the lock next.

A change of one file needs no manifest: its one rename is all of it. A single tombstone needs no staging either: an
empty file is whole as soon as its name is there, so making it under that name is the whole change, and a crash leaves
it made or not made. Between the two steps of the sequence number readers wait for it as for any other change.
"""

from __future__ import annotations

import errno
import stat
import struct
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from filestore.errors import CommittedError, RecoveryNeededError, RequestError
from filestore.storage.change import Change, Pending, Replaced
from filestore.storage.files import MOST_BYTES, Disk, is_young, signature
from filestore.storage.layout import DatasetLayout, Entry
from filestore.storage.repository import read_head

__all__ = ["ChangedMeanwhileError", "Decision", "Journal", "Sequence"]

Decision = Literal["apply", "discard"]
_MANIFEST = "manifest.json"
_LASTING = frozenset({"lock", "seq"})
"""What a dataset's internal directory holds between two writes."""
_OWN_WORK = ("datapoint", "draft")
"""The kinds of files that people write: whatever is in the place of one is never replaced unread."""
_SEQUENCE = struct.Struct("<Qq")
_MAX_SEQUENCE = 1 << 62
"""A number that no store has reached: whoever wrote it was not the store."""


class ChangedMeanwhileError(Exception):
    """A file was saved by somebody else between its reading and the commit: the operation starts over."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """The dataset's sequence number: odd while a change is being applied.

    Attributes:
        number: Grows by two with every change.
        mtime_ns: The mtime of the dataset's directory after the store's own last change.
    """

    number: int
    mtime_ns: int

    @property
    def is_settled(self) -> bool:
        """Whether no change was being applied."""
        return self.number % 2 == 0


@dataclass(frozen=True, slots=True)
class Journal:
    """The write protocol of one dataset."""

    layout: DatasetLayout
    disk: Disk

    def sequence(self) -> Sequence:
        """Return the sequence number; zero where none was ever written."""
        return self._read_sequence()[0]

    def _read_sequence(self) -> tuple[Sequence, bool]:
        """Return the sequence number, and whether its file has other names, as in a copy by hard links."""
        try:
            data, status = self.disk.read(self.layout.sequence)
            number, mtime_ns = _SEQUENCE.unpack(data)
            return Sequence(number if number < _MAX_SEQUENCE else 0, mtime_ns), status.st_nlink > 1
        except (FileNotFoundError, NotADirectoryError):
            return Sequence(0, 0), False
        except struct.error:
            return Sequence(0, 0), status.st_nlink > 1

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

    def staged(self, entry: Entry) -> str:
        """Return where an entry of the pending change lies until it is applied."""
        return f"{self.layout.pending}/{entry.staged_name}"

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
        new_directories = self._make_directories(change.puts, is_first=number == 0)
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
        self._write_sequence(number + 1)
        try:
            self.disk.write_new(path, b"")
        except BaseException as error:
            if isinstance(error, OSError) and not isinstance(error, FileExistsError) and self._is_there(path):
                raise self._committed(error) from error  # made, and then refused: it is there for every reader
            self._write_sequence(number + 2)
            if isinstance(error, FileExistsError):
                raise ChangedMeanwhileError(entry.name) from error
            raise
        try:
            self.disk.sync_file(path)
            self._settle(number, [self.layout.parent(entry), *new_directories])
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
        self._write_sequence(number + 1)
        try:
            self.disk.rename(stage, self.layout.final(entry))
        except BaseException as error:
            if isinstance(error, OSError) and self._is_gone(stage):
                raise self._committed(error) from error  # done, and then refused
            self._write_sequence(number + 2)
            self._discard(stage)
            raise
        try:
            self._settle(number, [self.layout.parent(entry), *new_directories])
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
            if isinstance(error, OSError) and self._is_there(self.layout.pending):
                raise self._committed(error) from error  # done, and then refused
            self._discard(stage)
            raise
        try:
            self.disk.sync_directories([self.layout.internal])
            self._write_sequence(number + 1)
            self._settle(number, self._apply(pending, change.replaced), is_pending=True)
        except OSError as error:
            raise self._committed(error) from error

    def _check_unchanged(self, change: Change) -> None:
        for entry, replaced in change.replaced.items():
            final = self.layout.final(entry)
            now = time.time_ns()
            status = self.disk.status(final)
            if status is None or signature(status) != replaced.signature:
                raise ChangedMeanwhileError(entry.name)
            if is_young(status, now) and self.digest(final) != replaced.digest:  # saved twice within one clock tick
                raise ChangedMeanwhileError(entry.name)
        for entry in change.puts:
            is_new = entry.kind in _OWN_WORK and entry not in change.replaced
            if is_new and not self.disk.is_free(self.layout.final(entry)):
                raise ChangedMeanwhileError(entry.name)
        for entry in change.removed:
            final = self.layout.final(entry)
            status = self.disk.status(final)
            if status is not None and stat.S_ISDIR(status.st_mode):  # once committed, it would stop every later write
                raise IsADirectoryError(errno.EISDIR, "it is a directory", final)

    def _make_directories(self, entries: Iterable[Entry], *, is_first: bool = False) -> list[str]:
        """Make the directories the entries go into; return those that gained a directory."""
        gained: dict[str, None] = {}
        parents = dict.fromkeys(self.layout.parent(entry) for entry in entries)
        for path in dict.fromkeys(step for parent in parents for step in self._steps(parent)):
            # What an earlier write made and then failed may not be durable: at first nothing is taken for it.
            if self.disk.make_directory(path) or is_first:
                gained[path.rpartition("/")[0]] = None
        return list(gained)

    def _steps(self, parent: str) -> list[str]:
        inner = parent.removeprefix(self.layout.path).strip("/").split("/")
        steps = [self.layout.path]
        for name in filter(None, inner):
            steps.append(f"{steps[-1]}/{name}")
        return steps

    def _apply(self, pending: Pending, replaced: Mapping[Entry, Replaced] | None) -> list[str]:
        """Put what is still staged into its place; return the directories whose names changed.

        Args:
            pending: The change.
            replaced: The states of the files it replaces, just checked; None in a recovery, where some may be in place.
        """
        directories: dict[str, None] = {}
        for entry, digest in pending.puts.items():
            staged, final = self.staged(entry), self.layout.final(entry)
            if replaced is None and not self._is_staged(staged):
                continue
            if (entry.kind in _OWN_WORK or digest) and not self._is_as_read(entry, digest, replaced):
                if entry.kind not in _OWN_WORK:
                    continue  # it was to say the same in other bytes
                final = self._free_draft(entry)
            directories.update(dict.fromkeys(self._place(entry, staged, final)))
            directories[self.layout.parent(entry)] = None
        for entry, digest in pending.removed.items():
            self._check_steps(entry)
            if digest is None or self._is_to_go(entry, digest, replaced):
                self.disk.remove(self.layout.final(entry))
            directories[self.layout.parent(entry)] = None
        return list(directories)

    def _is_staged(self, staged: str) -> bool:
        status = self.disk.status(staged)
        if status is not None and not stat.S_ISREG(status.st_mode):
            raise OSError(f"{staged} is not a regular file")
        return status is not None

    def _is_as_read(self, entry: Entry, digest: str | None, replaced: Mapping[Entry, Replaced] | None) -> bool:
        """Tell whether a file is still the one that the change was computed from; a later hand edit stays."""
        final = self.layout.final(entry)
        if replaced is None:
            return self.digest(final) == digest
        if entry not in replaced:
            return self.disk.is_free(final)
        status = self.disk.status(final)
        return status is not None and signature(status) == replaced[entry].signature

    def _is_to_go(self, entry: Entry, digest: str | None, replaced: Mapping[Entry, Replaced] | None) -> bool:
        """Tell whether a file is still there that a change takes away; a draft that was edited since stays."""
        status = self.disk.status(self.layout.final(entry))
        if status is None or digest is None:
            return status is not None
        return stat.S_ISREG(status.st_mode) and self._is_as_read(entry, digest, replaced)

    def _check_steps(self, entry: Entry) -> None:
        """Refuse to follow a link on the way to an entry."""
        for path in self._steps(self.layout.parent(entry)):
            self.disk.check_directory(path)

    def _place(self, entry: Entry, staged: str, final: str) -> list[str]:
        """Move a staged file into its place; return the directories that gained one for it."""
        try:
            self.disk.rename(staged, final)
        except FileNotFoundError:  # git has removed the directory, as it does when it removes the last file in it
            gained = self._make_directories([entry])
            self.disk.rename(staged, final)
            return gained
        return []

    def _free_draft(self, entry: Entry) -> str:
        """Return where to put a datapoint that a hand edit keeps out of its place; no other draft is there."""
        number, path = 1, f"{self.layout.path}/recovered-{entry.name}"
        while self.disk.status(path) is not None:
            number += 1
            path = f"{self.layout.path}/recovered-{entry.name.removesuffix('.json')}-{number}.json"
        return path

    def digest(self, path: str) -> str | None:
        """Return the SHA-256 of a file's bytes, or None where there is no file."""
        import hashlib  # slow to load, as OpenSSL is

        try:
            return hashlib.sha256(self.disk.read(path)[0]).hexdigest()
        except FileNotFoundError:
            return None

    def _settle(self, number: int, directories: list[str], *, is_pending: bool = False) -> None:
        """Make an applied change durable and close it."""
        self.disk.sync_directories(directories)
        if is_pending:
            trash = f"{self.layout.internal}/stage-{number}"
            self.disk.rename(self.layout.pending, trash)
            self.disk.remove_tree(trash)
        self._write_sequence(number + 2)

    def _write_sequence(self, number: int) -> None:
        status = self.disk.status(self.layout.path) if number % 2 == 0 else None  # what is half done has no time yet
        mtime_ns = status.st_mtime_ns if status is not None else 0
        self.disk.overwrite(self.layout.sequence, _SEQUENCE.pack(number, mtime_ns))

    def begin_anew(self) -> None:
        """Take the dataset for one that was never written to, for good; the caller knows that no datapoint is in it."""
        self.disk.remove(self.layout.sequence)
        self.disk.sync_directories([self.layout.internal])

    def _is_there(self, path: str) -> bool:
        """Tell whether something is known to be at a path; nobody may be told so where the system does not say."""
        try:
            return self.disk.status(path) is not None
        except OSError:
            return False

    def _is_gone(self, path: str) -> bool:
        """Tell whether nothing is known to be at a path."""
        try:
            return self.disk.status(path) is None
        except OSError:
            return False

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

    # --- recovery

    def recover(self, decision: Decision | None = None) -> bool:
        """Bring the dataset into a settled state; tell whether a committed change was completed or given up.

        Args:
            decision: What a person decided about a change that met another HEAD; None decides by itself.

        Raises:
            RecoveryNeededError: HEAD has moved since the change was committed, and nobody has decided.
        """
        names = self.disk.names(self.layout.internal)
        sequence, is_shared = self._read_sequence()
        number = sequence.number
        for name in names:
            if name.startswith("stage-"):
                self.disk.remove_tree(f"{self.layout.internal}/{name}")
        if is_shared:  # it is written in place, which no other name of it may see
            own = f"{self.layout.internal}/stage-seq"
            self.disk.write_new(own, _SEQUENCE.pack(sequence.number, sequence.mtime_ns))
            self.disk.rename(own, self.layout.sequence)
        is_pending = "pending" in names
        if is_pending:
            self._recover_pending(number | 1, decision)
        if number % 2 and not is_pending:
            self._sync_names()  # of a change of one file, whose maker may not have come to that
            self._write_sequence(number + 1)
        return is_pending

    def _sync_names(self) -> None:
        """Make every name durable that a change of one file may have made."""
        tombstones = self.layout.tombstones
        shards = (f"{tombstones}/{name}" for name in self.disk.names(tombstones) if len(name) == 2)
        self.disk.sync_directories([self.layout.root, self.layout.path, tombstones, *shards])

    def come_to_rest(self) -> Sequence:
        """Recover where that is needed, and return the settled sequence number."""
        sequence, is_shared = self._read_sequence()
        is_at_rest = sequence.is_settled and not is_shared and set(self.disk.names(self.layout.internal)) <= _LASTING
        if is_at_rest:
            return sequence
        self.recover()
        return self.sequence()

    def _recover_pending(self, number: int, decision: Decision | None) -> None:
        try:
            pending = self.pending()
        except RecoveryNeededError:  # nobody can tell any more what it was
            if decision != "discard":
                raise
            self._give_up(number)
            return
        if pending is None:
            self._give_up(number)
            return
        head = read_head(self.disk, self.layout.root)
        is_elsewhere = pending.head != head and not self._is_applied(pending)
        if is_elsewhere and decision is None:
            raise RecoveryNeededError(
                f"A change to dataset {self.layout.name} was interrupted at commit {pending.head}, and HEAD is at"
                f" {head} now: `filestore recover --apply` completes it here, `filestore recover --discard` gives it up"
            )
        if is_elsewhere and decision == "discard":
            self._refuse_half(pending)
            self._give_up(number)
            return
        self._write_sequence(number)
        gained = self._make_directories(pending.puts)  # git may have removed them with their last tracked file
        self._settle(number - 1, [*self._apply(pending, None), *gained], is_pending=True)

    def _give_up(self, number: int) -> None:
        self._write_sequence(number)
        self._settle(number - 1, [], is_pending=True)

    def _refuse_half(self, pending: Pending) -> None:
        """Refuse to give up a change of which a part is in place: half of it would stay.

        Raises:
            RecoveryNeededError: Something is.
        """
        is_begun = any(self.disk.status(self.staged(entry)) is None for entry in pending.puts)
        if is_begun or any(self.disk.status(self.layout.final(entry)) is None for entry in pending.removed):
            raise RecoveryNeededError(
                f"A part of the interrupted change to dataset {self.layout.name} is in place already, so it cannot be"
                " given up: `filestore recover --apply` completes it"
            )

    def _is_applied(self, pending: Pending) -> bool:
        """Tell whether nothing is left to do but to close the change."""
        is_put = all(self.disk.status(self.staged(entry)) is None for entry in pending.puts)
        return is_put and not any(self._is_to_go(entry, digest, None) for entry, digest in pending.removed.items())
