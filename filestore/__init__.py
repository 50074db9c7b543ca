"""Datasets of LLM datapoints as plain files in git.

A store is a directory, a dataset a directory in it, a datapoint a JSON file:

    from filestore import FileStore

    store = FileStore("datasets")
    for datapoint in store.list_datapoints(dataset_name="email_application"):
        print(datapoint.name, datapoint.output)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filestore.datapoint import ChatDatapoint, Datapoint, JsonDatapoint
    from filestore.errors import FilestoreError
    from filestore.storage.scan import Scan
    from filestore.store import DatasetSummary, FileStore

__version__ = "0.1.0"
__all__ = [
    "ChatDatapoint",
    "Datapoint",
    "DatasetSummary",
    "FileStore",
    "FilestoreError",
    "JsonDatapoint",
    "Scan",
    "__version__",
]

_ROOMS = {
    "ChatDatapoint": "datapoint",
    "Datapoint": "datapoint",
    "DatasetSummary": "store",
    "FileStore": "store",
    "FilestoreError": "errors",
    "JsonDatapoint": "datapoint",
    "Scan": "storage.scan",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for: the command line's help needs none of them."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    return value
