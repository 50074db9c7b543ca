"""Commands: how long a program takes from its start to its end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

from tests.benchmarks.contest import Contender
from tests.benchmarks.program import FILESTORE, run
from tests.benchmarks.row import Row
from tests.benchmarks.site import DATASET, Site

__all__ = ["PASS", "iter_rows"]

PASS = "python -c pass"


def iter_rows(site: Site) -> Iterator[Row]:
    """Yield the rows of a site."""
    python = (sys.executable, "-c")
    command = (*FILESTORE, "--root", str(site.root))
    programs = {
        "import filestore": (*python, "import filestore"),
        "import FileStore": (*python, "from filestore import FileStore"),
        "filestore --help": (*FILESTORE, "--help"),
        "filestore get": (*command, "get", DATASET, str(site.pick())),
        "filestore list": (*command, "list", DATASET),
    }
    bare = Contender.of(PASS, partial(run, *python, "pass"))
    for name, program in programs.items():
        contender = Contender.of(name, partial(run, *program))
        yield site.compete("command", name, [contender, bare])
