"""Sites: the same datapoints in a `FileStore`, in the limit's bare directory, and in the rivals."""

from __future__ import annotations

import random
import uuid
from collections import deque
from collections.abc import Sequence
from functools import partial
from itertools import count
from pathlib import Path

from filestore import FileStore
from tests.benchmarks import limits
from tests.benchmarks.contest import Action, Contender, Times, compete
from tests.benchmarks.datapoints import Item, iter_batches, make_item, write_config
from tests.benchmarks.rivals import Record, Rival, open_rivals
from tests.benchmarks.row import Row

SUBJECT = "filestore"
LIMIT = "limit"
DATASET = "bench"
BATCH = 1000
"""Datapoints of one bulk insert."""


class Site:
    """One size of dataset.

    Args:
        home: A directory to make for all of it.
        size: How many datapoints.
        budget: Seconds for each contender of a contest.

    Attributes:
        root: The store's root.
        store: The store, which remembers what it has read.
        files: The directory of the dataset's files.
        bare: The directory that the limit writes to, with as many files.
        stage: Where the limit stages them.
        rivals: The other stores, by name.
        notes: Rivals that are left out, and why.
    """

    def __init__(self, home: Path, size: int, budget: float) -> None:
        self.size = size
        self.budget = budget
        self.root = home / "store"
        write_config(self.root)
        self.store = FileStore(self.root)
        self.files, self.bare, self.stage = str(self.root / DATASET), str(home / "bare"), str(home / "stage")
        self.rivals, self.notes = open_rivals(home / "rivals", size)
        self._numbers = count(size)
        self._ids: deque[uuid.UUID] = deque()
        self._random = random.Random(size)
        Path(self.bare).mkdir()

    def close(self) -> None:
        """Close the other stores."""
        for rival in self.rivals.values():
            rival.close()

    # --- building

    def build(self) -> list[Row]:
        """Insert all datapoints everywhere, in batches; return what one of them took, by group."""
        self.store.bulk_insert_datapoints(dataset_name="warm-up", datapoints=[make_item(0)])
        times: Times = {name: [] for name in (SUBJECT, LIMIT, *self.rivals)}
        for batch in iter_batches(self.size, BATCH):
            # Always in this order: the limit writes what the store has written.
            for one in (self._inserting(batch), self._limit(len(batch)), *self._rivals_inserting(batch)):
                times[one.name].append(one.time())
        self._random.shuffle(self._ids)
        name = f"bulk insert, in batches of {BATCH:,}"
        limit = {one: times[one] for one in (SUBJECT, LIMIT)}
        others = {one: times[one] for one in (SUBJECT, *self.rivals)}
        return [Row("write", name, self.size, limit), Row("other stores", name, self.size, others, self.notes)]

    def _inserting(self, items: Sequence[Item]) -> Contender:
        return Contender(SUBJECT, lambda: lambda: self.give(self.insert(items)), len(items), syncs=True)

    def _limit(self, size: int) -> Contender:
        def prepare() -> Action:
            files = limits.read_bytes(self.files, [f"{one}.json" for one in list(self._ids)[-size:]])
            return lambda: limits.insert_many(self.stage, self.bare, files)

        return Contender(LIMIT, prepare, size, syncs=True)

    def _rivals_inserting(self, items: Sequence[Item]) -> list[Contender]:
        def prepare(rival: Rival) -> Action:
            ids = list(self._ids)[-len(items) :]
            return partial(rival.insert, [{"id": str(one), **item} for one, item in zip(ids, items, strict=True)])

        return [Contender(name, partial(prepare, rival), len(items)) for name, rival in self.rivals.items()]

    # --- contests

    def compete(self, group: str, name: str, contenders: Sequence[Contender], *, warmups: int = 2) -> Row:
        """Hold a contest about one operation on this site."""
        notes = self.notes if group == "other stores" else {}
        return Row(group, name, self.size, compete(contenders, self.budget, warmups=warmups), notes)

    def insert(self, items: Sequence[Item]) -> list[uuid.UUID]:
        """Insert datapoints into the store."""
        return self.store.bulk_insert_datapoints(dataset_name=DATASET, datapoints=items)

    def new_items(self, number: int) -> list[Item]:
        """Return datapoints that the store does not hold yet."""
        return [make_item(next(self._numbers)) for _ in range(number)]

    def new_record(self) -> Record:
        """Return one for a rival, with an id that is newer than those it holds."""
        number = next(self._numbers)
        return {"id": f"ffffffff-ffff-7fff-8fff-{number:012}", **make_item(number)}

    def new_name(self) -> str:
        """Return a name for another file of the limit."""
        return f"new-{next(self._numbers)}.json"

    def pick(self) -> uuid.UUID:
        """Return the id of some live datapoint."""
        return self._random.choice(self._ids)

    def pick_some(self, number: int) -> list[str]:
        """Return the ids of so many live datapoints, or of all there are."""
        return [str(one) for one in self._random.sample(self._ids, min(number, len(self._ids)))]

    def read_file(self) -> bytes:
        """Return the bytes of some datapoint's file."""
        [data] = limits.read_bytes(self.files, [f"{self.pick()}.json"]).values()
        return data

    def take(self, number: int) -> list[uuid.UUID]:
        """Return the ids of some datapoints that are about to be deleted or replaced; others follow with `give`."""
        return [self._ids.popleft() for _ in range(number)]

    def give(self, ids: Sequence[uuid.UUID]) -> None:
        """Take note of new live datapoints."""
        self._ids.extend(ids)
