"""The other stores, at what all of them can do."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.benchmarks.contest import Action, Contender
from tests.benchmarks.datapoints import RARE, tag_filter
from tests.benchmarks.reads import ALL, getting_again, listing, some
from tests.benchmarks.rivals import Rival
from tests.benchmarks.row import Row
from tests.benchmarks.site import Site
from tests.benchmarks.writes import inserting_one


def iter_rows(site: Site) -> Iterator[Row]:
    """Yield the rows of a site."""
    compete = partial(site.compete, "other stores")
    rivals = site.rivals.items()
    gets = (some(name, site, one.get, 1) for name, one in rivals)  # one may take a second
    yield compete("get by id, again", [getting_again(site), *gets])
    newest = (Contender.of(name, partial(one.newest, 100)) for name, one in rivals)
    yield compete("list 100", [listing(site, limit=100), *newest])
    tagged = (Contender.of(name, partial(one.with_tag, RARE, 20)) for name, one in rivals)
    yield compete("list 20 by a tag of 1 %", [listing(site, limit=20, filter=tag_filter(RARE)), *tagged])
    scans = (Contender.of(name, one.scan) for name, one in rivals)
    yield compete("list all", [listing(site, limit=ALL), *scans], warmups=1)
    yield compete("insert one", [inserting_one(site), *(_inserting(site, name, one) for name, one in rivals)])


def _inserting(site: Site, name: str, rival: Rival) -> Contender:
    def prepare() -> Action:
        records = [site.new_record()]
        return lambda: rival.insert(records)

    return Contender(name, prepare)
