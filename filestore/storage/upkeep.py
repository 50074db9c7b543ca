"""Looking after a dataset's stale files: which were replaced, and which nothing needs any more.

What a person has half written, or takes away for a moment, must neither hide that something is used nor stop the work.
"""

from __future__ import annotations

import errno
import re
import uuid
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from filestore.attachments import ATTACHMENT_NAME
from filestore.codec import compact, loads_file
from filestore.errors import InvalidIdError, JSONTextError
from filestore.ids import file_name, parse_uuid
from filestore.storage.change import Change, Replaced
from filestore.storage.files import signature
from filestore.storage.layout import Entry
from filestore.storage.view import DatasetView

__all__ = ["Purge", "User", "find_live_successors", "plan_purge"]

Uses = dict[str, set[str]]
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


class User(NamedTuple):
    """A JSON file that may use schemas and attached files."""

    read: Replaced
    """The state in which it was read."""
    uses: Uses | None
    """The names of what it uses; None where it is no JSON: half a file may be about to use anything."""


def plan_purge(view: DatasetView, is_old: Callable[[datetime], bool], known: dict[str, User]) -> tuple[Change, Purge]:
    """Compute which files of a dataset nothing needs any more.

    Args:
        view: The dataset.
        is_old: Tells whether a datapoint that was deleted at a time is old enough to go.
        known: What an earlier attempt has read, by the names of the files; it is brought up to date.
    """
    tombstones = view.tombstones()
    doomed = [one for one in view.ids() if one in tombstones and is_old(tombstones[one])]
    names = view.json_names(is_patient=True).difference(map(file_name, doomed))
    users = {name: _look_at_user(view, name, known.get(name)) for name in names}
    known.clear()
    known.update(users)
    unused = {kind: _find_unused(view, kind, users.values()) for kind in _USES}
    removed = [Entry("datapoint", file_name(one)) for one in doomed]
    removed += [entry for one in doomed for entry in _find_tombstones(view, one)]
    removed += [Entry(kind, name) for kind, names in unused.items() for name in names]
    change = Change(removed=removed)
    if any(unused.values()):
        change.users = {name: user.read for name, user in users.items()}
    return change, Purge(doomed, unused["schema"], unused["file"])


def _find_tombstones(view: DatasetView, datapoint_id: uuid.UUID) -> list[Entry]:
    entries = view.tombstone_entries(datapoint_id)
    if not entries:
        raise FileNotFoundError(errno.ENOENT, "somebody has just taken its deletion back", str(datapoint_id))
    return entries


def _look_at_user(view: DatasetView, name: str, known: User | None) -> User:
    if known is not None and not known.read.is_young:
        status = view.json_status(name)
        if status is not None and signature(status) == known.read.signature:
            return known
    data, status = view.read_json(name)
    return User(Replaced.of(data, status, view.since_ns), _find_uses(data))


def _find_uses(data: bytes) -> Uses | None:
    try:
        # The one spelling without escapes that could hide a name.
        spelled = compact(loads_file(data)).encode()
    except JSONTextError:
        return None
    return {kind: {name.decode() for name in pattern.findall(spelled)} for kind, pattern in _USES.items()}


def _find_unused(view: DatasetView, kind: str, users: Collection[User]) -> list[str]:
    unused = set(view.names_of(kind))
    for user in users:
        if user.uses is None:
            return []
        unused -= user.uses[kind]
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
