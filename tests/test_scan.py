"""Laws of scans: they find what lists find, whole or not at all, in memory that does not grow with the dataset."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from filestore import FileStore, Scan
from filestore.cli import main
from filestore.cli.settings import Settings
from filestore.cli.show import list_datapoints
from filestore.cli.spool import JSONSpool
from filestore.codec import JSONValue, compact, dumps
from filestore.datapoint import Datapoint
from filestore.errors import DatasetNameError, FileContentError, LockTimeoutError, RequestError
from filestore.storage.files import Disk
from filestore.storage.packed import PackedIds, iter_without
from tests.proofs.faults import Fault
from tests.proofs.scenes import act_until, copies, open_read_only, pending
from tests.test_cli import environment

DATASET = "cases"
COUNT = 12
FAR = 10**30


def chat(text: str, function_name: str = "reply", **rest: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"type": "chat", "function_name": function_name, "input": {"messages": messages}, "output": text, **rest}


def extraction(value: JSONValue, schema: JSONValue) -> dict[str, Any]:
    rest: Any = {"input": {"messages": []}, "output": value, "output_schema": schema}
    return {"type": "json", "function_name": "extract", **rest}


def insert(store: FileStore, items: list[dict[str, Any]]) -> list[uuid.UUID]:
    return store.bulk_insert_datapoints(dataset_name=DATASET, datapoints=items)


def scanned(store: FileStore, **arguments: Any) -> list[Datapoint]:
    return store.scan_datapoints(dataset_name=DATASET, consume=list, **arguments)


def listed(store: FileStore, **arguments: Any) -> list[Datapoint]:
    return store.list_datapoints(dataset_name=DATASET, **{"limit": FAR, **arguments})


def total(store: FileStore, **arguments: Any) -> int:
    return store.scan_datapoints(dataset_name=DATASET, consume=Scan.total, **arguments)


def path_of(store: FileStore, datapoint_id: uuid.UUID) -> Path:
    return store.root / DATASET / f"{datapoint_id}.json"


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store", durable=False)


@pytest.fixture
def filled(store: FileStore) -> FileStore:
    """A store of datapoints of two functions, some of them deleted, one of these twice."""
    ids = insert(store, [chat(f"text {number}", ("reply", "draft")[number % 3 == 0]) for number in range(COUNT)])
    for one in (ids[0], ids[5], ids[6], ids[11]):
        store.delete_datapoint(dataset_name=DATASET, datapoint_id=one)
    [tombstone] = (store.root / DATASET / "tombstones").rglob(f"{ids[5]}@*")
    tombstone.with_name(f"{ids[5]}@20200101T000000.000000Z").touch()
    return store


# --- ids


def uuids(numbers: set[int]) -> list[str]:
    return [str(uuid.UUID(int=number)) for number in numbers]


NUMBERS = st.sets(st.integers(0, 40) | st.integers(0, (1 << 128) - 1))


@given(numbers=NUMBERS, others=NUMBERS, most_loose=st.integers(1, 9))
def test_packed_ids_are_those_that_went_in_newest_first(numbers: set[int], others: set[int], most_loose: int) -> None:
    ids = PackedIds(most_loose=most_loose)
    for one in uuids(numbers):
        ids.add([one])
    again = PackedIds([*ids, *uuids(others)], most_loose)
    again.add(uuids(others))

    assert list(ids) == list(ids) == sorted(uuids(numbers), reverse=True)
    assert list(iter_without(again, ())) == sorted(uuids(numbers | others), reverse=True)
    assert list(iter_without(again, ids)) == sorted(uuids(others - numbers), reverse=True)


# --- what is found


@pytest.mark.parametrize("has_listed", [False, True], ids=["fresh", "lasting"])
@pytest.mark.parametrize("function_name", [None, "reply", "draft", "unknown"])
def test_a_scan_finds_what_a_list_finds(filled: FileStore, function_name: str | None, has_listed: bool) -> None:
    oracle = FileStore(filled.root)
    for offset in (*range(COUNT), FAR):
        for limit in (*range(COUNT), FAR):
            page = {"function_name": function_name, "offset": offset, "limit": limit}
            store = FileStore(filled.root)
            if has_listed:
                assert len(listed(store)) == COUNT - 4
            assert scanned(store, **page) == listed(oracle, **page)
            assert total(store, **page) == oracle.count_datapoints(dataset_name=DATASET, function_name=function_name)
    assert scanned(filled, function_name=function_name) == listed(oracle, function_name=function_name)


def test_a_total_counts_what_was_seen_and_what_was_not(filled: FileStore) -> None:
    def look(scan: Scan) -> tuple[Datapoint, int, list[Datapoint]]:
        return next(scan), scan.total(), list(scan)

    first, count, rest = filled.scan_datapoints(dataset_name=DATASET, offset=2, limit=3, consume=look)

    assert ([first], count, rest) == (listed(filled, offset=2, limit=1), COUNT - 4, [])


@pytest.mark.parametrize("name", ["other", "builder"], ids=["unknown", "reserved"])
def test_a_dataset_that_does_not_exist_is_empty(filled: FileStore, name: str) -> None:
    assert filled.scan_datapoints(dataset_name=name, consume=lambda scan: (list(scan), scan.total())) == ([], 0)


@pytest.mark.parametrize("page", [{"limit": -1}, {"offset": -1}, {"limit": "1"}, {"offset": 1.0}], ids=str)
def test_a_page_that_is_none_is_refused(filled: FileStore, page: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="whole numbers"):
        scanned(filled, **page)


def test_a_link_in_place_of_tombstones_or_of_the_dataset_is_refused(filled: FileStore, tmp_path: Path) -> None:
    tombstones = filled.root / DATASET / "tombstones"
    tombstones.rename(tmp_path / "elsewhere")
    (tmp_path / "empty").mkdir()
    tombstones.symlink_to(tmp_path / "empty")
    with pytest.raises(OSError, match="symbolic link"):
        scanned(FileStore(filled.root))

    (filled.root / DATASET).rename(tmp_path / "moved")
    (filled.root / DATASET).symlink_to(tmp_path / "moved")
    with pytest.raises(DatasetNameError, match="symbolic link"):
        scanned(FileStore(filled.root))


def test_each_datapoint_may_have_a_schema_of_its_own(store: FileStore) -> None:
    schemas: list[JSONValue] = [{"type": "object", "title": str(number)} for number in range(1010)]
    insert(store, [extraction({}, schema) for schema in schemas])

    assert [one.to_dict()["output_schema"] for one in scanned(FileStore(store.root))] == schemas[::-1]


def test_a_change_that_cannot_be_completed_is_seen_whole(tmp_path: Path) -> None:
    """A reader that may not write sees what is pending as if it were applied."""
    template = FileStore(tmp_path / "template", durable=False)
    ids = insert(template, [chat("old 0"), chat("old 1", "draft"), chat("old 2")])
    template.delete_datapoint(dataset_name=DATASET, datapoint_id=ids[2])

    def act(store: FileStore) -> object:
        return store.update_datapoints(dataset_name=DATASET, requests=[{"type": "chat", "id": str(ids[0])}])

    is_seen = False
    for root in copies(template.root, tmp_path / "copies"):
        if not act_until(act, root, Fault(int(root.name))):
            break
        if pending(root).is_dir():
            is_seen = True
            expected = listed(open_read_only(root))
            assert {one.replaces for one in expected} == {ids[0], None}
            assert scanned(open_read_only(root)) == expected
            assert scanned(open_read_only(root), offset=1, limit=1) == expected[1:]
            assert [one.replaces for one in scanned(open_read_only(root), function_name="reply")] == [ids[0]]
            assert total(open_read_only(root)) == 2
    assert is_seen


# --- what goes wrong


def test_a_file_that_cannot_be_read_fails_the_scan_that_needs_it(filled: FileStore) -> None:
    newest, *_, oldest = listed(filled)
    path_of(filled, oldest.id).write_bytes(b"<<<<<<<")

    assert scanned(filled, limit=COUNT - 5) == listed(filled, limit=COUNT - 5)
    assert scanned(filled, function_name="reply", limit=1) == [newest]
    assert scanned(filled, function_name="reply", limit=0, offset=COUNT) == []
    for arguments in ({}, {"function_name": "reply"}, {"function_name": "reply", "offset": 3}):
        with pytest.raises(FileContentError, match=rf"{oldest.id}\.json:1:1"):
            scanned(filled, **arguments)
    assert total(filled) == COUNT - 4
    with pytest.raises(FileContentError):
        total(filled, function_name="reply", limit=1)


def test_a_failure_that_is_caught_fails_the_scan_all_the_same(filled: FileStore) -> None:
    path_of(filled, listed(filled)[3].id).write_bytes(b"{")

    def look_away(scan: Scan) -> int:
        with suppress(FileContentError):
            return len(list(scan))
        return 0

    with pytest.raises(FileContentError):
        filled.scan_datapoints(dataset_name=DATASET, consume=look_away)


@pytest.mark.parametrize("error", [FileNotFoundError("theirs"), RequestError("theirs"), BrokenPipeError("theirs")])
def test_what_consume_raises_of_its_own_comes_out_as_it_is(filled: FileStore, error: Exception) -> None:
    calls: list[Datapoint] = []

    def fail(scan: Iterator[Datapoint]) -> None:
        calls.append(next(scan))
        raise error

    with pytest.raises(type(error)) as caught:
        filled.scan_datapoints(dataset_name=DATASET, consume=fail)
    assert caught.value is error
    assert len(calls) == 1


def test_a_scan_is_over_when_consume_returns(filled: FileStore) -> None:
    scan = filled.scan_datapoints(dataset_name=DATASET, consume=lambda scan: scan)

    with pytest.raises(ValueError, match="the scan is over"):
        next(scan)
    with pytest.raises(ValueError, match="the scan is over"):
        scan.total()


# --- changes meanwhile


@dataclass
class Interrupted:
    """Consumes a scan, and at its second datapoint lets something happen, once."""

    event: Callable[[], object]
    calls: int = 0

    def __call__(self, scan: Iterator[Datapoint]) -> list[Datapoint]:
        self.calls += 1
        found = list(islice(scan, 2))
        if self.calls == 1:
            self.event()
        return [*found, *scan]


BESIDE: dict[str, Callable[[FileStore, list[uuid.UUID]], object]] = {
    "insert": lambda store, ids: insert(store, [chat("new 0"), chat("new 1")]),
    "insert one": lambda store, ids: insert(store, [chat("new 0")]),
    "delete": lambda store, ids: store.delete_datapoints(dataset_name=DATASET, ids=[ids[0], ids[-1]]),
    "drop": lambda store, ids: store.delete_dataset(dataset_name=DATASET),
    "purge": lambda store, ids: store.purge_dataset(dataset_name=DATASET),
    "update": lambda store, ids: store.update_datapoints_metadata(
        dataset_name=DATASET, requests=[{"id": str(one), "name": "renamed"} for one in (ids[0], ids[-1])]
    ),
}


@pytest.mark.parametrize("has_listed", [False, True], ids=["fresh", "lasting"])
@pytest.mark.parametrize("change", BESIDE.values(), ids=BESIDE.keys())
def test_a_change_by_another_store_is_seen_whole(
    filled: FileStore, change: Callable[[FileStore, list[uuid.UUID]], object], has_listed: bool
) -> None:
    ids = [one.id for one in listed(filled)]
    consume = Interrupted(lambda: change(filled, ids))
    reader = FileStore(filled.root)
    if has_listed:
        assert [one.id for one in listed(reader)] == ids

    found = reader.scan_datapoints(dataset_name=DATASET, consume=consume)

    assert consume.calls == 2
    assert found == listed(FileStore(filled.root))


def test_writers_who_leave_no_gap_are_kept_waiting_at_last(filled: FileStore) -> None:
    writer = FileStore(filled.root, durable=False, lock_timeout=0)
    refusals: list[LockTimeoutError] = []

    def consume(scan: Iterator[Datapoint]) -> list[Datapoint]:
        found = [next(scan)]
        try:
            insert(writer, [chat("new 0"), chat("new 1")])
        except LockTimeoutError as error:
            refusals.append(error)
        return [*found, *scan]

    found = FileStore(filled.root).scan_datapoints(dataset_name=DATASET, consume=consume)

    assert len(refusals) == 1
    assert found == listed(filled)


@pytest.mark.parametrize("moment", [2, 8], ids=["read before", "not yet read"])
def test_a_file_removed_by_hand_is_as_gone_as_a_list_finds_it(filled: FileStore, moment: int) -> None:
    target = listed(filled)[moment if moment < COUNT - 4 else -1]
    consume = Interrupted(path_of(filled, target.id).unlink)

    found = FileStore(filled.root).scan_datapoints(dataset_name=DATASET, consume=consume)

    assert consume.calls == 2
    assert found == listed(FileStore(filled.root))
    assert target not in found


def test_a_file_saved_by_hand_before_it_is_read_is_read_as_saved(filled: FileStore) -> None:
    path = path_of(filled, listed(filled)[-1].id)
    consume = Interrupted(lambda: path.write_text(path.read_text().replace("text", "hand")))

    found = FileStore(filled.root).scan_datapoints(dataset_name=DATASET, consume=consume)

    assert consume.calls == 1
    assert found == listed(FileStore(filled.root))


@dataclass(frozen=True)
class ReplacingDisk(Disk):
    """The door to the disk, beside git: it removes a file before a look at names, and makes it before a later one."""

    path: Path = Path()
    removed_before: int = 1
    made_before: int = 2
    held: list[bytes] = field(default_factory=list)
    looks: list[str] = field(default_factory=list)

    def iter_names(self, path: str) -> Iterator[str]:
        if path == str(self.path.parent):
            self.pass_by()
        return super().iter_names(path)

    def status(self, path: str) -> os.stat_result | None:
        if path == str(self.path) and self.held:
            self.pass_by()
        return super().status(path)

    def pass_by(self) -> None:
        self.looks.append("")
        if len(self.looks) == self.removed_before:
            self.held.append(self.path.read_bytes())
            self.path.unlink()
        if len(self.looks) == self.made_before:
            self.path.write_bytes(self.held[0])


@pytest.mark.parametrize(("removed_before", "made_before"), [(1, 2), (1, 3), (1, 9)], ids=lambda number: str(number))
def test_a_file_that_is_just_being_replaced_is_not_missed(
    filled: FileStore, removed_before: int, made_before: int
) -> None:
    expected = listed(filled)
    path = path_of(filled, expected[3].id)
    reader = FileStore(filled.root)
    disk = ReplacingDisk(path=path, removed_before=removed_before, made_before=made_before)
    reader._datasets._disk = disk

    assert scanned(reader) == expected
    assert len(disk.looks) >= made_before


@dataclass(frozen=True)
class BusyDisk(Disk):
    """The door to the disk of a directory that somebody changes before every look at its names."""

    path: Path = Path()
    lacks: tuple[str, ...] = ()
    """Names that each look but the first misses: they are there again, each time it is over."""
    looks: list[str] = field(default_factory=list)

    def iter_names(self, path: str) -> Iterator[str]:
        self.looks.append(path)
        (self.path / f"draft-{len(self.looks)}.json").touch()
        is_first = len(self.looks) == 1
        return (name for name in super().iter_names(path) if is_first or name not in self.lacks)


def test_a_name_that_one_of_many_looks_has_missed_is_looked_for(filled: FileStore) -> None:
    expected = listed(filled)
    reader = FileStore(filled.root)
    disk = BusyDisk(path=filled.root / DATASET, lacks=tuple(f"{one.id}.json" for one in expected[2:4]))
    reader._datasets._disk = disk

    assert scanned(reader) == expected
    assert len(disk.looks) > 2


@dataclass(frozen=True)
class LackingDisk(Disk):
    """The door to the disk of a directory whose listing lacks a name: its file is just being replaced."""

    name: str = ""

    def iter_names(self, path: str) -> Iterator[str]:
        return (name for name in super().iter_names(path) if name != self.name)


def test_what_the_store_itself_has_added_is_not_missed(tmp_path: Path) -> None:
    store = FileStore(tmp_path, durable=False)
    disk = LackingDisk(durable=False)
    store._datasets._disk = disk
    ids = insert(store, [chat("a"), chat("b"), chat("c")])
    object.__setattr__(disk, "name", f"{ids[1]}.json")

    assert [one.id for one in scanned(store)] == ids[::-1]


# --- the command line


@dataclass(frozen=True)
class EventfulDisk(Disk):
    """The door to the disk, when the second file is read of which something happens."""

    event: Callable[[], object] = print
    reads: list[str] = field(default_factory=list)

    def read_unchecked(self, path: str) -> bytes:
        self.reads.append(path)
        if len(self.reads) == 2:
            self.event()
        return super().read_unchecked(path)


class Opened(Settings):
    """The settings of a command, of a store with a disk of its own."""

    disk: Disk

    def open_store(self, *, watch: bool = True) -> FileStore:
        store = super().open_store(watch=watch)
        store._datasets._disk = self.disk
        return store


@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_what_was_read_before_a_change_is_not_printed(filled: FileStore, format: str) -> None:
    settings = Opened(str(filled.root), None)
    settings.disk = EventfulDisk(event=lambda: insert(filled, [chat("new 0"), chat("new 1")]))

    result = CliRunner().invoke(list_datapoints, [DATASET, "--format", format], obj=settings)

    assert (result.exit_code, result.stdout_bytes) == (0, rendered(listed(filled), format))


ODD: list[dict[str, Any]] = [
    chat('é日本👍\x7f\x9b\u2028 \\ " \n\t', tags={"a\x80": "b"}),
    chat("", name="\x7f"),
    extraction({"small": 1e-7, "large": 1e16, "list": [[], {}, [1.5, None, True]]}, {"minimum": 1e-9}),
    extraction([1, 2.5], True),
    {"type": "chat", "function_name": "reply", "input": {"system": "\xc2\x80", "messages": []}},
]


def run(store: FileStore, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--root", str(store.root), "list", DATASET, *arguments])


def escaped(text: str) -> bytes:
    return re.sub("[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def rendered(datapoints: list[Datapoint], format: str) -> bytes:
    """Return what is printed of datapoints, made in one go."""
    values: list[JSONValue] = [one.to_dict() for one in datapoints]
    if format == "json":
        return escaped(dumps(values).decode())
    return escaped("".join(f"{compact(value)}\n" for value in values))


@pytest.mark.parametrize("format", ["json", "jsonl"])
@pytest.mark.parametrize(
    "page",
    [{}, {"limit": 0}, {"limit": 1}, {"limit": 2, "offset": 1}, {"offset": 9}, {"function_name": "extract"}],
    ids=str,
)
def test_a_list_is_printed_as_if_it_were_made_in_one_go(store: FileStore, format: str, page: dict[str, Any]) -> None:
    insert(store, ODD)
    options = [word for name, value in page.items() for word in (f"--{name.replace('_', '-')}", str(value))]

    result = run(store, "--format", format, *options)

    expected = store.list_datapoints(dataset_name=DATASET, **page)
    assert (result.exit_code, result.stdout_bytes) == (0, rendered(expected, format))
    text = f"[{','.join(result.stdout.split(chr(10))[:-1])}]" if format == "jsonl" else result.stdout
    assert json.loads(text) == [one.to_dict() for one in expected]


@pytest.mark.parametrize("format", ["json", "jsonl"])
@pytest.mark.parametrize("most_held", [0, 300, 10**6], ids=["in a file", "partly in a file", "in memory"])
def test_a_spool_prints_what_was_added_since_it_was_cleared(
    capfdbinary: pytest.CaptureFixture[bytes], store: FileStore, format: str, most_held: int
) -> None:
    insert(store, ODD)
    for size in (0, 1, len(ODD)):
        with JSONSpool(is_list=format == "json", most_held=most_held) as spool:
            spool.add(["x" * 10_000])
            spool.clear()
            for datapoint in listed(store, limit=size):
                spool.add(datapoint.to_dict())
            spool.print()
        assert capfdbinary.readouterr().out == rendered(listed(store, limit=size), format)


@pytest.mark.parametrize("format", ["json", "jsonl"])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(["--limit", "2"], "2 of 5 shown; --offset 2 for the next\n", id="more"),
        pytest.param(["--limit", "2", "--offset", "3"], "", id="the last page"),
        pytest.param(["--limit", "5"], "", id="exactly all"),
        pytest.param(
            ["--limit", "1", "--function-name", "extract"], "1 of 2 shown; --offset 1 for the next\n", id="of"
        ),
        pytest.param(["--offset", "5"], f"No datapoints found in dataset '{DATASET}' after the first 5.\n", id="none"),
        pytest.param(
            ["--function-name", "x"], f"No datapoints found in dataset '{DATASET}' that match.\n", id="no match"
        ),
    ],
)
def test_notes_do_not_depend_on_the_format(store: FileStore, format: str, options: list[str], said: str) -> None:
    insert(store, ODD)

    assert run(store, "--format", format, *options).stderr == said == run(store, *options).stderr


@pytest.mark.parametrize("format", ["json", "jsonl"])
@pytest.mark.parametrize("size", [10, 500_000], ids=["small", "large"])
def test_a_file_that_cannot_be_read_leaves_nothing_on_stdout(store: FileStore, format: str, size: int) -> None:
    ids = insert(store, [chat("x" * size) for _ in range(12)])
    path_of(store, ids[0]).write_bytes(b"<<<<<<< HEAD\n")
    place = f"Error: {store.root}/{DATASET}/{ids[0]}.json:1:1: "

    whole = run(store, "--format", format)
    page = run(store, "--format", format, "--limit", "3")
    of_function = run(store, "--format", format, "--limit", "3", "--function-name", "reply")

    assert (whole.exit_code, whole.stdout) == (of_function.exit_code, of_function.stdout) == (1, "")
    assert whole.stderr.startswith(place)
    assert of_function.stderr.startswith(place), "it may be one of those that are counted"
    assert (page.exit_code, page.stderr) == (0, "3 of 12 shown; --offset 3 for the next\n")


def program(*arguments: str) -> list[str]:
    tell = (
        "import atexit, sys\nfrom pathlib import Path\nfrom filestore.cli import main\n"
        "atexit.register(lambda: print(Path('/proc/self/status').read_text(), file=sys.stderr))\n"
        "main(prog_name='filestore')\n"
    )
    return [sys.executable, "-c", tell, *arguments]


@pytest.mark.skipif(sys.platform == "win32", reason="no limit can be set")
def test_no_room_for_a_temporary_file_leaves_nothing_on_stdout(store: FileStore, tmp_path: Path) -> None:
    import resource

    insert(store, [chat("x" * 500_000) for _ in range(12)])
    limit = 5_000_000
    done = subprocess.run(
        [sys.executable, "-m", "filestore", "--root", str(store.root), "list", DATASET, "--format", "jsonl"],
        env=environment(TMPDIR=str(tmp_path)),
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: {tmp_path}: {os.strerror(errno.EFBIG)}\n"


# --- memory

FEW, MANY = 1000, 18_000
MOST_MORE = 12.0
"""Megabytes: less than the bytes of the larger dataset, and than its ids would take as text with its datapoints."""


def peak_and_lines(root: Path, *options: str) -> tuple[float, int]:
    """Return the megabytes that an export took at most, and how many lines it printed."""
    arguments = ("--root", str(root), "list", DATASET, "--format", "jsonl", "--limit", "1000000", *options)
    done = subprocess.run(program(*arguments), env=environment(), capture_output=True, text=True, check=True)
    [peak] = re.findall(r"^VmHWM:\s+(\d+) kB", done.stderr, re.MULTILINE)
    return int(peak) / 1024, done.stdout.count("\n")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a program's peak includes its parent's")
def test_an_export_takes_no_more_memory_the_more_there_is(tmp_path: Path) -> None:
    for size in (FEW, MANY):
        store = FileStore(tmp_path / str(size), durable=False)
        insert(store, [chat(f"{'word ' * 100}{number}", ("reply", "draft")[number % 2]) for number in range(size)])
        store.delete_datapoint(dataset_name=DATASET, datapoint_id=insert(store, [chat("gone")])[0])

    for options, share in (((), 1), (("--function-name", "reply"), 2)):
        few, lines = peak_and_lines(tmp_path / str(FEW), *options)
        assert lines == FEW // share
        many, lines = peak_and_lines(tmp_path / str(MANY), *options)
        assert lines == MANY // share
        assert many < few + MOST_MORE
