"""Laws of what a store remembers: whatever changes behind it is seen by the next read, whichever that is.

Each law holds for a store that the kernel tells of changes and for one that looks at the files itself.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from filestore import FileStore
from filestore.errors import FilestoreError, StorageError
from filestore.storage.change import Pending
from filestore.storage.files import YOUNG_NS
from filestore.storage.layout import Entry
from tests.conftest import watched_directories

DATASET = "cases"
EVERYTHING = 10**6


def config(configured: str) -> str:
    """Return a function config in which the function `configured` is of a type."""
    functions = {"draft": "chat", "extract": "json", "configured": configured}
    variant = 'type = "chat_completion"\nmodel = "m"\n'
    return "".join(
        f'[functions.{name}]\ntype = "{kind}"\n[functions.{name}.variants.v]\n{variant}'
        + ('json_mode = "off"\n' if kind == "json" else "")
        for name, kind in functions.items()
    )


WAYS = [
    pytest.param(
        True, id="watched", marks=pytest.mark.skipif(sys.platform != "linux", reason="this system has no inotify")
    ),
    pytest.param(False, id="looked at"),
]


def chat(text: str, **rest: Any) -> dict[str, Any]:
    return {
        "type": "chat",
        "function_name": "draft",
        "input": {"messages": [{"role": "user", "content": f"Write {text}"}]},
        "output": text,
        "tags": {"kind": "text"},
        **rest,
    }


def extraction(kind: str) -> dict[str, Any]:
    return {
        "type": "json",
        "function_name": "extract",
        "input": {"messages": []},
        "output": {"name": "Ann"},
        "output_schema": {"type": "object", "title": kind},
        "tags": {"kind": kind},
    }


class World:
    """A store with a bit of everything in it, made by another store than those which tests ask.

    Attributes:
        root: Where it lies.
        ids: Four chat datapoints, two with output schemas, and one whose file leaves its type to the function config.
        gone: One that was deleted.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        (root / "tensorzero.toml").write_text(config("chat"), encoding="utf-8")
        self.writer = FileStore(root, durable=False, watch=False)
        untyped = chat("untyped", function_name="configured")
        items = [*map(chat, ("one", "two", "three", "four")), extraction("a"), extraction("b"), untyped]
        self.ids = self.insert(*items)
        [self.gone] = self.insert(chat("gone"))
        self.delete(self.gone)
        self.writer.bulk_insert_datapoints(dataset_name="other", datapoints=[chat("elsewhere")])
        path = self.path(6)
        path.write_text(path.read_text(encoding="utf-8").replace('  "type": "chat",\n', ""), encoding="utf-8")
        self.age()

    def insert(self, *items: dict[str, Any]) -> list[uuid.UUID]:
        return self.writer.bulk_insert_datapoints(dataset_name=DATASET, datapoints=items)

    def delete(self, *ids: uuid.UUID) -> int:
        return self.writer.delete_datapoints(dataset_name=DATASET, ids=ids)

    @property
    def dataset(self) -> Path:
        return self.root / DATASET

    @property
    def internal(self) -> Path:
        return self.root / ".filestore" / DATASET

    @property
    def schemas(self) -> list[Path]:
        return sorted((self.dataset / "schemas").iterdir())

    @property
    def tombstones(self) -> Path:
        return self.dataset / "tombstones"

    @property
    def tombstone(self) -> Path:
        [path] = self.tombstones.rglob(f"{self.gone}@*")
        return path

    def path(self, number: int) -> Path:
        return self.dataset / f"{self.ids[number]}.json"

    def age(self) -> None:
        """Let all that was done so far lie so far back that a store remembers it and waits for nothing."""
        for path in self.root.rglob("*"):
            os.utime(path, (1e9, 1e9))
        deadline = time.monotonic() + 60
        while any(time.time_ns() - path.stat().st_ctime_ns <= YOUNG_NS for path in self.root.rglob("*")):
            assert time.monotonic() < deadline


# --- what a store is asked


def outcome(read: Callable[[], object]) -> object:
    """Return an answer, or the class and the words of a refusal."""
    try:
        return read()
    except FilestoreError as error:
        # Of several schemas any may be missed first, and it may be the look at it that is refused, or the reading.
        return (type(error), re.sub("schemas/[0-9a-f]*", "schemas/…", str(error).replace(" cannot be read", "")))


def tagged(value: str) -> dict[str, str]:
    return {"type": "tag", "key": "kind", "value": value, "comparison_operator": "="}


OLDEST_FIRST = [{"by": "timestamp", "direction": "ascending"}]
QUESTIONS: dict[str, Callable[[FileStore, World], object]] = {
    "get": lambda store, world: [
        outcome(lambda one=one: store.get_datapoint(dataset_name=DATASET, datapoint_id=one))  # type: ignore[misc]
        for one in (*world.ids, world.gone)
    ],
    "get many": lambda store, world: store.get_datapoints(ids=[*world.ids, world.gone], dataset_name=DATASET),
    "list": lambda store, world: store.list_datapoints(dataset_name=DATASET),
    "list a page": lambda store, world: store.list_datapoints(dataset_name=DATASET, limit=2, offset=3),
    "list by function": lambda store, world: store.list_datapoints(dataset_name=DATASET, function_name="draft"),
    "list by tag": lambda store, world: store.list_datapoints(dataset_name=DATASET, filter=tagged("text"), limit=50),
    "list in order": lambda store, world: store.list_datapoints(dataset_name=DATASET, order_by=OLDEST_FIRST, limit=50),
    "search": lambda store, world: store.list_datapoints(dataset_name=DATASET, search_query="o", limit=50),
    "scan": lambda store, world: store.scan_datapoints(dataset_name=DATASET, consume=list),
    "count": lambda store, world: store.count_datapoints(dataset_name=DATASET),
    "count by function": lambda store, world: store.count_datapoints(dataset_name=DATASET, function_name="draft"),
    "list datasets": lambda store, world: store.list_datasets(),
}


def ask(store: FileStore, world: World, question: str) -> object:
    return outcome(lambda: QUESTIONS[question](store, world))


def ask_at_once(world: World, stores: dict[str, FileStore], question: str | None = None) -> dict[str, object]:
    """Return what each store says to a question, or to its own; all at once, as some may have to wait for files."""
    with ThreadPoolExecutor(len(stores)) as threads:
        found = threads.map(lambda item: (item[0], ask(item[1], world, question or item[0])), stores.items())
        return dict(found)


class Askers:
    """Long-lived stores over one world, one for each question, so that each is the first to be asked."""

    def __init__(self, world: World, *, watch: bool) -> None:
        self.world = world
        self.stores = {question: FileStore(world.root, durable=False, watch=watch) for question in QUESTIONS}
        for question, store in self.stores.items():
            for one in ("list by tag", "list by tag", question):
                ask(store, world, one)
        assert is_watched(world.dataset) == watch

    def answers(self) -> dict[str, object]:
        return ask_at_once(self.world, self.stores)

    def assert_right(self) -> dict[str, object]:
        """Assert that all stores see the world as those do that were just opened; return what they say."""
        with ThreadPoolExecutor(1) as threads:
            new = {question: FileStore(self.world.root, watch=False) for question in self.stores}
            expected = threads.submit(ask_at_once, self.world, new)
            answers = self.answers()
        assert answers == expected.result()
        return answers


def is_watched(directory: Path) -> bool:
    return directory.stat().st_ino in watched_directories()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "store")


# --- what others do


def edited(text: str) -> str:
    """Return a datapoint file that says something else in as many bytes."""
    assert '"kind": "text"' in text
    return text.replace('"kind": "text"', '"kind": "word"')


def edit(path: Path) -> None:
    path.write_text(edited(path.read_text(encoding="utf-8")), encoding="utf-8")


def edit_in_place(world: World) -> None:
    """Change bytes of a file and put its times back."""
    path = world.path(1)
    status = path.stat()
    with path.open("r+b") as file:
        text = file.read().decode()
        file.seek(0)
        file.write(edited(text).encode())
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)


def edit_in_memory(world: World) -> None:
    """Change bytes of a file through a mapping that is closed afterwards."""
    path = world.path(1)
    text = path.read_text(encoding="utf-8")
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[:] = edited(text).encode()
        mapped.flush()


def replace(world: World) -> None:
    new = world.root / "new.tmp"
    new.write_text(edited(world.path(1).read_text(encoding="utf-8")), encoding="utf-8")
    new.replace(world.path(1))


def name_of_new(world: World) -> Path:
    return world.path(1).with_name(f"{uuid.UUID(int=world.ids[1].int + 1)}.json")


def move_in(world: World) -> None:
    new = world.root / "new.tmp"
    shutil.copy(world.path(1), new)
    new.rename(name_of_new(world))


def link_unnamed(world: World) -> None:
    """Give a name to a file that had none while it was written, and write the rest of it afterwards."""
    data = world.path(1).read_bytes()
    descriptor = os.open(world.dataset, os.O_TMPFILE | os.O_RDWR, 0o644)
    try:
        os.write(descriptor, data[:50])
        os.link(f"/proc/self/fd/{descriptor}", name_of_new(world), src_dir_fd=descriptor)
        os.write(descriptor, data[50:])
    finally:
        os.close(descriptor)


def become_directory(world: World) -> None:
    world.path(1).unlink()
    world.path(1).mkdir()


def become_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def move_away_and_back(path: Path) -> None:
    away = path.with_name("away")
    path.rename(away)
    for file in sorted(away.glob("*.json"))[:1]:
        edit(file)
    away.rename(path)


def replace_directory(path: Path) -> None:
    """Put a copy in place of a directory, with times and all, in which one file is another."""
    shutil.copytree(path, path.with_name("copy"), symlinks=True)
    for file in sorted(path.with_name("copy").rglob("*.json")):
        if '"kind": "text"' in file.read_text(encoding="utf-8"):
            edit(file)
            break
    path.rename(path.with_name("old"))
    path.with_name("copy").rename(path)


def recreate_dataset(world: World) -> None:
    shutil.copytree(world.dataset, world.root / "copy")
    shutil.rmtree(world.dataset)
    shutil.copytree(world.root / "copy", world.dataset)
    edit(world.path(2))
    shutil.rmtree(world.root / "copy")


def add_tombstone(world: World) -> None:
    shard = world.tombstones / str(world.ids[1])[-2:]
    shard.mkdir(exist_ok=True)
    (shard / f"{world.ids[1]}@20260102T030405.678901Z").touch()


def add_earlier_tombstone(world: World) -> None:
    (world.tombstone.parent / f"{world.gone}@20200102T030405.678901Z").touch()


def alter_schema(world: World) -> None:
    path = world.schemas[0]
    status = path.stat()
    path.write_text(path.read_text(encoding="utf-8").replace("object", "number"), encoding="utf-8")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def change_config(world: World) -> None:
    (world.root / "tensorzero.toml").write_text(config("json"), encoding="utf-8")


def commit_deletion(world: World, internal: Path) -> None:
    """Leave what a writer does that is killed as soon as its change, a deletion, is committed."""
    tombstone = Entry("tombstone", f"{world.ids[1]}@20260102T030405.678901Z")
    stage = world.root / "stage.tmp"
    stage.mkdir()
    (stage / "manifest.json").write_bytes(Pending(None, {tombstone: None}, {}).render())
    (stage / tombstone.staged_name).touch()
    stage.rename(internal / "pending")


def replace_with_committed(world: World, path: Path) -> None:
    """Put a copy of an internal directory in its place, in which a change is committed."""
    copy = world.root / "copy.tmp"
    shutil.copytree(path, copy)
    commit_deletion(world, copy / (world.root / ".filestore" / DATASET).relative_to(path))
    path.rename(world.root / "old.tmp")
    copy.rename(path)


def write_elsewhere(code: str) -> Callable[[World], None]:
    """Return a change that another process makes through the API."""

    def change(world: World) -> None:
        program = (
            f"import sys; from filestore import FileStore; store, *ids = FileStore(sys.argv[1]), *sys.argv[2:]{code}"
        )
        words = [sys.executable, "-c", program, str(world.root), *map(str, world.ids)]
        subprocess.run(words, check=True)

    return change


INSERT = """
items = [{"type": "chat", "function_name": "draft", "input": {"messages": []}, "output": "o", "tags": {"kind": "text"}}]
store.bulk_insert_datapoints(dataset_name="cases", datapoints=items * 3)
"""
UPDATE = """
change = {"type": "chat", "tags": {"kind": "word"}, "output": [{"type": "text", "text": "no"}]}
changes = [{**change, "id": one} for one in ids[1:3]]
store.update_datapoints(dataset_name="cases", requests=changes)
"""
UPDATE_IN_PLACE = UPDATE.replace("=changes", "=changes, new_ids=False")
DELETE = '\nstore.delete_datapoints(dataset_name="cases", ids=ids[1:3])'
DROP = '\nstore.delete_dataset(dataset_name="cases")'

CHANGES: dict[str, Callable[[World], object]] = {
    "a file is edited in place, its times put back": edit_in_place,
    "a file is edited through a mapping": edit_in_memory,
    "a file is rewritten": lambda world: edit(world.path(1)),
    "a file is torn": lambda world: world.path(1).write_text("{", encoding="utf-8"),
    "a file is replaced by rename": replace,
    "a file is removed": lambda world: world.path(1).unlink(),
    "a file is moved out": lambda world: world.path(1).rename(world.root / "x.json"),
    "a file is moved to another id": lambda world: world.path(1).rename(name_of_new(world)),
    "two files change places": lambda world: exchange(world.path(1), world.path(2)),
    "a file is moved in": move_in,
    "a file is copied in": lambda world: shutil.copy(world.path(1), name_of_new(world)),
    "a file is linked in": lambda world: os.link(world.path(1), name_of_new(world)),
    "a file that had no name is linked in": link_unnamed,
    "a file becomes a directory": become_directory,
    "a file becomes a link": lambda world: become_link(world.path(1)),
    "the dataset is moved away": lambda world: world.dataset.rename(world.root / "away"),
    "the dataset is moved away, edited and moved back": lambda world: move_away_and_back(world.dataset),
    "the dataset becomes a link": lambda world: become_link(world.dataset),
    "the dataset is replaced by another": lambda world: replace_directory(world.dataset),
    "two datasets change places": lambda world: exchange(world.dataset, world.root / "other"),
    "the dataset is removed": lambda world: shutil.rmtree(world.dataset),
    "the dataset is removed and made again": recreate_dataset,
    "the root is replaced by another": lambda world: replace_directory(world.root),
    "a tombstone is added": add_tombstone,
    "an earlier tombstone is added": add_earlier_tombstone,
    "a tombstone is removed": lambda world: world.tombstone.unlink(),
    "a shard of tombstones is removed": lambda world: shutil.rmtree(world.tombstone.parent),
    "a shard of tombstones is renamed": lambda world: world.tombstone.parent.rename(world.tombstones / "zz"),
    "all tombstones are removed": lambda world: shutil.rmtree(world.tombstones),
    "all tombstones are moved away": lambda world: world.tombstones.rename(world.root / "away"),
    "the tombstones become a link": lambda world: become_link(world.tombstones),
    "a schema is altered, its times put back": alter_schema,
    "a schema is removed": lambda world: world.schemas[0].unlink(),
    "all schemas are removed": lambda world: shutil.rmtree(world.dataset / "schemas"),
    "all schemas are moved away": lambda world: (world.dataset / "schemas").rename(world.root / "away"),
    "the schemas become a link": lambda world: become_link(world.dataset / "schemas"),
    "the function config changes": change_config,
    "the function config is removed": lambda world: (world.root / "tensorzero.toml").unlink(),
    "a writer is killed when it has committed": lambda world: commit_deletion(world, world.internal),
    "what a killed writer left is put in its place": lambda world: replace_with_committed(world, world.internal),
    "all that writers left is replaced": lambda world: replace_with_committed(world, world.internal.parent),
    "another process inserts": write_elsewhere(INSERT),
    "another process updates": write_elsewhere(UPDATE),
    "another process updates in place": write_elsewhere(UPDATE_IN_PLACE),
    "another process deletes": write_elsewhere(DELETE),
    "another process drops the dataset": write_elsewhere(DROP),
}


def bury_beside(world: World) -> None:
    """Bury a copy whose id has the same last digits as that of the deleted one."""
    one = uuid.UUID(int=world.gone.int + 256)
    (world.tombstone.parent / f"{one}@20260102T030405.678901Z").touch()
    shutil.copy(world.path(1), world.dataset / f"{one}.json")


def tear_deleted(world: World) -> None:
    (world.dataset / f"{world.gone}.json").write_text("{", encoding="utf-8")


NO_CHANGES: dict[str, Callable[[World], object]] = {
    "a file is touched": lambda world: world.path(1).touch(),
    "a file is written again": lambda world: world.path(1).write_bytes(world.path(1).read_bytes()),
    "a file changes its permissions": lambda world: world.path(1).chmod(0o600),
    "a draft is made": lambda world: shutil.copy(world.path(1), world.dataset / "draft.json"),
    "the file of a deleted one is torn": tear_deleted,
    "a later tombstone is added": lambda world: (
        world.tombstone.parent / f"{world.gone}@90260102T030405.678901Z"
    ).touch(),
    "a tombstone is put into another shard": lambda world: shutil.copytree(
        world.tombstone.parent, world.tombstones / "zz"
    ),
    "a copy is buried beside another": bury_beside,
    "a schema is written again": lambda world: world.schemas[0].write_bytes(world.schemas[0].read_bytes()),
    "the dataset's times change": lambda world: os.utime(world.dataset),
    "a dataset is made beside it": lambda world: (world.root / "empty").mkdir(),
}


def exchange(first: Path, second: Path) -> None:
    """Let two names change places at once; see renameat2(2)."""
    here, exchanging = -100, 2
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.renameat2(here, os.fsencode(first), here, os.fsencode(second), exchanging) == 0


@pytest.mark.parametrize("watch", WAYS)
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_next_read_of_every_kind_sees_that(world: World, change: Callable[[World], object], watch: bool) -> None:
    askers = Askers(world, watch=watch)
    before = askers.assert_right()
    change(world)
    after = askers.assert_right()
    assert after != before
    assert askers.answers() == after, "what was seen once is not forgotten"


@pytest.mark.parametrize("watch", WAYS)
@pytest.mark.parametrize("change", NO_CHANGES.values(), ids=NO_CHANGES)
def test_nothing_is_changed_when(world: World, change: Callable[[World], object], watch: bool) -> None:
    askers = Askers(world, watch=watch)
    if change is tear_deleted:
        askers.stores.pop("get many")  # it reads deleted ones, too
    before = askers.assert_right()
    change(world)
    assert askers.assert_right() == before


@pytest.mark.parametrize("watch", WAYS)
def test_edits_without_a_pause_are_all_seen(world: World, watch: bool) -> None:
    """Also by times that go on in steps, as those of files do on many systems."""
    store = FileStore(world.root, durable=False, watch=watch)
    text = world.path(1).read_text(encoding="utf-8")
    for number in range(100, 300):
        with world.path(1).open("r+b") as file:
            file.write(text.replace("text", f"t{number}").encode())
        found = store.list_datapoints(dataset_name=DATASET, filter=tagged(f"t{number}"))
        assert [one.id for one in found] == [world.ids[1]]


@pytest.mark.parametrize("watch", WAYS)
@pytest.mark.parametrize(
    "find",
    [
        lambda world: world.path(1),
        lambda world: world.dataset,
        lambda world: world.dataset / "schemas",
        lambda world: world.schemas[0],
        lambda world: world.tombstones,
        lambda world: world.tombstone,
        lambda world: world.root / "tensorzero.toml",
    ],
    ids=["a datapoint", "a dataset", "the schemas", "a schema", "the tombstones", "a tombstone", "the config"],
)
def test_what_is_there_again_is_seen_again(world: World, find: Callable[[World], Path], watch: bool) -> None:
    askers = Askers(world, watch=watch)
    before = askers.assert_right()
    path, away = find(world), world.root.with_name("away")
    path.rename(away)
    assert askers.assert_right() != before
    away.rename(path)
    assert askers.assert_right() == before


@pytest.mark.parametrize("watch", WAYS)
@pytest.mark.parametrize("written", ["under its own name", "under the other"])
@pytest.mark.parametrize("linked", ["elsewhere, before it is read", "beside it, later"])
def test_a_file_with_two_names_is_seen_as_it_is_and_once(world: World, linked: str, written: str, watch: bool) -> None:
    is_early = linked.startswith("elsewhere")
    other = (world.root if is_early else world.dataset) / "other name"
    if is_early:
        os.link(world.path(1), other)
        world.age()
    askers = Askers(world, watch=watch)
    before = askers.assert_right()
    if not is_early:
        os.link(world.path(1), other)
    edit(world.path(1) if written == "under its own name" else other)
    assert askers.assert_right() != before


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="this system has no files without a name")
@pytest.mark.parametrize("watch", WAYS)
def test_a_file_that_was_opened_before_it_had_a_name_is_seen_as_it_is(world: World, watch: bool) -> None:
    askers = Askers(world, watch=watch)
    data = world.path(1).read_bytes()
    descriptor = os.open(world.dataset, os.O_TMPFILE | os.O_RDWR, 0o644)
    try:
        os.write(descriptor, data)
        os.link(f"/proc/self/fd/{descriptor}", name_of_new(world), src_dir_fd=descriptor)
        before = askers.assert_right()
        os.pwrite(descriptor, edited(data.decode()).encode(), 0)
        assert askers.assert_right() != before
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("watch", WAYS)
def test_changes_in_directories_that_came_later_are_seen(world: World, watch: bool) -> None:
    schemas, tombstones = world.dataset / "schemas", world.tombstones
    for path in (schemas, tombstones, world.internal):
        shutil.copytree(path, world.root / f"{path.name}.kept")
        shutil.rmtree(path)
    for number in (4, 5):
        world.path(number).rename(world.root / f"{number}.kept")
    world.age()
    askers = Askers(world, watch=watch)
    answers = [askers.assert_right()]
    steps: list[Callable[[World], object]] = [
        lambda world: shutil.copytree(world.root / f"{DATASET}.kept", world.internal),
        lambda world: shutil.copytree(world.root / "schemas.kept", schemas),
        lambda world: [(world.root / f"{number}.kept").rename(world.path(number)) for number in (4, 5)],
        lambda world: (world.root / "tombstones.kept").rename(tombstones),
        lambda world: world.tombstone.unlink(),
        lambda world: commit_deletion(world, world.internal),
        alter_schema,
    ]
    for step in steps:
        step(world)
        answers.append(askers.assert_right())
    changes = [first != second for first, second in pairwise(answers)]
    assert changes == [False, False, True, True, True, True, True]


@pytest.mark.parametrize("watch", WAYS)
@pytest.mark.parametrize("between", ["count", "list a page"])
def test_what_has_come_and_gone_between_two_lists_leaves_nothing(world: World, between: str, watch: bool) -> None:
    """A read in between hears of it, and reads no more than it needs."""
    askers = Askers(world, watch=watch)
    before = askers.assert_right()
    world.ids += world.insert(chat("new"))
    expected = ask(FileStore(world.root, watch=False), world, between)
    assert ask_at_once(world, askers.stores, between) == dict.fromkeys(askers.stores, expected)
    world.path(7).unlink()
    world.path(1).write_text("{", encoding="utf-8")
    assert ask_at_once(world, askers.stores, "count") == dict.fromkeys(askers.stores, 7)
    edit(world.path(2))
    world.path(1).write_bytes(world.path(2).read_bytes())
    del world.ids[7:]
    assert askers.assert_right() != before


# --- permissions


class Capabilities(ctypes.Structure):
    """What capget(2) and capset(2) take for each 32 capabilities."""

    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@contextmanager
def without_privileges() -> Iterator[None]:
    """Let permissions count for this thread, and for those that it starts, even if the user is root."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (Capabilities * 2)()
    assert libc.capget(header, sets) == 0
    held = sets[0].effective
    dac_override, dac_read_search = 1 << 1, 1 << 2
    sets[0].effective = held & ~(dac_override | dac_read_search)
    assert libc.capset(header, sets) == 0
    try:
        yield
    finally:
        sets[0].effective = held
        assert libc.capset(header, sets) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such permissions, or no capabilities")
@pytest.mark.parametrize("watch", WAYS)
@pytest.mark.parametrize(
    "find",
    [
        lambda world: world.path(1),
        lambda world: world.dataset,
        lambda world: world.dataset / "schemas",
        lambda world: world.schemas[0],
        lambda world: world.tombstones,
        lambda world: world.tombstone.parent,
    ],
    ids=["a datapoint", "a dataset", "the schemas", "a schema", "the tombstones", "a shard"],
)
def test_what_may_not_be_read_any_more_is_missed(world: World, find: Callable[[World], Path], watch: bool) -> None:
    askers = Askers(world, watch=watch)
    before = askers.assert_right()
    path = find(world)
    mode = path.stat().st_mode
    path.chmod(0)
    with without_privileges():
        after = askers.assert_right()
    assert after != before
    path.chmod(mode)
    assert askers.assert_right() == before


@pytest.mark.parametrize("watch", WAYS)
def test_a_root_that_is_moved_away_is_missed_and_found_again(world: World, watch: bool) -> None:
    askers = Askers(world, watch=watch)
    before = askers.assert_right()
    away = world.root.with_name("away")
    world.root.rename(away)
    assert {str(answer) for answer in askers.answers().values()} == {
        str((StorageError, f"The store {world.root} is not there any more"))
    } | {str([(StorageError, f"The store {world.root} is not there any more")] * (len(world.ids) + 1))}
    edit(away / DATASET / world.path(1).name)
    away.rename(world.root)
    assert askers.assert_right() != before
