"""Writes, each durable: insert, update and delete, of one and of a hundred."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

from tests.benchmarks.contest import Action, Contender
from tests.benchmarks.rivals import Rival
from tests.benchmarks.row import Row
from tests.benchmarks.site import DATASET, SUBJECT, Site

__all__ = ["deleting_one", "inserting_one", "iter_rows", "updating_one"]

_BATCH = 100
_ANSWER = [{"type": "text", "text": "It is on its way."}]


def iter_rows(site: Site) -> Iterator[Row]:
    """Yield the rows of a site."""
    rivals = [_rival_insert(site, name, rival) for name, rival in site.rivals.items()]
    yield site.compete("write", "insert one", [inserting_one(site), site.limit_one(), *rivals])
    yield site.compete("write", "update one", [updating_one(site)])
    yield site.compete("write", "update one in place", [updating_one(site, new_ids=False)])
    yield site.compete("write", "delete one", [deleting_one(site)])
    yield site.compete("write", "update, in batches of 100", [_taking(site, _BATCH, _update(site))])
    yield site.compete("write", "delete, in batches of 100", [_taking(site, _BATCH, _delete(site), refill=True)])


def inserting_one(site: Site, name: str = SUBJECT) -> Contender:
    """Return a contender that inserts one datapoint."""

    def prepare() -> Action:
        items = [site.new_item()]
        return lambda: site.give(site.insert(items))

    return Contender(name, prepare)


def updating_one(site: Site, name: str = SUBJECT, *, new_ids: bool = True) -> Contender:
    """Return a contender that updates one datapoint: a successor takes over, or its file is changed."""
    return _taking(site, 1, _update(site, new_ids=new_ids), name)


def deleting_one(site: Site, name: str = SUBJECT) -> Contender:
    """Return a contender that deletes one datapoint."""

    def delete(ids: list[uuid.UUID]) -> None:
        assert site.store.delete_datapoint(dataset_name=DATASET, datapoint_id=ids[0]) == 1

    return _taking(site, 1, delete, name, refill=True)


def _taking(
    site: Site, number: int, write: Callable[[list[uuid.UUID]], object], name: str = SUBJECT, *, refill: bool = False
) -> Contender:
    """Return a contender that writes to datapoints of the site, one after the other.

    Args:
        site: The site.
        number: How many at a time.
        write: Writes to those of some ids.
        name: What the report calls it.
        refill: Whether to insert as many others before, as these are going to be gone.
    """

    def prepare() -> Action:
        if refill:
            site.give(site.insert([site.new_item() for _ in range(min(number, site.size))]))
        ids = site.take(number)
        return lambda: write(ids)

    return Contender(name, prepare, min(number, site.size))


def _update(site: Site, *, new_ids: bool = True) -> Callable[[list[uuid.UUID]], None]:
    def update(ids: list[uuid.UUID]) -> None:
        requests = [
            {"type": "chat", "id": str(id), "output": [{"type": "text", "text": "It is on its way."}]} for id in ids
        ]
        site.give(site.store.update_datapoints(dataset_name=DATASET, requests=requests, new_ids=new_ids))

    return update


def _delete(site: Site) -> Callable[[list[uuid.UUID]], None]:
    def delete(ids: list[uuid.UUID]) -> None:
        assert site.store.delete_datapoints(dataset_name=DATASET, ids=ids) == len(ids)

    return delete


def _rival_insert(site: Site, name: str, rival: Rival) -> Contender:
    def prepare() -> Action:
        records = [site.new_record()]
        return lambda: rival.insert(records)

    return Contender(name, prepare)
