"""Laws of a write that is cut off: all of it happened or nothing, for every reader, before and after recovery.

The process is stopped in two ways: killed for real at a moment that no test can choose, and stopped at each single
operation of the one door to the disk, which leaves no moment out.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from filestore import FileStore
from filestore.datapoint import Datapoint
from filestore.errors import CommittedError, FilestoreError, RecoveryNeededError, StorageError
from filestore.storage.files import Disk

KILLS = 60 if os.environ.get("FILESTORE_LONG_TESTS") else 5
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DATASET = "cases"
EVERYTHING = 10**9


def chat(text: str) -> dict[str, Any]:
    return {
        "type": "chat",
        "function_name": "draft_email",
        "input": {"messages": [{"role": "user", "content": text}]},
        "output": f"Dear {text}",
    }


def extraction(text: str, kind: str = "string") -> dict[str, Any]:
    return {
        "type": "json",
        "function_name": "extract_entities",
        "input": {"messages": [{"role": "user", "content": text}]},
        "output_schema": {"type": "object", "properties": {"name": {"type": kind}}},
        "output": {"name": text},
        "tags": {"source": text},
    }


def mixed(count: int) -> list[dict[str, Any]]:
    return [chat(f"Ann {n}") if n % 3 else extraction(f"Bob {n}") for n in range(count)]


def put_body(text: str) -> dict[str, Any]:
    body = {key: value for key, value in chat(text).items() if key != "type"}
    return {**body, "function_name": "tensorzero::default", "is_custom": True}


def everything(store: FileStore) -> list[Datapoint]:
    return store.list_datapoints(dataset_name=DATASET, limit=EVERYTHING)


def insert(store: FileStore, items: list[dict[str, Any]], dataset: str = DATASET) -> list[uuid.UUID]:
    return store.bulk_insert_datapoints(dataset_name=dataset, datapoints=items)


def tree(root: Path) -> dict[str, bytes]:
    """Return every file outside `.filestore/`, with its bytes."""
    paths = (path for path in root.rglob("*") if path.is_file())
    relative = {path.relative_to(root).as_posix(): path for path in paths}
    return {name: path.read_bytes() for name, path in relative.items() if not name.startswith(".filestore/")}


def internals(root: Path) -> set[str]:
    """Return every file and directory below `.filestore/`."""
    internal = root / ".filestore"
    return {path.relative_to(internal).as_posix() for path in internal.rglob("*")}


ID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
OWN_FILE = re.compile(
    rf"[^/]+/({ID}\.json|schemas/[0-9a-f]{{16}}\.json|tombstones/[0-9a-f]{{2}}/{ID}@\d{{8}}T\d{{6}}\.\d{{6}}Z)"
)


def assert_clean(root: Path, dataset: str = DATASET) -> None:
    """Nothing that a cut-off write left behind has outlived the next write."""
    assert internals(root) == {".gitignore", dataset, f"{dataset}/lock", f"{dataset}/seq"}
    assert [name for name in tree(root) if not OWN_FILE.fullmatch(name)] == []


# --- killed at any moment


Mailbox = Connection
CONTEXT = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
ANSWER_SECONDS = 60.0


def receive(mailbox: Mailbox) -> Any:
    assert mailbox.poll(ANSWER_SECONDS), "the other process is silent"
    return mailbox.recv()


def run_writer(root: Path, dataset: str, mailbox: Mailbox) -> None:
    store = FileStore(root)
    items = mixed(1000)
    mailbox.send("ready")
    mailbox.recv()
    insert(store, items, dataset)
    mailbox.send("returned")
    mailbox.recv()


def run_reader(root: Path, dataset: str, mailbox: Mailbox) -> None:
    """Count until told to stop, with a store opened just now and with one that lives on; send what was counted."""
    lasting = FileStore(root)
    counts = set()
    mailbox.send("ready")
    while not mailbox.poll():
        for store in (FileStore(root), lasting):
            counts.add(len(store.list_datapoints(dataset_name=dataset, limit=EVERYTHING)))
            counts.add(store.count_datapoints(dataset_name=dataset))
    mailbox.send(counts)


def start(target: Callable[..., None], *arguments: object) -> tuple[Any, Mailbox]:
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=target, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()
    assert receive(ours) == "ready"
    return process, ours


def kill_during_insert(root: Path, dataset: str, delay: float) -> tuple[bool, float, set[int]]:
    """Kill an insert so many seconds after its start; return whether it had returned, when, and what a reader saw."""
    reader, from_reader = start(run_reader, root, dataset)
    writer, from_writer = start(run_writer, root, dataset)
    began = monotonic()
    from_writer.send("go")
    has_returned = from_writer.poll(delay)
    seconds = monotonic() - began
    writer.kill()
    writer.join()
    from_reader.send("stop")
    seen = receive(from_reader)
    reader.join()
    from_reader.close()
    from_writer.close()
    return has_returned, seconds, seen


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_killed_bulk_insert_is_whole_or_absent_and_no_reader_ever_saw_a_part(tmp_path: Path) -> None:
    has_returned, duration, seen = kill_during_insert(tmp_path, "whole", ANSWER_SECONDS)
    assert has_returned
    assert seen <= {0, 1000}
    for number in range(KILLS):
        dataset = f"killed-{number}"
        has_returned, _, seen = kill_during_insert(tmp_path, dataset, duration * (number + 0.5) / KILLS)
        assert seen <= {0, 1000}
        store = FileStore(tmp_path)
        count = len(store.list_datapoints(dataset_name=dataset, limit=EVERYTHING))
        assert count in ((1000,) if has_returned else (0, 1000))
        insert(store, [chat("next")], dataset)
        assert store.count_datapoints(dataset_name=dataset) == count + 1
        assert {name for name in internals(tmp_path) if name.startswith(f"{dataset}/")} == {
            f"{dataset}/lock",
            f"{dataset}/seq",
        }
    assert [name for name in tree(tmp_path) if not OWN_FILE.fullmatch(name)] == []


# --- stopped at each operation


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

    fault: Fault = field(default_factory=lambda: Fault(EVERYTHING))

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

    def sync_directories(self, root: str, paths: Any) -> None:
        for path in paths:
            self.fault.strike(path)


def open_store(root: Path, fault: Fault | None = None, now: datetime = NOW + timedelta(hours=1)) -> FileStore:
    """Open a store that makes the same ids and times in each run."""
    store = FileStore(root, durable=False, clock=lambda: now, random_bits=lambda bits: 0)
    store._disk = FaultyDisk(durable=False, fault=fault or Fault(EVERYTHING))
    return store


def open_read_only(root: Path) -> FileStore:
    return open_store(root, Fault(1, errno.EROFS, is_lasting=True))


def existing(root: Path) -> list[uuid.UUID]:
    return sorted(uuid.UUID(path.stem) for path in (root / DATASET).glob("*.json"))


def put(number: int) -> Callable[[FileStore], object]:
    def act(store: FileStore) -> object:
        target = existing(store.root)[number]
        return store.put_datapoint(dataset_name=DATASET, datapoint_id=target, datapoint=put_body("Zoe"))

    return act


def rename_all(store: FileStore) -> object:
    requests = [{"id": str(one), "name": "renamed"} for one in existing(store.root)[1:]]
    return store.update_datapoints_metadata(dataset_name=DATASET, requests=requests)


Act = Callable[[FileStore], object]
ACTS: dict[str, Act] = {
    "insert-many": lambda store: insert(store, [chat("Cid"), extraction("Dan", "number"), chat("Eve")]),
    "insert-one": lambda store: insert(store, [chat("Cid")]),
    "insert-one-with-new-schema": lambda store: insert(store, [extraction("Dan", "integer")]),
    "put-over-existing": put(1),
    "put-over-stale": put(0),
    "rename-in-place": rename_all,
    "delete-one": lambda store: store.delete_datapoint(dataset_name=DATASET, datapoint_id=existing(store.root)[1]),
    "delete-many": lambda store: store.delete_dataset(dataset_name=DATASET),
    "first-insert": lambda store: insert(store, [chat("Cid"), extraction("Dan")]),
}
ACTS["insert-one-with-new-schema"] = lambda store: insert(store, [{**extraction("Dan"), "output_schema": {}}])
ACTS["insert-many"] = lambda store: insert(store, [chat("Cid"), {**extraction("Dan"), "output_schema": {}}, chat("E")])


@dataclass(frozen=True)
class Scene:
    """One operation, the store before it, and what it leaves when nothing goes wrong."""

    act: Act
    template: Path
    before: list[Datapoint]
    after: list[Datapoint]
    before_files: dict[str, bytes]
    after_files: dict[str, bytes]

    def copies(self, directory: Path) -> Iterator[Path]:
        """Yield fresh copies of the store as it was before."""
        for number in range(1, 200):
            root = directory / str(number)
            shutil.copytree(self.template, root)
            yield root
        raise AssertionError("the operation never ends")


@pytest.fixture(params=ACTS)
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Scene:
    template = tmp_path / "template"
    template.mkdir()
    if request.param != "first-insert":
        store = open_store(template, now=NOW)
        ids = insert(store, [chat("Ann"), chat("Bea"), extraction("Bob"), chat("Bix")])
        store.delete_datapoint(dataset_name=DATASET, datapoint_id=ids[0])
    clean = tmp_path / "clean"
    shutil.copytree(template, clean)
    store = open_store(clean)
    before = everything(store)
    ACTS[request.param](store)
    after = everything(store)
    assert before != after
    return Scene(ACTS[request.param], template, before, after, tree(template), tree(clean))


def age(root: Path) -> None:
    """Make directories look untouched for a while, so that readers need not wait for names on their way."""
    for path in (root, *root.rglob("*")):
        if path.is_dir():
            os.utime(path, (1_700_000_000, 1_700_000_000))


def assert_next_write_works(root: Path, expected: list[Datapoint]) -> None:
    store = open_store(root, now=NOW + timedelta(hours=2))
    [new_id] = insert(store, [chat("next")])
    age(root)
    assert [datapoint for datapoint in everything(store) if datapoint.id != new_id] == expected
    assert_clean(root)


def test_stopped_anywhere_it_is_whole_or_absent_before_and_after_recovery(scene: Scene, tmp_path: Path) -> None:
    has_been_absent = has_been_whole = False
    for number, root in enumerate(scene.copies(tmp_path), 1):
        fault = Fault(number)
        try:
            scene.act(open_store(root, fault))
        except Stopped:
            pass
        if not fault.has_struck:
            break
        age(root)
        seen = everything(open_read_only(root))
        assert seen in (scene.before, scene.after), f"a read-only reader sees a part after operation {number}"
        assert everything(open_store(root)) == seen, f"recovery changes what readers saw after operation {number}"
        assert_next_write_works(root, seen)
        has_been_absent |= seen == scene.before
        has_been_whole |= seen == scene.after
    assert has_been_absent
    assert has_been_whole


def test_stopped_recovery_is_taken_up_again(scene: Scene, tmp_path: Path) -> None:
    template = tmp_path / "committed"
    for number, root in enumerate(scene.copies(tmp_path), 1):
        fault = Fault(number)
        try:
            scene.act(open_store(root, fault))
        except Stopped:
            pass
        if not fault.has_struck:
            pytest.skip("a change of one file needs no recovery")
        if (root / ".filestore" / DATASET / "pending").is_dir():
            template = root
            break
    for number in range(1, 200):
        root = tmp_path / f"recovered-{number}"
        shutil.copytree(template, root)
        fault = Fault(number)
        try:
            open_store(root, fault).recover()
        except Stopped:
            pass
        if not fault.has_struck:
            return
        age(root)
        assert everything(open_read_only(root)) == scene.after
        assert_next_write_works(root, scene.after)
    raise AssertionError("recovery never ends")


@pytest.mark.parametrize("is_lasting", [False, True], ids=["once", "from-then-on"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
def test_refused_anywhere_it_fails_and_nothing_changed_or_it_is_committed_and_completed(
    scene: Scene, tmp_path: Path, code: int, is_lasting: bool
) -> None:
    for number, root in enumerate(scene.copies(tmp_path), 1):
        fault = Fault(number, code, is_lasting)
        store = open_store(root, fault)
        expected = scene.before
        try:
            scene.act(store)
            expected = scene.after
        except StorageError as error:
            assert str(error)
        except CommittedError:
            expected = scene.after
        if not fault.has_struck:
            break
        age(root)
        assert everything(open_read_only(root)) == expected, f"refused operation {number}"
        assert everything(store) == expected, f"refused operation {number}: the same store object"
        fault.at, fault.count = EVERYTHING, 0
        assert_next_write_works(root, expected)
        assert everything(store) != expected
    assert number > 3


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
def test_refused_recovery_fails_the_next_write_without_a_word_of_success(
    scene: Scene, tmp_path: Path, code: int
) -> None:
    for number, template in enumerate(scene.copies(tmp_path), 1):
        fault = Fault(number)
        try:
            scene.act(open_store(template, fault))
        except Stopped:
            pass
        if (template / ".filestore" / DATASET / "pending").is_dir():
            break
        if not fault.has_struck:
            pytest.skip("a change of one file needs no recovery")
    for number in range(1, 200):
        root = tmp_path / f"refused-{number}"
        shutil.copytree(template, root)
        age(root)
        fault = Fault(number, code)
        store = open_store(root, fault, NOW + timedelta(hours=3))
        try:
            insert(store, [chat("never")])
        except StorageError:
            assert everything(store) == scene.after
            assert_next_write_works(root, scene.after)
        except CommittedError:
            assert len(everything(store)) == len(scene.after) + 1
        if not fault.has_struck:
            return
    raise AssertionError("recovery never ends")
