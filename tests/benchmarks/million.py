"""A million datapoints, once, and what git makes of them.

python -m tests.benchmarks.million [--n 1000000] [--directory DIR]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from filestore import FileStore
from tests.benchmarks.datapoints import RARE, iter_batches, tag_filter, write_config
from tests.benchmarks.site import BATCH, DATASET

Step = tuple[str, Callable[[], object]]
_GIT = ("git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0")


def iter_steps(root: Path, size: int) -> Iterator[Step]:
    """Yield what to do, one after the other, with a name for each."""
    write_config(root)
    yield f"bulk insert of {size:,}", lambda: _insert(FileStore(root), size)
    yield _git(root, "init", "--quiet")
    yield _git(root, "add", ".")
    yield _git(root, "commit", "--quiet", "--message", "all")
    store = FileStore(root)
    yield "list 20, fresh store", partial(store.list_datapoints, dataset_name=DATASET, limit=20)
    narrowed = partial(store.list_datapoints, dataset_name=DATASET, limit=20, filter=tag_filter(RARE))
    yield "list 20 by a tag of 1 %, fresh store", narrowed
    [newest] = store.list_datapoints(dataset_name=DATASET, limit=1)
    yield "get by id", partial(store.get_datapoint, dataset_name=DATASET, datapoint_id=newest.id)
    yield "list 20", partial(store.list_datapoints, dataset_name=DATASET, limit=20)
    yield "list 20 by a tag of 1 %", narrowed
    yield "insert one", lambda: _insert(store, 1)
    yield _git(root, "status", "--short")
    yield _git(root, "add", ".")
    yield _git(root, "commit", "--quiet", "--message", "one")


def _insert(store: FileStore, size: int) -> None:
    for batch in iter_batches(size, BATCH):
        store.bulk_insert_datapoints(dataset_name=DATASET, datapoints=batch)


def _git(root: Path, command: str, *options: str) -> Step:
    return f"git {command}", partial(
        subprocess.run, (*_GIT, "-C", str(root), command, *options), check=True, stdout=subprocess.DEVNULL
    )


def _time(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def main() -> None:
    """Do it, and print what each step took: what is quick, the median of nine times."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.million", description=__doc__)
    parser.add_argument("--n", type=int, default=1_000_000, help="how many (default: %(default)s)")
    parser.add_argument("--directory", help="where to put them")
    arguments = parser.parse_args()
    print("| step | seconds |\n|---|---:|")
    with tempfile.TemporaryDirectory(dir=arguments.directory) as home:
        for name, act in iter_steps(Path(home, "store"), arguments.n):
            is_once = name.startswith(("bulk", "git")) or name.endswith("fresh store")
            seconds = statistics.median(_time(act) for _ in range(1 if is_once else 9))
            print(f"| {name} | {seconds:,.3g} |", flush=True)


if __name__ == "__main__":
    main()
