"""Sorted keys of rows: all of them, those of each function and those with each tag, kept as rows come and go."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Generic, TypeVar

from filestore.storage.rows import Row

if TYPE_CHECKING:
    from filestore.query import ListQuery

__all__ = ["Orders", "SortedKeys"]

_FEW = 8
"""So many changes are made one by one, in place; for more the list is put together anew."""
_PART = 8
"""When the notes are more than this part of the keys they are carried out, and the list is sorted again."""

Key = tuple[datetime, str]
K = TypeVar("K", str, Key)


class SortedKeys(Generic[K]):
    """Keys, ascending. A change is only noted: what nobody reads costs a write nothing, however long it is.

    >>> keys = SortedKeys[str]()
    >>> keys.update((), ["d", "a", "c"])
    >>> keys.update(["c"], ["b"])
    >>> keys.ascending()
    ['a', 'b', 'd']
    """

    __slots__ = ("_keys", "_notes")

    def __init__(self) -> None:
        self._keys: list[K] = []
        self._notes: dict[K, bool] = {}

    def __bool__(self) -> bool:
        """Whether there are keys, or may be: the last is taken out at once."""
        return bool(self._keys or self._notes)

    def update(self, gone: Iterable[K], come: Iterable[K]) -> None:
        """Take keys out, and others in."""
        self._notes.update(dict.fromkeys(gone, False))
        self._notes.update(dict.fromkeys(come, True))
        if len(self._notes) > len(self._keys) // _PART:
            self._carry_out()

    def ascending(self) -> list[K]:
        """Return the keys; not to be changed."""
        if self._notes:
            self._carry_out()
        return self._keys

    def _carry_out(self) -> None:
        keys, notes = self._keys, self._notes
        self._notes = {}
        if len(notes) <= _FEW:
            for key, is_in in notes.items():
                at = bisect_left(keys, key)
                keys[at : at + _is_at(keys, at, key)] = [key] if is_in else []
        elif len(notes) > len(keys) // _PART:
            self._keys = [key for key in keys if key not in notes]
            self._keys += [key for key, is_in in notes.items() if is_in]
            self._keys.sort()
        else:
            self._keys = _merged(keys, notes)


def _merged(keys: list[K], notes: dict[K, bool]) -> list[K]:
    merged: list[K] = []
    begin = 0
    for key in sorted(notes):
        at = bisect_left(keys, key, begin)
        merged += keys[begin:at]
        begin = at + _is_at(keys, at, key)
        if notes[key]:
            merged.append(key)
    return merged + keys[begin:]


def _is_at(keys: list[K], at: int, key: K) -> bool:
    return at < len(keys) and keys[at] == key


class Orders:
    """The orders of one dataset's live rows."""

    def __init__(self) -> None:
        self._by_time: defaultdict[Hashable, SortedKeys[Key]] = defaultdict(SortedKeys)
        self._by_id: defaultdict[str, SortedKeys[str]] = defaultdict(SortedKeys)

    def update(self, gone: Iterable[Row], come: Iterable[Row]) -> None:
        """Take rows out, and others in."""
        times: defaultdict[Hashable, tuple[list[Key], list[Key]]] = defaultdict(lambda: ([], []))
        ids: defaultdict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
        for side, rows in enumerate((gone, come)):
            for row in rows:
                ids[row.function_name][side].append(row.key[1])
                for member in _members(row):
                    times[member][side].append(row.key)
        for member, keys in times.items():
            self._by_time[member].update(*keys)
            if not self._by_time[member]:  # tags may be of one datapoint alone: nothing is kept of those that are gone
                del self._by_time[member]
        for name, names in ids.items():
            self._by_id[name].update(*names)
            if not self._by_id[name]:
                del self._by_id[name]

    def ids_of_function(self, function_name: str) -> list[str]:
        """Return the ids of a function's rows, ascending; not to be changed."""
        return self._by_id[function_name].ascending() if function_name in self._by_id else []

    def narrowest(self, query: ListQuery) -> list[Key]:
        """Return the keys of rows among which all are that a query can find, as few as there are; not to be changed."""
        members: list[Hashable] = [None, *(query.filter.tags if query.filter else ())]
        if query.function_name is not None:
            members.append(query.function_name)
        return min(map(self._ascending, members), key=len)

    def latest(self, function_name: str | None) -> Key | None:
        """Return the greatest key, of one function's rows or of all."""
        keys = self._ascending(function_name)
        return keys[-1] if keys else None

    def _ascending(self, member: Hashable) -> list[Key]:
        return self._by_time[member].ascending() if member in self._by_time else []


def _members(row: Row) -> tuple[Hashable, ...]:
    """Return what a row is found by: None as all are, its function's name, and its tags."""
    return (None, row.function_name, *row.tags.items())
