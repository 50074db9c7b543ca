"""Datasets whose names differ in letter case alone: not every file system can tell them apart, so there is only one."""

from __future__ import annotations

from collections.abc import Iterator

from filestore.errors import DatasetNameError
from filestore.ids import fold_dataset_name, parse_directory_name
from filestore.storage.files import Disk
from filestore.storage.journal import Journal
from filestore.storage.layout import INTERNAL, DatasetLayout
from filestore.storage.locks import writer_lock

__all__ = ["creation_lock", "holds_json", "refuse_clash"]

_PATIENCE_SECONDS = 0.1
"""For the writer of an emptied dataset, who may be waiting for us: then one of the two must give up, and it is we."""


def creation_lock(root: str) -> str:
    """Return the one lock file for the making of datasets: no two names that clash are made at once.

    No dataset is called so, as none has an `@`.
    """
    return f"{root}/{INTERNAL}/create@lock"


def holds_json(disk: Disk, path: str) -> bool:
    """Tell whether a directory is a dataset, and not just what a write that failed, or a purge, has left."""
    is_directory = disk.check_directory(path) is not None
    return is_directory and any(name.endswith(".json") for name in disk.iter_names(path))


def refuse_clash(layout: DatasetLayout, disk: Disk) -> None:
    """Refuse to make a dataset whose name differs from an existing one in letter case alone.

    The caller holds the lock of the new one, and the lock of creation until the new one is there.

    Raises:
        DatasetNameError: There is one.
        LockTimeoutError: One that was emptied is just being written to.
    """
    for rival in _iter_rivals(layout, disk):
        if Journal(rival, disk).has_pending() or holds_json(disk, rival.path) or not _is_given_up(rival, disk):
            raise DatasetNameError(
                f"Invalid dataset name: {layout.name}. It differs from the existing dataset {rival.name} in letter"
                " case alone, which not every file system can tell apart"
            )


def _iter_rivals(layout: DatasetLayout, disk: Disk) -> Iterator[DatasetLayout]:
    folded = fold_dataset_name(layout.name)
    for directory in {*disk.names(layout.root), *disk.names(f"{layout.root}/{INTERNAL}")}:
        name = parse_directory_name(directory)
        if directory != layout.directory and name is not None and fold_dataset_name(name) == folded:
            yield DatasetLayout(layout.root, name, directory)


def _is_given_up(rival: DatasetLayout, disk: Disk) -> bool:
    """Have the next writer of an emptied dataset make it anew, and so look for clashes; tell whether it is still empty.

    A dataset that was made is written to without a look at the others, even where no datapoint is left in it.
    """
    if disk.check_directory(rival.internal) is None:
        return True  # it has to be made anew anyway
    with writer_lock(rival.lock).hold(_PATIENCE_SECONDS):
        journal = Journal(rival, disk)
        if journal.has_pending() or holds_json(disk, rival.path):
            return False
        journal.numbers.begin_anew()
        return True
