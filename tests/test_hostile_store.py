"""A store may come from strangers, and files may be half written: nothing is followed, believed or thrown away."""

from __future__ import annotations

import json
import os
import shutil
import struct
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from filestore import FileStore
from filestore.cli import main
from filestore.errors import DatasetNameError, FilestoreError, RequestError, StorageError
from filestore.storage.files import Disk
from tests.conftest import snapshot


def chat(**rest: Any) -> dict[str, Any]:
    return {"type": "chat", "function_name": "f", "input": {}, **rest}


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store", durable=False)


def insert(store: FileStore, *items: Any) -> list[uuid.UUID]:
    return store.bulk_insert_datapoints(dataset_name="demo", datapoints=list(items) or [chat()])


# --- links


def test_a_dataset_that_is_a_link_is_refused(store: FileStore, tmp_path: Path) -> None:
    insert(store)
    (tmp_path / "outside").mkdir()
    (store.root / "linked").symlink_to(tmp_path / "outside")
    with pytest.raises(DatasetNameError, match="symbolic link"):
        store.bulk_insert_datapoints(dataset_name="linked", datapoints=[chat()])
    assert store.dataset_names() == ["demo"]
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("name", ["datapoint", "schema directory", "tombstone index", "internal directory"])
def test_no_link_is_followed_out_of_the_root(store: FileStore, tmp_path: Path, name: str) -> None:
    json_item = {"type": "json", "function_name": "f", "input": {}, "output_schema": {"title": "t"}}
    one, other = insert(store, json_item, chat())
    store.delete_datapoint(dataset_name="demo", datapoint_id=other)
    place = {
        "datapoint": store.root / "demo" / f"{one}.json",
        "schema directory": store.root / "demo" / "schemas",
        "tombstone index": store.root / "demo" / "tombstones",
        "internal directory": store.root / ".filestore" / "demo",
    }[name]
    outside = tmp_path / "outside"
    place.rename(outside)
    place.symlink_to(outside)
    before = {path: path.read_bytes() for path in [outside, *outside.rglob("*")] if path.is_file()}
    put = {"function_name": "f", "type": "chat", "input": {}, "is_custom": True}
    with pytest.raises(FilestoreError, match="symbolic link"):
        store.get_datapoint(dataset_name="demo", datapoint_id=one)
        store.put_datapoint(dataset_name="demo", datapoint_id=other, datapoint=put)
    assert {path: path.read_bytes() for path in [outside, *outside.rglob("*")] if path.is_file()} == before


def test_a_pending_change_from_a_stranger_removes_nothing_through_a_link(store: FileStore, tmp_path: Path) -> None:
    insert(store)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "0123456789abcdef.json").write_text("precious", encoding="utf-8")
    (store.root / "demo" / "schemas").symlink_to(outside)
    pending = store.root / ".filestore" / "demo" / "pending"
    pending.mkdir()
    removed = [{"kind": "schema", "name": "0123456789abcdef.json"}]
    manifest = {"head": None, "puts": [], "removed": removed}
    (pending / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(FilestoreError):
        insert(store)
    assert (outside / "0123456789abcdef.json").read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize("name", ["../../x.json", "/etc/passwd", "a.json", "", "0123456789abcdef.json/.."])
def test_a_manifest_with_a_path_in_it_is_none(store: FileStore, name: str) -> None:
    insert(store)
    pending = store.root / ".filestore" / "demo" / "pending"
    pending.mkdir()
    manifest = {"head": None, "puts": [], "removed": [{"kind": "datapoint", "name": name}]}
    (pending / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    before = snapshot(store.root)
    with pytest.raises(FilestoreError, match="cannot be read"):
        insert(store)
    assert snapshot(store.root) == before
    assert store.recover("discard") == ["demo"]
    insert(store)


def test_a_dataset_that_was_emptied_does_not_come_back_beside_one_of_its_name(store: FileStore) -> None:
    insert(store)
    store.delete_dataset(dataset_name="demo")
    store.purge_dataset(dataset_name="demo")
    item = {"type": "chat", "function_name": "f", "input": {"messages": []}}
    store.create_datapoints(dataset_name="Demo", requests=[item])
    with pytest.raises(DatasetNameError, match="letter case"):
        insert(store)


def test_what_an_emptied_dataset_has_in_common_with_other_files_stays_as_it_is(store: FileStore) -> None:
    insert(store)
    store.delete_dataset(dataset_name="demo")
    store.purge_dataset(dataset_name="demo")
    outside = store.root.parent / "numbers"
    outside.hardlink_to(store.root / ".filestore" / "demo" / "seq")
    before = outside.read_bytes()
    store.bulk_insert_datapoints(dataset_name="Demo", datapoints=[chat()])
    assert outside.read_bytes() == before


def test_a_dataset_whose_first_write_was_cut_off_after_its_commit_keeps_its_name(store: FileStore) -> None:
    insert(store)
    internal = store.root / ".filestore" / "demo"
    (internal / "pending").mkdir()
    (store.root / "demo").rename(internal / "pending" / "rest")
    item = {"type": "chat", "function_name": "f", "input": {"messages": []}}
    with pytest.raises(DatasetNameError, match="letter case"):
        store.create_datapoints(dataset_name="Demo", requests=[item])


def test_a_tombstone_index_that_cannot_be_read_for_a_while_hides_nothing_afterwards(store: FileStore) -> None:
    insert(store)
    shard = store.root / "demo" / "tombstones" / "ab"
    shard.parent.mkdir(exist_ok=True)
    shard.touch()
    for _ in range(3):
        with pytest.raises(StorageError):
            store.list_datapoints(dataset_name="demo")
    shard.unlink()
    assert len(store.list_datapoints(dataset_name="demo")) == store.count_datapoints(dataset_name="demo") == 1


# --- numbers and ids that no store writes


@pytest.mark.parametrize("number", [2**64 - 1, 2**64 - 2, 2**62])
def test_a_sequence_number_that_no_store_has_reached_is_not_believed(store: FileStore, number: int) -> None:
    insert(store)
    (store.root / ".filestore" / "demo" / "seq").write_bytes(struct.pack("<Qq", number, 0))
    assert len(store.list_datapoints(dataset_name="demo")) == 1
    insert(store)
    assert len(store.list_datapoints(dataset_name="demo")) == 2


def test_an_id_after_the_year_9999_is_no_id(store: FileStore) -> None:
    [one] = insert(store)
    source = store.root / "demo" / f"{one}.json"
    (store.root / "demo" / "ffffffff-ffff-7fff-bfff-ffffffffffff.json").write_bytes(source.read_bytes())
    assert [found.id for found in store.list_datapoints(dataset_name="demo")] == [one]


def test_an_id_from_the_far_future_harms_no_other(store: FileStore) -> None:
    [one] = insert(store)
    future = uuid.UUID("60000000-0000-7000-8000-000000000000")
    source = store.root / "demo" / f"{one}.json"
    source.with_name(f"{future}.json").write_bytes(source.read_bytes())
    change = {"type": "chat", "id": str(future), "name": "x"}
    [successor] = store.update_datapoints(dataset_name="demo", requests=[change])
    assert successor > future
    assert insert(store)[0] < future
    last = uuid.UUID("e677d21f-dbff-7fff-bfff-ffffffffffff")
    source.with_name(f"{last}.json").write_bytes(source.read_bytes())
    with pytest.raises(ValueError, match="no greater id"):
        store.update_datapoints(dataset_name="demo", requests=[{"type": "chat", "id": str(last)}])
    insert(store)


def test_a_tombstone_in_the_wrong_shard_is_none(store: FileStore) -> None:
    [one] = insert(store)
    shard = store.root / "demo" / "tombstones" / ("00" if not str(one).endswith("00") else "11")
    shard.mkdir(parents=True)
    (shard / f"{one}@20260101T000000.000000Z").touch()
    assert [found.id for found in store.list_datapoints(dataset_name="demo")] == [one]
    assert store.get_datapoint(dataset_name="demo", datapoint_id=one).staled_at is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_what_git_would_not_read_is_not_waited_for(store: FileStore) -> None:
    insert(store)
    (store.root / ".git").mkdir()
    os.mkfifo(store.root / ".git" / "HEAD")
    insert(store, chat(), chat())
    assert store.count_datapoints(dataset_name="demo") == 3


@pytest.mark.parametrize("name", [".git", ".git/HEAD"])
def test_a_ref_that_can_be_no_path_is_no_ref(store: FileStore, name: str) -> None:
    path = store.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"ref: a\0b\n" if name.endswith("HEAD") else b"gitdir: a\0b\n")
    insert(store, chat(), chat())
    assert store.count_datapoints(dataset_name="demo") == 2


@pytest.mark.parametrize("name", ["018a4903-0e5f-7522-aed5-b912bbcb6b2a.json", "schemas/0123456789abcdef.json"])
def test_a_directory_in_place_of_a_file_is_refused_before_a_purge_is_committed(store: FileStore, name: str) -> None:
    insert(store)
    (store.root / "demo" / name).mkdir(parents=True)
    store.delete_dataset(dataset_name="demo")
    with pytest.raises(StorageError, match="it is a directory"):
        store.purge_dataset(dataset_name="demo")
    assert len(insert(store, chat(), chat())) == 2


# --- half-written files, and payloads that look like something else


def test_a_purge_keeps_what_a_half_written_file_may_use(store: FileStore) -> None:
    item = {"type": "json", "function_name": "f", "input": {}, "output_schema": {"title": "t"}}
    [one] = insert(store, item)
    path = store.root / "demo" / f"{one}.json"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert store.purge_dataset(dataset_name="demo").schemas == []
    path.write_bytes(data)
    assert store.get_datapoint(dataset_name="demo", datapoint_id=one).id == one


def test_a_payload_that_speaks_of_replacing_replaces_nothing(store: FileStore) -> None:
    deleted, other = insert(store)[0], insert(store)[0]
    store.delete_datapoint(dataset_name="demo", datapoint_id=deleted)
    call = {"type": "tool_call", "id": "1", "name": "t", "arguments": {"replaces": str(deleted)}}
    insert(store, chat(input={"messages": [{"role": "assistant", "content": [call]}]}))
    assert store.restore_datapoints(dataset_name="demo", ids=[deleted]) == [deleted]
    assert {deleted, other} < {found.id for found in store.list_datapoints(dataset_name="demo")}


# --- a root that is none


def test_a_root_that_has_gone_is_no_empty_store(store: FileStore) -> None:
    assert store.list_datapoints(dataset_name="demo") == []
    insert(store)
    store.root.rename(store.root.with_name("moved"))
    with pytest.raises(StorageError, match="not there any more"):
        store.list_datapoints(dataset_name="demo")
    with pytest.raises(StorageError, match="not there any more"):
        insert(store)
    with pytest.raises(StorageError, match="not there any more"):
        store.list_datasets()
    assert not store.root.exists()


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="not a directory"):
        FileStore(tmp_path / "file")


def test_a_store_makes_its_root_and_the_parents_of_it(tmp_path: Path) -> None:
    insert(FileStore(tmp_path / "a" / "b", durable=False))
    assert (tmp_path / "a" / "b" / "demo").is_dir()


def test_many_threads_may_make_a_root_at_once(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "new", durable=False)
    with ThreadPoolExecutor(16) as pool:
        calls = [
            pool.submit(store.bulk_insert_datapoints, dataset_name=f"d{number}", datapoints=[chat()])
            for number in range(64)
        ]
    assert all(len(call.result()) == 1 for call in calls)
    assert len(store.dataset_names()) == 64


def test_a_dataset_that_went_away_does_not_come_back_beside_one_of_its_name(store: FileStore) -> None:
    store.bulk_insert_datapoints(dataset_name="Demo", datapoints=[chat()])
    shutil.rmtree(store.root / "Demo")
    insert(store)
    with pytest.raises(DatasetNameError, match="letter case"):
        store.bulk_insert_datapoints(dataset_name="Demo", datapoints=[chat()])


def test_a_dataset_of_which_git_brings_back_a_directory_alone_is_looked_at_anew(store: FileStore) -> None:
    store.bulk_insert_datapoints(dataset_name="Demo", datapoints=[chat()])
    shutil.rmtree(store.root / "Demo")
    insert(store)
    (store.root / "Demo").mkdir()
    with pytest.raises(DatasetNameError, match="letter case"):
        store.bulk_insert_datapoints(dataset_name="Demo", datapoints=[chat()])


def test_a_purge_keeps_what_is_used_in_any_spelling(store: FileStore) -> None:
    [one] = insert(store, {"type": "json", "function_name": "f", "input": {}, "output_schema": {"title": "t"}})
    path = store.root / "demo" / f"{one}.json"
    path.write_text(path.read_text(encoding="utf-8").replace("schemas/", "\\u0073chemas\\/"), encoding="utf-8")
    assert store.purge_dataset(dataset_name="demo").schemas == []
    assert store.get_datapoint(dataset_name="demo", datapoint_id=one).id == one


def test_a_datapoint_is_not_restored_together_with_what_replaced_it(store: FileStore) -> None:
    [old] = insert(store)
    [new] = store.update_datapoints(dataset_name="demo", requests=[{"type": "chat", "id": str(old)}])
    store.delete_datapoint(dataset_name="demo", datapoint_id=new)
    with pytest.raises(ValueError, match=f"{old} was replaced by {new}"):
        store.restore_datapoints(dataset_name="demo", ids=[old, new])
    assert store.restore_datapoints(dataset_name="demo", ids=[new]) == [new]


def test_a_file_that_nobody_would_read_is_not_written(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its canonical spelling may be far larger than the request."""
    monkeypatch.setattr("filestore.storage.journal.MOST_BYTES", 1000)
    item = {
        "type": "chat",
        "function_name": "plain_chat",
        "input": {"messages": [{"role": "user", "content": "a" * 1000}]},
    }
    for items in ([item], [item, item]):
        with pytest.raises(RequestError, match="larger than"):
            store.bulk_insert_datapoints(dataset_name="large", datapoints=items)
    assert store.list_datapoints(dataset_name="large") == []


def test_what_is_written_just_below_the_largest_size_is_read(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for room in ("files", "journal"):
        monkeypatch.setattr(f"filestore.storage.{room}.MOST_BYTES", 100_000)
    written, refused = [], 0
    for length in range(99_000, 100_500, 7):
        try:
            written += insert(store, {**chat(), "input": {"system": "a" * length, "messages": []}})
        except RequestError:
            refused += 1
    assert len(written) > 10
    assert refused > 10
    new = FileStore(store.root)
    assert {datapoint.id for datapoint in new.list_datapoints(dataset_name="demo", limit=1000)} >= set(written)
    for one in written:
        assert new.get_datapoint(dataset_name="demo", datapoint_id=one).id == one


def test_a_file_larger_than_any_of_ours_is_read_no_further(store: FileStore) -> None:
    [one] = insert(store)
    with (store.root / "demo" / f"{one}.json").open("ab") as file:
        file.truncate(513 * 2**20)
    with pytest.raises(OSError, match="larger than 512 MiB"):
        Disk().read_unchecked(str(store.root / "demo" / f"{one}.json"))
    for look in (
        lambda: store.get_datapoint(dataset_name="demo", datapoint_id=one),
        lambda: FileStore(store.root).list_datapoints(dataset_name="demo"),
    ):
        with pytest.raises(FilestoreError, match="larger than 512 MiB"):
            look()


def test_a_hidden_link_of_an_editor_is_in_nobodys_way(store: FileStore) -> None:
    [one] = insert(store, {"type": "json", "function_name": "f", "input": {}, "output_schema": {"title": "t"}})
    (store.root / "demo" / f".#{one}.json").symlink_to("user@host.1234:1")  # Emacs' lock, while a buffer is changed
    assert store.purge_dataset(dataset_name="demo").schemas == []
    store.delete_datapoint(dataset_name="demo", datapoint_id=one)
    assert store.purge_dataset(dataset_name="demo").datapoints == [one]
    assert CliRunner().invoke(main, ["--root", str(store.root), "check"]).exit_code == 0
