"""Looking after a dataset's stale files: which were replaced, and which nothing needs any more.

What a person has half written must neither hide that something is used nor stop the work.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from filestore.attachments import ATTACHMENT_NAME
from filestore.codec import compact, loads_file
from filestore.errors import InvalidIdError, JSONTextError
from filestore.ids import file_name, parse_uuid
from filestore.storage.change import Change
from filestore.storage.layout import Entry
from filestore.storage.view import DatasetView

__all__ = ["Purge", "find_live_successors", "plan_purge"]

_REPLACES = re.compile(rb'"replaces"\s*:')
_USES = {
    "schema": re.compile(rb"schemas/([0-9a-f]{16,64}\.json)"),
    "file": re.compile(rb"files/(%s)" % ATTACHMENT_NAME.pattern.encode()),
}


def find_live_successors(view: DatasetView, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, uuid.UUID]:
    """Return which of the ids an update has replaced, and by which datapoint that is live now or is one of them."""
    wanted = set(ids)
    oldest = min(wanted)
    predecessors: dict[uuid.UUID, uuid.UUID] = {}
    for datapoint_id in view.ids():
        if datapoint_id > oldest:  # a successor's id is greater
            found = _find_predecessor(view.json_bytes(file_name(datapoint_id)))
            if found is not None:
                predecessors[datapoint_id] = found
    successors: dict[uuid.UUID, uuid.UUID] = {}
    for live in (one for one in predecessors if one in wanted or view.staled_at(one) is None):
        ancestor: uuid.UUID | None = predecessors[live]
        while ancestor is not None and ancestor not in successors:
            successors[ancestor] = live
            ancestor = predecessors.get(ancestor)
    return {one: successors[one] for one in wanted if one in successors}


@dataclass(frozen=True, slots=True)
class Purge:
    """What a purge removes, or would remove."""

    datapoints: list[uuid.UUID]
    """Stale datapoints, newest first."""
    schemas: list[str]
    """Names in `schemas/` that no other file uses."""
    files: list[str]
    """Names in `files/` that no other file uses."""


def plan_purge(view: DatasetView, is_old: Callable[[datetime], bool]) -> tuple[Change, Purge]:
    """Compute which files of a dataset nothing needs any more.

    Args:
        view: The dataset.
        is_old: Tells whether a datapoint that was deleted at a time is old enough to go.
    """
    tombstones = view.tombstones()
    doomed = [one for one in view.ids() if one in tombstones and is_old(tombstones[one])]
    doomed_names = {file_name(one) for one in doomed}
    kept = [view.json_bytes(name) for name in view.json_names() if name not in doomed_names]
    texts = [_spell_compactly(data) for data in kept]
    spelled = None if None in texts else b"\n".join(filter(None, texts))
    # Half a file may be about to use anything.
    unused = {kind: [] if spelled is None else _find_unused(view, kind, spelled) for kind in _USES}
    removed = [Entry("datapoint", file_name(one)) for one in doomed]
    removed += [entry for one in doomed for entry in view.tombstone_entries(one)]
    removed += [Entry(kind, name) for kind, names in unused.items() for name in names]
    return Change(removed=removed), Purge(doomed, unused["schema"], unused["file"])


def _spell_compactly(data: bytes) -> bytes | None:
    """Return a file's value in the one spelling without escapes that could hide a name, None where it is no JSON."""
    try:
        return compact(loads_file(data)).encode()
    except JSONTextError:
        return None


def _find_unused(view: DatasetView, kind: str, kept: bytes) -> list[str]:
    used = {name.decode() for name in _USES[kind].findall(kept)}
    return sorted(set(view.names_of(kind)) - used)


def _find_predecessor(data: bytes) -> uuid.UUID | None:
    """Return what a datapoint file says it replaces; a payload may say the same word, and says nothing of that."""
    if _REPLACES.search(data) is None:
        return None
    try:
        value = loads_file(data)
    except JSONTextError:
        return None  # half a file: nothing can be said of it
    replaces = value.get("replaces") if isinstance(value, dict) else None
    try:
        return parse_uuid(replaces) if isinstance(replaces, str) else None
    except InvalidIdError:
        return None
