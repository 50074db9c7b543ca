"""Datasets of LLM datapoints as plain files in git.

A store is a directory, a dataset a directory in it, a datapoint a JSON file:

    from filestore import FileStore

    store = FileStore("datasets")
    for datapoint in store.list_datapoints(dataset_name="email_application"):
        print(datapoint.name, datapoint.output)
"""

from __future__ import annotations

__version__ = "0.1.0"

from filestore.datapoint import ChatDatapoint, Datapoint, JsonDatapoint
from filestore.errors import FilestoreError
from filestore.store import DatasetSummary, FileStore

__all__ = [
    "ChatDatapoint",
    "Datapoint",
    "DatasetSummary",
    "FileStore",
    "FilestoreError",
    "JsonDatapoint",
    "__version__",
]
