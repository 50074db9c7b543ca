"""The JSON Schema of a dataset's files for editors, and its place in `schemas/`."""

from __future__ import annotations

from filestore.codec import JSONObject, JSONValue, dumps, loads_file
from filestore.editor import editor_schema
from filestore.errors import JSONTextError
from filestore.storage.change import Change, Replaced
from filestore.storage.layout import EDITOR_SCHEMA, Entry
from filestore.storage.view import DatasetView
from filestore.store import FileStore

__all__ = ["make_editor_schema", "write_editor_schema"]

_ENTRY = Entry("editor", EDITOR_SCHEMA)


def make_editor_schema(store: FileStore, dataset_name: str | None = None) -> JSONObject:
    """Return the JSON Schema of datapoint files by the function config of the store.

    Args:
        store: The store.
        dataset_name: The dataset whose output schemas it shall know; None for none.
    """
    if dataset_name is None:
        return editor_schema(store.config)
    known = store.open_dataset(dataset_name).read(_read_schemas, absent=dict[str, JSONValue]())
    return editor_schema(store.config, known)


def write_editor_schema(store: FileStore, dataset_name: str) -> str | None:
    """Write the schema beside the dataset's output schemas.

    Returns:
        Its path relative to the root, None where it is there already as it should be.
    """
    config = store.config

    def plan(view: DatasetView) -> tuple[Change, str | None]:
        data = dumps(editor_schema(config, _read_schemas(view)))
        change = Change()
        try:
            _, old, status = view.look(_ENTRY, lambda data, path: None)
            if old == data:
                return change, None
            change.replaced[_ENTRY] = Replaced.of(old, status, view.since_ns)
        except FileNotFoundError:
            pass
        change.puts[_ENTRY] = data
        return change, view.layout.shown(view.layout.final(_ENTRY))

    return store.open_dataset(dataset_name).write(plan)


def _read_schemas(view: DatasetView) -> dict[str, JSONValue]:
    """Return the output schemas of a dataset by their digests; what is no JSON is left for the check to tell."""
    found: dict[str, JSONValue] = {}
    for name in view.names_of("schema"):
        data = view.find_bytes(Entry("schema", name))
        try:
            found[name.removesuffix(".json")] = True if data is None else loads_file(data)
        except JSONTextError:
            found[name.removesuffix(".json")] = True
    return found
