"""An audit of a store that has come to rest: what its files say, what its API says, and that nothing else is there."""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from filestore import FileStore
from filestore.codec import JSONValue, dumps, loads
from filestore.datapoint import Datapoint, JsonDatapoint
from filestore.datapoint_file import FileContext, parse_datapoint, read_schema, render_datapoint, schema_reference
from filestore.functions import EMPTY_CONFIG
from filestore.storage.files import Disk
from filestore.storage.journal import Journal
from filestore.storage.layout import DatasetLayout, parse_tombstone_name

__all__ = ["EVERYTHING", "OWN_FILE", "audit", "internals", "journal"]

EVERYTHING = 10**9

_ID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
OWN_FILE = re.compile(
    rf"[^/]+/({_ID}\.json|schemas/[0-9a-f]{{16}}\.json|files/[0-9a-f]{{64}}\.[a-z0-9]+"
    rf"|tombstones/[0-9a-f]{{2}}/{_ID}@\d{{8}}T\d{{6}}\.\d{{6}}Z)"
)
"""What the store makes in a dataset."""
_LASTING = re.compile(r"\.gitignore|create@lock|[^/@]+(/seq|/lock)?")
"""What `.filestore/` holds between two writes."""


def internals(root: Path) -> set[str]:
    """Return every file and directory below `.filestore/` but the lock files, which stay."""
    internal = root / ".filestore"
    return {path.relative_to(internal).as_posix() for path in internal.rglob("*") if not path.name.endswith("lock")}


def journal(root: Path, dataset: str) -> Journal:
    """Return the journal of a dataset, to look at it."""
    return Journal(DatasetLayout.of(str(root), dataset), Disk())


def audit(root: Path) -> None:
    """Check a store on which no operation is under way and none was interrupted.

    Every file is one that the store makes, canonical, and complete: its schema is there under its digest, and so are
    its attached files. Every tombstone is empty, in its shard, and of a datapoint that is there. The API shows all
    datapoints, live and stale, and no other, as their files and tombstones say.
    """
    datasets = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    store = FileStore(root, watch=False)
    assert set(store.dataset_names()) == {path.name for path in datasets}
    for dataset in datasets:
        _audit_dataset(store, dataset)
    assert [name for name in sorted(internals(root)) if not _LASTING.fullmatch(name)] == [], "a change left something"
    assert not internals(root) or (root / ".filestore" / ".gitignore").read_bytes() == b"*\n"


def _audit_dataset(store: FileStore, dataset: Path) -> None:
    names = {path.relative_to(dataset.parent).as_posix() for path in dataset.rglob("*") if not path.is_dir()}
    assert sorted(name for name in names if OWN_FILE.fullmatch(name) is None) == []
    ids = {uuid.UUID(path.stem) for path in dataset.glob("*.json")}
    stale = _audit_tombstones(dataset)
    assert stale.keys() <= ids, "a tombstone is of no datapoint"
    written = {one: _written(dataset, one) for one in ids}
    for one, staled_at in stale.items():
        written[one] = replace(written[one], staled_at=staled_at, updated_at=staled_at)
    name = dataset.name
    assert {one.id: one for one in store.get_datapoints(dataset_name=name, ids=ids)} == written
    live = sorted(ids - stale.keys(), reverse=True)
    assert store.list_datapoints(dataset_name=name, limit=EVERYTHING) == [written[one] for one in live]
    assert store.count_datapoints(dataset_name=name) == len(live)
    assert journal(dataset.parent, name).sequence().is_settled, "a change is not closed"
    for path in dataset.glob("files/*"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem, "an attached file is another"
    for path in dataset.glob("schemas/*"):
        assert dumps(read_schema(path.read_bytes(), path.name, path.stem)) == path.read_bytes()


def _audit_tombstones(dataset: Path) -> dict[uuid.UUID, datetime]:
    """Return which datapoints are stale, each since when: the earliest tombstone counts."""
    stale: dict[uuid.UUID, datetime] = {}
    for path in sorted(dataset.glob("tombstones/*/*"), reverse=True):
        found = parse_tombstone_name(path.name)
        assert found is not None
        assert path.read_bytes() == b"", "a tombstone is not empty"
        assert path.parent.name == str(found[0])[-2:], "a tombstone is where nobody looks for it"
        stale[found[0]] = found[1]
    return stale


def _written(dataset: Path, one: uuid.UUID) -> Datapoint:
    """Return what the file of a datapoint says; it must be canonical, and what it refers to must be there."""

    def load_schema(digest: str) -> JSONValue:
        path = dataset / "schemas" / f"{digest}.json"
        return read_schema(path.read_bytes(), path.name, digest)

    data = (dataset / f"{one}.json").read_bytes()
    value = loads(data)
    assert isinstance(value, dict)
    datapoint = parse_datapoint(value, one, FileContext(dataset.name, lambda: EMPTY_CONFIG, load_schema))
    digest = schema_reference(value["output_schema"]) if isinstance(datapoint, JsonDatapoint) else None
    assert dumps(render_datapoint(datapoint, digest)) == data, "a file is not canonical"
    for name in re.findall(rb"files/([0-9a-f]{64}\.[a-z0-9]+)", data):
        assert (dataset / "files" / name.decode()).is_file(), "an attached file is missing"
    return datapoint
