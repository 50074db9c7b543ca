"""Laws of a write that is cut off: all of it happened or nothing, for every reader, before and after recovery.

The process is stopped at each single operation of the one door to the disk, which leaves no moment out; `test_kill`
kills it for real.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from filestore import FileStore
from filestore.datapoint import ChatDatapoint, Datapoint
from filestore.errors import CommittedError, RecoveryNeededError, StorageError
from filestore.storage.files import Disk
from tests.proofs.effort import IS_LONG, choose

KILLS = choose(4, 60)
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
        "output_schema": {"type": "object", "properties": {"age": {"type": kind}}},
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
    """Return every file outside `.filestore/` and `.git/`, with its bytes."""
    paths = (path for path in root.rglob("*") if path.is_file())
    relative = {path.relative_to(root).as_posix(): path for path in paths}
    return {name: path.read_bytes() for name, path in relative.items() if not name.startswith(".")}


def internals(root: Path) -> set[str]:
    """Return every file and directory below `.filestore/` but the lock files, which stay."""
    internal = root / ".filestore"
    return {path.relative_to(internal).as_posix() for path in internal.rglob("*") if not path.name.endswith("lock")}


ID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
OWN_FILE = re.compile(
    rf"[^/]+/({ID}\.json|schemas/[0-9a-f]{{16}}\.json|tombstones/[0-9a-f]{{2}}/{ID}@\d{{8}}T\d{{6}}\.\d{{6}}Z)"
)


def assert_clean(root: Path, dataset: str = DATASET) -> None:
    """Nothing that a cut-off write left behind has outlived the next write."""
    assert internals(root) == {".gitignore", dataset, f"{dataset}/seq"}
    assert [name for name in tree(root) if not OWN_FILE.fullmatch(name)] == []


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

    def sync_file(self, path: str) -> None:
        self.fault.strike(path)

    def sync_directories(self, paths: Any) -> None:
        for path in paths:
            self.fault.strike(path)


@dataclass(frozen=True)
class NotingDisk(Disk):
    """The door to the disk, which notes what takes room there."""

    done: list[tuple[str, str]] = field(default_factory=list)

    def make_directory(self, path: str) -> bool:
        is_new = super().make_directory(path)
        if is_new:
            self.done.append(("make_directory", path))
        return is_new

    def write_new(self, path: str, data: bytes, mode: int | None = None, *, sync: bool = False) -> None:
        self.done.append(("write_new", path))
        super().write_new(path, data, mode, sync=sync)

    def rename(self, source: str, target: str) -> None:
        self.done.append(("rename", target))
        super().rename(source, target)


def open_store(root: Path, fault: Fault | None = None, now: datetime = NOW + timedelta(hours=1)) -> FileStore:
    """Open a store that makes the same ids and times in each run."""
    store = FileStore(root, durable=False, clock=lambda: now, random_bits=lambda bits: 0)
    store._datasets._disk = FaultyDisk(durable=False, fault=fault or Fault(EVERYTHING))
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
SINGLES: dict[str, Act] = {
    "insert-one": lambda store: insert(store, [chat("Cid")]),
    "put-over-existing": put(1),
    "delete-one": lambda store: store.delete_datapoint(dataset_name=DATASET, datapoint_id=existing(store.root)[1]),
}
"""Changes of a single file, which one rename carries out."""

BATCHES: dict[str, Act] = {
    "insert-many": lambda store: insert(store, [chat("Cid"), extraction("Dan", "number"), chat("Eve")]),
    "insert-with-new-schema": lambda store: insert(store, [extraction("Dan", "number")]),
    "put-over-stale": put(0),
    "rename-in-place": rename_all,
    "delete-many": lambda store: store.delete_dataset(dataset_name=DATASET),
    "first-insert": lambda store: insert(store, [chat("Cid"), extraction("Dan")]),
}
"""Changes of several files, which need the journal."""


@dataclass(frozen=True)
class Scene:
    """One operation, the store before it, and what it leaves when nothing goes wrong."""

    act: Act
    template: Path
    before: list[Datapoint]
    after: list[Datapoint]

    def copies(self, directory: Path) -> Iterator[Path]:
        """Yield fresh copies of the store as it was before."""
        return copies(self.template, directory)

    def interrupted(self, directory: Path) -> Path:
        """Return a copy of the store in which the process stopped right after the commit."""
        for root in copies(self.template, directory):
            act_until(self.act, root, Fault(int(root.name)))
            if pending(root).is_dir():
                return root
        raise AssertionError("no commit")


def copies(template: Path, directory: Path) -> Iterator[Path]:
    """Yield copies of a store, named 1, 2, 3 and so on."""
    for number in range(1, 200):
        root = directory / str(number)
        shutil.copytree(template, root)
        yield root
    raise AssertionError("the operation never ends")


def pending(root: Path) -> Path:
    return root / ".filestore" / DATASET / "pending"


def act_until(act: Act, root: Path, fault: Fault) -> bool:
    """Act until the process is stopped; return whether it was."""
    with suppress(Stopped):
        act(open_store(root, fault))
    age(root)
    return fault.has_struck


def make_scene(name: str, act: Act, directory: Path) -> Scene:
    template, clean = directory / "template", directory / "clean"
    template.mkdir()
    if name != "first-insert":
        store = open_store(template, now=NOW)
        ids = insert(store, [chat("Ann"), chat("Bea"), extraction("Bob"), chat("Bix")])
        store.delete_datapoint(dataset_name=DATASET, datapoint_id=ids[0])
    shutil.copytree(template, clean)
    store = open_store(clean)
    before = everything(store)
    act(store)
    after = everything(store)
    assert before != after
    return Scene(act, template, before, after)


@pytest.fixture(params=[*SINGLES, *BATCHES])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Scene:
    return make_scene(request.param, (SINGLES | BATCHES)[request.param], tmp_path)


@pytest.fixture(params=BATCHES)
def batch(request: pytest.FixtureRequest, tmp_path: Path) -> Scene:
    return make_scene(request.param, BATCHES[request.param], tmp_path)


@pytest.fixture
def insertion(tmp_path: Path) -> Scene:
    return make_scene("insert-many", BATCHES["insert-many"], tmp_path)


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
    outcomes = []
    for root in scene.copies(tmp_path):
        if not act_until(scene.act, root, Fault(int(root.name))):
            break
        seen = everything(open_read_only(root))
        assert seen in (scene.before, scene.after), f"operation {root.name}: a read-only reader sees a part"
        assert everything(open_store(root)) == seen, f"operation {root.name}: recovery changes what readers saw"
        assert_next_write_works(root, seen)
        outcomes.append(seen)
    assert scene.before in outcomes
    assert scene.after in outcomes
    assert outcomes == sorted(outcomes, key=[scene.before, scene.after].index), "there is more than one commit point"


def test_stopped_recovery_is_taken_up_again(batch: Scene, tmp_path: Path) -> None:
    template = batch.interrupted(tmp_path)
    (tmp_path / "again").mkdir()
    for root in copies(template, tmp_path / "again"):
        if not act_until(FileStore.recover, root, Fault(int(root.name))):
            return
        assert everything(open_read_only(root)) == batch.after
        assert_next_write_works(root, batch.after)


REFUSALS = {"disk-full": (errno.ENOSPC, True), "one-io-error": (errno.EIO, False)}
if IS_LONG:
    REFUSALS |= {"device-gone": (errno.EIO, True), "no-space-once": (errno.ENOSPC, False)}


@pytest.mark.parametrize(("code", "is_lasting"), REFUSALS.values(), ids=REFUSALS)
def test_refused_anywhere_nothing_changed_or_the_change_is_completed_later(
    scene: Scene, tmp_path: Path, code: int, is_lasting: bool
) -> None:
    for root in scene.copies(tmp_path):
        fault = Fault(int(root.name), code, is_lasting)
        store = open_store(root, fault)
        expected = scene.after
        try:
            scene.act(store)
        except StorageError:
            expected = scene.before
        except CommittedError:
            pass
        if not fault.has_struck:
            return
        age(root)
        assert everything(open_read_only(root)) == expected, f"operation {root.name}: a read-only reader"
        assert everything(store) == expected, f"operation {root.name}: the store itself"
        assert_next_write_works(root, expected)


def test_refused_recovery_never_reports_the_next_write_as_committed(batch: Scene, tmp_path: Path) -> None:
    template = batch.interrupted(tmp_path)
    (tmp_path / "again").mkdir()
    for root in copies(template, tmp_path / "again"):
        fault = Fault(int(root.name), errno.EIO)
        store = open_store(root, fault, NOW + timedelta(hours=3))
        expected = len(batch.after)
        try:
            insert(store, [chat("late")])
            expected += 1
        except StorageError:
            pass
        except CommittedError:
            expected += 1
        age(root)
        assert len(everything(store)) == expected, f"operation {root.name}"
        if not fault.has_struck:
            return


# --- between the crash and the recovery


def interrupt_put(tmp_path: Path) -> tuple[Scene, Path, Path]:
    """Return a scene, the root of a store whose put over a stale datapoint was cut off, and the datapoint's file."""
    scene = make_scene("put-over-stale", BATCHES["put-over-stale"], tmp_path)
    root = scene.interrupted(tmp_path)
    return scene, root, root / DATASET / f"{existing(root)[0]}.json"


def edit(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"Dear Ann", b"By hand"))


def outputs(store: FileStore) -> list[object]:
    return [
        datapoint.output[0]["text"]
        for datapoint in everything(store)
        if isinstance(datapoint, ChatDatapoint) and datapoint.output
    ]


def test_hand_edit_before_recovery_stays_and_the_staged_version_becomes_a_draft(tmp_path: Path) -> None:
    _, root, path = interrupt_put(tmp_path)
    edit(path)
    age(root)
    expected = ["Dear Bix", "Dear Bea", "By hand"]
    assert outputs(open_read_only(root)) == expected
    assert outputs(open_store(root)) == expected
    draft = path.with_name(f"recovered-{path.name}")
    assert b"Dear Zoe" in draft.read_bytes()
    assert internals(root) == {".gitignore", DATASET, f"{DATASET}/seq"}


def test_recovered_draft_never_replaces_another(tmp_path: Path) -> None:
    _, root, path = interrupt_put(tmp_path)
    edit(path)
    draft = path.with_name(f"recovered-{path.name}")
    draft.write_text("mine")
    open_store(root).recover()
    assert draft.read_text() == "mine"
    assert b"Dear Zoe" in path.with_name(f"recovered-{path.stem}-2.json").read_bytes()


def test_file_removed_before_recovery_stays_removed(tmp_path: Path) -> None:
    _, root, path = interrupt_put(tmp_path)
    path.unlink()
    age(root)
    expected = ["Dear Bix", "Dear Bea"]
    assert outputs(open_read_only(root)) == expected
    assert outputs(open_store(root)) == expected


def test_deletion_that_a_person_undoes_before_the_recovery_stays_undone(tmp_path: Path) -> None:
    scene = make_scene("delete-many", BATCHES["delete-many"], tmp_path)
    [old] = (scene.template / DATASET / "tombstones").rglob("*@*")
    for root in scene.copies(tmp_path):
        assert act_until(scene.act, root, Fault(int(root.name)))
        made = [path for path in (root / DATASET / "tombstones").rglob("*@*") if path.name != old.name]
        if made:
            break
    assert pending(root).is_dir()
    undone = made[0]
    undone.unlink()
    open_store(root).recover()
    assert [str(one.id) for one in everything(open_store(root))] == [undone.name.partition("@")[0]]


def test_after_the_commit_nothing_is_made_for_which_there_may_be_no_room(batch: Scene, tmp_path: Path) -> None:
    root = next(batch.copies(tmp_path))
    store = open_store(root)
    disk = store._datasets._disk = NotingDisk(durable=False)
    batch.act(store)
    committed = next(
        at for at, (name, path) in enumerate(disk.done) if (name, Path(path).name) == ("rename", "pending")
    )
    assert not [path for name, path in disk.done[committed:] if name != "rename"]


def test_hand_edit_of_what_was_applied_before_the_crash_stays(insertion: Scene, tmp_path: Path) -> None:
    for root in insertion.copies(tmp_path):
        assert act_until(insertion.act, root, Fault(int(root.name)))
        applied = set(existing(root)) - set(existing(insertion.template))
        if applied:
            break
    path = root / DATASET / f"{applied.pop()}.json"
    data = path.read_bytes().replace(b"Cid", b"Hand")
    path.write_bytes(data)
    open_store(root).recover()
    assert path.read_bytes() == data
    assert len(everything(open_store(root))) == len(insertion.after)


COMMITS = [f"{digit}" * 40 for digit in "ab"]


def move_head(root: Path, commit: str) -> None:
    """Make the store a repository whose HEAD is at a commit, detached."""
    (root / ".git").mkdir(exist_ok=True)
    (root / ".git" / "HEAD").write_text(f"{commit}\n")


@pytest.fixture
def moved(insertion: Scene, tmp_path: Path) -> Path:
    """The root of a store whose change was cut off at one commit, and which is at another now."""
    move_head(insertion.template, COMMITS[0])
    root = insertion.interrupted(tmp_path)
    move_head(root, COMMITS[1])
    return root


def test_head_moved_before_recovery_stops_writes_and_no_reader(insertion: Scene, moved: Path) -> None:
    for store in (open_store(moved), open_read_only(moved)):
        assert everything(store) == insertion.after
        with pytest.raises(RecoveryNeededError) as caught:
            insert(store, [chat("late")])
        assert COMMITS[0] in str(caught.value)
        assert COMMITS[1] in str(caught.value)
        with pytest.raises(RecoveryNeededError):
            store.recover()
    assert everything(open_store(moved)) == insertion.after


def test_recover_apply_completes_the_change_at_another_head(insertion: Scene, moved: Path) -> None:
    assert open_store(moved).recover("apply") == [DATASET]
    age(moved)
    assert everything(open_read_only(moved)) == insertion.after
    assert_next_write_works(moved, insertion.after)


def test_recover_discard_gives_the_change_up_at_another_head(insertion: Scene, moved: Path) -> None:
    assert open_store(moved).recover("discard") == [DATASET]
    age(moved)
    assert everything(open_read_only(moved)) == insertion.before
    assert_next_write_works(moved, insertion.before)


def test_head_moved_after_all_was_in_place_asks_nobody(insertion: Scene, tmp_path: Path) -> None:
    move_head(insertion.template, COMMITS[0])
    made = insertion.copies(tmp_path)
    roots = list(takewhile(lambda root: act_until(insertion.act, root, Fault(int(root.name))), made))
    root = [root for root in roots if pending(root).is_dir()][-1]
    assert {path.name for path in pending(root).iterdir()} == {"manifest.json"}
    move_head(root, COMMITS[1])
    assert_next_write_works(root, insertion.after)


def test_recovery_finds_a_dataset_whose_directory_is_gone(insertion: Scene, moved: Path) -> None:
    shutil.rmtree(moved / DATASET)
    with pytest.raises(RecoveryNeededError):
        insert(open_store(moved), [chat("late")])
    assert open_store(moved).recover("discard") == [DATASET]
    assert_next_write_works(moved, [])


# --- read-only


READER = """
import sys
from filestore import FileStore
print(len(FileStore(sys.argv[1]).list_datapoints(dataset_name=sys.argv[2], limit=10**9)))
"""


def mounted_read_only(root: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && ! touch "$0/x" 2>/dev/null && exec "$@"'
    unshare = ["unshare", "--mount", "--map-root-user", "sh", "-c", script, str(root), *command]
    return subprocess.run(unshare, capture_output=True, text=True, check=False)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs Linux namespaces")
def test_read_only_file_system_serves_whole_batches(insertion: Scene, tmp_path: Path) -> None:
    root = insertion.interrupted(tmp_path)
    if mounted_read_only(root, ["true"]).returncode:
        pytest.skip("needs user namespaces")
    before = internals(root), tree(root)
    answer = mounted_read_only(root, [sys.executable, "-c", READER, str(root), DATASET])
    assert (answer.stdout, answer.stderr) == (f"{len(insertion.after)}\n", "")
    assert (internals(root), tree(root)) == before
