"""Faults at the one door to the disk: what the operating system refuses, and where the process is stopped dead."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from filestore.storage.files import Disk

__all__ = ["NEVER", "Fault", "FaultyDisk", "NotingDisk", "Stopped"]

NEVER = 10**9


class Stopped(BaseException):
    """The process is gone: nothing it would still have done happens."""


@dataclass
class Fault:
    """What befalls the n-th operation that changes the disk, and from then on each one if it is lasting."""

    at: int
    error: int | None = None
    """An errno; None stops the process."""
    is_lasting: bool = False
    count: int = 0

    @property
    def has_struck(self) -> bool:
        return self.count >= self.at

    def strike(self, path: str) -> None:
        self.count += 1
        if self.error is None and self.count >= self.at:
            raise Stopped
        if self.count == self.at or (self.is_lasting and self.count > self.at):
            assert self.error is not None
            raise OSError(self.error, os.strerror(self.error), path)


@dataclass(frozen=True)
class FaultyDisk(Disk):
    """The door to the disk, in front of a fault. What is written when it strikes is torn in the middle."""

    fault: Fault = field(default_factory=lambda: Fault(NEVER))

    def make_directory(self, path: str) -> bool:
        if self.status(path) is None:
            self.fault.strike(path)
        return super().make_directory(path)

    def write_new(self, path: str, data: bytes, mode: int | None = None, *, sync: bool = False) -> None:
        try:
            self.fault.strike(path)
        except BaseException:
            if self.fault.count == self.fault.at:
                super().write_new(path, data[: len(data) // 2], mode)
            raise
        super().write_new(path, data, mode)
        if sync:
            self.fault.strike(path)

    def overwrite(self, path: str, data: bytes) -> None:
        self.fault.strike(path)
        super().overwrite(path, data)

    def rename(self, source: str, target: str) -> None:
        self.fault.strike(target)
        super().rename(source, target)

    def remove(self, path: str) -> None:
        self.fault.strike(path)
        super().remove(path)

    def remove_tree(self, path: str) -> None:
        if self.status(path) is not None:
            self.fault.strike(path)
        super().remove_tree(path)

    def sync_file(self, path: str) -> None:
        self.fault.strike(path)

    def sync_directories(self, paths: Any) -> None:
        for path in paths:
            self.fault.strike(path)


@dataclass(frozen=True)
class NotingDisk(Disk):
    """The door to the disk, which notes what takes room there."""

    done: list[tuple[str, str]] = field(default_factory=list)

    def make_directory(self, path: str) -> bool:
        is_new = super().make_directory(path)
        if is_new:
            self.done.append(("make_directory", path))
        return is_new

    def write_new(self, path: str, data: bytes, mode: int | None = None, *, sync: bool = False) -> None:
        self.done.append(("write_new", path))
        super().write_new(path, data, mode, sync=sync)

    def rename(self, source: str, target: str) -> None:
        self.done.append(("rename", target))
        super().rename(source, target)
