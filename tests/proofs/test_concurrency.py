"""Laws of many at once: writers add up, and every answer is whole while editors, git and batches change the files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from subprocess import run

import pytest

from filestore import FileStore
from filestore.datapoint import Datapoint
from filestore.errors import DatasetNameError, LockTimeoutError
from filestore.storage.files import Disk
from filestore.storage.locks import WriterLock, writer_lock
from tests.proofs.cases import BATCH, DATASET, batch, chat, everything, extraction, insert, text_of
from tests.proofs.effort import choose, count
from tests.proofs.processes import ANSWER_SECONDS, Mailbox, receive, running, until

ROUNDS = choose(10, 100)
SWITCHES = choose(40, 500)
CREATIONS = choose(8, 300)


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
