"""A dataset of a few datapoints that many readers and writers share, and what they do with it."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

from filestore import FileStore
from filestore.datapoint import ChatDatapoint, Datapoint
from filestore.storage.files import YOUNG_NS
from tests.proofs.processes import until

DATASET = "cases"
EVERYTHING = 10**9
BATCH = 20


def chat(text: str, function_name: str = "draft_email") -> dict[str, Any]:
    return {
        "type": "chat",
        "function_name": function_name,
        "input": {"messages": [{"role": "user", "content": text}]},
        "output": text,
    }


def batch(text: str) -> list[dict[str, Any]]:
    return [chat(f"{text} {number}") for number in range(BATCH)]


def everything(store: FileStore) -> list[Datapoint]:
    return store.list_datapoints(dataset_name=DATASET, limit=EVERYTHING)


def insert(store: FileStore, items: list[dict[str, Any]]) -> list[uuid.UUID]:
    return store.bulk_insert_datapoints(dataset_name=DATASET, datapoints=items)


def text_of(datapoint: Datapoint) -> str:
    assert isinstance(datapoint, ChatDatapoint)
    assert datapoint.output is not None
    return str(datapoint.output[0]["text"])


def extraction(kind: str) -> dict[str, Any]:
    return {
        "type": "json",
        "function_name": "extract_entities",
        "input": {"messages": []},
        "output_schema": {"type": kind},
    }


def come_to_rest(path: Path) -> None:
    """Wait until nothing about a file or a directory is so young that a store would not remember it."""
    assert until(lambda: time.time_ns() - path.stat().st_ctime_ns > 2 * YOUNG_NS)
