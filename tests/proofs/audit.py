"""An audit of a store that has come to rest: what its files say, what its API says, and that nothing else is there."""

from __future__ import annotations

import hashlib
import re
import uuid
from pathlib import Path

from filestore import FileStore
from filestore.codec import dumps, loads
from filestore.datapoint import JsonDatapoint
from filestore.datapoint_file import FileContext, parse_datapoint, read_schema, render_datapoint, schema_reference
from filestore.functions import EMPTY_CONFIG

__all__ = ["OWN_FILE", "audit", "internals"]

EVERYTHING = 10**9

_ID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
OWN_FILE = re.compile(
    rf"[^/]+/({_ID}\.json|schemas/[0-9a-f]{{16}}\.json|files/[0-9a-f]{{64}}\.[a-z0-9]+"
    rf"|tombstones/[0-9a-f]{{2}}/{_ID}@\d{{8}}T\d{{6}}\.\d{{6}}Z)"
)
"""What the store makes in a dataset."""


def internals(root: Path) -> set[str]:
    """Return every file and directory below `.filestore/` but the lock files, which stay."""
    internal = root / ".filestore"
    return {path.relative_to(internal).as_posix() for path in internal.rglob("*") if not path.name.endswith("lock")}


def audit(root: Path) -> None:
    """Check a store on which no operation is under way and none was interrupted.

    Every file is one that the store makes, canonical, and complete: its schema is there under its digest, and so are
    its attached files. Every tombstone is of a datapoint that is there. The API shows all that are live and no other.
    """
    datasets = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    store = FileStore(root, watch=False)
    assert set(store.dataset_names()) == {path.name for path in datasets}
    for dataset in datasets:
        _audit_dataset(store, dataset)
    left = {path.partition("/")[2] for path in internals(root) if "/" in path}
    assert left <= {"seq"}, "something of an interrupted change is left"


def _audit_dataset(store: FileStore, dataset: Path) -> None:
    names = {path.relative_to(dataset.parent).as_posix() for path in dataset.rglob("*") if path.is_file()}
    assert [name for name in names if OWN_FILE.fullmatch(name) is None] == []
    ids = {path.stem for path in dataset.glob("*.json")}
    stale = {path.name.partition("@")[0] for path in dataset.glob("tombstones/*/*")}
    assert stale <= ids, "a tombstone is of no datapoint"
    listed = store.list_datapoints(dataset_name=dataset.name, limit=EVERYTHING)
    assert {str(datapoint.id) for datapoint in listed} == ids - stale
    assert store.count_datapoints(dataset_name=dataset.name) == len(ids - stale)
    for one in ids:
        _audit_file(dataset, one)
    for path in dataset.glob("files/*"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem


def _audit_file(dataset: Path, one: str) -> None:
    def load_schema(digest: str) -> object:
        path = dataset / "schemas" / f"{digest}.json"
        return read_schema(path.read_bytes(), path.name, digest)

    data = (dataset / f"{one}.json").read_bytes()
    value = loads(data)
    assert isinstance(value, dict)
    context = FileContext(dataset.name, lambda: EMPTY_CONFIG, load_schema)  # type: ignore[arg-type]
    datapoint = parse_datapoint(value, uuid.UUID(one), context)
    digest = schema_reference(value["output_schema"]) if isinstance(datapoint, JsonDatapoint) else None
    assert dumps(render_datapoint(datapoint, digest)) == data, "a file is not canonical"
    for name in re.findall(rb"files/([0-9a-f]{64}\.[a-z0-9]+)", data):
        assert (dataset / "files" / name.decode()).is_file(), "an attached file is missing"
