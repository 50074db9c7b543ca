"""Sites: the same datapoints in a `FileStore`, in the limit's bare directory, and in the rivals."""

from __future__ import annotations

import random
import uuid
from collections import deque
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from filestore import FileStore
from tests.benchmarks import limits
from tests.benchmarks.contest import Action, Contender, Times, compete
from tests.benchmarks.datapoints import Item, iter_batches, make_item, write_config
from tests.benchmarks.rivals import Record, Rival, open_rivals
from tests.benchmarks.row import Row

__all__ = ["DATASET", "LIMIT", "SUBJECT", "Site"]

SUBJECT = "filestore"
LIMIT = "limit"
DATASET = "bench"
_BATCH = 1000


class Site:
    """One size of dataset.

    Args:
        home: An empty directory for all of it.
        size: How many datapoints.
        budget: Seconds for each contest.

    Attributes:
        root: The store's root.
        store: The store, which remembers what it has read.
        files: The directory of the dataset's files.
        rivals: The other stores, by name.
        notes: Rivals that are left out, and why.
    """

    def __init__(self, home: Path, size: int, budget: float) -> None:
        self.size = size
        self.budget = budget
        self.root = home / "store"
        write_config(self.root)
        self.store = FileStore(self.root)
        self.files = str(self.root / DATASET)
        self.bare = str(home / "bare")
        self.rivals, self.notes = open_rivals(home / "rivals", size)
        self._stage = str(home / "stage")
        self._numbers = count(size)
        self._ids: deque[uuid.UUID] = deque()
        self._random = random.Random(size)
        Path(self.bare).mkdir()

    # --- building

    def build(self) -> Row:
        """Insert all datapoints everywhere, in batches of 1,000; return what one took."""
        times: Times = {name: [] for name in (SUBJECT, LIMIT, *self.rivals)}
        for batch in iter_batches(self.size, min(_BATCH, self.size)):
            contenders = [self._batch(batch), self._bare_batch(len(batch))]
            contenders += [self._rival_batch(name, rival, batch) for name, rival in self.rivals.items()]
            for name, seconds in compete(contenders, 0, warmups=0, least_rounds=1).items():
                times[name] += seconds
        self._random.shuffle(self._ids)
        return Row("write", "bulk insert, in batches of 1,000", self.size, times, self.notes)

    def _batch(self, items: Sequence[Item]) -> Contender:
        return Contender.of(SUBJECT, lambda: self._ids.extend(self.insert(items)), len(items))

    def _bare_batch(self, size: int) -> Contender:
        def prepare() -> Action:
            names = [f"{self._ids[place]}.json" for place in range(-size, 0)]
            files = limits.read_bytes(self.files, names)
            return lambda: limits.insert_batch(self._stage, self.bare, files)

        return Contender(LIMIT, prepare, size)

    def _rival_batch(self, name: str, rival: Rival, items: Sequence[Item]) -> Contender:
        def prepare() -> Action:
            ids = [self._ids[place] for place in range(-len(items), 0)]
            records = [{"id": str(id), **item} for id, item in zip(ids, items, strict=True)]
            return lambda: rival.insert(records)

        return Contender(name, prepare, len(items))

    # --- what contests need

    def compete(self, group: str, name: str, contenders: Sequence[Contender], warmups: int = 2) -> Row:
        """Hold a contest about one operation on this site."""
        notes = self.notes if any(one.name in self.rivals for one in contenders) else {}
        return Row(group, name, self.size, compete(contenders, self.budget, warmups=warmups), notes)

    def fresh(self) -> FileStore:
        """Return the store as another process would open it, with nothing remembered."""
        return FileStore(self.root)

    def insert(self, items: Sequence[Item]) -> list[uuid.UUID]:
        """Insert datapoints into the store."""
        return self.store.bulk_insert_datapoints(dataset_name=DATASET, datapoints=items)

    def new_item(self) -> Item:
        """Return a datapoint that the store does not hold yet."""
        return make_item(next(self._numbers))

    def new_record(self) -> Record:
        """Return the same for a rival, with an id that is newer than those it holds."""
        number = next(self._numbers)
        return {"id": f"ffffffff-ffff-7fff-8fff-{number:012}", **make_item(number)}

    def pick(self) -> uuid.UUID:
        """Return the id of some live datapoint."""
        return self._random.choice(self._ids)

    def take(self, number: int) -> list[uuid.UUID]:
        """Return the ids of some datapoints that are about to be deleted or replaced; others follow with `give`."""
        return [self._ids.popleft() for _ in range(min(number, self.size))]

    def give(self, ids: Sequence[uuid.UUID]) -> None:
        """Take note of new live datapoints."""
        self._ids.extend(ids)

    def limit_one(self) -> Contender:
        """Return the limit of the insert of one datapoint, into a directory of as many files."""

        def prepare() -> Action:
            name = f"{self.pick()}.json"
            data = limits.read_bytes(self.files, [name])[name]
            target = f"{self.bare}/new-{next(self._numbers)}.json"
            return lambda: limits.insert_one(self._stage, target, data)

        return Contender(LIMIT, prepare)
