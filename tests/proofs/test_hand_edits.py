"""Laws of hand edits: the next read sees each, and no write of the store takes one away."""

from __future__ import annotations

import mmap
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import pytest

from filestore import FileStore
from filestore.errors import FileContentError
from filestore.storage.files import Disk, signature
from tests.proofs.cases import BATCH, DATASET, come_to_rest, everything, extraction, insert, text_of


def test_edit_in_place_of_same_size_and_mtime_is_seen_by_the_next_read(
    edited: tuple[FileStore, uuid.UUID, Path],
) -> None:
    store, target, path = edited
    status = path.stat()
    for number in range(20):
        with path.open("r+b") as file:
            data = file.read()
            file.seek(data.rindex(b'"text ') + 1)
            file.write(b"t%03d" % number)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert path.stat().st_size == status.st_size
        assert text_of(store.get_datapoint(dataset_name=DATASET, datapoint_id=target)) == f"t{number:03} 3"
        assert f"t{number:03} 3" in map(text_of, everything(store))
        path.write_bytes(data)


def test_file_added_and_removed_by_hand_is_seen_by_the_next_read_although_times_are_restored(
    edited: tuple[FileStore, uuid.UUID, Path],
) -> None:
    store, target, path = edited
    status = path.parent.stat()
    twin = path.with_name(f"{uuid.UUID(int=target.int + 1)}.json")
    for _ in range(3):
        come_to_rest(path.parent)
        assert len(everything(store)) == BATCH
        twin.write_bytes(path.read_bytes())
        os.utime(path.parent, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert len(everything(store)) == BATCH + 1
        twin.unlink()
        os.utime(path.parent, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert len(everything(store)) == BATCH


def test_schema_edited_in_place_with_size_and_mtime_kept_fails_the_next_read(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    insert(store, [extraction("object")])
    [path] = (tmp_path / DATASET / "schemas").iterdir()
    come_to_rest(path)
    assert len(everything(store)) == 1
    status, data = path.stat(), path.read_bytes()
    path.write_bytes(data.replace(b"object", b"string"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(FileContentError, match="altered"):
        everything(store)
    path.write_bytes(data)
    assert len(everything(store)) == 1


@dataclass(frozen=True)
class EditorBesideDisk(Disk):
    """The door to the disk, beside an editor who saves the file once, when the store has just read or staged it."""

    moment: str = "read"
    path: Path = Path()
    saved: list[int] = field(default_factory=list)

    def save(self, moment: str, path: str) -> None:
        if moment == self.moment and not self.saved and Path(path).name.endswith(self.path.name):
            self.saved.append(self.path.write_text(self.path.read_text().replace("text 3", "hand 3")))

    def read(self, path: str) -> tuple[bytes, os.stat_result]:
        found = super().read(path)
        self.save("read", path)
        return found

    def write_new(self, path: str, data: bytes, mode: int | None = None, *, sync: bool = False) -> None:
        super().write_new(path, data, mode, sync=sync)
        self.save("staged" if ".filestore" in path else "", f"{path}-{self.path.name}")


Beside = tuple[FileStore, list[str]]


@pytest.fixture
def edited_beside(edited: tuple[FileStore, uuid.UUID, Path], request: pytest.FixtureRequest) -> Iterator[Beside]:
    """A store beside which a person saves the edited file, and the ids to change: the file's, and some others."""
    moment, number = request.param
    store, target, path = edited
    beside = FileStore(store.root)
    disk = beside._datasets._disk = EditorBesideDisk(moment=moment, path=path)
    others = [one.id for one in everything(store) if one.id != target][: number - 1]
    yield beside, [str(one) for one in (target, *others)]
    assert disk.saved


SAVES = pytest.mark.parametrize("edited_beside", list(product(["read", "staged"], [1, 2])), indirect=True, ids=str)


@SAVES
def test_hand_edit_saved_during_an_update_is_kept_by_it(edited_beside: Beside) -> None:
    store, ids = edited_beside
    store.update_datapoints_metadata(dataset_name=DATASET, requests=[{"id": one, "name": "renamed"} for one in ids])
    updated = FileStore(store.root).get_datapoint(dataset_name=DATASET, datapoint_id=ids[0])
    assert (updated.name, text_of(updated)) == ("renamed", "hand 3")


@SAVES
def test_hand_edit_saved_before_a_successor_takes_over_is_kept_by_it(edited_beside: Beside) -> None:
    store, ids = edited_beside
    requests = [{"type": "chat", "id": one, "tags": {"by": "patch"}} for one in ids]
    successor, *_ = store.update_datapoints(dataset_name=DATASET, requests=requests)
    updated = FileStore(store.root).get_datapoint(dataset_name=DATASET, datapoint_id=successor)
    assert (updated.tags, text_of(updated)) == ({"by": "patch"}, "hand 3")


@dataclass(frozen=True)
class SameTimeDisk(Disk):
    """The door to the disk, beside an editor who saves right after a read and leaves the file's times as they were.

    As with a clock that ticks slowly; here by a memory mapping, whose page was written before. What is then staged
    takes long, where told so.
    """

    path: Path = Path()
    is_slow: bool = False
    saved: list[bytes] = field(default_factory=list)

    def read(self, path: str) -> tuple[bytes, os.stat_result]:
        if self.saved or Path(path) != self.path:
            return super().read(path)
        with self.path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as page:
            at = page.rfind(b"text 3")
            while True:
                page[at : at + 4] = b"text"
                found = super().read(path)
                page[at : at + 4] = b"hand"
                if signature(self.path.stat()) == signature(found[1]):  # the kernel has not written the page meanwhile
                    break
        self.saved.append(found[0])
        return found

    def write_new(self, path: str, data: bytes, mode: int | None = None, *, sync: bool = False) -> None:
        super().write_new(path, data, mode, sync=sync)
        if self.is_slow and self.saved:
            come_to_rest(self.path)


@pytest.mark.parametrize("is_slow", [False, True], ids=["quick", "slow"])
@pytest.mark.parametrize("number", [1, 2])
def test_hand_edit_that_looks_like_what_was_read_is_kept_by_an_update(
    edited: tuple[FileStore, uuid.UUID, Path], number: int, is_slow: bool
) -> None:
    store, target, path = edited
    beside = FileStore(store.root)
    disk = beside._datasets._disk = SameTimeDisk(path=path, is_slow=is_slow)
    others = [one.id for one in everything(store) if one.id != target][: number - 1]
    requests = [{"id": str(one), "name": "renamed"} for one in (target, *others)]
    beside.update_datapoints_metadata(dataset_name=DATASET, requests=requests)
    updated = store.get_datapoint(dataset_name=DATASET, datapoint_id=target)
    assert (updated.name, text_of(updated)) == ("renamed", "hand 3")
    assert disk.saved
