"""A program that does one job with a store and prints the most memory it took, in megabytes.

    python -m tests.benchmarks.peak (bulk | list | command) ROOT [ARGUMENT ...]

The kernel's `VmHWM` is this program's own; `ru_maxrss` would begin at what its parent had.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main(job: str, root: str, *arguments: str) -> None:
    """Do a job, then tell."""
    if job == "command":
        _command("--root", root, *arguments)
    else:
        {"bulk": _bulk, "list": _list}[job](root, int(arguments[0]))
    print(_peak())


def _command(*arguments: str) -> None:
    from filestore.cli import main as command

    output = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        command(arguments)
    except SystemExit as done:
        assert not done.code
    finally:
        sys.stdout.flush()
        os.dup2(output, 1)


def _bulk(root: str, size: int) -> None:
    from filestore import FileStore
    from tests.benchmarks.datapoints import iter_batches

    store = FileStore(root)
    for batch in iter_batches(size, 1000):
        store.bulk_insert_datapoints(dataset_name="bench", datapoints=batch)


def _list(root: str, size: int) -> None:
    from filestore import FileStore

    assert len(FileStore(root).list_datapoints(dataset_name="bench", limit=1 << 31)) >= size


def _peak() -> float:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
