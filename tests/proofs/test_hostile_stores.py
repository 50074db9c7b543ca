"""The law of strange stores: whatever lies in a store in place of what belongs there, nothing outside is touched.

Proven is, for each place of a store and each kind of thing that can lie there instead (links, pipes, sockets, devices,
directories, junk, other names of outside files, files of ten gigabytes that take no space), that every operation ends:
it succeeds, or says what is wrong; that nothing outside the root is read into an answer, changed or made; and that no
operation needs the memory that a file only seems to ask for.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from filestore import FileStore
from filestore.errors import FilestoreError
from tests.proofs.effort import choose, count
from tests.proofs.processes import Mailbox, receive, running

if sys.platform != "linux":
    pytest.skip("makes what only Linux has", allow_module_level=True)

import resource

MEMORY = 3 * 2**30
PICTURE = {"type": "file", "file_type": "base64", "mime_type": "image/png", "data": "eA=="}
ITEM: dict[str, Any] = {
    "type": "json",
    "function_name": "f",
    "input": {"messages": [{"role": "user", "content": [PICTURE]}]},
    "output": {"raw": "1"},
    "output_schema": {"type": "integer", "title": "own"},
}
SECRET = "a secret from outside"


def bind(path: Path) -> None:
    """Make a socket, whose path must be short."""
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(path.name)
    os.chdir("/")


def make_sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 10 * 2**30)


KINDS: dict[str, Callable[[Path, Path], object]] = {
    "link to a file": lambda path, outside: path.symlink_to(outside / "secret.json"),
    "link to a directory": lambda path, outside: path.symlink_to(outside),
    "link to nothing": lambda path, outside: path.symlink_to(outside / "new.json"),
    "link to itself": lambda path, outside: path.symlink_to(path),
    "pipe": lambda path, outside: os.mkfifo(path),
    "socket": lambda path, outside: bind(path),
    "directory": lambda path, outside: path.mkdir(),
    "junk": lambda path, outside: path.write_bytes(b"\x00junk\xff"),
    "nothing in it": lambda path, outside: path.write_bytes(b""),
    "ten gigabytes": lambda path, outside: make_sparse(path),
    "other name of a file": lambda path, outside: os.link(outside / "secret.json", path),
    "other name of an empty file": lambda path, outside: os.link(outside / "empty", path),
    "other name of eight bytes": lambda path, outside: os.link(outside / "numbers", path),
}
PLACES = {
    "a datapoint": "d/{first}.json",
    "a draft": "d/draft.json",
    "the schemas": "d/schemas",
    "a schema": "d/schemas/{schema}",
    "the tombstones": "d/tombstones",
    "a shard": "d/tombstones/{shard}",
    "the files": "d/files",
    "a file": "d/files/{file}",
    "the dataset": "d",
    "another dataset": "e",
    "the internal directory": ".filestore",
    "the work directory": ".filestore/d",
    "the lock": ".filestore/d/lock",
    "the sequence number": ".filestore/d/seq",
    "a pending change": ".filestore/d/pending",
    "a stage": ".filestore/d/stage-1",
    "the ignore file": ".filestore/.gitignore",
    "the lock of new datasets": ".filestore/create@lock",
    "the config": "tensorzero.toml",
    "the repository": ".git",
    "its head": ".git/HEAD",
}


def make_outside(directory: Path) -> None:
    directory.mkdir()
    (directory / "secret.json").write_text(f'{{"title": "{SECRET}"}}', encoding="utf-8")
    (directory / "empty").touch()
    (directory / "numbers").write_bytes(bytes(16))
    (directory / "manifest.json").write_text("{}", encoding="utf-8")
    (directory / "HEAD").write_text("ref: refs/heads/main\n", encoding="utf-8")


def make_store(root: Path, place: str) -> tuple[Path, list[str]]:
    """Make a store; return where the strange thing is to lie, and the ids of its datapoints."""
    store = FileStore(root, durable=False)
    ids = [str(one) for one in store.create_datapoints(dataset_name="d", requests=[ITEM] * 3)]
    store.delete_datapoints(dataset_name="d", ids=ids[:1])
    (root / ".git").mkdir()
    (root / ".git" / "HEAD").write_text("ref: refs/heads/main\n", encoding="utf-8")
    names = {
        "first": ids[1],
        "shard": ids[1][-2:],
        "schema": next((root / "d" / "schemas").iterdir()).name,
        "file": next((root / "d" / "files").iterdir()).name,
    }
    return root / PLACES[place].format(**names), ids


def take_away(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        for part in path.iterdir():
            take_away(part)
        path.rmdir()
    elif path.is_symlink() or path.exists():
        path.unlink()


def operations(store: FileStore, ids: list[str]) -> list[Callable[[], object]]:
    rename = [{"id": one, "name": "n"} for one in ids[1:]]
    update = [{"type": "json", "id": one, "output": {"raw": "2"}} for one in ids[1:2]]
    return [
        store.list_datasets,
        lambda: store.list_datapoints(dataset_name="d"),
        lambda: store.list_datapoints(dataset_name="e"),
        lambda: store.list_datapoints(dataset_name="d", search_query="secret"),
        lambda: store.get_datapoint(dataset_name="d", datapoint_id=ids[1]),
        lambda: store.create_datapoints(dataset_name="d", requests=[ITEM]),
        lambda: store.create_datapoints(dataset_name="e", requests=[ITEM]),
        lambda: store.create_datapoints(dataset_name="d", requests=[ITEM] * 3),
        lambda: store.update_datapoints_metadata(dataset_name="d", requests=rename),
        lambda: store.update_datapoints(dataset_name="d", requests=update, new_ids=False),
        lambda: store.delete_datapoints(dataset_name="d", ids=ids),
        lambda: store.restore_datapoints(dataset_name="d", ids=ids),
        lambda: store.clone_datapoints(dataset_name="c", ids=ids),
        lambda: store.delete_dataset(dataset_name="d"),
    ]


def use_strange_store(root: Path, outside: Path, place: str, kind: str, mailbox: Mailbox) -> None:
    """Try all operations with little memory; answer with what they gave, and whatever was no clear refusal."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    path, ids = make_store(root, place)
    take_away(path)
    KINDS[kind](path, outside)
    answers: list[str] = []
    wrong: list[str] = []
    try:
        store = FileStore(root, durable=False, lock_timeout=0.5)
        for operation in operations(store, ids):
            try:
                answers.append(repr(operation()))
            except FilestoreError as error:
                answers.append(str(error))
            except Exception as error:  # noqa: BLE001 (that none comes is the law)
                wrong.append(repr(error))
    except FilestoreError as error:
        answers.append(str(error))
    mailbox.send((answers, wrong))


def everything(directory: Path) -> dict[str, object]:
    return {
        str(path): (
            path.read_bytes() if path.is_file() else b"",
            path.lstat().st_mtime_ns,
            stat.S_IMODE(path.lstat().st_mode),
        )
        for path in sorted([directory, *directory.rglob("*")])
    }


ALL = [(place, kind) for place in PLACES for kind in KINDS]
WRITTEN_IN_PLACE = [(place, kind) for place, kind in ALL if place == "the sequence number" and "other name" in kind]
CASES = dict.fromkeys(ALL[:: choose(29, 1)] + WRITTEN_IN_PLACE)


@pytest.mark.parametrize(("place", "kind"), CASES)
def test_nothing_strange_in_a_store_leads_out_of_it_or_stops_it(tmp_path: Path, place: str, kind: str) -> None:
    outside = tmp_path / "outside"
    make_outside(outside)
    before = everything(outside)
    with running(use_strange_store, tmp_path / "store", outside, place, kind) as mailbox:
        answers, wrong = receive(mailbox)
    assert wrong == []
    assert len(answers) in (1, 14)
    if not kind.startswith("other name"):  # such a file is the store's own as much as anybody's
        assert not any(SECRET in answer for answer in answers)
    assert everything(outside) == before
    count("hostile stores opened")
