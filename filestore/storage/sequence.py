"""The sequence number of a dataset, from which readers see whether a change comes between."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from filestore.storage.files import Disk
from filestore.storage.layout import DatasetLayout

__all__ = ["Sequence", "SequenceFile"]

_SEQUENCE = struct.Struct("<Qq")
_MAX_SEQUENCE = 1 << 62
"""A number that no store has reached: whoever wrote it was not the store."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """The dataset's sequence number: odd while a change is being applied.

    Attributes:
        number: Grows by two with every change; zero where none was ever made.
        mtime_ns: The mtime of the dataset's directory after the store's own last change.
        is_shared: Whether its file has other names, as in a copy by hard links.
    """

    number: int
    mtime_ns: int
    is_shared: bool = field(default=False, compare=False)

    @property
    def is_settled(self) -> bool:
        """Whether no change was being applied."""
        return self.number % 2 == 0


@dataclass(frozen=True, slots=True)
class SequenceFile:
    """Where the number is kept: a file that is written in place, and never durable."""

    layout: DatasetLayout
    disk: Disk

    def read(self) -> Sequence:
        """Return the sequence number."""
        try:
            data, status = self.disk.read(self.layout.sequence)
        except (FileNotFoundError, NotADirectoryError):
            return Sequence(0, 0)
        is_shared = status.st_nlink > 1
        try:
            number, mtime_ns = _SEQUENCE.unpack(data)
        except struct.error:
            return Sequence(0, 0, is_shared)
        return Sequence(number if number < _MAX_SEQUENCE else 0, mtime_ns, is_shared)

    def write(self, number: int) -> None:
        """Write the sequence number down."""
        status = self.disk.status(self.layout.path) if number % 2 == 0 else None  # what is half done has no time yet
        mtime_ns = status.st_mtime_ns if status is not None else 0
        self.disk.overwrite(self.layout.sequence, _SEQUENCE.pack(number, mtime_ns))

    def unshare(self) -> None:
        """Give the number a file that has no other name, as that would see what is written in place."""
        sequence = self.read()
        own = f"{self.layout.internal}/stage-seq"
        self.disk.write_new(own, _SEQUENCE.pack(sequence.number, sequence.mtime_ns))
        self.disk.rename(own, self.layout.sequence)

    def begin_anew(self) -> None:
        """Take the dataset for one that was never written to, for good; the caller knows that no datapoint is in it."""
        self.disk.remove(self.layout.sequence)
        self.disk.sync_directories([self.layout.internal])
