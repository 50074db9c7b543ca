"""Killing a process at an instant that nobody chose, and what may be found afterwards."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filestore import FileStore
from filestore.datapoint import Datapoint, JsonDatapoint
from tests.proofs.audit import EVERYTHING, audit
from tests.proofs.effort import count
from tests.proofs.scenes import age, open_read_only

__all__ = ["State", "assert_comes_to_rest", "kill", "observe", "program", "running", "spell"]

State = Counter[tuple[str, str, str, str, str]]
"""Live datapoints: dataset, what was asked, what is answered, name and tags. Ids and times are made anew each time."""

_NEXT = {"type": "chat", "function_name": "draft", "input": {"messages": []}}
_SOON = 5.0
"""Seconds that a writer waits for others: nobody is there."""


def program(*arguments: object) -> list[str]:
    """Return the words that start the command line."""
    return [sys.executable, "-m", "filestore", *map(str, arguments)]


def observe(store: FileStore) -> State:
    """Return what a reader sees of all datasets."""
    names = store.dataset_names()
    return Counter(
        _spell(datapoint) for name in names for datapoint in store.list_datapoints(dataset_name=name, limit=EVERYTHING)
    )


def _spell(datapoint: Datapoint) -> tuple[str, str, str, str, str]:
    output: object = datapoint.output
    if isinstance(datapoint, JsonDatapoint):
        output = {"output": output, "schema": datapoint.output_schema}
    return spell(datapoint.dataset_name, datapoint.input, output, datapoint.name, datapoint.tags)


def spell(
    dataset: str, asked: object, answered: object, name: str | None, tags: Mapping[str, str]
) -> tuple[str, str, str, str, str]:
    """Return a live datapoint as it stands in a state."""
    return (dataset, str(asked), str(answered), name or "", str(sorted(tags.items())))


def pending(root: Path) -> list[Path]:
    """Return the committed changes that may not be wholly in their places."""
    return list(root.glob(".filestore/*/pending"))


def kill(process: subprocess.Popen[str], root: Path, chance: random.Random, seconds: float) -> None:
    """Kill a process: at any instant of its work, or when it has staged a change, or when it has committed one.

    Args:
        process: The process.
        root: The store it works on.
        chance: Chooses the instant.
        seconds: How long its work takes.
    """
    began = time.monotonic()
    instant = began + chance.random() * seconds * 1.1
    sign, most = chance.choice([("", 0.0), ("stage", 0.02), ("pending", 0.004), ("pending", 0.0)])
    if sign:
        places = [root / ".filestore" / name for name in _names(root / ".filestore")]
        while process.poll() is None and time.monotonic() < began + seconds * 2:
            if any(name.startswith(sign) for place in places for name in _names(place)):
                instant = time.monotonic() + chance.random() * most
                break
    while time.monotonic() < instant and process.poll() is None:
        pass
    process.kill()
    process.wait()


def _names(path: Path) -> list[str]:
    try:
        return os.listdir(path)  # noqa: PTH208 (this loop must be quick)
    except (FileNotFoundError, NotADirectoryError):
        return []


def assert_comes_to_rest(root: Path, is_allowed: Callable[[State], bool]) -> State:
    """Check a store whose writer was killed; return what is there.

    A reader that may not write sees one of the allowed states. The next who may, sees the same, writes at once, and
    leaves behind a store that stands an audit.
    """
    count("SIGKILL between commit and completion" if pending(root) else "SIGKILL before a commit, or after completion")
    age(root)
    seen = observe(open_read_only(root))
    assert is_allowed(seen), "a reader who may not write sees what never was"
    store = FileStore(root, durable=False, lock_timeout=_SOON, clock=lambda: datetime.now(UTC) + timedelta(seconds=1))
    assert observe(store) == seen, "recovery changes what readers saw"
    for name in store.dataset_names():
        [new] = store.bulk_insert_datapoints(dataset_name=name, datapoints=[_NEXT])
        assert store.delete_datapoint(dataset_name=name, datapoint_id=new) == 1
    assert observe(store) == seen, "the next write changes more than it says"
    audit(root)
    return seen


@contextmanager
def running(words: list[str], **options: object) -> Iterator[subprocess.Popen[str]]:
    """Start a process, and see to it that it ends."""
    process = subprocess.Popen(words, text=True, **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
