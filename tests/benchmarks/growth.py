"""Growth: the same operation in the largest dataset and in the smallest, in turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.benchmarks.contest import Contender, compete
from tests.benchmarks.reads import getting, getting_again, listing
from tests.benchmarks.row import Row
from tests.benchmarks.site import Site
from tests.benchmarks.writes import deleting_one, inserting_one, updating_one

_OPERATIONS: dict[str, Callable[[Site, str], Contender]] = {
    "get by id, first time": getting,
    "get by id, again": getting_again,
    "list 20": lambda site, name: listing(site, name, limit=20),
    "list 100": lambda site, name: listing(site, name, limit=100),
    "list 100, v1": lambda site, name: listing(site, name, limit=100, order_by=[]),
    "insert one": inserting_one,
    "update one": updating_one,
    "delete one": deleting_one,
}


def iter_rows(smallest: Site, largest: Site) -> Iterator[Row]:
    """Yield what operations cost in the largest dataset, beside what they cost in the smallest."""
    for name, make in _OPERATIONS.items():
        contenders = [make(largest, f"at {largest.size:,}"), make(smallest, f"smallest, {smallest.size:,}")]
        yield Row("growth", name, largest.size, compete(contenders, largest.budget))
