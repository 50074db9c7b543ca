"""Memory: the most that a process takes to do one job from its start to its end, in megabytes."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.commands import EXPORT
from tests.benchmarks.datapoints import write_config
from tests.benchmarks.program import module, run
from tests.benchmarks.row import Row
from tests.benchmarks.site import SUBJECT, Site


def iter_rows(site: Site) -> Iterator[Row]:
    """Yield the rows of a site; a peak is much the same every time, so each is measured once."""
    other = site.root.with_name("bulk")
    write_config(other)
    jobs = {
        "bulk insert": ("bulk", str(other), str(site.size)),
        "list all": ("list", str(site.root), str(site.size)),
        "export by command": ("command", str(site.root), *EXPORT),
    }
    for name, job in jobs.items():
        yield Row("memory", name, site.size, {SUBJECT: [float(run(*module("peak"), *job))]})
