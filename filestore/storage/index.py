"""What a process remembers of a dataset: directory listings, each believed only while its directory has not changed."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from filestore.ids import parse_file_name
from filestore.storage.files import Disk, is_young
from filestore.storage.layout import DatasetLayout, parse_tombstone_name

__all__ = ["DatasetIndex"]

T = TypeVar("T")
_State = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Remembered(Generic[T]):
    state: _State
    is_settled: bool
    value: T


class DatasetIndex:
    """The ids and tombstones of one dataset, read from its directories and remembered between reads."""

    def __init__(self, layout: DatasetLayout, disk: Disk) -> None:
        self._layout = layout
        self._disk = disk
        self._remembered: dict[str, _Remembered[Any]] = {}
        self._noted: list[uuid.UUID] = []
        self._known: set[uuid.UUID] | None = None

    def ids(self) -> list[uuid.UUID]:
        """Return the ids of all datapoint files, live and stale, newest first."""
        return self._listing(self._layout.path, _parse_ids)

    # What was there is known apart from what the directory says now, so that a gap in the latter is noticed.

    @property
    def has_known_ids(self) -> bool:
        """Whether it is known which datapoints there were at some time."""
        return self._known is not None

    def knows(self, datapoint_id: uuid.UUID) -> bool:
        """Tell whether a datapoint was there."""
        return self._known is not None and datapoint_id in self._known

    def missing_ids(self, found: list[uuid.UUID]) -> set[uuid.UUID]:
        """Return the ids that were there and are not among those found now."""
        return set() if self._known is None or found is self._noted else self._known.difference(found)

    def note_ids(self, ids: list[uuid.UUID]) -> None:
        """Note which datapoints there are."""
        if self._known is None or ids is not self._noted:
            self._known, self._noted = set(ids), ids

    def note_new_ids(self, ids: Iterable[uuid.UUID]) -> None:
        """Note datapoints that were added to those there are, if it is known which."""
        if self._known is not None:
            self._known.update(ids)

    def tombstones(self) -> dict[uuid.UUID, datetime]:
        """Return when each stale datapoint was deleted; of several tombstones the earliest counts."""
        merged: dict[uuid.UUID, datetime] = {}
        for shard in self._listing(self._layout.tombstones, _parse_shards):
            found = self._shard(f"{self._layout.tombstones}/{shard}")
            merged.update((one, staled_at) for one, staled_at in found.items() if str(one).endswith(shard))
        return merged

    def staled_at(self, datapoint_id: uuid.UUID) -> datetime | None:
        """Return when a datapoint was deleted, or None while it is live."""
        if self._disk.check_directory(self._layout.tombstones) is None:
            return None
        return self._shard(self._layout.shard(datapoint_id)).get(datapoint_id)

    def _shard(self, path: str) -> dict[uuid.UUID, datetime]:
        return self._listing(path, _parse_tombstones)

    def _listing(self, path: str, parse: Callable[[list[str]], T]) -> T:
        """Return a parsed directory listing, from memory where the directory is unchanged since it was read."""
        now = time.time_ns()
        status = self._disk.check_directory(path)
        if status is None:
            return parse([])
        state = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        known = self._remembered.get(path)
        if known is not None and known.is_settled and known.state == state:
            value: T = known.value
            return value
        is_settled = not is_young(status, now)
        value = parse(self._disk.names(path))
        self._remembered[path] = _Remembered(state, is_settled, value)
        return value


def _parse_ids(names: list[str]) -> list[uuid.UUID]:
    ids = [datapoint_id for name in names if (datapoint_id := parse_file_name(name)) is not None]
    ids.sort(reverse=True)
    return ids


def _parse_shards(names: list[str]) -> list[str]:
    return sorted(name for name in names if len(name) == 2)


def _parse_tombstones(names: list[str]) -> dict[uuid.UUID, datetime]:
    earliest: dict[uuid.UUID, datetime] = {}
    for parsed in map(parse_tombstone_name, names):
        if parsed is not None:
            datapoint_id, staled_at = parsed
            earliest[datapoint_id] = min(staled_at, earliest.get(datapoint_id, staled_at))
    return earliest
