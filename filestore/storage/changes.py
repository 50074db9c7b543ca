"""What an operation does to a dataset's files, computed from one view of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from filestore.attachments import find_location, has_digest_of_name, own_storage_path
from filestore.codec import JSONObject, JSONValue, dumps
from filestore.datapoint import Datapoint, JsonDatapoint
from filestore.datapoint_file import FileContext, canonical_schema, read_datapoint, render_datapoint, schema_digest
from filestore.functions import FunctionConfig
from filestore.ids import file_name, is_datapoint_id
from filestore.shapes import expect_list, expect_object
from filestore.storage.change import Change, Replaced
from filestore.storage.layout import Entry, tombstone_names
from filestore.storage.view import DatasetView

__all__ = ["copy_attachments", "find_datapoint", "find_live", "is_live", "put", "stale", "supersede"]


def find_datapoint(
    view: DatasetView, datapoint_id: uuid.UUID, load_config: Callable[[], FunctionConfig]
) -> Datapoint | None:
    """Read a datapoint, live or stale, or return None where there is none.

    Raises:
        FileContentError: Its file cannot be read.
    """
    if not is_datapoint_id(datapoint_id):
        return None
    context = FileContext(view.layout.name, load_config, view.load_schema)
    found = view.find(datapoint_id, lambda data, path: read_datapoint(data, path, datapoint_id, context))
    staled_at = view.staled_at(datapoint_id)
    if found is None or staled_at is None:
        return found[0] if found else None
    return replace(found[0], staled_at=staled_at, updated_at=staled_at)


def find_live(
    view: DatasetView, datapoint_id: uuid.UUID, load_config: Callable[[], FunctionConfig]
) -> Datapoint | None:
    """Read a live datapoint, or return None where there is none; a stale one is not even opened.

    Raises:
        FileContentError: Its file cannot be read.
    """
    if view.staled_at(datapoint_id) is not None:
        return None
    return find_datapoint(view, datapoint_id, load_config)


def is_live(view: DatasetView, datapoint_id: uuid.UUID) -> bool:
    """Tell whether a datapoint is there and not stale, without reading what its file says."""
    if not is_datapoint_id(datapoint_id) or view.staled_at(datapoint_id) is not None:
        return False
    return view.is_there(datapoint_id)


def stale(change: Change, ids: Iterable[uuid.UUID], now: datetime) -> None:
    """Add the tombstones of datapoints to a change."""
    for name in tombstone_names(ids, now):
        change.puts[Entry("tombstone", name)] = b""


def supersede(change: Change, view: DatasetView, ids: Sequence[uuid.UUID], now: datetime) -> None:
    """Add the tombstones of datapoints whose successors were computed from what was read of them to a change."""
    for one in ids:
        found = view.find(one, lambda data, path: data)
        if found is not None:
            change.replaced[Entry("datapoint", file_name(one))] = Replaced.of(*found, view.since_ns)
    stale(change, ids, now)


def put(
    change: Change, view: DatasetView, datapoint: Datapoint, files: dict[str, bytes], *, replaces: bool = False
) -> None:
    """Add a datapoint to a change, with the schema and the files it needs.

    Args:
        change: Receives the files to write.
        view: What the dataset holds.
        datapoint: The datapoint.
        files: The bytes of its attachments by their name in `files/`.
        replaces: Whether a file with its id may exist already.
    """
    schema_name = None
    if isinstance(datapoint, JsonDatapoint):
        schema_name = _put_schema(change, view, datapoint.output_schema)
    for name, data in files.items():
        file = Entry("file", name)
        if view.find_bytes(file) == data:
            change.needed.add(file)
        else:
            change.puts[file] = data
    entry = Entry("datapoint", file_name(datapoint.id))
    data = dumps(render_datapoint(datapoint, schema_name))
    found = view.find(datapoint.id, lambda current, path: current) if replaces else None
    if found is not None:
        current, status = found
        if current == data:
            return
        change.replaced[entry] = Replaced.of(current, status, view.since_ns)
    change.puts[entry] = data


def _put_schema(change: Change, view: DatasetView, schema: JSONValue) -> str:
    """Add a schema unless it is there already; return the digest it goes by."""
    data = dumps(schema)

    def find(digest: str) -> bytes | None:
        entry = Entry("schema", f"{digest}.json")
        found = change.puts.get(entry) or view.find_bytes(entry)
        return None if found is None else canonical_schema(found)

    digest = schema_digest(data, lambda digest: find(digest) not in (None, data))
    schema_entry = Entry("schema", f"{digest}.json")
    if find(digest) is None:
        change.puts[schema_entry] = data
    elif schema_entry not in change.puts:
        change.needed.add(schema_entry)
    return digest


def copy_attachments(
    datapoint: Datapoint, directory: str, find: Callable[[str, str], bytes | None]
) -> tuple[Datapoint, dict[str, bytes]]:
    """Return a datapoint that has the files which lie in other datasets for its own, and their bytes.

    Args:
        datapoint: A datapoint whose file blocks may point anywhere.
        directory: The directory name of the dataset it goes to.
        find: Returns the bytes of an attached file by the directory name of its dataset and its name; None where there
            is none, and its block stays as it is.
    """
    files: dict[str, bytes] = {}

    def moved(block: JSONObject) -> JSONObject:
        location = find_location(block) if block["type"] == "file" else None
        if location is None or location[0] == directory:
            return block
        data = find(*location)
        if data is None or not has_digest_of_name(data, location[1]):
            return block
        files[location[1]] = data
        return {**block, "storage_path": own_storage_path(directory, f"files/{location[1]}")}

    messages: list[JSONValue] = [
        {**message, "content": [moved(expect_object(block)) for block in expect_list(message["content"])]}
        for message in map(expect_object, expect_list(datapoint.input["messages"]))
    ]
    if not files:
        return datapoint, files
    return replace(datapoint, input={**datapoint.input, "messages": messages}), files
