"""Laws of the last moment: what comes just before a commit, from a person or from git, is heeded."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from filestore import FileStore
from filestore.storage.files import Disk
from tests.proofs.cases import BATCH, DATASET, batch, chat, everything, extraction, insert


@dataclass(frozen=True)
class LastMomentDisk(Disk):
    """The door to the disk, beside somebody who acts at the last moment before something is staged, or read."""

    act: Callable[[], object] = lambda: None
    moment: str = "stage"
    acted: list[str] = field(default_factory=list)

    def make_directory(self, path: str) -> bool:
        self.look("stage", path)
        return super().make_directory(path)

    def write_new(self, path: str, data: bytes, mode: int | None = None, *, sync: bool = False) -> None:
        self.look("stage", path)
        super().write_new(path, data, mode, sync=sync)

    def read(self, path: str) -> tuple[bytes, os.stat_result]:
        self.look("read", path)
        return super().read(path)

    def look(self, moment: str, path: str) -> None:
        if moment == self.moment and not self.acted and ("/stage-" in path or path.endswith(".json")):
            self.acted.append(path)
            self.act()


def take_back(path: Path, user: bytes) -> None:
    [tombstone] = path.parent.glob("tombstones/*/*")
    tombstone.unlink()


ACTS: dict[str, Callable[[Path, bytes], object]] = {
    "a deletion is taken back": take_back,
    "a datapoint comes": lambda path, user: path.with_name(
        f"{uuid.UUID(int=uuid.UUID(path.stem).int + 1)}.json"
    ).write_bytes(user),
    "a draft comes": lambda path, user: path.with_name("draft.json").write_bytes(user),
    "a file is edited": lambda path, user: path.with_name("other.json").write_bytes(user),
}
"""What somebody does, given the file of a deleted datapoint and bytes that use the same schema."""


@pytest.mark.parametrize("moment", ["read", "stage"])
@pytest.mark.parametrize("act", ACTS)
def test_a_purge_takes_nothing_that_was_needed_at_the_last_moment(tmp_path: Path, act: str, moment: str) -> None:
    store = FileStore(tmp_path)
    [doomed] = insert(store, [extraction("object")])
    insert(store, batch("text"))
    dataset = tmp_path / DATASET
    (dataset / "other.json").write_text("{}")
    store.delete_datapoint(dataset_name=DATASET, datapoint_id=doomed)
    path = dataset / f"{doomed}.json"
    user = path.read_bytes()
    beside = FileStore(tmp_path)
    disk = beside._datasets._disk = LastMomentDisk(act=lambda: ACTS[act](path, user), moment=moment)
    purge = beside.purge_dataset(dataset_name=DATASET)
    assert disk.acted
    assert purge.schemas == []
    assert len(list((dataset / "schemas").iterdir())) == 1
    assert path.exists() == (purge.datapoints == []) == (act == "a deletion is taken back")
    assert len(everything(store)) == BATCH + (act in ("a deletion is taken back", "a datapoint comes"))


@pytest.mark.parametrize("kind", ["schemas", "files"])
def test_an_insert_writes_what_git_takes_away_at_the_last_moment(tmp_path: Path, kind: str) -> None:
    block = {"type": "file", "mime_type": "text/plain", "data": "AAAA"}
    with_file = {**chat("text"), "type": "chat", "input": {"messages": [{"role": "user", "content": [block]}]}}
    items = [extraction("object") if kind == "schemas" else with_file] * 2
    store = FileStore(tmp_path)
    insert(store, items)
    [needed] = (tmp_path / DATASET / kind).iterdir()
    beside = FileStore(tmp_path)
    disk = beside._datasets._disk = LastMomentDisk(act=needed.unlink)
    insert(beside, items)
    assert disk.acted
    assert needed.exists()
    assert len(everything(FileStore(tmp_path))) == 4
