"""Many files: looked at and written in batches, so that memory stays bounded and each write is one change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from filestore.formatting.files import FileFormatter, Options, Outcome
from filestore.ids import is_draft_name, is_file_name, is_id_shaped
from filestore.storage.dataset import Dataset
from filestore.storage.files import Disk
from filestore.storage.view import DatasetView
from filestore.store import FileStore

__all__ = ["format_dataset"]

_MOST_FILES = 100
_MOST_BYTES = 4 << 20


def format_dataset(
    store: FileStore, dataset_name: str, names: Iterable[str] | None, options: Options, *, dry_run: bool = False
) -> Iterator[Outcome]:
    """Write the files of a dataset in their canonical spelling; yield what has become of each.

    Each batch of them is one change. Files that are canonical are not written, and those that cannot be read stay.

    Args:
        store: The store.
        dataset_name: The dataset.
        names: Paths in the dataset's directory; None for all its datapoints, schemas and drafts, but not what the
            function config is made of.
        options: What to do.
        dry_run: Whether to write nothing, and only say what would become of them.

    Raises:
        FilestoreError: The store refuses to write; batches before this one are written.
    """
    dataset = store.open_dataset(dataset_name)
    formatter = FileFormatter(store, dataset, options)
    nothing: list[str] = []
    if names is None:
        of_config = store.config_paths()
        found = dataset.read(_list_names, absent=nothing)
        names = [name for name in found if f"{dataset.layout.path}/{name}" not in of_config]
    for batch in _batches(dataset, names):
        outcomes = _look(dataset, formatter, batch)
        changing = [name for name, outcome in outcomes.items() if outcome.is_change]
        if changing and not dry_run:
            outcomes |= _write(dataset, formatter, changing)
        yield from outcomes.values()


def _look(dataset: Dataset, formatter: FileFormatter, names: list[str]) -> dict[str, Outcome]:
    nothing: dict[str, Outcome] = {}
    return dataset.read(lambda view: formatter.plan(view, names)[1], absent=nothing)


def _write(dataset: Dataset, formatter: FileFormatter, names: list[str]) -> dict[str, Outcome]:
    return dataset.write(lambda view: formatter.plan(view, names))


def _list_names(view: DatasetView) -> list[str]:
    names = view.json_names()
    own = [
        name for name in names if is_file_name(name) or is_draft_name(name) or is_id_shaped(name.removesuffix(".json"))
    ]
    return sorted(own) + [f"schemas/{name}" for name in sorted(view.names_of("schema"))]


def _batches(dataset: Dataset, names: Iterable[str]) -> Iterator[list[str]]:
    disk = Disk()
    batch: list[str] = []
    size = 0
    for name in names:
        added = _size(disk, f"{dataset.layout.path}/{name}")
        if batch and (len(batch) == _MOST_FILES or size + added > _MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(name)
        size += added
    if batch:
        yield batch


def _size(disk: Disk, path: str) -> int:
    """Return the size of a file; 0 where that cannot be told, as whoever reads the file then says why."""
    try:
        status = disk.status(path)
    except OSError:
        return 0
    return 0 if status is None else status.st_size
