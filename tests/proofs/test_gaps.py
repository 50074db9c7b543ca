"""Laws of gaps: a file that somebody is just replacing is gone for a moment, and nobody takes it for removed."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from filestore import FileStore
from filestore.datapoint import Datapoint
from filestore.storage.files import YOUNG_NS, Disk
from filestore.storage.patience import GAP_NS
from tests.proofs.cases import BATCH, DATASET, come_to_rest, everything, extraction, insert
from tests.proofs.processes import until

ATTEMPTS = 20


@dataclass(frozen=True)
class GapDisk(Disk):
    """The door to the disk, beside somebody who replaces a file by removing it and, some looks later, making it."""

    path: Path = Path()
    data: bytes = b""
    is_long: bool = False
    """Whether it takes so long that listing and reading alone are given up."""
    looks: list[str] = field(default_factory=list)
    removed_at: list[int] = field(default_factory=list)

    def take_away(self) -> None:
        self.removed_at.append(time.time_ns())
        self.path.unlink()

    def is_found(self, read: Callable[[], list[Datapoint]]) -> bool | None:
        """Tell whether a read finds the file; None if it was so slow that it need not have waited for the file."""
        found = self.path.stem in [str(datapoint.id) for datapoint in read()]
        if not found and time.time_ns() - self.removed_at[-1] > GAP_NS:
            self.path.write_bytes(self.data)
            return None
        return found

    def look(self, path: str, *, is_late: bool = False) -> None:
        if is_late == self.is_long:
            self.looks.append(path)
            if len(self.looks) == 2:
                self.path.write_bytes(self.data)

    def status(self, path: str) -> os.stat_result | None:
        found = super().status(path)
        if path == str(self.path) and found is None:
            self.look(path, is_late=True)
        return found

    def names(self, path: str) -> list[str]:
        found = super().names(path)
        if path == str(self.path.parent):
            self.look(path)
        return found

    def read(self, path: str) -> tuple[bytes, os.stat_result]:
        try:
            return super().read(path)
        except FileNotFoundError:
            if path == str(self.path):
                self.look(path)
            raise


def get_one(store: FileStore, target: uuid.UUID) -> list[Datapoint]:
    return [store.get_datapoint(dataset_name=DATASET, datapoint_id=target)]


def is_waited_for(attempt: Callable[[], bool | None]) -> bool:
    """Tell the outcome of the first attempt that has one; on a busy machine it may not be the first of all."""
    return next((found for found in (attempt() for _ in range(ATTEMPTS)) if found is not None), False)


@pytest.mark.parametrize(
    ("is_fresh", "is_long"), [(False, False), (False, True), (True, False)], ids=["lasting", "lasting-long", "fresh"]
)
@pytest.mark.parametrize("read", [lambda store, _: everything(store), get_one], ids=["list", "get"])
def test_file_that_is_just_being_replaced_is_waited_for(
    edited: tuple[FileStore, uuid.UUID, Path],
    read: Callable[[FileStore, uuid.UUID], list[Datapoint]],
    is_fresh: bool,
    is_long: bool,
) -> None:
    store, target, path = edited

    def attempt() -> bool | None:
        reader = FileStore(store.root)
        disk = reader._datasets._disk = GapDisk(path=path, data=path.read_bytes(), is_long=is_long)
        come_to_rest(path.parent)
        if not is_fresh:
            assert len(everything(reader)) == BATCH
        disk.looks.clear()
        disk.take_away()
        return disk.is_found(lambda: read(reader, target))

    assert is_waited_for(attempt)


@pytest.mark.parametrize("is_fresh", [False, True], ids=["lasting", "fresh"])
def test_what_a_file_uses_that_is_just_being_replaced_is_not_purged(tmp_path: Path, is_fresh: bool) -> None:
    [one] = insert(FileStore(tmp_path), [extraction("object")])
    path = tmp_path / DATASET / f"{one}.json"
    reader = FileStore(tmp_path)
    disk = reader._datasets._disk = GapDisk(path=path, data=path.read_bytes(), is_long=not is_fresh)
    assert is_fresh or len(everything(reader)) == 1
    disk.looks.clear()
    disk.take_away()
    assert reader.purge_dataset(dataset_name=DATASET).schemas == []
    assert len(everything(FileStore(tmp_path))) == 1


@dataclass(frozen=True)
class LostTurnDisk(GapDisk):
    """The same, where the file is removed once the store has lost its turn for long before a look at the directory."""

    number: int = 1
    """Before which look."""
    checks: list[str] = field(default_factory=list)

    def check_directory(self, path: str) -> os.stat_result | None:
        if path == str(self.path.parent):
            self.checks.append(path)
            if len(self.checks) == self.number:
                goes_on_ns = time.time_ns() + GAP_NS + YOUNG_NS
                assert until(lambda: time.time_ns() > goes_on_ns)
                self.take_away()
        return super().check_directory(path)


@pytest.mark.parametrize("number", range(1, 7))
def test_file_that_is_removed_while_the_store_loses_its_turn_is_waited_for(
    edited: tuple[FileStore, uuid.UUID, Path], number: int
) -> None:
    store, _, path = edited

    def attempt() -> bool | None:
        reader = FileStore(store.root)
        disk = reader._datasets._disk = LostTurnDisk(path=path, data=path.read_bytes(), number=number)
        come_to_rest(path.parent)
        while not disk.removed_at:
            found = disk.is_found(lambda: everything(reader))
        return found

    assert is_waited_for(attempt)
