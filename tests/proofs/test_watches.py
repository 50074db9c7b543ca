"""Laws of watching: what the kernel tells is heard to the end, what it cannot is looked at, and nothing leaks."""

from __future__ import annotations

import errno
import gc
import linecache
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from filestore import FileStore
from filestore.errors import StorageError
from filestore.storage import names
from filestore.storage.feed import open_feed
from filestore.storage.files import Disk
from filestore.storage.index import _TEXT_BYTES
from filestore.storage.layout import DatasetLayout
from filestore.storage.watches import _MOST_EVENTS, Doubts, Watches
from tests.conftest import watched_directories
from tests.proofs.effort import choose
from tests.test_git import commit, git
from tests.test_index import DATASET, Askers, World, ask, chat, edit, edited, extraction, is_watched

LOOKS = choose(200, 3000)
STEP = 2
"""Of the lines at which something can be broken off, one in so many is taken."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="this system has no inotify")


@pytest.fixture(autouse=True)
def no_garbage() -> None:
    """Let go of what earlier tests have left, which would go at any moment otherwise."""
    gc.collect()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "store")


def open_watched(world: World) -> FileStore:
    """Return a store that has listed often enough to be told of changes."""
    store = FileStore(world.root, durable=False)
    for _ in range(2):
        ask(store, world, "list by tag")
    assert is_watched(world.dataset)
    return store


def descriptors() -> list[str]:
    return sorted(str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink())


def kinds(store: FileStore) -> dict[Any, str]:
    """Return the tag of each live datapoint, as a list that depends on all of them gives it."""
    found = store.list_datapoints(dataset_name=DATASET, order_by=[], limit=1000)
    return {one.id: one.tags["kind"] for one in found}


def test_a_write_under_a_name_that_is_gone_is_seen_under_the_one_that_is_left(world: World) -> None:
    path, draft = world.path(1), world.dataset / ".draft"
    text = path.read_text(encoding="utf-8")
    with draft.open("w+b", buffering=0) as file:
        file.write(text.encode())
        path.unlink()
        os.link(draft, path)
        draft.unlink()
        store = open_watched(world)
        assert kinds(store)[world.ids[1]] == "text"
        file.seek(0)
        file.write(edited(text).encode())
        assert kinds(store)[world.ids[1]] == "word"


NO_CTYPES = """
import sys
sys.modules["_ctypes"] = None
from filestore import FileStore
store = FileStore(sys.argv[1])
counts = {len(store.list_datapoints(dataset_name=sys.argv[2])) for _ in range(4)}
[one] = store.list_datapoints(dataset_name=sys.argv[2], limit=1)
gets = {store.get_datapoint(dataset_name=sys.argv[2], datapoint_id=one.id).id for _ in range(40)}
print(counts == {int(sys.argv[3])} and gets == {one.id})
"""


def test_a_python_without_ctypes_is_told_of_nothing_and_reads_all_the_same(world: World) -> None:
    live = len(FileStore(world.root).list_datapoints(dataset_name=DATASET))
    command = [sys.executable, "-c", NO_CTYPES, str(world.root), DATASET, str(live)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "True\n"


def test_a_store_that_only_writes_remembers_no_more_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "_MOST_EXPECTED", 500)
    store = FileStore(tmp_path, durable=False, watch=False)
    for _ in range(6):
        store.bulk_insert_datapoints(dataset_name=DATASET, datapoints=[chat(str(number)) for number in range(200)])
    assert len(store._datasets.get(DATASET)._index.names._expected) < 1200
    assert store.count_datapoints(dataset_name=DATASET) == 1200


# --- nothing leaks


def test_a_store_that_is_dropped_leaves_neither_descriptors_nor_watches(world: World) -> None:
    before, watched = descriptors(), watched_directories()
    store = open_watched(world)
    assert descriptors() != before
    del store
    gc.collect()
    assert (descriptors(), watched_directories()) == (before, watched)


def test_a_store_that_is_dropped_leaves_no_watches_to_those_that_go_on(world: World, tmp_path: Path) -> None:
    store = open_watched(world)
    watched, opened = watched_directories(), descriptors()
    for number in range(3):
        other = open_watched(World(tmp_path / f"other {number}"))
        assert len(watched_directories()) > len(watched)
        del other
        gc.collect()
        edit(world.path(number))
        assert list(kinds(store).values()).count("word") == number + 1
        assert (watched_directories(), descriptors()) == (watched, opened)


def test_two_stores_of_one_root_share_their_watches_until_both_are_dropped(world: World) -> None:
    first, second = open_watched(world), open_watched(world)
    shared = watched_directories()
    edit(world.path(1))
    assert kinds(first) == kinds(second)
    del first
    gc.collect()
    edit(world.path(2))
    assert list(kinds(second).values()).count("word") == 2
    assert watched_directories() == shared


def test_names_without_end_leave_room_and_watches_that_work(world: World) -> None:
    store = open_watched(world)
    opened = descriptors()
    for number in range(1001):
        assert store.count_datapoints(dataset_name=f"no {number}") == 0
    assert store._datasets._shared.budget.take(_TEXT_BYTES), "and all the room for texts"
    store._datasets._shared.budget.give_back(_TEXT_BYTES)
    for _ in range(3):
        ask(store, world, "list by tag")
    watched = watched_directories()
    assert len(set(watched)) == len(watched)
    assert descriptors() == opened
    edit(world.path(1))
    assert list(kinds(store).values()).count("word") == 1


def test_a_dataset_that_is_not_watched_is_in_doubt_whenever_it_is_asked(world: World) -> None:
    """Else a thread that asks just before another begins to watch would take what it never looked at for settled."""
    disk, feed = Disk(), open_feed()
    watches = Watches(DatasetLayout.of(str(world.root), DATASET), disk, lambda: feed)
    assert [watches.take_doubts().everything for _ in range(2)] == [True, True]
    assert [watches.start(), watches.start()] == [True, True]
    assert [watches.take_doubts().everything for _ in range(2)] == [True, False]
    edit(world.path(1))
    watches.look(world.dataset.stat())
    assert watches.start()
    assert watches.take_doubts() == Doubts(names={world.path(1).name})
    watches.close()
    assert [watches.take_doubts().everything for _ in range(2)] == [True, True]


# --- more events than are kept


def most_queued() -> int:
    return int(Path("/proc/sys/fs/inotify/max_queued_events").read_text(encoding="ascii"))


def cause_events(world: World, count: int) -> None:
    """Cause events that do not fall together into one, as those of the same file would."""
    paths = [world.path(3), world.path(4)]
    for _ in range(count // 2):
        for path in paths:
            os.utime(path)


def test_an_edit_is_seen_although_the_kernel_has_dropped_its_event(world: World) -> None:
    askers = Askers(world, watch=True)
    cause_events(world, most_queued() + 10)
    edit(world.path(1))
    assert list(kinds(askers.stores["list"]).values()).count("word") == 1
    askers.assert_right()
    edit(world.path(2))
    askers.assert_right()
    assert is_watched(world.dataset)


def test_an_edit_is_seen_although_nobody_has_asked_for_more_events_than_are_kept(world: World, tmp_path: Path) -> None:
    store, elsewhere = open_watched(world), World(tmp_path / "elsewhere")
    busy = open_watched(elsewhere)
    for _ in range(_MOST_EVENTS // 10_000 + 1):
        cause_events(world, 10_000)
        ask(busy, elsewhere, "list by tag")
    edit(world.path(1))
    assert list(kinds(store).values()).count("word") == 1
    edit(world.path(2))
    assert list(kinds(store).values()).count("word") == 2
    assert is_watched(world.dataset)


# --- fewer watches than are needed

LIMITED = """
import sys
from pathlib import Path
from filestore import FileStore
from tests.conftest import watched_directories
from tests.test_index import edit

root, limit, most, *paths = sys.argv[1:]
Path("/proc/sys/user", limit).write_text(most)
store = FileStore(root)
for path in (None, None, *map(Path, paths)):
    if path is not None:
        edit(path)
    found = store.list_datapoints(dataset_name="cases", order_by=[], limit=100)
    print([one.tags["kind"] for one in found].count("word"), watched_directories())
"""
IN_NAMESPACE = ["unshare", "--user", "--map-root-user"]


def can_limit() -> bool:
    """Tell whether this user may set limits for a namespace of its own."""
    return shutil.which("unshare") is not None and subprocess.run([*IN_NAMESPACE, "true"], check=False).returncode == 0


@pytest.mark.skipif(not can_limit(), reason="this user may make no namespace")
@pytest.mark.parametrize(("limit", "most"), [("max_inotify_instances", 0), ("max_inotify_watches", 2)])
def test_edits_are_seen_although_the_user_has_no_watches_left(world: World, limit: str, most: int) -> None:
    command = [sys.executable, "-c", LIMITED, str(world.root), limit, str(most)]
    paths = [str(world.path(number)) for number in range(3)]
    done = subprocess.run([*IN_NAMESPACE, *command, *paths], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("".join(f"{count} []\n" for count in (0, 0, 1, 2, 3)), "")


# --- threads


@pytest.mark.parametrize("watch", [True, False], ids=["watched", "looked at"])
def test_threads_that_share_a_store_see_all_that_ended_before_they_asked(world: World, watch: bool) -> None:
    store = FileStore(world.root, durable=False, watch=watch)
    data, edited, buried = world.path(1).read_bytes(), world.ids[1], world.ids[2]
    shard = world.tombstones / str(buried)[-2:]
    shard.mkdir(exist_ok=True)
    world.age()
    assert kinds(store)[edited] == "text"
    begun, ended = [1000], [1000]

    def change() -> None:
        """Number a file anew, and bury another or dig it out, again and again."""
        with world.path(1).open("r+b", buffering=0) as file:
            for number in count(1001):
                if all(one.done() for one in looks):
                    return
                begun[0] = number
                file.seek(0)
                file.write(data.replace(b"text", b"%d" % number))
                tombstone = shard / f"{buried}@20260102T030405.{number // 2:06}Z"
                if number % 2:
                    tombstone.touch()
                else:
                    (shard / f"{buried}@20260102T030405.{number // 2 - 1:06}Z").unlink()
                ended[0] = number

    def look(read: Callable[[], dict[Any, str]]) -> None:
        """Read many times, until enough has changed, each time as of then or later."""
        number = 0
        while number < LOOKS or ended[0] <= 1100:
            number += 1
            before = ended[0]
            found = read()
            assert found[edited] == "text" or before <= int(found[edited]) <= begun[0]
            if begun[0] == before:
                assert (buried in found) == (before % 2 == 0)

    def get() -> dict[Any, str]:
        found = store.get_datapoints(dataset_name=DATASET, ids=[edited, buried])
        return {one.id: one.tags["kind"] for one in found if one.staled_at is None}

    def list_all() -> dict[Any, str]:
        return {one.id: one.tags["kind"] for one in store.list_datapoints(dataset_name=DATASET)}

    reads: list[Callable[[], dict[Any, str]]] = [partial(kinds, store), partial(kinds, store), get, list_all]
    with ThreadPoolExecutor(5) as threads:
        looks = [threads.submit(look, read) for read in reads]
        threads.submit(change).result()
        for one in looks:
            one.result()
    for read in reads:
        found = read()
        assert (found[edited], buried in found) == (str(ended[0]), ended[0] % 2 == 0)


# --- children

FORKED = """
import os, sys, threading
from pathlib import Path
from filestore import FileStore
from tests.conftest import watched_directories
from tests.test_index import edit

root, *paths = sys.argv[1:]
store = FileStore(root)
watched = Path(root, "cases").stat().st_ino

def count():
    found = store.list_datapoints(dataset_name="cases", order_by=[], limit=100)
    return [one.tags["kind"] for one in found].count("word")

def count_and_edit(path):
    before = [count(), count(), watched in watched_directories()]
    edit(Path(path))
    return [*before, count()]

def keep_busy():
    while not enough.is_set():
        count()

def fork():
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
    return child == 0

print(count_and_edit(paths[0]), flush=True)
enough = threading.Event()
threads = [threading.Thread(target=keep_busy) for _ in range(3)]
for thread in threads:
    thread.start()
for path in paths[1:4]:
    if fork():
        print(count_and_edit(path), flush=True)
        if fork():
            print(count_and_edit(paths[4]) if path == paths[3] else count(), flush=True)
            os._exit(0)
        print(count(), flush=True)
        os._exit(0)
enough.set()
for thread in threads:
    thread.join()
print(count_and_edit(paths[5]))
"""


def test_a_child_that_was_forked_while_threads_read_shares_files_with_its_parent_and_nothing_else(
    world: World,
) -> None:
    world.ids += world.insert(chat("five"))
    paths = [str(world.path(number)) for number in (0, 1, 2, 3, 6, 7)]
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED, str(world.root), *paths]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    expected: list[object] = [[0, 0, True, 1]]
    expected += [[1, 1, True, 2], 2, 2, [2, 2, True, 3], 3, 3, [3, 3, True, 4], [4, 4, True, 5], 5]
    expected += [[5, 5, True, 6]]
    assert (done.stdout, done.stderr) == ("".join(f"{one}\n" for one in expected), "")


# --- git


def test_every_state_that_git_brings_is_seen(world: World) -> None:
    git(world.root, "init", "--quiet", "--initial-branch=main")
    commit(world.root, "main")
    git(world.root, "checkout", "--quiet", "-b", "side")
    edit(world.path(1))
    world.path(2).unlink()
    world.delete(world.ids[3])
    world.insert(chat("new"), extraction("c"))
    world.path(4).unlink()
    commit(world.root, "side")
    edit(world.path(0))
    askers = Askers(world, watch=True)
    side_and_edit = askers.assert_right()
    git(world.root, "stash")
    side = askers.assert_right()
    git(world.root, "checkout", "--quiet", "main")
    main = askers.assert_right()
    assert side_and_edit != side != main != side_and_edit
    git(world.root, "checkout", "--quiet", "side")
    assert askers.assert_right() == side
    git(world.root, "stash", "pop")
    assert askers.assert_right() == side_and_edit


# --- interruptions


class Interruption:
    """Breaks off what a thread does in the rooms that remember, at one of the lines that it comes to, as ^C may.

    Not where no signal can: where a lock is about to be freed, and at a word that does nothing.
    """

    def __init__(self, at: int) -> None:
        self.lines_left = at

    def __enter__(self) -> None:
        self._outer = sys.gettrace()
        sys.settrace(self._trace)

    def __exit__(self, kind: object, error: object, place: object) -> None:
        sys.settrace(self._outer)

    def _trace(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        if "/storage/" not in frame.f_code.co_filename:
            return None
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
        if event == "line" and line != "try:" and not line.startswith("with ") and not line.endswith(".release()"):
            self.lines_left -= 1
            if self.lines_left == 0:
                raise KeyboardInterrupt
        return self._trace


@dataclass(frozen=True)
class RefusingDisk(Disk):
    """The door to the disk, where the system refuses one of the looks and readings that come."""

    left: list[int] = field(default_factory=list)

    def refuse(self, path: str) -> None:
        if self.left:
            self.left[0] -= 1
            if not self.left[0]:
                self.left.clear()
                raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    def status(self, path: str) -> os.stat_result | None:
        self.refuse(path)
        return super().status(path)

    def names(self, path: str) -> list[str]:
        self.refuse(path)
        return super().names(path)

    def read(self, path: str) -> tuple[bytes, os.stat_result]:
        self.refuse(path)
        return super().read(path)


class Edited:
    """A dataset in which something is changed again and again, and what a list of all it holds gives then."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tombstone = world.tombstones / str(world.ids[2])[-2:] / f"{world.ids[2]}@20260102T030405.678901Z"
        self.tombstone.parent.mkdir(exist_ok=True)
        self.expected = dict.fromkeys(world.ids, "text") | dict(zip(world.ids[4:6], "ab", strict=True))

    def change(self, kind: str) -> None:
        """Give two datapoints another tag, and bury a third or dig it out."""
        for number in (0, 1):
            path = self.world.path(number)
            self.expected[self.world.ids[number]] = f"{kind} {number}"
            text = re.sub('"kind": ".*"', f'"kind": "{kind} {number}"', path.read_text(encoding="utf-8"))
            path.write_text(text, encoding="utf-8")
        if self.tombstone.exists():
            self.tombstone.unlink()
            self.expected[self.world.ids[2]] = "text"
        else:
            self.tombstone.touch()
            del self.expected[self.world.ids[2]]


@pytest.mark.parametrize("watch", [True, False], ids=["watched", "looked at"])
def test_a_read_that_was_broken_off_anywhere_changes_no_later_answer(world: World, watch: bool) -> None:
    store, edited = FileStore(world.root, durable=False, watch=watch), Edited(world)
    was_broken_off, at = True, 0
    while was_broken_off:
        at += STEP
        was_broken_off = False
        assert kinds(store) == edited.expected
        edited.change(str(at))
        try:
            with Interruption(at):
                kinds(store)
        except KeyboardInterrupt:
            was_broken_off = True
        assert kinds(store) == edited.expected, at
    assert at > 100 * STEP


@pytest.mark.parametrize("watch", [True, False], ids=["watched", "looked at"])
def test_a_read_that_the_system_refused_anywhere_changes_no_later_answer(world: World, watch: bool) -> None:
    store, edited = FileStore(world.root, durable=False, watch=watch), Edited(world)
    disk = store._datasets._disk = RefusingDisk(durable=False)
    refusals = 0
    for at in range(1, 40):  # more than a read of so few files takes; some are asked for again, and then not refused
        assert kinds(store) == edited.expected
        edited.change(str(at))
        disk.left.append(at)
        try:
            kinds(store)
        except StorageError:
            refusals += 1
        disk.left.clear()
        assert kinds(store) == edited.expected, at
    assert refusals > 3
