"""Laws of the time between a crash and its recovery: what people do then stays, and readers see whole changes."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

import pytest

from filestore import FileStore
from filestore.datapoint import ChatDatapoint
from filestore.errors import RecoveryNeededError
from filestore.storage.files import MOST_BYTES
from tests.proofs.audit import internals
from tests.proofs.faults import Fault, FaultyDisk, NotingDisk
from tests.proofs.scenes import (
    BATCHES,
    DATASET,
    OTHER,
    Scene,
    act_until,
    age,
    assert_clean,
    assert_next_write_works,
    chat,
    everything,
    existing,
    insert,
    make_scene,
    open_read_only,
    open_store,
    pending,
    tree,
)


@pytest.fixture(params=BATCHES)
def batch(request: pytest.FixtureRequest, tmp_path: Path) -> Scene:
    return make_scene(request.param, tmp_path)


@pytest.fixture
def insertion(tmp_path: Path) -> Scene:
    return make_scene("insert-many", tmp_path)


# --- between the crash and the recovery


def interrupt_put(tmp_path: Path) -> tuple[Scene, Path, Path]:
    """Return a scene, the root of a store whose put over a stale datapoint was cut off, and the datapoint's file."""
    scene = make_scene("put-over-stale", tmp_path)
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
    assert internals(root) == {".gitignore", DATASET, f"{DATASET}/seq", OTHER, f"{OTHER}/seq"}


def test_a_file_that_grew_too_large_to_be_read_before_recovery_stays_too(tmp_path: Path) -> None:
    _, root, path = interrupt_put(tmp_path)
    os.truncate(path, MOST_BYTES + 1)
    open_store(root).recover()
    assert path.stat().st_size == MOST_BYTES + 1
    assert b"Dear Zoe" in path.with_name(f"recovered-{path.name}").read_bytes()
    assert not pending(root).exists()


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
    scene = make_scene("delete-many", tmp_path)
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
    assert len(everything(open_store(root))) == len(insertion.after.live)


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
        assert everything(store) == insertion.after.live
        with pytest.raises(RecoveryNeededError) as caught:
            insert(store, [chat("late")])
        assert COMMITS[0] in str(caught.value)
        assert COMMITS[1] in str(caught.value)
        with pytest.raises(RecoveryNeededError):
            store.recover()
    assert everything(open_store(moved)) == insertion.after.live


def test_recover_apply_completes_the_change_at_another_head(insertion: Scene, moved: Path) -> None:
    assert open_store(moved).recover("apply") == [DATASET]
    assert everything(open_read_only(moved)) == insertion.after.live
    assert_next_write_works(insertion, moved, insertion.after)


def test_recover_discard_gives_the_change_up_at_another_head(insertion: Scene, moved: Path) -> None:
    assert open_store(moved).recover("discard") == [DATASET]
    assert everything(open_read_only(moved)) == insertion.before.live
    assert_next_write_works(insertion, moved, insertion.before)


def test_what_is_in_place_by_half_is_not_given_up_but_completed(insertion: Scene, tmp_path: Path) -> None:
    move_head(insertion.template, COMMITS[0])
    made = insertion.copies(tmp_path)
    roots = takewhile(lambda root: act_until(insertion.act, root, Fault(int(root.name))), made)
    halves = [root for root in roots if pending(root).is_dir() and len(existing(root)) > len(insertion.known)]
    assert len(halves) > 1
    for root in halves[:2]:
        assert len(list(pending(root).iterdir())) > 1
        move_head(root, COMMITS[1])
        before = tree(root)
        with pytest.raises(RecoveryNeededError, match="in place already"):
            open_store(root).recover("discard")
        assert tree(root) == before
        assert open_store(root).recover("apply") == [DATASET]
        assert_next_write_works(insertion, root, insertion.after)


def test_head_moved_after_all_was_in_place_asks_nobody(insertion: Scene, tmp_path: Path) -> None:
    move_head(insertion.template, COMMITS[0])
    made = insertion.copies(tmp_path)
    roots = list(takewhile(lambda root: act_until(insertion.act, root, Fault(int(root.name))), made))
    root = [root for root in roots if pending(root).is_dir()][-1]
    assert {path.name for path in pending(root).iterdir()} == {"manifest.json"}
    move_head(root, COMMITS[1])
    assert_next_write_works(insertion, root, insertion.after)


def test_recovery_finds_a_dataset_whose_directory_is_gone(insertion: Scene, moved: Path) -> None:
    shutil.rmtree(moved / DATASET)
    with pytest.raises(RecoveryNeededError):
        insert(open_store(moved), [chat("late")])
    assert open_store(moved).recover("discard") == [DATASET]
    [new] = insert(open_store(moved), [chat("next")])
    assert [one.id for one in everything(open_store(moved))] == [new]
    assert_clean(moved)


# --- read-only


@dataclass(frozen=True)
class BusyDisk(FaultyDisk):
    """The door to a disk that may not be written to; others act on it just before the second staged file is read."""

    act: Callable[[], object] = str
    staged: list[str] = field(default_factory=list)

    def read(self, path: str) -> tuple[bytes, os.stat_result]:
        if "/pending/" in path and not path.endswith("manifest.json"):
            self.staged.append(path)
            if len(self.staged) == 2:
                self.act()
        return super().read(path)


def test_a_reader_without_a_lock_sees_no_half_of_what_others_do_meanwhile(tmp_path: Path) -> None:
    scene = make_scene("rename-in-place", tmp_path)
    root = scene.interrupted(tmp_path)

    def rename_again() -> None:
        store = open_store(root)
        requests = [{"id": str(one.id), "name": "again"} for one in everything(store)]
        store.update_datapoints_metadata(dataset_name=DATASET, requests=requests)

    reader = open_read_only(root)
    disk = BusyDisk(durable=False, fault=Fault(1, errno.EROFS, is_lasting=True), act=rename_again)
    reader._datasets._disk = disk
    assert {one.name for one in everything(reader)} == {"again"}
    assert len(disk.staged) > 1


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
    assert (answer.stdout, answer.stderr) == (f"{len(insertion.after.live)}\n", "")
    assert (internals(root), tree(root)) == before


def test_a_purge_that_may_not_write_says_what_it_would_remove_after_a_deletion_that_was_cut_off(tmp_path: Path) -> None:
    root = make_scene("delete-many", tmp_path).interrupted(tmp_path)
    planned = open_read_only(root).purge_dataset(dataset_name=DATASET, dry_run=True)
    assert sorted(planned.datapoints) == existing(root)
