"""Operations to be cut off: the store before each, and what it leaves when nothing goes wrong."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from filestore import FileStore
from filestore.datapoint import Datapoint
from tests.proofs.audit import OWN_FILE, internals
from tests.proofs.faults import NEVER, Fault, FaultyDisk, Stopped

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DATASET = "cases"
COPIES = "copies"
"""Another dataset, into which datapoints are copied."""
OTHER = "other"
"""A dataset that no operation is about."""
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


def put_body(text: str) -> dict[str, Any]:
    body = {key: value for key, value in chat(text).items() if key != "type"}
    return {**body, "function_name": "tensorzero::default", "is_custom": True}


def everything(store: FileStore) -> list[Datapoint]:
    age(store.root)
    return store.list_datapoints(dataset_name=DATASET, limit=EVERYTHING)


@dataclass(frozen=True)
class Seen:
    """What a reader sees: the live datapoints of both datasets, and those that were there before, live or stale."""

    live: list[Datapoint]
    copies: list[Datapoint]
    known: list[Datapoint]


def observe(store: FileStore, known: list[uuid.UUID]) -> Seen:
    return Seen(
        everything(store),
        store.list_datapoints(dataset_name=COPIES, limit=EVERYTHING),
        store.get_datapoints(dataset_name=DATASET, ids=known) if known else [],
    )


def insert(store: FileStore, items: list[dict[str, Any]], dataset: str = DATASET) -> list[uuid.UUID]:
    return store.bulk_insert_datapoints(dataset_name=dataset, datapoints=items)


def tree(root: Path) -> dict[str, bytes]:
    """Return every file outside `.filestore/` and `.git/`, with its bytes."""
    paths = (path for path in root.rglob("*") if path.is_file())
    relative = {path.relative_to(root).as_posix(): path for path in paths}
    return {name: path.read_bytes() for name, path in relative.items() if not name.startswith(".")}


def assert_clean(root: Path) -> None:
    """Nothing that a cut-off write left behind has outlived the next write."""
    datasets = {path.name for path in (root / ".filestore").iterdir() if path.is_dir()}
    assert internals(root) == {".gitignore", *datasets, *(f"{name}/seq" for name in datasets)}
    assert [name for name in tree(root) if not OWN_FILE.fullmatch(name)] == []


def open_store(
    root: Path, fault: Fault | None = None, now: datetime = NOW + timedelta(hours=1), **options: Any
) -> FileStore:
    """Open a store that makes the same ids and times in each run."""
    store = FileStore(root, durable=False, clock=lambda: now, random_bits=lambda bits: 0, **options)
    store._datasets._disk = FaultyDisk(durable=False, fault=fault or Fault(NEVER))
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


def live(store: FileStore) -> list[uuid.UUID]:
    return [datapoint.id for datapoint in everything(store)]


def rename_all(store: FileStore) -> object:
    requests = [{"id": str(one), "name": "renamed"} for one in live(store)]
    return store.update_datapoints_metadata(dataset_name=DATASET, requests=requests)


def update(store: FileStore, ids: list[uuid.UUID], *, new_ids: bool = True) -> object:
    requests = [{"id": str(one), "type": "chat", "tags": {"is": "new"}} for one in ids]
    return store.update_datapoints(dataset_name=DATASET, requests=requests, new_ids=new_ids)


def with_attachment(text: str) -> dict[str, Any]:
    block = {"type": "file", "file_type": "base64", "mime_type": "image/png", "data": "iVBORw0KGgo="}
    content = [{"type": "text", "text": text}, block]
    output = [{"type": "text", "text": f"Dear {text}"}]
    return {**chat(text), "output": output, "input": {"messages": [{"role": "user", "content": content}]}}


def create(store: FileStore, *items: dict[str, Any]) -> object:
    return store.create_datapoints(dataset_name=DATASET, requests=list(items))


Act = Callable[[FileStore], object]
SINGLES: dict[str, Act] = {
    "insert-one": lambda store: insert(store, [chat("Cid")]),
    "put-over-existing": put(1),
    "put-new": lambda store: store.put_datapoint(
        dataset_name=DATASET, datapoint_id=uuid.UUID(int=existing(store.root)[0].int + 1), datapoint=put_body("Zoe")
    ),
    "update-one-in-place": lambda store: update(store, live(store)[-1:], new_ids=False),
    "delete-one": lambda store: store.delete_datapoint(dataset_name=DATASET, datapoint_id=existing(store.root)[1]),
    "delete-a-list-of-one": lambda store: store.delete_datapoints(dataset_name=DATASET, ids=live(store)[:1]),
}
"""Changes of a single file, which one rename carries out."""

BATCHES: dict[str, Act] = {
    "insert-many": lambda store: insert(store, [chat("Cid"), extraction("Dan", "number"), chat("Eve")]),
    "insert-with-new-schema": lambda store: insert(store, [extraction("Dan", "number")]),
    "create-with-attachment": lambda store: create(store, with_attachment("Gus")),
    "put-over-stale": put(0),
    "update-to-new-ids": lambda store: update(store, [live(store)[0], live(store)[-1]]),
    "update-in-place": lambda store: update(store, [live(store)[0], live(store)[-1]], new_ids=False),
    "rename-in-place": rename_all,
    "delete-two": lambda store: store.delete_datapoints(dataset_name=DATASET, ids=live(store)[:2]),
    "delete-many": lambda store: store.delete_dataset(dataset_name=DATASET),
    "restore": lambda store: store.restore_datapoints(dataset_name=DATASET, ids=existing(store.root)[:1]),
    "purge": lambda store: store.purge_dataset(dataset_name=DATASET),
    "clone-within": lambda store: store.clone_datapoints(dataset_name=DATASET, ids=live(store)),
    "clone-to-another": lambda store: store.clone_datapoints(dataset_name=COPIES, ids=live(store)),
    "first-insert": lambda store: insert(store, [chat("Cid"), extraction("Dan")]),
}
"""Changes of several files, which need the journal."""


@dataclass(frozen=True)
class Scene:
    """One operation, the store before it, and what it leaves when nothing goes wrong."""

    act: Act
    template: Path
    known: list[uuid.UUID]
    before: Seen
    after: Seen

    def observe(self, store: FileStore) -> Seen:
        return observe(store, self.known)

    def copies(self, directory: Path, numbers: Iterable[int] = range(1, 200)) -> Iterator[Path]:
        """Yield fresh copies of the store as it was before."""
        return copies(self.template, directory, numbers)

    def interrupted(self, directory: Path) -> Path:
        """Return a copy of the store in which the process stopped right after the commit."""
        for root in copies(self.template, directory):
            act_until(self.act, root, Fault(int(root.name)))
            if list(root.glob(".filestore/*/pending")):
                return root
        raise AssertionError("no commit")


def copies(template: Path, directory: Path, numbers: Iterable[int] = range(1, 200)) -> Iterator[Path]:
    """Yield copies of a store, named by numbers, until the last is not enough."""
    for number in numbers:
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


def make_repository(root: Path) -> None:
    """Make a directory in which HEAD is at a commit, as far as a store looks."""
    heads = root / ".git" / "refs" / "heads"
    heads.mkdir(parents=True)
    (heads / "main").write_text(f"{'c' * 40}\n")
    (root / ".git" / "HEAD").write_text("ref: refs/heads/main\n")


def make_scene(name: str, directory: Path) -> Scene:
    act = (SINGLES | BATCHES)[name]
    template, clean = directory / "template", directory / "clean"
    make_repository(template)
    if name != "first-insert":
        store = open_store(template, now=NOW)
        ids = insert(store, [chat("Ann"), chat("Bea"), extraction("Bob"), chat("Bix")])
        store.delete_datapoint(dataset_name=DATASET, datapoint_id=ids[0])
        insert(store, [chat("Oda"), extraction("Ole")], OTHER)
        age(template)
        store.delete_datapoint(dataset_name=OTHER, datapoint_id=store.list_datapoints(dataset_name=OTHER)[0].id)
    age(template)
    shutil.copytree(template, clean)
    store = open_store(clean)
    known = existing(clean)
    before = observe(store, known)
    act(store)
    after = observe(store, known)
    assert before != after
    return Scene(act, template, known, before, after)


def age(root: Path) -> None:
    """Make directories look untouched for a while, so that readers need not wait for names on their way."""
    for path in (root, *root.rglob("*")):
        if path.is_dir():
            os.utime(path, (1_700_000_000, 1_700_000_000))


def assert_next_write_works(scene: Scene, root: Path, expected: Seen, store: FileStore | None = None) -> None:
    store = store or open_store(root, now=NOW + timedelta(hours=2))
    ids = insert(store, [chat("next")])
    ids += insert(store, [chat("next")], COPIES)
    seen = scene.observe(store)
    live, copies = ([one for one in found if one.id not in ids] for found in (seen.live, seen.copies))
    assert Seen(live, copies, seen.known) == expected
    assert_clean(root)
