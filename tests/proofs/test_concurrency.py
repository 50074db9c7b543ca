"""Laws of many at once: writers add up, and every answer is whole while editors, git and batches change the files."""

from __future__ import annotations

import json
import mmap
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from subprocess import run
from typing import Any

import pytest

from filestore import FileStore
from filestore.datapoint import ChatDatapoint, Datapoint
from filestore.errors import DatasetNameError, FileContentError, LockTimeoutError
from filestore.storage.files import YOUNG_NS, Disk, signature
from filestore.storage.locks import WriterLock, writer_lock
from tests.proofs.effort import choose, count
from tests.proofs.processes import ANSWER_SECONDS, Mailbox, receive, running, until

ROUNDS = choose(10, 100)
SWITCHES = choose(40, 500)
CREATIONS = choose(8, 300)
DATASET = "cases"
EVERYTHING = 10**9
BATCH = 20
ATTEMPTS = 20
GAP_NS = 60_000_000
"""For so long a new process waits for a name that is gone."""


def chat(text: str, function_name: str = "draft_email") -> dict[str, Any]:
    return {
        "type": "chat",
        "function_name": function_name,
        "input": {"messages": [{"role": "user", "content": text}]},
        "output": text,
    }


def batch(text: str) -> list[dict[str, Any]]:
    return [chat(f"{text} {number}") for number in range(BATCH)]


def everything(store: FileStore) -> list[Datapoint]:
    return store.list_datapoints(dataset_name=DATASET, limit=EVERYTHING)


def insert(store: FileStore, items: list[dict[str, Any]]) -> list[uuid.UUID]:
    return store.bulk_insert_datapoints(dataset_name=DATASET, datapoints=items)


def text_of(datapoint: Datapoint) -> str:
    assert isinstance(datapoint, ChatDatapoint)
    assert datapoint.output is not None
    return str(datapoint.output[0]["text"])


# --- other processes


def insert_and_delete(root: Path, name: str, mailbox: Mailbox) -> None:
    """Insert batches and delete one datapoint of each, then say how many are left."""
    store = FileStore(root, durable=False)
    mailbox.recv()
    for number in range(ROUNDS):
        ids = insert(store, batch(f"{name} {number}"))
        assert store.delete_datapoint(dataset_name=DATASET, datapoint_id=ids[number % BATCH]) == 1
    mailbox.send(ROUNDS * (BATCH - 1))


def delete_same(root: Path, ids: list[uuid.UUID], mailbox: Mailbox) -> None:
    store = FileStore(root, durable=False)
    mailbox.recv()
    mailbox.send(sum(store.delete_datapoint(dataset_name=DATASET, datapoint_id=one) for one in ids))


def hold_lock(root: Path, mailbox: Mailbox) -> None:
    with writer_lock(f"{root}/.filestore/{DATASET}/lock").hold(ANSWER_SECONDS):
        mailbox.send("held")
        mailbox.poll(ANSWER_SECONDS)


# --- writers


def test_processes_and_threads_writing_one_dataset_add_up(tmp_path: Path) -> None:
    with (
        running(insert_and_delete, tmp_path, "first") as first,
        running(insert_and_delete, tmp_path, "second") as second,
        ThreadPoolExecutor(2) as threads,
    ):
        for mailbox in (first, second):
            mailbox.send("go")
        store = FileStore(tmp_path, durable=False)
        other = FileStore(tmp_path, durable=False)
        here = [
            threads.submit(lambda target: [insert(target, batch("thread")) for _ in range(ROUNDS)], target)
            for target in (store, other)
        ]
        expected = sum(receive(mailbox) for mailbox in (first, second))
        expected += sum(len(ids) for future in here for ids in future.result())
    assert len(everything(store)) == store.count_datapoints(dataset_name=DATASET) == expected
    assert len(everything(FileStore(tmp_path))) == expected
    names = {path.name for path in (tmp_path / ".filestore" / DATASET).iterdir()}
    assert names == {"lock", "seq"}


def test_each_datapoint_is_deleted_by_exactly_one_of_many(tmp_path: Path) -> None:
    ids = insert(FileStore(tmp_path), batch("one"))
    with running(delete_same, tmp_path, ids) as first, running(delete_same, tmp_path, ids[::-1]) as second:
        for mailbox in (first, second):
            mailbox.send("go")
        assert receive(first) + receive(second) == len(ids)
    assert len(list((tmp_path / DATASET / "tombstones").rglob("*@*"))) == len(ids)


def make_and_empty(root: Path, name: str, mailbox: Mailbox) -> None:
    """Insert one datapoint whenever told to; say whether it was let in. Empty the dataset again when told to."""
    store = FileStore(root, durable=False)
    while (order := mailbox.recv()) is not None:
        if order == "make":
            try:
                ids = store.bulk_insert_datapoints(dataset_name=name, datapoints=[chat("one")])
                mailbox.send(len(ids))
            except (DatasetNameError, LockTimeoutError):
                mailbox.send(0)
        else:
            store.delete_dataset(dataset_name=name)
            store.purge_dataset(dataset_name=name)
            mailbox.send("emptied")


def test_of_two_processes_that_make_datasets_of_names_that_differ_in_case_exactly_one_does(tmp_path: Path) -> None:
    """Whether the directories are new, or left by a purge."""
    with running(make_and_empty, tmp_path, "case") as lower, running(make_and_empty, tmp_path, "CASE") as upper:
        for number in range(CREATIONS):
            for mailbox in (lower, upper)[:: (-1) ** number]:
                mailbox.send("make")
            assert sorted(map(receive, (lower, upper))) == [0, 1]
            assert len(list(tmp_path.glob("*/*.json"))) == 1
            for mailbox in (lower, upper):
                mailbox.send("empty")
                assert receive(mailbox) == "emptied"
        for mailbox in (lower, upper):
            mailbox.send(None)
    count("races to make two datasets of one name", CREATIONS)


def test_writer_that_waits_too_long_gives_up_and_changes_nothing(tmp_path: Path) -> None:
    insert(FileStore(tmp_path), batch("first"))
    impatient = FileStore(tmp_path, lock_timeout=0.05)
    with running(hold_lock, tmp_path) as mailbox:
        assert receive(mailbox) == "held"
        with pytest.raises(LockTimeoutError):
            insert(impatient, batch("second"))
        assert len(everything(impatient)) == BATCH, "readers need no lock"
    insert(impatient, batch("third"))
    assert len(everything(impatient)) == 2 * BATCH


def test_writer_waits_for_the_holder_in_another_process(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    insert(store, batch("first"))
    with ThreadPoolExecutor(1) as threads:
        with running(hold_lock, tmp_path) as mailbox:
            assert receive(mailbox) == "held"
            waiting = threads.submit(insert, store, batch("second"))
        assert len(waiting.result()) == BATCH


def test_threads_get_the_lock_in_the_order_they_asked(tmp_path: Path) -> None:
    lock = writer_lock(str(tmp_path / "lock"))
    order: list[int] = []

    def take(number: int) -> None:
        with lock.hold(ANSWER_SECONDS):
            order.append(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
    with lock.hold(ANSWER_SECONDS):
        for number, thread in enumerate(threads, 1):
            thread.start()
            assert until(partial(is_queue, lock, number))
    for thread in threads:
        thread.join()
    assert order == list(range(8))


def test_thread_that_gives_up_leaves_the_queue_in_order(tmp_path: Path) -> None:
    lock = writer_lock(str(tmp_path / "lock"))

    def take(timeout: float) -> str:
        with lock.hold(timeout):
            return "held"

    with ThreadPoolExecutor(2) as threads:
        with lock.hold(ANSWER_SECONDS):
            assert isinstance(threads.submit(take, 0.01).exception(), LockTimeoutError)
            patient = threads.submit(take, ANSWER_SECONDS)
            assert until(partial(is_queue, lock, 1))
        assert patient.result() == "held"
    assert take(0.01) == "held"


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system has no such signals")
def test_thread_that_is_broken_off_leaves_the_queue_in_order(tmp_path: Path) -> None:
    lock = writer_lock(str(tmp_path / "lock"))
    waiting_thread = threading.get_ident()

    def take() -> str:
        with lock.hold(ANSWER_SECONDS):
            return "held"

    def interrupt() -> bool:
        with lock.hold(ANSWER_SECONDS):
            held.set()
            is_waiting = until(partial(is_queue, lock, 1))
            signal.pthread_kill(waiting_thread, signal.SIGINT)
            return is_waiting and until(partial(is_queue, lock, 0))

    held = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        interrupter = threads.submit(interrupt)
        held.wait()
        with pytest.raises(KeyboardInterrupt):
            take()
        assert interrupter.result()
    with lock.hold(0.01):
        pass


def is_broken_off(lock: WriterLock, thread: int) -> bool:
    """Interrupt a thread that waits for a lock; tell whether it does no more."""
    signal.pthread_kill(thread, signal.SIGINT)
    deadline = time.monotonic() + 2.0
    while not is_queue(lock, 0) and time.monotonic() < deadline:
        threading.Event().wait(0.001)
    return is_queue(lock, 0)


def is_queue(lock: WriterLock, length: int) -> bool:
    return len(lock._waiting) == length


FORK = """
import os, sys, threading
from filestore import FileStore
from filestore.errors import LockTimeoutError
from filestore.storage.locks import writer_lock

root, dataset = sys.argv[1:]
store = FileStore(root, lock_timeout=0.2)
item = {"type": "chat", "function_name": "f", "input": {"messages": []}}

def insert_in_child():
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        store.bulk_insert_datapoints(dataset_name=dataset, datapoints=[item])
    except LockTimeoutError:
        sys.exit(7)
    sys.exit(0)

def hold():
    with writer_lock(f"{root}/.filestore/{dataset}/lock").hold(60):
        held.set()
        enough.wait()

held, enough = threading.Event(), threading.Event()
holder = threading.Thread(target=hold)
holder.start()
held.wait()
codes = [insert_in_child(), insert_in_child()]
enough.set()
holder.join()
print(codes, insert_in_child())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_child_forked_while_a_thread_holds_the_lock_neither_has_it_nor_frees_it(tmp_path: Path) -> None:
    insert(FileStore(tmp_path), batch("first"))
    command = [sys.executable, "-W", "ignore", "-c", FORK, str(tmp_path), DATASET]
    answer = run(command, capture_output=True, text=True, check=False)
    assert (answer.stdout, answer.stderr) == ("[7, 7] 0\n", "")


# --- what comes at the last moment


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


# --- hand edits


@pytest.fixture
def edited(tmp_path: Path) -> tuple[FileStore, uuid.UUID, Path]:
    """A store that has read everything, and one of its datapoints with its file."""
    store = FileStore(tmp_path)
    ids = insert(store, batch("text"))
    assert len(everything(store)) == BATCH
    return store, ids[3], tmp_path / DATASET / f"{ids[3]}.json"


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


def come_to_rest(path: Path) -> None:
    """Wait until nothing about a file or a directory is so young that a store would not remember it."""
    assert until(lambda: time.time_ns() - path.stat().st_ctime_ns > 2 * YOUNG_NS)


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


@dataclass(frozen=True)
class HaltingDisk(Disk):
    """The door to the disk, which halts once, from when it is told to, at a name that is read or renamed to."""

    name: str = ""
    is_armed: threading.Event = field(default_factory=threading.Event)
    has_arrived: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def halt(self, path: str) -> None:
        if self.is_armed.is_set() and not self.has_arrived.is_set() and path.endswith(self.name):
            self.has_arrived.set()
            assert self.go_on.wait(ANSWER_SECONDS)

    def read(self, path: str) -> tuple[bytes, os.stat_result]:
        self.halt(path)
        return super().read(path)

    def rename(self, source: str, target: str) -> None:
        super().rename(source, target)
        self.halt(target)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody tells of changes")
def test_reader_told_of_half_a_batch_never_takes_it_for_the_whole(tmp_path: Path) -> None:
    """By the time it looks whether a write is under way, the one whose first half it was told of is over."""
    reader, writer = FileStore(tmp_path), FileStore(tmp_path)
    reads = reader._datasets._disk = HaltingDisk(name="/seq")
    writes = writer._datasets._disk = HaltingDisk(name=".json")
    insert(writer, batch("old"))
    while not reader._datasets.get(DATASET)._index.watches.is_on:
        assert len(everything(reader)) == BATCH
    reads.is_armed.set()
    writes.is_armed.set()
    with ThreadPoolExecutor() as threads:
        written = threads.submit(insert, writer, batch("new"))
        assert writes.has_arrived.wait(ANSWER_SECONDS)
        listed = threads.submit(everything, reader)
        assert reads.has_arrived.wait(ANSWER_SECONDS)
        writes.go_on.set()
        written.result()
        reads.go_on.set()
        assert len(listed.result()) == 2 * BATCH


def test_two_stores_in_one_process_see_each_others_writes(tmp_path: Path) -> None:
    first, second = FileStore(tmp_path), FileStore(tmp_path)
    for number in range(1, 20):
        [new_id] = insert(first, [chat("one")])
        assert len(everything(second)) == 1
        assert second.delete_datapoint(dataset_name=DATASET, datapoint_id=new_id) == 1
        assert everything(first) == []
        assert len(list((tmp_path / DATASET).glob("*.json"))) == number


# --- everybody at once


VERSIONS = ["short", "a much longer version, " * 200, "middling " * 20]


def repeat(action: Callable[[int], None], enough: int, mailbox: Mailbox) -> None:
    """Do something over and over until told to stop; say when it was often enough."""
    rounds = 0
    while not mailbox.poll():
        action(rounds)
        rounds += 1
        if rounds == enough:
            mailbox.send("enough")


def edit_files(truncated: Path, replaced: Path, mailbox: Mailbox) -> None:
    """Save one file in place in small writes and the other by rename."""
    original = json.loads(truncated.read_text())
    new = replaced.parents[1] / "editor.tmp"

    def save(number: int) -> None:
        text = json.dumps({**original, "output": VERSIONS[number % len(VERSIONS)]}, indent=2)
        with truncated.open("w") as file:
            for start in range(0, len(text), 1000):
                file.write(text[start : start + 1000])
                file.flush()
        new.write_text(text)
        new.replace(replaced)

    repeat(save, 20 * SWITCHES, mailbox)


def git(root: Path, *arguments: str) -> None:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "core.autocrlf=false"]
    command = ["git", "-C", str(root), *identity, *arguments]
    run(command, env=environment, capture_output=True, check=True)


def switch_branches(root: Path, mailbox: Mailbox) -> None:
    repeat(lambda number: git(root, "checkout", "--quiet", ("main", "side")[number % 2]), SWITCHES, mailbox)


def write_batches(root: Path, mailbox: Mailbox) -> None:
    """Insert batches and delete them; not without end, as their files stay."""
    store = FileStore(root, durable=False)
    for number in range(SWITCHES):
        ids = insert(store, batch(f"batch {number}"))
        assert store.delete_datapoints(dataset_name=DATASET, ids=ids) == BATCH
    mailbox.send("enough")


def extraction(kind: str) -> dict[str, Any]:
    return {
        "type": "json",
        "function_name": "extract_entities",
        "input": {"messages": []},
        "output_schema": {"type": kind},
    }


def rewrite(root: Path, ids: list[uuid.UUID], word: str) -> None:
    for path in (root / DATASET / f"{one}.json" for one in ids):
        path.write_text(path.read_text().replace('"output": "', f'"output": "{word} '))


@pytest.fixture
def repository(tmp_path: Path) -> tuple[Path, list[uuid.UUID], list[uuid.UUID], uuid.UUID]:
    """A store with two branches: files alike on both, files that differ, and one whose schema differs, too."""
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    store = FileStore(tmp_path, durable=False)
    steady = insert(store, batch("steady"))
    changing = insert(store, batch("changing"))
    [typed] = insert(store, [extraction("object")])
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message=main")
    git(tmp_path, "checkout", "--quiet", "-b", "side")
    rewrite(tmp_path, changing, "side")
    path = tmp_path / DATASET / f"{typed}.json"
    [schema] = (tmp_path / DATASET / "schemas").iterdir()
    [twin] = insert(store, [extraction("array")])
    path.write_bytes((tmp_path / DATASET / f"{twin}.json").read_bytes())
    (tmp_path / DATASET / f"{twin}.json").unlink()
    schema.unlink()
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message=side")
    return tmp_path, steady, changing, typed


def assert_whole(
    datapoints: list[Datapoint], steady: list[uuid.UUID], changing: list[uuid.UUID], typed: uuid.UUID
) -> None:
    by_id = {datapoint.id: datapoint for datapoint in datapoints}
    assert len(by_id) == len(datapoints)
    assert by_id.pop(typed).type == "json"
    for one in steady[:2]:
        assert text_of(by_id.pop(one)) in ("steady 0", "steady 1", *VERSIONS)
    for number, one in enumerate(steady[2:], 2):
        assert text_of(by_id.pop(one)) == f"steady {number}"
    for number, one in enumerate(changing):
        assert text_of(by_id.pop(one)) in (f"changing {number}", f"side changing {number}")
    batches = Counter(text_of(datapoint).rpartition(" ")[0] for datapoint in by_id.values())
    assert set(batches.values()) <= {BATCH}, batches
    assert len(batches) <= 1


def test_every_answer_is_whole_while_editors_git_and_batches_change_the_files(
    repository: tuple[Path, list[uuid.UUID], list[uuid.UUID], uuid.UUID],
) -> None:
    root, steady, changing, typed = repository
    lasting = FileStore(root)
    files = [root / DATASET / f"{one}.json" for one in steady[:2]]
    with (
        running(edit_files, *files) as editor,
        running(switch_branches, root) as switcher,
        running(write_batches, root) as writer,
    ):
        busy = [editor, switcher, writer]
        while busy:
            for store in (lasting, FileStore(root)):
                assert_whole(everything(store), steady, changing, typed)
                for one in (*steady[:3], *changing[:3], typed):
                    assert store.get_datapoint(dataset_name=DATASET, datapoint_id=one).id == one
            busy = [mailbox for mailbox in busy if not mailbox.poll() or receive(mailbox) != "enough"]
        for mailbox in (editor, switcher):
            mailbox.send("stop")
    assert_whole(everything(lasting), steady, changing, typed)


FORK_BESIDE_A_BUSY_STORE = """
import os, sys, threading
from filestore import FileStore

asked, enough = threading.Event(), threading.Event()

def random_bits(count):
    if threading.current_thread() is not threading.main_thread():
        asked.set()
        enough.wait()
    return 1

store = FileStore(sys.argv[1], random_bits=random_bits)
item = {"type": "chat", "function_name": "f", "input": {"messages": []}}
busy = threading.Thread(target=store.bulk_insert_datapoints, kwargs={"dataset_name": "a", "datapoints": [item]})
busy.start()
asked.wait()
child = os.fork()
if not child:
    store.bulk_insert_datapoints(dataset_name="b", datapoints=[item])
    os._exit(0)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
enough.set()
busy.join()
print(code)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_child_forked_while_a_thread_is_making_ids_can_write(tmp_path: Path) -> None:
    words = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK_BESIDE_A_BUSY_STORE, str(tmp_path / "s")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "0\n"
