"""The bench's command line."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks import commands, gateway, growth, memory, others, reads, report, writes
from tests.benchmarks.row import Row, merge
from tests.benchmarks.site import BATCH, Site


def iter_rows(home: Path, sizes: Sequence[int], budget: float) -> Iterator[Row]:
    """Yield all rows.

    Args:
        home: An empty directory.
        sizes: Of the datasets.
        budget: Seconds for each contender of a contest.
    """
    sites = []
    for size in sorted(set(sizes)):
        site, rows = build(home / str(size), size, budget)
        sites.append(site)
        yield from rows
        yield from memory.iter_rows(site)
        yield from reads.iter_rows(site)
        yield from commands.iter_rows(site, is_last=size == max(sizes))
        yield from others.iter_rows(site)
        yield from gateway.iter_rows(site, is_last=size == max(sizes))
        yield from writes.iter_rows(site)
    yield from growth.iter_rows(sites[0], sites[-1])


def build(home: Path, size: int, budget: float) -> tuple[Site, list[Row]]:
    """Build a site, a small one several times, for enough batches; return the last, and what all of them took."""
    built = []
    for number in range(max(1, 10 - size // BATCH)):
        site = Site(home / str(number), size, budget)
        built.append(site.build())
    return site, [merge(rows) for rows in zip(*built, strict=True)]


def main() -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=report.__doc__)
    parser.add_argument("--n", default="1000,10000,100000", help="sizes of the datasets (default: %(default)s)")
    parser.add_argument("--budget", type=float, default=1.5, help="seconds for each contender (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON, not as tables")
    parser.add_argument("--directory", help="where to put the datasets, on the file system to be measured")
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.n.split(",")]
    began = time.monotonic()
    rows = []
    with tempfile.TemporaryDirectory(dir=arguments.directory) as home:
        for row in iter_rows(Path(home), sizes, arguments.budget):
            rows.append(row)
            print(f"{time.monotonic() - began:6.1f} s  {row.group}: {row.name} at {row.size:,}", file=sys.stderr)
    print(json.dumps(report.to_dict(rows), indent=1) if arguments.json else report.render(rows))


if __name__ == "__main__":
    main()
