"""How the files of a change get into their places, without a loss of what people wrote there meanwhile."""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from filestore.storage.change import Pending, Replaced
from filestore.storage.files import Disk, signature
from filestore.storage.layout import DatasetLayout, Entry

__all__ = ["OWN_WORK", "Placing", "find_digest", "is_as_read"]

OWN_WORK = ("datapoint", "draft")
"""The kinds of files that people write: whatever is in the place of one is never replaced unread."""


@dataclass(frozen=True, slots=True)
class Placing:
    """Puts the files of one dataset into their places."""

    layout: DatasetLayout
    disk: Disk

    def make_directories(self, entries: Iterable[Entry], *, is_first: bool = False) -> list[str]:
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

    def apply(self, pending: Pending, replaced: Mapping[Entry, Replaced] | None) -> list[str]:
        """Put what is still staged into its place; return the directories whose names changed.

        Args:
            pending: The change.
            replaced: The states of the files it replaces, just checked; None in a recovery, where some may be in place.
        """
        directories: dict[str, None] = {}
        for entry, digest in pending.puts.items():
            staged, final = self.layout.staged(entry), self.layout.final(entry)
            if replaced is None and not self._is_staged(staged):
                continue
            if (entry.kind in OWN_WORK or digest) and not self._is_to_give_way(entry, digest, replaced):
                if entry.kind not in OWN_WORK:
                    continue  # it was to say the same in other bytes
                final = self._free_draft(entry)
            directories.update(dict.fromkeys(self._place(entry, staged, final)))
            directories[self.layout.parent(entry)] = None
        for entry, digest in pending.removed.items():
            self._check_steps(entry)
            if digest is None or self.is_to_go(entry, digest, replaced):
                self.disk.remove(self.layout.final(entry))
            directories[self.layout.parent(entry)] = None
        return list(directories)

    def _is_staged(self, staged: str) -> bool:
        status = self.disk.status(staged)
        if status is not None and not stat.S_ISREG(status.st_mode):
            raise OSError(f"{staged} is not a regular file")
        return status is not None

    def _is_to_give_way(self, entry: Entry, digest: str | None, replaced: Mapping[Entry, Replaced] | None) -> bool:
        """Tell whether a file is still the one that the change was computed from; a later hand edit stays."""
        if replaced is None:
            return find_digest(self.disk, self.layout.final(entry)) == digest
        if entry not in replaced:
            return self.disk.is_free(self.layout.final(entry))
        return is_as_read(self.disk, self.layout.final(entry), replaced[entry])

    def is_to_go(self, entry: Entry, digest: str | None, replaced: Mapping[Entry, Replaced] | None) -> bool:
        """Tell whether a file is still there that a change takes away; a draft that was edited since stays."""
        status = self.disk.status(self.layout.final(entry))
        if status is None or digest is None:
            return status is not None
        return stat.S_ISREG(status.st_mode) and self._is_to_give_way(entry, digest, replaced)

    def _check_steps(self, entry: Entry) -> None:
        """Refuse to follow a link on the way to an entry."""
        for path in self._steps(self.layout.parent(entry)):
            self.disk.check_directory(path)

    def _place(self, entry: Entry, staged: str, final: str) -> list[str]:
        """Move a staged file into its place; return the directories that gained one for it."""
        try:
            self.disk.rename(staged, final)
        except FileNotFoundError:  # git has removed the directory, as it does when it removes the last file in it
            gained = self.make_directories([entry])
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


def is_as_read(disk: Disk, path: str, read: Replaced) -> bool:
    """Tell whether a file is still in the state it was read in."""
    status = disk.status(path)
    if status is None or signature(status) != read.signature:
        return False
    return not read.is_young or find_digest(disk, path) == read.digest


def find_digest(disk: Disk, path: str) -> str | None:
    """Return the SHA-256 of a file's bytes, None where there is no file, and "" where it is larger than any of ours."""
    import hashlib  # slow to load, as OpenSSL is

    try:
        return hashlib.sha256(disk.read(path)[0]).hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise
        return ""
