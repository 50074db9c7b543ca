"""Reads: one datapoint, pages, filters, search, everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from filestore import FileStore
from tests.benchmarks import limits
from tests.benchmarks.contest import Action, Contender
from tests.benchmarks.datapoints import ABSENT, FUNCTIONS, RARE, UNSAID, tag_filter
from tests.benchmarks.row import Row
from tests.benchmarks.site import DATASET, LIMIT, SUBJECT, Site

__all__ = ["getting", "iter_rows", "reading"]

_GETS = 100
"""Gets in one timing: a single one is too short to time well."""
_ALL = 1 << 31


def reading(site: Site, name: str = SUBJECT, **arguments: Any) -> Contender:
    """Return a contender that lists from a store that remembers."""
    return Contender.of(name, lambda: site.store.list_datapoints(dataset_name=DATASET, **arguments))


def getting(site: Site, name: str = SUBJECT) -> Contender:
    """Return a contender that gets datapoints by id from a store that remembers."""
    return _some(name, site, lambda id: site.store.get_datapoint(dataset_name=DATASET, datapoint_id=id))


def iter_rows(site: Site) -> Iterator[Row]:
    """Yield the rows of a site."""
    yield from _gets(site)
    for name, arguments in _lists(site.size).items():
        rivals = _rival_lists(site) if name == "list 100" else []
        rivals += _rival_tags(site) if name == "list 20 by a tag of 1 %" else []
        yield site.compete("read", name, [reading(site, **arguments), *rivals])
    yield site.compete("read", "list 20 after an insert", [_reading_after_insert(site)])
    yield site.compete("read", "list datasets", [Contender.of(SUBJECT, site.store.list_datasets)])
    yield from _scans(site)
    yield from _fresh_reads(site)


def _lists(size: int) -> dict[str, dict[str, Any]]:
    middle = size // 2
    return {
        "list 20": {"limit": 20},
        "list 100": {"limit": 100},
        "list 1,000": {"limit": 1000},
        "list 20, v1": {"limit": 20, "order_by": []},
        "list 100, v1": {"limit": 100, "order_by": []},
        "list 1,000, v1": {"limit": 1000, "order_by": []},
        "list 20 at N/2": {"limit": 20, "offset": middle},
        "list 100 at N/2": {"limit": 100, "offset": middle},
        "list 100 at N/2, v1": {"limit": 100, "offset": middle, "order_by": []},
        "list 20 by function": {"limit": 20, "function_name": FUNCTIONS[0]},
        "list 20 by function, v1": {"limit": 20, "function_name": FUNCTIONS[0], "order_by": []},
        "list 20 by a tag of 1 %": {"limit": 20, "filter": tag_filter(RARE)},
        "list 1,000 by a tag of 1 %": {"limit": 1000, "filter": tag_filter(RARE)},
        "list by a tag that none has": {"limit": 20, "filter": tag_filter(ABSENT)},
        "search, no match": {"limit": 20, "search_query": UNSAID},
    }


def _gets(site: Site) -> Iterator[Row]:
    def get_v1(id: str) -> object:
        return site.store.get_datapoints(dataset_name=DATASET, ids=[id])

    def get_fresh(store: FileStore) -> object:
        return store.get_datapoint(dataset_name=DATASET, datapoint_id=site.pick())

    limit = _some(LIMIT, site, lambda id: limits.read_one(f"{site.files}/{id}.json"))
    rivals = [_some(name, site, rival.get) for name, rival in site.rivals.items()]
    yield site.compete("read", "get by id", [getting(site), limit, *rivals])
    yield site.compete("read", "get by id, v1", [_some(SUBJECT, site, get_v1), limit])
    yield site.compete("read", "get by id, fresh store", [_fresh(site, get_fresh), limit])


def _some(name: str, site: Site, get: Callable[[str], object]) -> Contender:
    number = 1 if name in site.rivals else _GETS  # some of those take a second

    def prepare() -> Action:
        ids = [str(site.pick()) for _ in range(number)]
        return lambda: [get(id) for id in ids]

    return Contender(name, prepare, number)


def _fresh(site: Site, read: Callable[[FileStore], object]) -> Contender:
    def prepare() -> Action:
        store = site.fresh()
        return lambda: read(store)

    return Contender(SUBJECT, prepare)


def _fresh_reads(site: Site) -> Iterator[Row]:
    for name in ("list 20", "list 20, v1", "list 20 by a tag of 1 %"):
        arguments = _lists(site.size)[name]

        def read(store: FileStore, arguments: dict[str, Any] = arguments) -> object:
            return store.list_datapoints(dataset_name=DATASET, **arguments)

        yield site.compete("read", f"{name}, fresh store", [_fresh(site, read)], warmups=0)
    yield site.compete("read", "list datasets, fresh store", [_fresh(site, FileStore.list_datasets)], warmups=0)


def _scans(site: Site) -> Iterator[Row]:
    limit = Contender.of(LIMIT, lambda: limits.read_all(site.files))
    rivals = [Contender.of(name, rival.scan) for name, rival in site.rivals.items()]
    yield site.compete("read", "list all", [reading(site, limit=_ALL), limit, *rivals], warmups=1)

    def scan(store: FileStore) -> object:
        return store.list_datapoints(dataset_name=DATASET, limit=_ALL)

    yield site.compete("read", "list all, fresh store", [_fresh(site, scan), limit], warmups=0)


def _reading_after_insert(site: Site) -> Contender:
    def prepare() -> Action:
        site.give(site.insert([site.new_item()]))
        return lambda: site.store.list_datapoints(dataset_name=DATASET, limit=20)

    return Contender(SUBJECT, prepare)


def _rival_lists(site: Site) -> list[Contender]:
    return [Contender.of(name, partial(rival.newest, 100)) for name, rival in site.rivals.items()]


def _rival_tags(site: Site) -> list[Contender]:
    return [Contender.of(name, partial(rival.with_tag, RARE, 20)) for name, rival in site.rivals.items()]
