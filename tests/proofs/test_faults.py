"""Laws of a write that is cut off: all of it happened or nothing, for every reader, before and after recovery.

The process is stopped, or the operating system refuses, at each single operation of the one door to the disk, which
leaves no moment out.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from filestore import FileStore
from filestore.errors import CommittedError, FilestoreError, StorageError
from tests.conftest import snapshot
from tests.proofs.effort import IS_LONG, count
from tests.proofs.faults import NEVER, BlindDisk, Fault
from tests.proofs.scenes import (
    BATCHES,
    DATASET,
    NOW,
    SINGLES,
    Scene,
    Seen,
    act_until,
    age,
    assert_next_write_works,
    chat,
    copies,
    everything,
    existing,
    insert,
    make_scene,
    observe,
    open_read_only,
    open_store,
)

READING = {
    *("bring_along", "config_paths", "make_id", "now", "open_dataset"),
    *("config", "count_datapoints", "dataset_names", "find_datapoints", "get_datapoint", "get_datapoints"),
    *("list_datapoints", "list_datasets", "query_datapoints", "read_attachment", "root", "scan_datapoints"),
}
"""What a store has that changes nothing."""


@pytest.fixture(params=[*SINGLES, *BATCHES])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Scene:
    return make_scene(request.param, tmp_path)


@pytest.fixture(params=BATCHES)
def batch(request: pytest.FixtureRequest, tmp_path: Path) -> Scene:
    return make_scene(request.param, tmp_path)


def test_every_operation_that_changes_something_has_a_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called = {"recover"}
    methods = {name for name in dir(FileStore) if not name.startswith("_")} - READING
    for name in methods:
        monkeypatch.setattr(FileStore, name, _noting(name, getattr(FileStore, name), called))
    for name in (*SINGLES, *BATCHES):
        make_scene(name, tmp_path / name)
    assert called == methods


def _noting(name: str, method: Callable[..., object], called: set[str]) -> Callable[..., object]:
    def call(*arguments: object, **options: object) -> object:
        called.add(name)
        return method(*arguments, **options)

    return call


# --- stopped


def test_stopped_anywhere_it_is_whole_or_absent_before_and_after_recovery(scene: Scene, tmp_path: Path) -> None:
    outcomes: list[Seen] = []
    for root in scene.copies(tmp_path):
        if not act_until(scene.act, root, Fault(int(root.name))):
            break
        seen = scene.observe(open_read_only(root))
        assert seen in (scene.before, scene.after), f"operation {root.name}: a read-only reader sees a part"
        assert scene.observe(open_store(root)) == seen, f"operation {root.name}: recovery changes what readers saw"
        assert_next_write_works(scene, root, seen)
        outcomes.append(seen)
        count("faults: stopped dead")
    assert scene.before in outcomes
    assert scene.after in outcomes
    assert outcomes == sorted(outcomes, key=[scene.before, scene.after].index), "there is more than one commit point"


def test_stopped_recovery_is_taken_up_again(batch: Scene, tmp_path: Path) -> None:
    template = batch.interrupted(tmp_path)
    (tmp_path / "again").mkdir()
    for root in copies(template, tmp_path / "again"):
        if not act_until(FileStore.recover, root, Fault(int(root.name))):
            return
        assert batch.observe(open_read_only(root)) == batch.after
        assert_next_write_works(batch, root, batch.after)
        count("faults: stopped dead in a recovery")


# --- refused

REFUSALS = {
    "disk-full": (errno.ENOSPC, True),
    "one-io-error": (errno.EIO, False),
    "no-permission": (errno.EACCES, False),
}
if IS_LONG:
    REFUSALS |= {
        "device-gone": (errno.EIO, True),
        "no-space-once": (errno.ENOSPC, False),
        "no-permission-any-more": (errno.EACCES, True),
        "over-quota": (errno.EDQUOT, True),
        "no-descriptors": (errno.EMFILE, False),
    }


def act_refused(scene: Scene, store: FileStore) -> Seen:
    """Act on a store that is refused something; return what must be there afterwards."""
    try:
        scene.act(store)
    except CommittedError:
        return scene.after
    except FilestoreError:
        return scene.before
    return scene.after


@pytest.mark.parametrize("refusal", REFUSALS)
def test_refused_anywhere_nothing_changed_or_the_change_is_completed_later(
    scene: Scene, tmp_path: Path, refusal: str
) -> None:
    code, is_lasting = REFUSALS[refusal]
    # Briefly, each refusal befalls others of the operations.
    first, step = (1, 1) if IS_LONG else (1 + list(REFUSALS).index(refusal), len(REFUSALS))
    for root in scene.copies(tmp_path, range(first, 200, step)):
        fault = Fault(int(root.name), code, is_lasting)
        store = open_store(root, fault)
        expected = act_refused(scene, store)
        if not fault.has_struck:
            return
        age(root)
        assert scene.observe(open_read_only(root)) == expected, f"operation {root.name}: a read-only reader"
        assert scene.observe(store) == expected, f"operation {root.name}: the store itself"
        assert_next_write_works(scene, root, expected)
        count("faults: refused")


def test_refused_recovery_never_reports_the_next_write_as_committed(batch: Scene, tmp_path: Path) -> None:
    template = batch.interrupted(tmp_path)
    (tmp_path / "again").mkdir()
    for root in copies(template, tmp_path / "again"):
        fault = Fault(int(root.name), errno.EIO)
        store = open_store(root, fault, NOW + timedelta(hours=3))
        expected = len(batch.after.live)
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
        count("faults: refused in a recovery")


def blind(store: FileStore, fault: Fault) -> FileStore:
    """Put a store that was not used yet before a disk at which it is refused a look."""
    store._datasets._disk = BlindDisk(durable=False, fault=fault)
    return store


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.EMFILE], ids=errno.errorcode.get)
def test_a_write_that_is_refused_a_look_happens_wholly_or_not_at_all(scene: Scene, tmp_path: Path, code: int) -> None:
    first, step = (1, 1) if IS_LONG else (1 + code % 20, 20)
    for number in range(first, 1000, step):
        root = tmp_path / "copy"
        shutil.copytree(scene.template, root)
        fault = Fault(number, code)
        store = blind(open_store(root), fault)
        expected = act_refused(scene, store)
        if not fault.has_struck:
            return
        age(root)
        assert scene.observe(open_read_only(root)) == expected, f"look {number}: a read-only reader"
        assert scene.observe(store) == expected, f"look {number}: the store itself"
        assert_next_write_works(scene, root, expected)
        shutil.rmtree(root)
        count("faults: a look refused in a write")


def search(store: FileStore) -> object:
    return store.list_datapoints(dataset_name=DATASET, search_query="B", limit=10)


def scan(store: FileStore) -> object:
    return store.scan_datapoints(dataset_name=DATASET, consume=list)


READS: dict[str, Callable[[FileStore], object]] = {
    "list": everything,
    "list-by-time": lambda store: store.list_datapoints(
        dataset_name=DATASET, order_by=[{"by": "timestamp", "direction": "ascending"}]
    ),
    "search": search,
    "scan": scan,
    "get": lambda store: store.get_datapoint(dataset_name=DATASET, datapoint_id=existing(store.root)[1]),
    "get-many": lambda store: observe(store, existing(store.root)),
    "count": lambda store: store.count_datapoints(dataset_name=DATASET),
    "datasets": lambda store: (store.list_datasets(), store.dataset_names()),
}
"""What asks, of a store that holds what the scenes begin with."""


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("is_lasting", [False, True], ids=["fresh", "lasting"])
def test_a_read_that_is_refused_a_look_fails_in_words_and_leaves_nothing_out(
    read: str, is_lasting: bool, tmp_path: Path
) -> None:
    root = make_scene("insert-one", tmp_path).template
    age(root)
    before = snapshot(root)
    for number in range(1, 1000):
        fault = Fault(NEVER, errno.EIO)
        store = blind(open_store(root, watch=is_lasting), fault)
        expected = READS[read](open_store(root))
        for _ in range(3 if is_lasting else 0):
            assert READS[read](store) == expected
        fault.at = fault.count + number
        for _ in range(2):
            try:
                assert READS[read](store) == expected, f"look {number}: a wrong answer"
            except FilestoreError:
                assert fault.has_struck
        if not fault.has_struck:
            break
        count("faults: a look refused in a read")
    assert snapshot(root) == before
