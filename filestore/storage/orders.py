"""Sorted keys of rows: all of them, those of each function and those with each tag, kept as rows come and go."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Hashable, Iterable
from datetime import datetime
from typing import Any, TypeVar

from filestore.query import ListQuery
from filestore.storage.rows import Row

__all__ = ["Orders", "update_sorted"]

_FEW = 8
"""So many changes are made one by one; for more a list is sorted again, which costs little where most is sorted."""

Key = tuple[datetime, str]
K = TypeVar("K", str, Key)


class Orders:
    """The orders of one dataset's live rows, each ascending."""

    def __init__(self) -> None:
        self._by_time: defaultdict[Hashable, list[Key]] = defaultdict(list)
        self._by_id: defaultdict[str, list[str]] = defaultdict(list)

    def update(self, gone: Iterable[Row], come: Iterable[Row]) -> None:
        """Take rows out, and others in."""
        _update(self._by_time, gone, come, lambda row: ((member, row.key) for member in _members(row)))
        _update(self._by_id, gone, come, lambda row: ((row.function_name, row.key[1]),))

    def ids_of_function(self, function_name: str) -> list[str]:
        """Return the ids of a function's rows, ascending; not to be changed."""
        return self._by_id.get(function_name, [])

    def narrowest(self, query: ListQuery) -> list[Key]:
        """Return the keys of rows among which all are that a query can find, as few as there are; not to be changed."""
        members: list[Hashable] = [None, *(query.filter.tags if query.filter else ())]
        if query.function_name is not None:
            members.append(query.function_name)
        return min((self._by_time.get(member, []) for member in members), key=len)

    def latest(self, function_name: str | None) -> Key | None:
        """Return the greatest key, of one function's rows or of all."""
        keys = self._by_time.get(function_name)
        return keys[-1] if keys else None


def _members(row: Row) -> tuple[Hashable, ...]:
    """Return what a row is found by: None as all are, its function's name, and its tags."""
    return (None, row.function_name, *row.tags.items())


def _update(lists: defaultdict[Any, list[Any]], gone: Iterable[Row], come: Iterable[Row], keys_of: Any) -> None:
    changes: defaultdict[Any, tuple[set[Any], list[Any]]] = defaultdict(lambda: (set(), []))
    for row in gone:
        for member, key in keys_of(row):
            changes[member][0].add(key)
    for row in come:
        for member, key in keys_of(row):
            changes[member][1].append(key)
    for member, (removed, added) in changes.items():
        update_sorted(lists[member], removed, added)
        if not lists[member]:
            del lists[member]


def update_sorted(keys: list[K], removed: set[K], added: list[K]) -> None:
    """Take keys out of a sorted list, in place, and others in.

    >>> keys = ["a", "c", "d"]
    >>> update_sorted(keys, {"c"}, ["b"])
    >>> keys
    ['a', 'b', 'd']
    """
    if len(removed) + len(added) <= _FEW:
        for key in removed:
            at = bisect_left(keys, key)
            if at < len(keys) and keys[at] == key:
                del keys[at]
        for key in added:
            insort(keys, key)
        return
    if removed:
        keys[:] = [key for key in keys if key not in removed]
    keys += added
    keys.sort()
