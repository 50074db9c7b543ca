"""The bench's command line."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks import commands, gateway, growth, memory, reads, report, writes
from tests.benchmarks.row import Row
from tests.benchmarks.site import Site

__all__ = ["iter_rows", "main"]


def iter_rows(home: Path, sizes: Sequence[int], budget: float) -> Iterator[Row]:
    """Yield all rows.

    Args:
        home: An empty directory.
        sizes: Of the datasets.
        budget: Seconds for each contest.
    """
    sites = [Site(home / str(size), size, budget) for size in sorted(set(sizes))]
    for site in sites:
        yield site.build()
        yield from memory.iter_rows(site)
        yield from reads.iter_rows(site)
        yield from commands.iter_rows(site)
        yield from gateway.iter_rows(site, with_crowds=site is sites[-1])
        yield from writes.iter_rows(site)
    yield from growth.iter_rows(sites[0], sites[-1])


def main() -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=report.__doc__)
    parser.add_argument("--n", default="1000,10000,100000", help="sizes of the datasets (default: %(default)s)")
    parser.add_argument("--budget", type=float, default=2.0, help="seconds for a contest (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON, not as tables")
    parser.add_argument("--directory", help="where to put the datasets, on the file system to be measured")
    arguments = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
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
