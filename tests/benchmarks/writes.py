"""Writes, each durable: insert, update and delete, of one and of a hundred."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.benchmarks import limits
from tests.benchmarks.contest import Action, Contender
from tests.benchmarks.row import Row
from tests.benchmarks.site import DATASET, LIMIT, SUBJECT, Site

_ANSWER = [{"type": "text", "text": "It is on its way."}]
_TOMBSTONES = tuple(f"tombstones/{number:02x}" for number in range(256))
"""Where deletions go, as in the store."""

Write = Callable[[Site, Sequence[uuid.UUID]], object]


def iter_rows(site: Site) -> Iterator[Row]:
    """Yield the rows of a site."""
    for directory in _TOMBSTONES:
        Path(site.bare, directory).mkdir(parents=True)
    batch = min(100, site.size)
    yield site.compete("write", "insert one", [inserting_one(site), _limit_of_one(site)])
    yield site.compete("write", "update one", [updating_one(site), _limit_of_updates(site, 1)])
    yield site.compete("write", "update one in place", [_taking(site, _update_in_place), _limit_of_one(site)])
    yield site.compete("write", "delete one", [deleting_one(site), _limit_of_deletion(site)])
    contenders = [_taking(site, _update, batch), _limit_of_updates(site, batch)]
    yield site.compete("write", "update, in batches of 100", contenders)
    contenders = [_taking(site, _delete, batch), _limit_of_deletions(site, batch)]
    yield site.compete("write", "delete, in batches of 100", contenders)


# --- the store


def inserting_one(site: Site, name: str = SUBJECT) -> Contender:
    """Return a contender that inserts one datapoint."""

    def prepare() -> Action:
        items = site.new_items(1)
        return lambda: site.give(site.insert(items))

    return Contender(name, prepare)


def updating_one(site: Site, name: str = SUBJECT) -> Contender:
    """Return a contender that updates one datapoint: a successor takes over."""
    return _taking(site, _update, name=name)


def deleting_one(site: Site, name: str = SUBJECT) -> Contender:
    """Return a contender that deletes one datapoint."""
    return _taking(site, _delete_one, name=name)


def _taking(site: Site, write: Write, number: int = 1, *, name: str = SUBJECT) -> Contender:
    """Return a contender that writes to datapoints of the site, the next ones each time."""

    def prepare() -> Action:
        if write in (_delete, _delete_one):
            site.give(site.insert(site.new_items(number)))  # so that the dataset stays as large as it is
        ids = site.take(number)
        return lambda: write(site, ids)

    return Contender(name, prepare, number, syncs=number > 1)


def _update(site: Site, ids: Sequence[uuid.UUID], *, new_ids: bool = True) -> None:
    requests = [{"type": "chat", "id": str(one), "output": _ANSWER} for one in ids]
    site.give(site.store.update_datapoints(dataset_name=DATASET, requests=requests, new_ids=new_ids))


def _update_in_place(site: Site, ids: Sequence[uuid.UUID]) -> None:
    _update(site, ids, new_ids=False)


def _delete(site: Site, ids: Sequence[uuid.UUID]) -> None:
    assert site.store.delete_datapoints(dataset_name=DATASET, ids=ids) == len(ids)


def _delete_one(site: Site, ids: Sequence[uuid.UUID]) -> None:
    assert site.store.delete_datapoint(dataset_name=DATASET, datapoint_id=ids[0]) == 1


# --- the limits, in a directory of as many files


def _limit_of_one(site: Site) -> Contender:
    def prepare() -> Action:
        data, target = site.read_file(), f"{site.bare}/{site.new_name()}"
        return lambda: limits.insert_one(site.stage, target, data)

    return Contender(LIMIT, prepare)


def _limit_of_deletion(site: Site) -> Contender:
    def prepare() -> Action:
        path = f"{site.bare}/{_tombstone(site)}"
        return lambda: limits.make_empty(path)

    return Contender(LIMIT, prepare)


def _limit_of_deletions(site: Site, number: int) -> Contender:
    def prepare() -> Action:
        paths = [_tombstone(site) for _ in range(number)]
        return lambda: limits.make_empty_many(site.bare, paths)

    return Contender(LIMIT, prepare, number, syncs=True)


def _limit_of_updates(site: Site, number: int) -> Contender:
    def prepare() -> Action:
        files = {_tombstone(site): b"" for _ in range(number)}
        files |= {site.new_name(): site.read_file() for _ in range(number)}
        return lambda: limits.insert_many(site.stage, site.bare, files)

    return Contender(LIMIT, prepare, number, syncs=number > 1)


def _tombstone(site: Site) -> str:
    return f"tombstones/{str(site.pick())[-2:]}/{site.new_name()}"
