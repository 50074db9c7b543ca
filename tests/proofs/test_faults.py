"""Laws of a write that the system refuses or cuts off: all of it happened or nothing, and an error says which.

The n-th system call of each operation, be it one that changes something or one that only looks, is refused, done and
then refused, cut short, or the last that the process makes. Briefly, one call of each operation is befallen by each
fault; at length, every single one by most.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from filestore import FileStore
from filestore.errors import CommittedError
from tests.conftest import snapshot
from tests.proofs.audit import journal
from tests.proofs.effort import IS_LONG, choose, count
from tests.proofs.faults import NEVER
from tests.proofs.scenes import (
    BATCHES,
    DATASET,
    OTHER,
    SINGLES,
    Act,
    Scene,
    Seen,
    assert_next_write_works,
    chat,
    insert,
    make_scene,
    open_read_only,
    open_store,
)
from tests.proofs.system import NOTHING, Blow
from tests.proofs.trial import FAULTS, SOME, THOROUGH, Outcome, attempt, copied, moments, open_durable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the calls are those of Linux")

READING = {
    *("bring_along", "config_paths", "make_id", "now", "open_dataset"),
    *("config", "count_datapoints", "dataset_names", "find_datapoints", "get_datapoint", "get_datapoints"),
    *("list_datapoints", "list_datasets", "query_datapoints", "read_attachment", "root", "scan_datapoints"),
}
"""What a store has that changes nothing."""


@pytest.fixture(scope="module", params=[*SINGLES, *BATCHES])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module", params=BATCHES)
def batch(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(request.param, tmp_path_factory.mktemp(request.param))


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


# --- writes


def inodes(root: Path) -> set[int]:
    """Return the inodes of the files that are in their place."""
    return {path.stat().st_ino for path in root.rglob("*") if path.is_file() and ".filestore" not in path.parts}


@pytest.mark.parametrize("fault", FAULTS)
def test_befallen_anywhere_it_happened_or_not_as_the_error_says(scene: Scene, fault: str, tmp_path: Path) -> None:
    others = snapshot(scene.template / OTHER)
    outcomes: list[Seen] = []
    some = choose(1, NEVER) if fault in THOROUGH else SOME
    for number in moments(scene.act, scene.template, fault, tmp_path, some):
        with copied(scene.template, tmp_path / "copy") as root:
            store = open_durable(root, watch=number % 3 > 0)
            assert [scene.observe(store) for _ in range(2)] == [scene.before] * 2
            earlier = inodes(root)
            outcome = attempt(scene.act, store, FAULTS[fault]._replace(at=number))
            where = f"call {number}, {outcome.system.struck}: {outcome.error}"
            if outcome.system.unsynced:
                assert outcome.error is not None, f"{where}: what is not durable is called done"
                is_in_place = (inodes(root) - earlier) & outcome.system.unsynced
                assert isinstance(outcome.error, CommittedError) or not is_in_place, f"{where}: not durable, but there"
            seen = assert_seen(scene, store, root, outcome, where, is_first=number % 2 > 0)
            same = None if outcome.is_stopped or number % 5 == 0 else store
            assert_next_write_works(scene, root, seen, same)
            assert snapshot(root / OTHER) == others
        if outcome.system.struck is not None:
            outcomes.append(seen)
            count(f"faults injected into writes: {fault}")
    if fault == "stopped":
        assert outcomes == sorted(outcomes, key=[scene.before, scene.after].index), "there are two commit points"


def assert_seen(scene: Scene, store: FileStore, root: Path, outcome: Outcome, where: str, *, is_first: bool) -> Seen:
    """All readers see the same, and what the operation said: those that cannot write, new ones, and the store itself.

    Args:
        scene: The operation.
        store: The store that it befell.
        root: Where that lies.
        outcome: How it ended.
        where: What to say of a failure.
        is_first: Whether the store itself is asked first, with nothing made to look older than it is.
    """
    expected = scene.after if outcome.has_happened else scene.before
    if is_first and not outcome.is_stopped:
        assert scene.observe(store) == expected, f"{where}: the store itself"
    seen = scene.observe(open_read_only(root))
    if outcome.is_stopped:
        assert seen in (scene.before, scene.after), f"{where}: a part is seen"
        expected = seen
    assert seen == expected, f"{where}: a reader that cannot write"
    if not outcome.is_stopped:
        assert scene.observe(store) == expected, f"{where}: the store itself"
    assert scene.observe(open_store(root)) == expected, f"{where}: another store"
    return expected


@pytest.mark.parametrize("name", ["insert-one", "put-over-existing", "delete-one"])
def test_a_name_that_was_not_made_durable_is_by_the_next_write(name: str, tmp_path: Path) -> None:
    scene = make_scene(name, tmp_path)
    found = set()
    for number in range(1, 200):
        with copied(scene.template, tmp_path / "copy") as root:
            store = open_durable(root)
            outcome = attempt(scene.act, store, Blow(number, "done"))
            if outcome.system.struck is None:
                break
            if not isinstance(outcome.error, CommittedError) or journal(root, DATASET).sequence().is_settled:
                continue
            found.add(outcome.system.struck)
            following = attempt(lambda store: insert(store, [chat("next")]), store, NOTHING)
            assert following.error is None
            assert "*" in following.system.synced, f"{outcome.system.struck} was never synced"
    assert f"/{DATASET}" in {path[: len(DATASET) + 1] for path in found}
    count("changes that were not made durable at first", len(found))


# --- recovery

RECOVERERS: dict[str, Act] = {
    "recover": FileStore.recover,
    "write": lambda store: insert(store, [chat("late")]),
    "read": lambda store: store.list_datapoints(dataset_name=DATASET),
}
RECOVERIES = [("write", "io-error")]
if IS_LONG:
    # Without the permission to read HEAD there is none to compare with, which takes a person's decision.
    RECOVERIES = [pair for pair in product(RECOVERERS, THOROUGH) if pair[1] != "no-permission"]


@pytest.mark.parametrize(("recoverer", "fault"), RECOVERIES)
def test_befallen_in_a_recovery_the_change_stays_whole(
    batch: Scene, recoverer: str, fault: str, tmp_path: Path
) -> None:
    template = batch.interrupted(tmp_path)
    act = RECOVERERS[recoverer]
    for number in moments(act, template, fault, tmp_path, hour=3):
        with copied(template, tmp_path / "again") as root:
            store = open_durable(root, watch=number % 2 > 0, hour=3)
            outcome = attempt(act, store, FAULTS[fault]._replace(at=number))
            is_late = recoverer == "write" and outcome.has_happened
            assert_recovered(batch, root, store, outcome, is_late=is_late)
        if outcome.system.struck is not None:
            count(f"faults injected into recoveries: {fault}")


def assert_recovered(scene: Scene, root: Path, store: FileStore, outcome: Outcome, *, is_late: bool) -> None:
    """The interrupted change is there for everybody; with the later one, if that says that it happened."""
    where = f"{outcome.system.struck}: {outcome.error}"
    for one in (open_read_only(root), open_store(root) if outcome.is_stopped else store):
        seen = scene.observe(one)
        late = [each for each in seen.live if "late" in str(each.input)]
        assert outcome.is_stopped or len(late) == int(is_late), where
        live = [each for each in seen.live if each not in late]
        assert Seen(live, seen.copies, seen.known) == scene.after, where
    if not late:
        assert_next_write_works(scene, root, scene.after)


def test_stopped_recoveries_one_after_the_other_are_taken_up_again(batch: Scene, tmp_path: Path) -> None:
    template = batch.interrupted(tmp_path)
    for number in moments(FileStore.recover, template, "stopped", tmp_path, choose(1, NEVER)):
        with copied(template, tmp_path / "first") as first:
            attempt(FileStore.recover, open_durable(first), Blow(number, "stopped"))
            for again in moments(FileStore.recover, first, "stopped", tmp_path, choose(1, 4)):
                with copied(first, tmp_path / "second") as second:
                    attempt(FileStore.recover, open_durable(second), Blow(again, "stopped"))
                    assert batch.observe(open_read_only(second)) == batch.after
                    assert_next_write_works(batch, second, batch.after)
                count("faults injected into recoveries of recoveries: stopped")
