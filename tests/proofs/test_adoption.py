"""Laws of an adoption that is cut off: the draft is there or its datapoint, and nobody's edit is lost."""

from __future__ import annotations

import errno
import json
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from filestore import FileStore
from filestore.errors import CommittedError, FilestoreError, StorageError
from filestore.formatting.batches import format_dataset
from filestore.formatting.files import Options
from filestore.storage.journal import Journal
from tests.proofs.audit import internals
from tests.proofs.effort import choose
from tests.proofs.faults import Fault
from tests.proofs.power import Loss, write_tree
from tests.proofs.scenes import (
    DATASET,
    NOW,
    Scene,
    act_until,
    chat,
    copies,
    everything,
    extraction,
    insert,
    observe,
    open_read_only,
    open_store,
    pending,
    tree,
)
from tests.proofs.system import Blow, System
from tests.proofs.test_power_loss import record
from tests.proofs.test_recovery import edit

DRAFTS = ("case-a.json", "case-b.json")


def adopt(store: FileStore) -> object:
    return list(format_dataset(store, DATASET, None, Options(adopts=True)))


def make_scene(directory: Path, drafts: int) -> Scene:
    """Return a store with drafts, of which one brings a schema, and a file and a schema that are not canonical."""
    template, clean = directory / "template", directory / "clean"
    template.mkdir()
    insert(open_store(template, now=NOW), [chat("Ann"), extraction("Bob")])
    dataset = template / DATASET
    for name, item in list(zip(DRAFTS, (chat("Dear Ann"), extraction("Cid", "number")), strict=True))[:drafts]:
        (dataset / name).write_text(json.dumps(item))
    for path in (sorted(dataset.glob("0*.json"))[0], next((dataset / "schemas").iterdir())):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    shutil.copytree(template, clean)
    store = open_store(clean)
    before = observe(store, [])
    adopt(store)
    return Scene(adopt, template, [], before, observe(store, []))


@pytest.fixture(params=[1, 2][choose(1, 0) :], ids=str)
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Scene:
    return make_scene(tmp_path, request.param)


def drafts_in(root: Path) -> set[str]:
    return {path.name for path in (root / DATASET).glob("*.json") if not path.name.startswith("0")}


def assert_whole(root: Path, scene: Scene) -> bool:
    """The drafts are there or their datapoints, for readers and on the disk; return whether these are."""
    seen = scene.observe(open_read_only(root))
    assert seen in (scene.before, scene.after)
    is_adopted = seen == scene.after
    store = open_store(root, now=NOW + timedelta(hours=2))
    store.recover()
    assert scene.observe(store) == seen
    assert drafts_in(root) == (set() if is_adopted else drafts_in(scene.template))
    assert len(list((root / DATASET).glob("0*.json"))) == len(seen.live)
    insert(store, [chat("next")])
    assert internals(root) == {".gitignore", DATASET, f"{DATASET}/seq"}
    return is_adopted


def test_stopped_anywhere_the_draft_is_there_or_its_datapoint(scene: Scene, tmp_path: Path) -> None:
    outcomes = []
    for root in scene.copies(tmp_path):
        if not act_until(scene.act, root, Fault(int(root.name))):
            break
        outcomes.append(assert_whole(root, scene))
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}


def test_stopped_recovery_is_taken_up_again(scene: Scene, tmp_path: Path) -> None:
    template = scene.interrupted(tmp_path)
    (tmp_path / "again").mkdir()
    for root in copies(template, tmp_path / "again"):
        if not act_until(FileStore.recover, root, Fault(int(root.name))):
            return
        assert assert_whole(root, scene)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["disk-full", "io-error"])
def test_refused_anywhere_it_stays_or_is_completed_later(scene: Scene, tmp_path: Path, code: int) -> None:
    for root in scene.copies(tmp_path):
        fault = Fault(int(root.name), code, is_lasting=code == errno.ENOSPC)
        expected = True
        try:
            scene.act(open_store(root, fault))
        except StorageError:
            expected = False
        except CommittedError:
            pass
        if not fault.has_struck:
            return
        assert assert_whole(root, scene) is expected


def test_refused_a_look_it_stays_or_is_adopted(tmp_path: Path) -> None:
    scene = make_scene(tmp_path, 1)
    for root in scene.copies(tmp_path, range(1, 1000, choose(7, 1))):
        system, store = System(root, Blow(int(root.name))), open_store(root)
        with system.installed(), suppress(FilestoreError):
            scene.act(store)
        if system.struck is None:
            return
        assert_whole(root, scene)


def test_a_draft_that_is_edited_before_the_recovery_stays_beside_its_datapoint(scene: Scene, tmp_path: Path) -> None:
    root = scene.interrupted(tmp_path)
    draft = root / DATASET / DRAFTS[0]
    edit(draft)
    edited = draft.read_bytes()
    open_store(root).recover()
    assert everything(open_store(root)) == scene.after.live
    assert {name: data for name, data in tree(root).items() if name == f"{DATASET}/{DRAFTS[0]}"} == {
        f"{DATASET}/{DRAFTS[0]}": edited
    }
    assert drafts_in(root) == {DRAFTS[0]}


@pytest.mark.parametrize(
    "make", [Path.mkdir, lambda path: path.symlink_to("elsewhere.json")], ids=["directory", "link"]
)
def test_what_somebody_puts_in_the_place_of_a_draft_stops_no_recovery(
    scene: Scene, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    root = scene.interrupted(tmp_path)
    draft = root / DATASET / DRAFTS[0]
    draft.unlink()
    make(draft)
    open_store(root).recover()
    assert draft.is_symlink() or draft.is_dir()
    assert everything(open_store(root)) == scene.after.live


def test_a_schema_that_is_edited_before_the_recovery_stays_as_it_was_edited(scene: Scene, tmp_path: Path) -> None:
    root = scene.interrupted(tmp_path)
    [schema] = (path for path in (root / DATASET / "schemas").iterdir() if b"\r" in path.read_bytes())
    schema.write_bytes(b"[half")
    open_store(root).recover()
    assert schema.read_bytes() == b"[half"
    assert not pending(root).exists()


def test_a_draft_that_is_saved_while_it_is_adopted_is_adopted_as_saved(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = next(scene.copies(tmp_path))
    commit = Journal.commit
    draft = root / DATASET / DRAFTS[0]

    def save_first(journal: Journal, change: object, sequence: object) -> None:
        if draft.exists() and b"By hand" not in draft.read_bytes():
            edit(draft)
        commit(journal, change, sequence)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(Journal, "commit", save_first)
    adopt(open_store(root))
    assert drafts_in(root) == set()
    assert any(b"By hand" in path.read_bytes() for path in (root / DATASET).glob("0*.json"))


def test_after_power_loss_the_draft_is_there_or_its_datapoint(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = record(next(scene.copies(tmp_path)), [adopt], monkeypatch)
    chance = random.Random(0)
    outcomes = set()
    for moment in range(len(recorded.log) + 1):
        loss = Loss(recorded.before, recorded.log[:moment])
        for kept in loss.iter_kept(chance, choose(2, 24)):
            root = tmp_path / "found"
            write_tree(loss.tree(kept, chance), root)
            found = everything(open_read_only(root))
            was_adopted = len(found) == len(scene.after.live)
            open_store(root, now=NOW).recover()
            assert len(everything(open_store(root))) == len(found)
            assert drafts_in(root) == (set() if was_adopted else drafts_in(scene.template))
            outcomes.add(was_adopted)
            shutil.rmtree(root)
    assert outcomes == {False, True}
    assert was_adopted, "what returned is durable"
