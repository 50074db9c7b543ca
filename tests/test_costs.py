"""What each operation asks of the file system, in numbers that depend neither on the machine nor on the dataset's size.

A number that grows is a regression; one that shrinks is to be written down here.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from filestore import FileStore
from filestore.storage import files
from filestore.storage.files import YOUNG_NS

DATASET = "cases"
SIZES = [50, 500]
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@dataclass
class Cost:
    """What was asked of the file system.

    Attributes:
        opened: Files and directories opened.
        looked: Looks at the status of a name or an open file.
        listed: Directories listed.
        read: Bytes read from files.
        written: Bytes written to files.
        named: Names made, moved and taken away.
        synced: Waits for the disk.
    """

    opened: int = 0
    looked: int = 0
    listed: int = 0
    read: int = 0
    written: int = 0
    named: int = 0
    synced: int = 0


@dataclass
class Meter:
    """Stands between this process and its operating system, passes everything on, and counts.

    Attributes:
        root: The store's root.
        cost: The counts.
        is_on: Whether it counts.
        opened_by_anybody: What the interpreter itself has counted in the root: nothing may be opened past the meter.
        descriptors: What was opened.
    """

    root: Path
    cost: Cost = field(default_factory=Cost)
    is_on: bool = False
    opened_by_anybody: int = 0
    descriptors: set[int] = field(default_factory=set)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("stat", "lstat", "fstat", "access"):
            self._count(monkeypatch, os, name, "looked")
        for name in ("listdir", "scandir"):
            self._count(monkeypatch, os, name, "listed")
        for name in ("mkdir", "rmdir", "rename", "replace", "link", "unlink", "remove"):
            self._count(monkeypatch, os, name, "named")
        self._count(monkeypatch, os, "fsync", "synced")
        self._count(monkeypatch, files, "_sync_file_system", "synced")
        open_file, read, write = os.open, os.read, os.write

        def counting_open(*arguments: Any, **rest: Any) -> int:
            descriptor = open_file(*arguments, **rest)
            self.add("opened")
            self.descriptors.add(descriptor)
            return descriptor

        def counting_read(descriptor: int, size: int) -> bytes:
            data = read(descriptor, size)
            if descriptor in self.descriptors:  # and not the queue of events
                self.add("read", len(data))
            return data

        def counting_write(descriptor: int, data: Any) -> int:
            size = write(descriptor, data)
            self.add("written", size)
            return size

        monkeypatch.setattr(os, "open", counting_open)
        monkeypatch.setattr(os, "read", counting_read)
        monkeypatch.setattr(os, "write", counting_write)

    def _count(self, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, kind: str) -> None:
        call = getattr(module, name)

        def counting(*arguments: Any, **rest: Any) -> Any:
            self.add(kind)
            return call(*arguments, **rest)

        monkeypatch.setattr(module, name, counting)

    def audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and self.is_on and str(arguments[0]).startswith(str(self.root)):
            self.opened_by_anybody += 1

    def add(self, kind: str, count: int = 1) -> None:
        if self.is_on:
            setattr(self.cost, kind, getattr(self.cost, kind) + count)

    @contextmanager
    def counting(self) -> Iterator[None]:
        self.is_on = True
        try:
            yield
        finally:
            self.is_on = False


class Auditor:
    """The one audit hook, which cannot be taken away again; it reports to the meter of the running test."""

    def __init__(self) -> None:
        self.meter: Meter | None = None
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.meter is not None:
            self.meter.audit(event, arguments)


@pytest.fixture(scope="module")
def auditor() -> Auditor:
    return Auditor()


def chat(number: int) -> dict[str, Any]:
    """Return an item of the same size as all others; one in ten is of another function, and one in ten has a tag."""
    return {
        "type": "chat",
        "function_name": "rare" if number % 10 == 0 else "draft",
        "input": {"messages": [{"role": "user", "content": f"Write text {number:06}"}]},
        "output": f"Text {number:06}",
        "tags": {"split": "rare" if number % 10 == 1 else "test"},
    }


@pytest.fixture(scope="module", params=SIZES)
def template(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root in a repository, with so many datapoints, one in seven of them deleted."""
    root = tmp_path_factory.mktemp("costs") / "store"
    (root / ".git").mkdir(parents=True)
    (root / ".git" / "HEAD").write_text("0123456789" * 4, encoding="ascii")
    store = make_store(root)
    ids = store.bulk_insert_datapoints(dataset_name=DATASET, datapoints=list(map(chat, range(request.param))))
    store.delete_datapoints(dataset_name=DATASET, ids=ids[::7])
    return root


def make_store(root: Path, random: Iterator[int] | None = None) -> FileStore:
    bits = random or iter(range(1, 10**9))
    return FileStore(root, clock=lambda: NOW, random_bits=lambda count: next(bits))


class Subject:
    """A store that has come to rest, and the datapoints that operations are about: one among many, at any size."""

    def __init__(self, template: Path, root: Path) -> None:
        shutil.copytree(template, root, symlinks=True)
        self.root = root
        for path in root.rglob("*"):
            os.utime(path, (1e9, 1e9))
        self.rest()
        self.store = make_store(root, iter(range(10**9, 10**10)))
        self.one = sorted(path.stem for path in (root / DATASET).glob("*.json"))[25]

    def rest(self) -> None:
        """Wait until nothing is so young that a store would look at it twice."""
        deadline = time.monotonic() + 60
        while any(time.time_ns() - path.lstat().st_ctime_ns < 4 * YOUNG_NS for path in self.root.rglob("*")):
            assert time.monotonic() < deadline

    def warm(self) -> None:
        for _ in range(3):
            self.search()
            self.list()
            self.get()
        self.rest()

    def get(self) -> None:
        assert self.store.get_datapoint(dataset_name=DATASET, datapoint_id=self.one).id == uuid.UUID(self.one)

    def list(self, **rest: Any) -> None:
        assert self.store.list_datapoints(dataset_name=DATASET, **rest)

    def list_by_tag(self) -> None:
        self.list(filter={"type": "tag", "key": "split", "value": "rare", "comparison_operator": "="}, limit=5)

    def search(self) -> None:
        assert self.store.list_datapoints(dataset_name=DATASET, search_query="nowhere") == []

    def insert(self, count: int) -> None:
        items = [chat(10**5 + number) for number in range(count)]
        assert len(self.store.bulk_insert_datapoints(dataset_name=DATASET, datapoints=items)) == count

    def update(self, *, new_ids: bool) -> None:
        change = {"type": "chat", "id": self.one, "tags": {"split": "next"}}
        self.store.update_datapoints(dataset_name=DATASET, requests=[change], new_ids=new_ids)

    def delete(self) -> None:
        assert self.store.delete_datapoint(dataset_name=DATASET, datapoint_id=self.one) == 1


OPERATIONS: dict[str, Callable[[Subject], object]] = {
    "get, cold": Subject.get,
    "get": Subject.get,
    "list 50": lambda subject: subject.list(limit=50),
    "list 5 by function": lambda subject: subject.list(function_name="rare", limit=5),
    "list 5 by tag": Subject.list_by_tag,
    "search": Subject.search,
    "insert 1, cold": lambda subject: subject.insert(1),
    "insert 1": lambda subject: subject.insert(1),
    "insert 100": lambda subject: subject.insert(100),
    "update 1": lambda subject: subject.update(new_ids=True),
    "update 1 in place": lambda subject: subject.update(new_ids=False),
    "delete 1, cold": Subject.delete,
    "delete 1": Subject.delete,
}
COSTS = """
                      opened  looked  listed    read written   named  synced
get, cold                  3      11       0     266       0       0       0
get                        0       1       0       0       0       0       0
list 50                    0       1       0       0       0       0       0
list 5 by function         0       1       0       0       0       0       0
list 5 by tag              0       1       0       0       0       0       0
search                     0       1       0       0       0       0       0
insert 1, cold             6      14       1      16     265       1       2
insert 1                   6      13       1      16     265       1       2
insert 100               109     216       2      56   35712     105       3
update 1                  13      23       2     290     673       8       4
update 1 in place          7      15       1     250     313       1       2
delete 1, cold            10      25       1      48      32       1       3
delete 1                   8      16       1      16      32       1       3
"""


def expected_cost(operation: str) -> Cost:
    """Return a row of the table."""
    [row] = [line for line in COSTS.splitlines() if line.startswith(f"{operation:19} ")]
    return Cost(*map(int, row.removeprefix(operation).split()))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere other calls do the same")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_costs(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, auditor: Auditor, operation: str
) -> None:
    subject = Subject(template, tmp_path / "store")
    if not operation.endswith("cold"):
        subject.warm()
    meter = auditor.meter = Meter(subject.root)
    meter.install(monkeypatch)
    with meter.counting():
        OPERATIONS[operation](subject)
    auditor.meter = None
    expected = expected_cost(operation)
    assert meter.cost == expected, f"now {astuple(meter.cost)}, and written down {astuple(expected)}"
    assert meter.opened_by_anybody == meter.cost.opened
