"""The members of a crowd: clients who call at random, and persons who save, add and remove files. Each is recorded."""

from __future__ import annotations

import json
import random
import re
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from filestore import FileStore
from filestore.errors import FileContentError
from tests.proofs.doors import DATASET, Door, GatewayDoor, StoreDoor, render
from tests.proofs.history import Recorder
from tests.proofs.processes import Mailbox

__all__ = ["be_persons", "begin", "call_by_stores", "call_gateways"]

SPLITS = ["train", "test"]
ID_NAME = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}\.json")
MANY = 30
"""From so many live datapoints on, more are deleted than inserted."""


def new_id() -> str:
    """Return a UUIDv7 of now."""
    import time

    bits = time.time_ns() // 1_000_000 << 80 | random.SystemRandom().getrandbits(80)
    return str(uuid.UUID(int=bits & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62))


class Client:
    """Calls at random what its door has, and knows of the datapoints what the last answers told."""

    def __init__(self, name: str, seed: int, door: Door, log: Path) -> None:
        self._name = name
        self._random = random.Random(f"{seed} {name}")
        self._door = door
        self._recorder = Recorder(log / name)
        self._serial = 0
        self._live: list[str] = []
        self._gone: list[str] = []
        calls: dict[Callable[[], None], int] = {
            self.insert: 4,
            self.put: 3,
            self.patch: 4,
            self.rename: 5,
            self.delete: 4,
            self.restore: 2,
            self.list: 5,
            self.page: 2,
            self.query: 3,
            self.get: 6,
            self.find: 3,
            self.count: 3,
        }
        if isinstance(door, StoreDoor):
            calls[self.patch_in_place] = 4
        self._calls, self._weights = list(calls), list(calls.values())

    def run(self, times: int) -> None:
        """Make so many calls."""
        with suppress(FileContentError):
            self.list()
        for _ in range(times - 1):
            [call] = self._random.choices(self._calls, self._weights)
            with suppress(FileContentError):
                call()
        self._recorder.close()

    # --- choosing

    def mark(self) -> str:
        self._serial += 1
        return f"{self._name}.{self._serial}"

    def contents(self, number: int) -> list[list[Any]]:
        return [[f"text {mark}", None, self._random.choice(SPLITS), mark] for mark in self.marks(number)]

    def marks(self, number: int) -> list[str]:
        return [self.mark() for _ in range(number)]

    def pick(self, most: int) -> list[str]:
        """Choose some that were live when last seen; now and then none of them is any more."""
        source = self._gone if self._gone and self._random.random() < 0.1 else self._live
        return self._random.sample(source, min(len(source), self._random.randint(1, most)))

    def learn(self, rows: list[list[Any]]) -> None:
        live = [one[0] for one in rows]
        self._gone = [one for one in self._live if one not in live][:20] or self._gone
        self._live = live

    # --- writing

    def insert(self) -> None:
        if len(self._live) >= MANY:
            return self.delete(6)
        contents = self.contents(self._random.choice([1, 1, 2, 5]))
        ids = self._recorder.call("insert", lambda: self._door.insert(contents), contents=contents)
        self._live += ids
        return None

    def put(self) -> None:
        ids = self.pick(1) if self._random.random() < 0.8 else []
        [one] = ids or [new_id()]
        [content] = self.contents(1)
        self._recorder.call("put", lambda: self._door.put(one, content), ids=[one], contents=[content])

    def patch(self) -> None:
        if ids := self.pick(3):
            split, marks = self._random.choice(SPLITS), self.marks(len(ids))
            act = lambda: self._door.patch(ids, split, marks)  # noqa: E731
            found = self._recorder.call("patch", act, ids=ids, split=split, marks=marks)
            self._live = [one for one in self._live if one not in ids] + (found or [])

    def patch_in_place(self) -> None:
        door = self._door
        if (ids := self.pick(3)) and isinstance(door, StoreDoor):
            split, marks = self._random.choice(SPLITS), self.marks(len(ids))
            act = lambda: door.patch(ids, split, marks, new_ids=False)  # noqa: E731
            self._recorder.call("patch_in_place", act, ids=ids, split=split, marks=marks)

    def rename(self) -> None:
        if ids := self.pick(3):
            name = f"name {self.mark()}"
            self._recorder.call("rename", lambda: self._door.rename(ids, name), ids=ids, name=name)

    def delete(self, most: int = 3) -> None:
        if ids := self.pick(most):
            self._recorder.call("delete", lambda: self._door.delete(ids), ids=ids)
            self._gone += [one for one in ids if one not in self._gone]

    def restore(self) -> None:
        if self._gone:
            ids = self._random.sample(self._gone, min(len(self._gone), self._random.randint(1, 2)))
            self._recorder.call("restore", lambda: self._door.restore(ids), ids=ids)

    # --- reading

    def list(self) -> None:
        self.learn(self._recorder.call("list", lambda: self._door.list_page(0), offset=0))

    def page(self) -> None:
        offset, limit = self._random.randint(0, 10), self._random.randint(1, 10)
        self._recorder.call("list", lambda: self._door.list_page(offset, limit), offset=offset, limit=limit)

    def query(self) -> None:
        split = self._random.choice([None, *SPLITS])
        self._recorder.call("query", lambda: self._door.query(split), split=split)

    def get(self) -> None:
        if ids := self.pick(1):
            self._recorder.call("get", lambda: self._door.get(ids[0]), ids=ids)

    def find(self) -> None:
        if ids := list(dict.fromkeys([*self.pick(4), *self._gone[:2]])):
            self._recorder.call("find", lambda: self._door.find(ids), ids=ids)

    def count(self) -> None:
        self._recorder.call("count", self._door.count)


class Person:
    """Saves files by rename and in place, adds some and removes some, as editors and file managers do."""

    def __init__(self, name: str, seed: int, root: Path, log: Path) -> None:
        self._name = name
        self._random = random.Random(f"{seed} {name}")
        self._directory = root / DATASET
        self._beside = root / f"{name}.tmp"
        self._recorder = Recorder(log / name)
        self._serial = 0
        self._pause = threading.Event()

    def run(self, times: int) -> None:
        """Do something to files so many times."""
        for action in self._random.choices([self.save, self.add, self.remove], [8, 1, 1], k=times):
            action()
            self._pause.wait(self._random.random() * 0.01)  # a person thinks
        self._recorder.close()

    def save(self) -> None:
        path = self._choose()
        try:
            value = json.loads(path.read_bytes())
        except (FileNotFoundError, json.JSONDecodeError):  # somebody is at it
            return
        self._serial += 1
        value["output"] = f"text {self._name}.{self._serial}"
        content = [value["output"], value.get("name"), value["tags"]["split"], value["tags"]["by"]]
        self._save(path, value, content)

    def add(self) -> None:
        self._serial += 1
        mark = f"{self._name}.{self._serial}"
        content = [f"text {mark}", None, self._random.choice(SPLITS), mark]
        self._save(self._directory / f"{new_id()}.json", render(content), content)

    def remove(self) -> None:
        path = self._choose()

        def act() -> bool | None:
            try:
                path.unlink()
            except FileNotFoundError:
                return None
            return True

        self._recorder.call("remove", act, ids=[path.stem])

    def _save(self, path: Path, value: dict[str, Any], content: list[Any]) -> None:
        data = json.dumps(value, indent=self._random.choice([None, 2, 4])).encode()
        save = self._random.choice([self._save_by_rename, self._save_in_place])
        arguments = {"ids": [path.stem], "contents": [content], "replaces": value.get("replaces")}
        self._recorder.call("save", lambda: save(path, data), **arguments)

    def _save_by_rename(self, path: Path, data: bytes) -> bool:
        self._beside.write_bytes(data)
        self._beside.replace(path)
        return True

    def _save_in_place(self, path: Path, data: bytes) -> bool:
        half = self._random.choice([0, len(data) // 2])
        with path.open("wb", buffering=0) as file:
            file.write(data[:half])
            file.write(data[half:])
        return True

    def _choose(self) -> Path:
        """Choose one of the youngest files, which are most likely live; one that is not there if none is."""
        names = sorted(path.name for path in self._directory.iterdir() if ID_NAME.fullmatch(path.name))
        return self._directory / self._random.choice(names[-MANY:] or [f"{new_id()}.json"])


def _together(runs: list[Callable[[], None]], mailbox: Mailbox) -> None:
    """Wait for the start, let all run at once, and say that they are through."""
    mailbox.send("ready")
    mailbox.recv()
    with ThreadPoolExecutor(len(runs)) as threads:
        for future in [threads.submit(run) for run in runs]:
            future.result()
    mailbox.send("done")


def begin(root: Path, seed: int, log: Path) -> None:
    """Make the dataset, with a few datapoints."""
    client = Client("first", seed, StoreDoor(FileStore(root, durable=False)), log)
    for _ in range(4):
        client.insert()
    client.run(1)


def call_by_stores(
    root: Path, names: list[str], seed: int, times: int, watch: bool, log: Path, mailbox: Mailbox
) -> None:
    """Call by two stores of one process: all but the last client share the first store."""
    shared, own = (FileStore(root, durable=False, watch=watch) for _ in range(2))
    stores = [own if name == names[-1] and len(names) > 1 else shared for name in names]
    clients = [Client(name, seed, StoreDoor(store), log) for name, store in zip(names, stores, strict=True)]
    _together([lambda client=client: client.run(times) for client in clients], mailbox)  # type: ignore[misc]


def call_gateways(names: dict[str, str], seed: int, times: int, log: Path, mailbox: Mailbox) -> None:
    """Call gateways, each client by a connection of its own."""
    clients = [Client(name, seed, GatewayDoor(url), log) for name, url in names.items()]
    _together([lambda client=client: client.run(times) for client in clients], mailbox)  # type: ignore[misc]


def be_persons(root: Path, names: list[str], seed: int, times: int, log: Path, mailbox: Mailbox) -> None:
    """Edit files by hand."""
    persons = [Person(name, seed, root, log) for name in names]
    _together([lambda person=person: person.run(times) for person in persons], mailbox)  # type: ignore[misc]
