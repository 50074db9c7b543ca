"""Commands: how long a program takes from its start to its end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

from tests.benchmarks import limits
from tests.benchmarks.contest import Contender
from tests.benchmarks.program import FILESTORE, call
from tests.benchmarks.reads import ALL
from tests.benchmarks.row import Row
from tests.benchmarks.site import DATASET, LIMIT, Site

PASS = "python -c pass"
EXPORT = ("list", DATASET, "--limit", str(ALL), "--format", "jsonl")


def iter_rows(site: Site, *, is_last: bool) -> Iterator[Row]:
    """Yield the rows of a site; what does not depend on it, only for the last one."""
    python = (sys.executable, "-c")
    command = (FILESTORE, "--root", str(site.root))
    programs = {
        "import filestore": (*python, "import filestore"),
        "import FileStore": (*python, "from filestore import FileStore"),
        "filestore --help": (FILESTORE, "--help"),
    }
    programs = (programs if is_last else {}) | {
        "filestore get": (*command, "get", DATASET, str(site.pick())),
        "filestore list": (*command, "list", DATASET),
    }
    bare = Contender.of(PASS, partial(call, *python, "pass"))
    for name, program in programs.items():
        yield site.compete("command", name, [Contender.of(name, partial(call, *program)), bare], warmups=1)
    name = "filestore list, all as JSON Lines"
    contenders = [Contender.of(name, partial(call, *command, *EXPORT))]
    contenders.append(Contender.of(LIMIT, partial(limits.read_all, site.files)))
    yield site.compete("command", name, contenders, warmups=0)
