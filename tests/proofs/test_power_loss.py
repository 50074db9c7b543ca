"""Laws of power loss: whatever part of the unsynced comes to the disk, each call happened wholly or not at all.

A few calls are made on a real disk, and every system call that changes it is noted. Then the power goes, after each of
them: from what was synced until then, and any part of the rest, a tree of files is made and a store opened in it.
"""

from __future__ import annotations

import random
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from filestore import FileStore
from filestore.codec import dumps
from filestore.datapoint import Datapoint
from filestore.datapoint_file import schema_digest
from filestore.errors import DatasetNameError, FilestoreError
from filestore.storage import files
from filestore.storage.files import Disk
from tests.proofs.audit import OWN_FILE
from tests.proofs.effort import choose, count
from tests.proofs.power import Loss, Operation, Recorder, Tree, write_tree
from tests.proofs.scenes import age, chat, extraction, open_read_only, open_store, put_body, tree

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DATASETS = ("cases", "copies")
EVERYTHING = 10**9
LOSSES = choose(3, 24)
"""How many trees are made, at the most, for each moment at which the power goes."""
MOMENTS = choose(1, 10) / 10
"""The share of such moments."""
RECOVERIES = choose(1, 20)
"""How many recoveries the power is lost in, for each story."""

State = dict[str, list[Datapoint]]


def observe(store: FileStore) -> State:
    age(store.root)
    return {name: store.list_datapoints(dataset_name=name, limit=EVERYTHING) for name in DATASETS}


def live(store: FileStore) -> list[uuid.UUID]:
    return [datapoint.id for datapoint in observe(store)["cases"]]


def stale(store: FileStore) -> list[uuid.UUID]:
    files_there = {uuid.UUID(path.stem) for path in (store.root / "cases").glob("*.json")}
    return sorted(files_there - set(live(store)))


def insert(store: FileStore, *items: dict[str, Any]) -> object:
    return store.bulk_insert_datapoints(dataset_name="cases", datapoints=list(items))


def update(store: FileStore) -> object:
    requests = [
        {"id": str(one), "type": "chat", "output": [{"type": "text", "text": "new"}]} for one in live(store)[:2]
    ]
    return store.update_datapoints(dataset_name="cases", requests=requests)


def rename(store: FileStore) -> object:
    requests = [{"id": str(one), "name": f"case {one}"} for one in live(store)]
    return store.update_datapoints_metadata(dataset_name="cases", requests=requests)


def bring_schema(store: FileStore) -> None:
    """Write a schema as git does: it syncs nothing."""
    data = dumps(extraction("Dan", "array")["output_schema"])
    disk, schemas = Disk(durable=False), f"{store.root}/cases/schemas"
    disk.make_directory(schemas)
    disk.write_new(f"{schemas}/{schema_digest(data)}.json", data)


ACTS: dict[str, Callable[[FileStore], object]] = {
    "insert-one": lambda store: insert(store, chat("Cid")),
    "insert-many": lambda store: insert(store, chat("Ann"), extraction("Bob", "number"), chat("Eve"), chat("Flo")),
    "insert-with-schema": lambda store: insert(store, extraction("Dan", "array")),
    "schema-by-git": bring_schema,
    "put-over-existing": lambda store: store.put_datapoint(
        dataset_name="cases", datapoint_id=live(store)[0], datapoint=put_body("Zoe")
    ),
    "update": update,
    "rename-all": rename,
    "delete-one": lambda store: store.delete_datapoint(dataset_name="cases", datapoint_id=live(store)[-1]),
    "delete-two": lambda store: store.delete_datapoints(dataset_name="cases", ids=live(store)[:2]),
    "restore-one": lambda store: store.restore_datapoints(dataset_name="cases", ids=stale(store)[:1]),
    "restore-all": lambda store: store.restore_datapoints(dataset_name="cases", ids=stale(store)),
    "purge": lambda store: store.purge_dataset(dataset_name="cases"),
    "clone": lambda store: store.clone_datapoints(dataset_name="copies", ids=live(store)[:3]),
    "drop": lambda store: store.delete_dataset(dataset_name="cases"),
}
STORIES: dict[str, list[str]] = {
    "insert": ["insert-many", "insert-one", "insert-with-schema", "insert-many"],
    "first": ["insert-one", "put-over-existing", "insert-one"],
    "git": ["insert-one", "schema-by-git", "insert-with-schema", "insert-with-schema"],
    "revise": ["insert-many", "update", "rename-all", "put-over-existing", "update"],
    "delete": ["insert-many", "delete-one", "restore-one", "delete-two", "restore-all", "delete-one"],
    "remove": ["insert-many", "delete-two", "purge", "insert-one", "drop", "purge", "insert-many"],
    "clone": ["insert-many", "clone", "delete-one", "clone"],
}


@dataclass(frozen=True)
class Record:
    """What was done and noted.

    Attributes:
        before: The tree it began with.
        log: What was done to the disk.
        states: What a reader saw, before the first call and after each.
        returns: How long the log was then.
    """

    before: Tree
    log: list[Operation]
    states: list[State]
    returns: list[int]

    def allowed(self, moment: int) -> list[State]:
        """Return what may be found when the power goes after so many operations: what returned, or one more."""
        returned = sum(1 for end in self.returns if end <= moment) - 1
        return self.states[returned : returned + 2]


def record(
    root: Path, acts: list[Callable[[FileStore], object]], patch: pytest.MonkeyPatch, *, durable: bool = True
) -> Record:
    """Act on a store and note what is done to the disk."""
    ticks = iter(range(10**6))
    with patch.context() as patched:
        recorder = Recorder(root)
        patched.setattr(files, "os", recorder)
        patched.setattr(files, "_libc", lambda: recorder)
        store = FileStore(
            root, durable=durable, clock=lambda: NOW + timedelta(seconds=next(ticks)), random_bits=lambda bits: 0
        )
        states, returns = [observe(store)], [0]
        for act in acts:
            act(store)
            states.append(observe(store))
            returns.append(len(recorder.log))
    return Record(recorder.before, recorder.log, states, returns)


def iter_losses(recorded: Record, chance: random.Random, share: float) -> Iterator[tuple[int, Tree]]:
    """Yield moments at which the power goes, a share of all and the last, and trees that may be found then."""
    last = len(recorded.log)
    for moment in range(last + 1):
        if moment == last or chance.random() < share:
            loss = Loss(recorded.before, recorded.log[:moment])
            for kept in loss.iter_kept(chance, LOSSES):
                yield moment, loss.tree(kept, chance)


@contextmanager
def written(found: Tree, root: Path) -> Iterator[Path]:
    write_tree(found, root)
    yield root
    shutil.rmtree(root)


def assert_holds(root: Path, allowed: list[State]) -> None:
    """One of the states is there for all readers, and stays there with the next write."""
    seen = observe(open_read_only(root))
    assert seen in allowed, "a reader that cannot write sees what never was"
    store = open_store(root, now=NOW + timedelta(days=1))
    store.recover()
    assert observe(store) == seen, "recovery changes what readers saw"
    for name in DATASETS:
        [new] = store.bulk_insert_datapoints(dataset_name=name, datapoints=[chat("next")])
        assert [one for one in observe(store)[name] if one.id != new] == seen[name]
    for name in DATASETS:
        assert {path.name for path in (root / ".filestore" / name).iterdir()} == {"lock", "seq"}
    assert [name for name in tree(root) if not OWN_FILE.fullmatch(name)] == []


def act_out(story: str, directory: Path, patch: pytest.MonkeyPatch, *, durable: bool = True) -> Record:
    root = directory / "store"
    root.mkdir()
    return record(root, [ACTS[name] for name in STORIES[story]], patch, durable=durable)


@pytest.mark.parametrize("story", STORIES)
def test_after_power_loss_each_call_happened_or_not_and_those_that_returned_did(
    story: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = act_out(story, tmp_path, monkeypatch)
    for moment, found in iter_losses(recorded, random.Random(story), MOMENTS):
        with written(found, tmp_path / "found") as root:
            assert_holds(root, recorded.allowed(moment))
        count("power losses")


@pytest.mark.parametrize("story", STORIES)
def test_power_lost_again_during_the_recovery_changes_nothing(
    story: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = act_out(story, tmp_path, monkeypatch)
    chance = random.Random(story)
    interrupted = [
        found for _, found in iter_losses(recorded, chance, 1.0) if found.find(".filestore/cases/pending") is not None
    ]
    for found in chance.sample(interrupted, min(RECOVERIES, len(interrupted))):
        with written(found, tmp_path / "found") as root:
            seen = observe(open_read_only(root))
            recovery = record(root, [FileStore.recover], monkeypatch)
        for _, found_again in iter_losses(recovery, chance, MOMENTS):
            with written(found_again, tmp_path / "again") as root:
                assert_holds(root, [seen])
            count("power losses during a recovery")


@pytest.mark.parametrize("story", STORIES)
def test_a_store_that_syncs_nothing_is_found_out(story: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is proven here could be false."""
    recorded = act_out(story, tmp_path, monkeypatch, durable=False)
    for moment, found in iter_losses(recorded, random.Random(story), 1.0):
        with written(found, tmp_path / "found") as root:
            try:
                assert_holds(root, recorded.allowed(moment))
            except (AssertionError, FilestoreError):
                return
    raise AssertionError("the power may go at any time without harm")


@pytest.mark.parametrize("act", ["insert-one", "insert-many"])
def test_a_first_write_relies_on_no_directory_that_an_earlier_one_made_and_then_failed(
    act: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(store: FileStore) -> None:
        for name in (".filestore", ".filestore/cases", "cases"):
            Disk(durable=False).make_directory(f"{store.root}/{name}")

    root = tmp_path / "store"
    root.mkdir()
    recorded = record(root, [fail, ACTS[act]], monkeypatch)
    for moment, found in iter_losses(recorded, random.Random(act), choose(3, 10) / 10):
        with written(found, tmp_path / "found") as lost:
            assert_holds(lost, recorded.allowed(moment))
        count("power losses")


def test_a_change_of_which_the_empty_directory_alone_came_back_is_over(tmp_path: Path) -> None:
    """Its removal was lost, while the removal of the manifest from it was not."""
    root = tmp_path / "store"
    before = observe(open_store(root))
    insert(open_store(root), chat("Ann"))
    after = observe(open_store(root))
    (root / ".filestore" / "cases" / "pending").mkdir()
    assert_holds(root, [after])
    assert before != after


def test_two_datasets_whose_names_are_one_elsewhere_never_come_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def insert_into(name: str) -> Callable[[FileStore], object]:
        return lambda store: store.bulk_insert_datapoints(dataset_name=name, datapoints=[chat(name)])

    root = tmp_path / "store"
    root.mkdir()
    for act in (insert_into("cases"), ACTS["drop"], ACTS["purge"]):
        act(open_store(root))
    recorded = record(root, [insert_into("Cases")], monkeypatch)
    for _, found in iter_losses(recorded, random.Random("names"), 1.0):
        with written(found, tmp_path / "found") as lost:
            store = open_store(lost)
            taken = []
            for name in ("cases", "Cases"):
                with suppress(DatasetNameError):
                    insert_into(name)(store)
                    taken.append(name)
            assert len(taken) == 1
        count("power losses")
