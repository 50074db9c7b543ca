"""Memory: the most that a process takes to do one job from its start to its end, in megabytes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from tests.benchmarks.datapoints import write_config
from tests.benchmarks.program import module, run
from tests.benchmarks.row import Row
from tests.benchmarks.site import DATASET, SUBJECT, Site

__all__ = ["iter_rows"]


def iter_rows(site: Site) -> Iterator[Row]:
    """Yield the rows of a site; a peak is much the same every time, so each is measured once."""
    other = site.root.with_name("bulk")
    write_config(other)
    yield _row(site, "bulk insert", "bulk", str(other), str(site.size))
    shutil.rmtree(other)
    yield _row(site, "list all", "list", str(site.root), str(site.size))
    export = ("list", DATASET, "--limit", str(1 << 31), "--format", "jsonl")
    yield _row(site, "export by command", "command", str(site.root), *export)


def _row(site: Site, name: str, job: str, *arguments: str) -> Row:
    return Row("memory", name, site.size, {SUBJECT: [float(run(*module("peak"), job, *arguments))]})
