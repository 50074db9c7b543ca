"""Laws of many at once: writers add up, and every answer is whole while editors, git and batches change the files."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from subprocess import run
from time import monotonic
from typing import Any

import pytest

from filestore import FileStore
from filestore.datapoint import ChatDatapoint, Datapoint
from filestore.errors import LockTimeoutError
from filestore.storage.locks import writer_lock

IS_LONG = bool(os.environ.get("FILESTORE_LONG_TESTS"))
READ_SECONDS = 60.0 if IS_LONG else 4.0
ROUNDS = 100 if IS_LONG else 10
DATASET = "cases"
EVERYTHING = 10**9
BATCH = 20

Mailbox = Connection
CONTEXT: Any = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
"""What starts other processes; `Any`, as only the concrete contexts have a `Process`."""
ANSWER_SECONDS = 60.0


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


def receive(mailbox: Mailbox) -> Any:
    assert mailbox.poll(ANSWER_SECONDS), "the other process is silent"
    return mailbox.recv()


@contextmanager
def running(target: Callable[..., None], *arguments: object) -> Iterator[Mailbox]:
    """Run a function in another process; its last argument is the mailbox it hears from and answers to."""
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=target, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        process.join(ANSWER_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()


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
            threads.submit(lambda store=store: [insert(store, batch("thread")) for _ in range(ROUNDS)])
            for store in (store, other)
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
            assert until(lambda number=number: len(lock._waiting) == number)
    for thread in threads:
        thread.join()
    assert order == list(range(8))


def test_thread_that_gives_up_leaves_the_queue_in_order(tmp_path: Path) -> None:
    lock = writer_lock(str(tmp_path / "lock"))
    with ThreadPoolExecutor(2) as threads:
        with lock.hold(ANSWER_SECONDS):
            impatient = threads.submit(lambda: lock.hold(0.01).__enter__())
            assert isinstance(impatient.exception(), LockTimeoutError)
            patient = threads.submit(lambda: lock.hold(ANSWER_SECONDS).__enter__())
            assert until(lambda: len(lock._waiting) == 1)
        patient.result()
    with pytest.raises(LockTimeoutError), lock.hold(0.01):
        pass


def until(condition: Callable[[], bool]) -> bool:
    """Wait, not forever, until something is so."""
    deadline = monotonic() + ANSWER_SECONDS
    while not condition():
        if monotonic() > deadline:
            return False
        os.sched_yield() if hasattr(os, "sched_yield") else None
    return True
