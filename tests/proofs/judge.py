"""From what the members of a crowd wrote down to a history that can be judged."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from tests.proofs.dataset_model import ModelOperation, initial_state
from tests.proofs.doors import DATASET
from tests.proofs.history import Call, read_calls
from tests.proofs.linearizability import linearize

__all__ = ["judge", "operations_of"]

READING = ("list", "query", "get", "find", "count")
WRITING_FILES = ("put", "patch", "patch_in_place", "rename")


def judge(root: Path, log: Path, deaths: Mapping[str, int]) -> list[ModelOperation]:
    """Assert that there is an order that explains all that a crowd saw; return the operations.

    Args:
        root: The store.
        log: The directory of what the members wrote down.
        deaths: When those members who were killed were certainly dead, by name.
    """
    operations, ids = operations_of(root, log, deaths)
    linearize(operations, initial_state(ids))
    return operations


def operations_of(root: Path, log: Path, deaths: Mapping[str, int]) -> tuple[list[ModelOperation], frozenset[str]]:
    """Return the history of a crowd, and all ids in it."""
    calls = [(path.name, call) for path in sorted(log.iterdir()) for call in read_calls(path)]
    ids_by_mark = dict(_iter_marks(root, [call for _, call in calls]))
    ids = frozenset(ids_by_mark.values()).union(*(_ids_of(call) for _, call in calls))
    found = []
    for name, call in calls:
        assert call.is_answered or name in deaths, f"{name} lives and has no answer to {call}"
        if not call.is_answered and call.kind in READING:
            continue
        new_ids = _new_ids(call, ids_by_mark)
        if new_ids is None:
            continue  # nobody has ever seen what it would have made
        end = call.end if call.end is not None else deaths[name]
        universe = ids if call.kind in ("list", "query") else ()
        found.append(ModelOperation(call, end, not call.is_answered, new_ids, universe))
    every = ids.union(*(one.new_ids for one in found))
    return list(_beside_persons(list(_overtaken(found)))), every


def _ids_of(call: Call) -> set[str]:
    """Return the ids that a call was given or told."""
    ids = set(call.arguments.get("ids", ()))
    if call.kind in ("insert", "patch"):
        ids.update(call.answer or ())
    elif call.kind in ("list", "query", "find"):
        ids.update(one[0] for one in call.answer or ())
    return ids


def _iter_marks(root: Path, calls: Iterable[Call]) -> Iterable[tuple[str, str]]:
    """Yield the mark of each datapoint that anybody saw or that is on the disk, and its id."""
    for path in (root / DATASET).glob("????????-*.json"):
        yield json.loads(path.read_bytes())["tags"]["by"], path.stem
    for call in calls:
        if call.kind in ("list", "query", "find"):
            yield from ((one[4], one[0]) for one in call.answer or ())


def _new_ids(call: Call, ids_by_mark: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the ids that a call made; None where it made none that anybody ever saw."""
    if call.is_answered:
        return tuple(call.answer or ()) if call.kind in ("insert", "patch") else ()
    if call.kind not in ("insert", "patch"):
        return ()
    marks = call.arguments["marks"] if call.kind == "patch" else [one[3] for one in call.arguments["contents"]]
    if not any(mark in ids_by_mark for mark in marks):
        return None
    return tuple(ids_by_mark.get(mark, f"never seen: {mark}") for mark in marks)


def _beside_persons(operations: list[ModelOperation]) -> Iterable[ModelOperation]:
    """Yield the operations; of a read of many, what it says of files that persons were at meanwhile is read for itself.

    No lock stops a person, so a list that reads file by file may find a save of now in one, and in another, which it
    read before, not yet one of a moment ago. Each of these files is judged as if it had been read alone.
    """
    edits = [one for one in operations if one.call.kind in ("save", "remove")]
    for operation in operations:
        if operation.call.kind not in ("list", "query", "find", "count"):
            yield operation
            continue
        touched = {one.ids[0] for one in edits if one.start < operation.end and operation.start < one.end}
        yield replace(operation, loose=frozenset(touched))
        if operation.call.kind != "count":
            yield from _iter_glimpses(operation, touched)


def _iter_glimpses(operation: ModelOperation, touched: Iterable[str]) -> Iterable[ModelOperation]:
    arguments = operation.call.arguments
    is_page = "limit" in arguments or arguments.get("offset")
    # Of a stale one, `find` tells more than a glimpse does.
    rows = {row[0]: row for row in operation.call.answer if len(row) == 5 or not row[5]}
    for one in touched:
        if one in rows or not (is_page or operation.call.kind == "find"):
            glimpse = {"ids": [one], "split": arguments.get("split")}
            yield ModelOperation(
                replace(operation.call, kind="glimpse", arguments=glimpse, answer=rows.get(one)), operation.end
            )


def _overtaken(operations: list[ModelOperation]) -> Iterable[ModelOperation]:
    """Yield the operations; a save by hand may be overtaken by a call that replaces the same file at the same time.

    Nobody can lock a person's editor out: between the last look at the file and the rename that replaces it, the time
    of a few system calls, it may be saved and then be replaced.
    """
    writes: dict[Hashable, list[ModelOperation]] = {}
    for operation in operations:
        if operation.call.kind in WRITING_FILES:
            for one in operation.touches:
                writes.setdefault(one, []).append(operation)
    for operation in operations:
        beside = writes.get(operation.ids[0], []) if operation.call.kind in ("save", "remove") else []
        if any(one.start < operation.end and operation.start < one.end for one in beside):
            yield replace(operation, is_optional=True)
        else:
            yield operation
