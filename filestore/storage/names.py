"""Which datapoints a dataset has, and which of them are stale: directory listings, remembered between reads.

What is remembered is believed while nothing has come into doubt: where the kernel tells of changes, what it has told
of; elsewhere every directory whose times are not those at which it was listed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from filestore.ids import parse_file_names
from filestore.storage.files import Disk, is_young
from filestore.storage.layout import DatasetLayout, parse_tombstone_name
from filestore.storage.orders import SortedKeys
from filestore.storage.patience import GAP_NS, LONG_GAP_NS, Patience, is_recent, is_settled

if TYPE_CHECKING:
    from filestore.storage.packed import PackedIds

__all__ = ["DatasetNames", "Shift", "list_json_names"]

T = TypeVar("T")
_State = tuple[int, int, int]
_SUFFIX = ".json"
_MOST_EXPECTED = 10_000
"""Names that this process has added and not looked for yet; a program that only writes never does."""
_AT_ONCE = 1 << 12
"""So many names are held of a directory that is not to be remembered."""


@dataclass(frozen=True, slots=True)
class _Remembered(Generic[T]):
    state: _State
    is_settled: bool
    value: T


@dataclass(frozen=True, slots=True)
class Shift:
    """Which ids are live now and were not, and the other way round."""

    come: set[str]
    gone: set[str]


class DatasetNames:
    """The ids of one dataset, as text, and when those of stale datapoints were deleted.

    Attributes:
        stale: When each stale datapoint was deleted; of several tombstones the earliest counts.
    """

    def __init__(self, layout: DatasetLayout, disk: Disk) -> None:
        self._layout = layout
        self._disk = disk
        self._remembered: dict[str, _Remembered[Any]] = {}
        self._listed: list[str] | None = None
        self._known: set[str] = set()
        self._expected: set[str] = set()
        self._shards: dict[str, dict[str, datetime]] = {}
        self._live = SortedKeys[str]()
        self.stale: dict[str, datetime] = {}

    # --- looking

    @property
    def is_listed(self) -> bool:
        """Whether it is known which datapoints there were at some time."""
        return self._listed is not None

    def list_all(self, own_mtime_ns: int) -> Shift:
        """Look at every directory that may have changed.

        Args:
            own_mtime_ns: The mtime that the store's own last change left on the dataset's directory.
        """
        found, earlier = self._list_patiently(own_mtime_ns)
        tombstones = self._layout.tombstones
        shards = {one: self._listing(f"{tombstones}/{one}", _parse_shard(one)) for one in self._list_shards()}
        come: set[str] = set()
        gone: set[str] = set()
        if found is not self._listed or earlier or self._expected:
            there = set(found)
            missing = self._known.union(self._expected, *earlier) - there
            back = self.wait_for(missing) if missing else missing
            there |= back
            come, gone = there - self._known, self._known - there
            # From here on nothing is read that could fail: a part would be taken for all from then on.
            self._expected.clear()
            self._listed = [] if back else found  # with names that are not in the listing, the next one is compared
        return self._shift(come, gone, {**dict.fromkeys(self._shards, _NO_TOMBSTONES), **shards})

    def look_at(self, names: Iterable[str], tombstones: Iterable[str], shards: Iterable[str]) -> Shift:
        """Look at what may have changed.

        Args:
            names: Names in the dataset's directory.
            tombstones: Names in the shards of the tombstone index.
            shards: Shards in which any name may have changed.
        """
        ids = set(parse_file_names(names))
        there = {one for one in ids if self._disk.status(self._path(one)) is not None}
        missing = (ids & self._known) - there
        gone = missing - self.wait_for(missing) if missing else missing
        found = self._look_at_tombstones(tombstones, set(shards))
        self._expected -= ids
        return self._shift(there - self._known, gone, found)

    def _look_at_tombstones(self, names: Iterable[str], doubtful: set[str]) -> dict[str, dict[str, datetime]]:
        """Return what the shards that may have changed hold now."""
        shards: dict[str, dict[str, datetime]] = {}
        for name in names:
            shard = name.partition("@")[0][-2:]
            parsed = _parse_shard(shard)([name])
            if not parsed or shard in doubtful:
                continue
            ((one, staled_at),) = parsed.items()
            known = shards.setdefault(shard, dict(self._shards.get(shard, _NO_TOMBSTONES)))
            if self._disk.status(f"{self._layout.tombstones}/{shard}/{name}") is not None:
                known[one] = min(staled_at, known.get(one, staled_at))
            elif known.get(one) == staled_at:  # there may be a later one
                doubtful.add(shard)
        return {**shards, **{one: self._read_shard(one) for one in doubtful}}

    def _shift(self, come: set[str], gone: set[str], shards: Mapping[str, dict[str, datetime]]) -> Shift:
        """Take over which ids have come and gone, and what the shards that were looked at hold."""
        changed = {name: found for name, found in shards.items() if self._shards.get(name) is not found}
        shifted = come | gone
        for name, found in changed.items():
            before = self._shards.get(name, _NO_TOMBSTONES)
            shifted.update(one for one in before.keys() | found.keys() if before.get(one) != found.get(one))
        was_live = {one for one in shifted & self._known if one not in self.stale}
        self._known -= gone
        self._known |= come
        for name, found in changed.items():
            for one in self._shards.get(name, ()):
                self.stale.pop(one, None)
            self.stale.update(found)
            self._shards[name] = found
        is_live = {one for one in shifted & self._known if one not in self.stale}
        shift = Shift(is_live - was_live, was_live - is_live)
        self._live.update(shift.gone, shift.come)
        return shift

    # --- looking once

    def look_once(self, own_mtime_ns: int) -> Iterator[str]:
        """Look at every directory as the first `list_all` does, remember nothing, and return the live ids, descending.

        Until they have been iterated over they are held packed, those of stale datapoints too. A directory that is
        changed while it is listed may name a file twice.
        """
        from filestore.storage.packed import PackedIds, iter_without  # only here: most reads do without

        earlier = PackedIds(self._expected.copy())
        lost: set[str] = set()

        def look() -> PackedIds:
            nonlocal earlier
            found = PackedIds()
            names = self._disk.iter_names(self._layout.path)
            while some := list(islice(names, _AT_ONCE)):
                found.add(parse_file_names(some))
            lost.update(iter_without(earlier, found))
            earlier = found
            return found

        found = self.look_patiently(look, own_mtime_ns)
        missing = set(iter_without(sorted(lost, reverse=True), found))
        found.add(self.wait_for(missing) if missing else missing)
        return iter_without(found, self._find_stale())

    def _find_stale(self) -> PackedIds:
        """Return the ids of all tombstones."""
        from filestore.storage.packed import PackedIds

        stale = PackedIds()
        if self._disk.check_directory(self._layout.tombstones) is not None:
            for shard in _parse_shards(self._disk.names(self._layout.tombstones)):
                stale.add(self._read_shard(shard))
        return stale

    # --- what is remembered

    @property
    def live(self) -> list[str]:
        """The ids of all live datapoints, ascending; not to be changed."""
        return self._live.ascending()

    def ids(self) -> list[str]:
        """Return the ids of all datapoint files, live and stale, newest first, as they were when last looked at."""
        return sorted(self._known, reverse=True)

    def is_live(self, one: str) -> bool:
        """Tell whether a datapoint was there, and not stale, when it was last looked at."""
        return one in self._known and one not in self.stale

    def knows(self, one: str) -> bool:
        """Tell whether a datapoint was there at some time."""
        return one in self._known or one in self._expected

    def expect(self, ids: Iterable[str]) -> None:
        """Note datapoints that were added since it was last looked."""
        if len(self._expected) < _MOST_EXPECTED:
            self._expected.update(ids)

    def staled_at(self, one: str) -> datetime | None:
        """Look at one shard: return when a datapoint was deleted, or None while it is live."""
        if self._disk.check_directory(self._layout.tombstones) is None:
            return None
        shard = one[-2:]
        found: dict[str, datetime] = self._listing(f"{self._layout.tombstones}/{shard}", _parse_shard(shard))
        return found.get(one)

    # --- waiting for names

    def wait_for(self, missing: set[str]) -> set[str]:
        """Return those of the ids whose files come back: git and editors take a name away for a moment."""
        back: set[str] = set()
        patience = Patience()
        while back != missing:
            now = time.time_ns()
            directory = self._disk.check_directory(self._layout.path)
            back |= {one for one in missing - back if self._disk.status(self._path(one)) is not None}
            if not is_recent(directory, now) or patience.is_over():
                break
        return back

    def look_patiently(
        self,
        look: Callable[[], T],
        own_mtime_ns: int,
        is_enough: Callable[[T], bool] = lambda _: False,
        gap_ns: int = GAP_NS,
    ) -> T:
        """Look again while somebody else's change to the directory is so young that a name may just be on its way.

        The store's own changes leave no gaps, and a note of the mtime they caused. It is believed only by a process
        that knows which names there were: a change of somebody else's may have slipped in before the note was taken.
        """
        patience = Patience()
        while True:
            now = time.time_ns()
            before = self._disk.check_directory(self._layout.path)
            result = look()
            if is_enough(result):
                return result
            after = self._disk.check_directory(self._layout.path)
            if before is None and after is None:
                return result
            if before is not None and after is not None and before.st_mtime_ns == after.st_mtime_ns:
                is_own = after.st_mtime_ns == own_mtime_ns and self.is_listed
                if is_own or is_settled(after, now, gap_ns):
                    return result
            if patience.is_over():
                return result

    def json_names(self, own_mtime_ns: int) -> set[str]:
        """Return the names of all JSON files, also of those that somebody takes away for a moment."""
        found: set[str] = set()
        self.look_patiently(
            lambda: found.update(list_json_names(self._disk, self._layout)), own_mtime_ns, gap_ns=LONG_GAP_NS
        )
        return found

    def _list_patiently(self, own_mtime_ns: int) -> tuple[list[str], list[list[str]]]:
        """Return the listing to go by, and those before it that differ."""
        looks: list[list[str]] = []

        def look() -> list[str]:
            looks.append(self._listing(self._layout.path, parse_file_names))
            return looks[-1]

        found = self.look_patiently(look, own_mtime_ns)
        return found, [ids for ids in looks if ids is not found]

    # --- listing

    def _path(self, one: str) -> str:
        return f"{self._layout.path}/{one}{_SUFFIX}"

    def _list_shards(self) -> list[str]:
        return self._listing(self._layout.tombstones, _parse_shards)

    def _read_shard(self, shard: str) -> dict[str, datetime]:
        path = f"{self._layout.tombstones}/{shard}"
        if self._disk.check_directory(self._layout.tombstones) is None or self._disk.check_directory(path) is None:
            return _NO_TOMBSTONES
        return _parse_shard(shard)(self._disk.names(path))

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


def list_json_names(disk: Disk, layout: DatasetLayout) -> set[str]:
    """Return the names of all JSON files in a dataset's directory: datapoints, drafts and mistakes, nothing hidden."""
    return {name for name in disk.names(layout.path) if name.endswith(_SUFFIX) and not name.startswith(".")}


_NO_TOMBSTONES: dict[str, datetime] = {}


def _parse_shards(names: list[str]) -> list[str]:
    return sorted(name for name in names if len(name) == 2)


def _parse_shard(shard: str) -> Callable[[list[str]], dict[str, datetime]]:
    def parse(names: list[str]) -> dict[str, datetime]:
        earliest: dict[str, datetime] = {}
        for parsed in map(parse_tombstone_name, names):
            if parsed is not None and (one := str(parsed[0])).endswith(shard):
                earliest[one] = min(parsed[1], earliest.get(one, parsed[1]))
        return earliest

    return parse
