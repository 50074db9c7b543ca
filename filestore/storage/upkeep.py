"""Looking after a dataset's stale files: which were replaced, and which nothing needs any more.

What a person has half written, or takes away for a moment, must neither hide that something is used nor stop the work.
"""

from __future__ import annotations

import errno
import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from filestore.codec import loads_file
from filestore.errors import InvalidIdError, JSONTextError
from filestore.ids import file_name, parse_uuid
from filestore.storage.change import Change, Replaced
from filestore.storage.layout import Entry, Kind, find_references
from filestore.storage.view import DatasetView

__all__ = ["Purge", "Referrer", "find_live_successors", "plan_purge"]

_REPLACES = re.compile(rb'"replaces"\s*:')


def find_live_successors(view: DatasetView, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, uuid.UUID]:
    """Return which of the ids an update has replaced, and by which datapoint that is live now or is one of them."""
    wanted = set(ids)
    oldest = min(wanted)
    predecessors: dict[uuid.UUID, uuid.UUID] = {}
    for datapoint_id in view.ids():
        if datapoint_id > oldest:  # a successor's id is greater
            found = _find_predecessor(view.read_json(file_name(datapoint_id))[0])
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


class Referrer(NamedTuple):
    """A JSON file that may refer to schemas and attached files."""

    read: Replaced
    """The state in which it was read."""
    references: dict[Kind, list[str]] | None
    """The names it refers to, by kind; None where it is no JSON: half a file may be about to refer to anything."""


def plan_purge(
    view: DatasetView, is_old: Callable[[datetime], bool], known: dict[str, Referrer]
) -> tuple[Change, Purge]:
    """Compute which files of a dataset nothing needs any more.

    Args:
        view: The dataset.
        is_old: Tells whether a datapoint that was deleted at a time is old enough to go.
        known: What an earlier attempt has read, by the names of the files; it is brought up to date.
    """
    tombstones = view.tombstones()
    doomed = [one for one in view.ids() if one in tombstones and is_old(tombstones[one])]
    names = view.json_names(is_patient=True).difference(map(file_name, doomed))
    referrers = {name: _look_at_referrer(view, name, known.get(name)) for name in names}
    known.clear()
    known.update(referrers)
    unused = {kind: _find_unused(view, kind, referrers.values()) for kind in ("schema", "file")}
    removed = [Entry("datapoint", file_name(one)) for one in doomed]
    removed += [entry for one in doomed for entry in _find_tombstones(view, one)]
    removed += [Entry(kind, name) for kind, names in unused.items() for name in names]
    change = Change(removed=removed)
    if any(unused.values()):
        change.referrers = {name: referrer.read for name, referrer in referrers.items()}
    return change, Purge(doomed, unused["schema"], unused["file"])


def _find_tombstones(view: DatasetView, datapoint_id: uuid.UUID) -> list[Entry]:
    entries = view.tombstone_entries(datapoint_id)
    if not entries and not view.is_overlaid:
        raise FileNotFoundError(errno.ENOENT, "somebody has just taken its deletion back", str(datapoint_id))
    return entries


def _look_at_referrer(view: DatasetView, name: str, known: Referrer | None) -> Referrer:
    if known is not None and view.is_json_as_read(name, known.read):
        return known
    data, status = view.read_json(name)
    try:
        references = find_references(loads_file(data))
    except JSONTextError:
        references = None
    return Referrer(Replaced.of(data, status, view.since_ns), references)


def _find_unused(view: DatasetView, kind: Kind, referrers: Iterable[Referrer]) -> list[str]:
    unused = set(view.names_of(kind))
    for referrer in referrers:
        if referrer.references is None:
            return []
        unused.difference_update(referrer.references[kind])
    return sorted(unused)


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
