"""Looking after a dataset's stale files: which were replaced, and which nothing needs any more.

Files are searched as bytes, not parsed: what a person has half written must neither hide a use nor stop the work.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from filestore.attachments import ATTACHMENT_NAME
from filestore.ids import file_name
from filestore.storage.journal import Change
from filestore.storage.layout import Entry
from filestore.storage.view import DatasetView

__all__ = ["Purge", "find_live_successors", "plan_purge"]

_REPLACES = re.compile(rb'"replaces"\s*:\s*"([0-9a-f-]{36})"')
_USES = {
    "schema": re.compile(rb"schemas/([0-9a-f]{16,64}\.json)"),
    "file": re.compile(rb"files/(%s)" % ATTACHMENT_NAME.pattern.encode()),
}


def find_live_successors(view: DatasetView, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, uuid.UUID]:
    """Return which of the ids an update has replaced, and by which datapoint that is live now."""
    wanted = set(ids)
    predecessors: dict[uuid.UUID, uuid.UUID] = {}
    for datapoint_id in view.ids():
        if datapoint_id > min(wanted):  # a successor's id is greater
            found = _REPLACES.search(view.json_bytes(file_name(datapoint_id)))
            if found:
                predecessors[datapoint_id] = uuid.UUID(found.group(1).decode())
    successors: dict[uuid.UUID, uuid.UUID] = {}
    for live in (one for one in predecessors if view.staled_at(one) is None):
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
    kept = b"\n".join(view.json_bytes(name) for name in view.json_names() if name not in doomed_names)
    unused = {
        kind: sorted(set(view.names_of(kind)) - {name.decode() for name in pattern.findall(kept)})
        for kind, pattern in _USES.items()
    }
    removed = [Entry("datapoint", file_name(one)) for one in doomed]
    removed += [entry for one in doomed for entry in view.tombstone_entries(one)]
    removed += [Entry(kind, name) for kind, names in unused.items() for name in names]
    return Change(removed=removed), Purge(doomed, unused["schema"], unused["file"])
