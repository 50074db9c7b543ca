"""Killing a process at an instant that nobody chose, and what may be found afterwards."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from signal import Signals

from filestore import FileStore
from filestore.datapoint import Datapoint, JsonDatapoint
from tests.proofs.audit import EVERYTHING, audit, journal
from tests.proofs.effort import count
from tests.proofs.scenes import age, open_read_only

__all__ = [
    *("KILLED", "State", "assert_comes_to_rest", "chosen_by_chance", "count_moment", "kill", "look"),
    *("observe", "program", "running", "spell", "untracked"),
]

State = Counter[tuple[str, ...]]
"""Datapoints: dataset, whether live, what was asked, what is answered, name, tags. Ids and times are made anew."""

KILLED = -int(getattr(Signals, "SIGKILL", 0))
"""What the exit code of a process is that was killed."""
_NEXT = {"type": "chat", "function_name": "draft", "input": {"messages": []}}
_SOON = 5.0
"""Seconds that a writer waits for others: nobody is there."""


def program(*arguments: object) -> list[str]:
    """Return the words that start the command line."""
    return [sys.executable, "-m", "filestore", *map(str, arguments)]


@contextmanager
def chosen_by_chance() -> Iterator[random.Random]:
    """Return what chooses, from a new seed, which is named if something goes wrong."""
    seed = random.randrange(2**32)
    try:
        yield random.Random(seed)
    except BaseException as error:
        error.add_note(f"the seed was {seed}")
        raise


# --- what there is


def observe(store: FileStore) -> State:
    """Return what a reader sees of all datasets: what is listed, and what is stale but can be had by its id."""
    seen = State()
    for name in store.dataset_names():
        listed = store.list_datapoints(dataset_name=name, limit=EVERYTHING)
        found = store.get_datapoints(dataset_name=name, ids=_ids(store.root, name))
        assert {one.id for one in listed} == {one.id for one in found if one.staled_at is None}
        seen.update(map(_spell, found))
    return seen


def look(root: Path) -> State:
    """Return what a reader sees who may not write, not even to complete what was interrupted."""
    age(root)
    return observe(open_read_only(root))


def _ids(root: Path, dataset: str) -> set[uuid.UUID]:
    """Return the ids that files have, in their places or on their way there."""
    staged = root.glob(f".filestore/{dataset}/pending/datapoint-*.json")
    stems = [path.stem.removeprefix("datapoint-") for path in (*root.glob(f"{dataset}/*.json"), *staged)]
    return {uuid.UUID(stem) for stem in stems}


def _spell(datapoint: Datapoint) -> tuple[str, ...]:
    output: object = datapoint.output
    if isinstance(datapoint, JsonDatapoint):
        output = {"output": output, "schema": datapoint.output_schema}
    is_live = datapoint.staled_at is None
    return spell(datapoint.dataset_name, is_live, datapoint.input, output, datapoint.name, datapoint.tags)


def spell(
    dataset: str, is_live: bool, asked: object, answered: object, name: str | None, tags: Mapping[str, str]
) -> tuple[str, ...]:
    """Return a datapoint as it stands in a state."""
    values = json.dumps([asked, answered, tags], sort_keys=True)
    return (dataset, "live" if is_live else "stale", name or "", values)


def untracked(root: Path) -> list[str]:
    """Return the paths that git would add."""
    words = ["git", "-C", str(root), "status", "--porcelain", "-z", "--untracked-files=all"]
    entries = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split("\0")
    return [entry[3:] for entry in entries if entry]


# --- killing


def kill(process: subprocess.Popen[str], root: Path, chance: random.Random, seconds: float, idle: float = 0) -> float:
    """Kill a process: at any instant of its work, or when it has staged, committed, or begun to place a change.

    Returns the instant, by the monotonic clock.

    Args:
        process: The process.
        root: The store it works on.
        chance: Chooses the instant.
        seconds: How long its work takes.
        idle: So long at most it is left alone before it is watched for a change.
    """
    began = time.monotonic()
    instant = began + chance.random() * seconds * 1.1
    sign = chance.choice(["any", "stage", "pending", "place"])
    if sign != "any":
        _wait(process, began + chance.random() * idle)
        before = _places(root)
        is_placed = sign == "place"
        _wait(
            process,
            began + idle + seconds * 2,
            lambda: _places(root) != before if is_placed else _shows(root, sign),
        )
        instant = time.monotonic() + chance.random() * chance.choice([0.0, 0.004, 0.02])
    _wait(process, instant)
    killed_at = time.monotonic()
    process.kill()
    process.wait()
    return killed_at


def _wait(process: subprocess.Popen[str], instant: float, is_time: Callable[[], bool] = lambda: False) -> None:
    """Wait for an instant or for a sign, whatever comes first, or for the end; a loop, as the instant is short."""
    while time.monotonic() < instant and not is_time() and process.poll() is None:
        pass


def _shows(root: Path, sign: str) -> bool:
    internal = root / ".filestore"
    return any(name.startswith(sign) for place in _names(internal) for name in _names(internal / place))


def _places(root: Path) -> list[int]:
    """Return what is another as soon as a file is put into a dataset, or taken from it: times, and tombstones."""
    datasets = [root / name for name in _names(root) if "." not in name]
    inner = [path / kind for path in datasets for kind in ("", "schemas", "files")]
    times = [path.stat().st_mtime_ns for path in inner if path.is_dir()]
    shards = [path / "tombstones" / shard for path in datasets for shard in _names(path / "tombstones")]
    return [*times, sum(len(_names(path)) for path in shards)]


def _names(path: Path) -> list[str]:
    try:
        return os.listdir(path)  # noqa: PTH208 (this loop must be quick)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _kill_recoveries(root: Path, chance: random.Random) -> None:
    """Kill one recovery after the other, each when it has begun to put things into their places, until one is done."""
    while _pending(root):
        with running(program("--root", root, "recover"), stdout=subprocess.PIPE) as process:
            before = _progress(root)
            _wait(process, time.monotonic() + 60, lambda: _progress(root) != before)  # noqa: B023 (called at once)
            _wait(process, time.monotonic() + chance.random() * 0.004)
            process.kill()
            assert process.wait() in (0, KILLED)
        if process.returncode == KILLED:
            count("SIGKILL rounds, recovery")
            count("SIGKILL between the first and the last step of a recovery", bool(_pending(root)))


def _pending(root: Path) -> list[Path]:
    return list(root.glob(".filestore/*/pending"))


def _progress(root: Path) -> list[int]:
    return [len(_names(path)) for pending in _pending(root) for path in (pending, root / pending.parent.name)]


# --- and what comes after it


def count_moment(root: Path) -> None:
    """Note how far the last change had come when its writer was killed."""
    datasets = _names(root / ".filestore")
    is_settled = all(
        journal(root, name).sequence().is_settled for name in datasets if "." not in name and "@" not in name
    )
    if _pending(root):
        count("SIGKILL between the commit and the end of a batch")
    elif not is_settled:
        count("SIGKILL beside the one step of a small change, or in the last of a batch")
    elif _shows(root, "stage"):
        count("SIGKILL between the first staged byte and the commit")
    else:
        count("SIGKILL before the first staged byte, or after the end")


def assert_comes_to_rest(root: Path, is_allowed: Callable[[State], bool], chance: random.Random) -> State:
    """Check a store whose writer was killed; return what is there.

    A reader that may not write sees one of the allowed states. So does whoever comes after recoveries that are killed,
    too. The next who may write sees the same, writes at once, and leaves behind a store that stands an audit.
    """
    count_moment(root)
    seen = look(root)
    assert is_allowed(seen), "a reader who may not write sees what never was"
    if chance.random() < 0.5 and _pending(root):
        _kill_recoveries(root, chance)
        assert look(root) == seen, "a recovery that was killed changes what readers saw"
    store = FileStore(root, durable=False, lock_timeout=_SOON, clock=lambda: datetime.now(UTC) + timedelta(seconds=1))
    assert observe(store) == seen, "recovery changes what readers saw"
    after = State(seen)
    for name in store.dataset_names():
        [new] = store.bulk_insert_datapoints(dataset_name=name, datapoints=[_NEXT])
        assert store.delete_datapoint(dataset_name=name, datapoint_id=new) == 1
        after[spell(name, False, _NEXT["input"], None, None, {})] += 1
    assert observe(store) == after, "the next write changes more than it says"
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
