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

ALL = 1 << 31
"""A limit that no dataset reaches."""
_GETS = 100
"""Gets in one timing: a single one is too short to time well."""


def iter_rows(site: Site) -> Iterator[Row]:
    """Yield the rows of a site."""
    compete = partial(site.compete, "read")
    yield compete("get by id, first time", [getting(site), _limit_of_get(site)])
    yield compete("get by id, again", [getting_again(site), _limit_of_get(site)])
    yield compete("get by id, again, v1", [_getting_again(SUBJECT, site, partial(_get_v1, site)), _limit_of_get(site)])
    yield compete("get by id, fresh store", [_fresh(site, partial(_get_some, site)), _limit_of_get(site)])
    for name, arguments in lists(site.size).items():
        yield compete(name, [listing(site, **arguments)])
    yield compete("list 20 after an insert", [_listing_after_insert(site)])
    yield compete("list datasets", [Contender.of(SUBJECT, site.store.list_datasets)])
    limit = Contender.of(LIMIT, partial(limits.read_all, site.files))
    yield compete("list all", [listing(site, limit=ALL), limit], warmups=1)
    yield compete("list all, fresh store", [_fresh(site, partial(_list, limit=ALL)), limit], warmups=0)
    for name in ("list 20", "list 20, v1", "list 20 by a tag of 1 %"):
        fresh = _fresh(site, partial(_list, **lists(site.size)[name]))
        yield compete(f"{name}, fresh store", [fresh], warmups=0)
    yield compete("list datasets, fresh store", [_fresh(site, FileStore.list_datasets)], warmups=0)


def lists(size: int) -> dict[str, dict[str, Any]]:
    """Return the arguments of each list; those with `order_by` are in the form and order of v1."""
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


def listing(site: Site, name: str = SUBJECT, **arguments: Any) -> Contender:
    """Return a contender that lists from a store that remembers."""
    return Contender.of(name, partial(_list, site.store, **arguments))


def getting(site: Site, name: str = SUBJECT) -> Contender:
    """Return a contender that gets datapoints by id from a store that is in use, each for the first time."""

    def prepare() -> Action:
        store = FileStore(site.root)
        for _ in range(3):
            _list(store, limit=1)
        ids = site.pick_some(_GETS)
        return lambda: [store.get_datapoint(dataset_name=DATASET, datapoint_id=one) for one in ids]

    return Contender(name, prepare, min(_GETS, site.size))


def getting_again(site: Site, name: str = SUBJECT) -> Contender:
    """Return a contender that gets datapoints by id which it got before."""
    return _getting_again(name, site, lambda one: site.store.get_datapoint(dataset_name=DATASET, datapoint_id=one))


def _getting_again(name: str, site: Site, get: Callable[[str], object]) -> Contender:
    contender = some(name, site, get)

    def prepare() -> Action:
        action = contender.prepare()
        action()
        return action

    return Contender(name, prepare, contender.operations)


def _list(store: FileStore, **arguments: Any) -> object:
    return store.list_datapoints(dataset_name=DATASET, **arguments)


def _get_v1(site: Site, one: str) -> object:
    return site.store.get_datapoints(dataset_name=DATASET, ids=[one])


def _get_some(site: Site, store: FileStore) -> object:
    return store.get_datapoint(dataset_name=DATASET, datapoint_id=site.pick())


def _limit_of_get(site: Site) -> Contender:
    return some(LIMIT, site, lambda one: limits.read_one(f"{site.files}/{one}.json"))


def some(name: str, site: Site, get: Callable[[str], object], number: int = _GETS) -> Contender:
    """Return a contender that gets so many datapoints at once, any of them."""

    def prepare() -> Action:
        ids = [str(site.pick()) for _ in range(number)]
        return lambda: [get(one) for one in ids]

    return Contender(name, prepare, number)


def _fresh(site: Site, read: Callable[[FileStore], object]) -> Contender:
    """Return a contender that reads from a store as another process would open it, with nothing remembered."""

    def prepare() -> Action:
        return partial(read, FileStore(site.root))

    return Contender(SUBJECT, prepare)


def _listing_after_insert(site: Site) -> Contender:
    def prepare() -> Action:
        site.insert(site.new_items(1))  # which the other stores do not have
        return partial(_list, site.store, limit=20)

    return Contender(SUBJECT, prepare)
