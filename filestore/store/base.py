"""What all operations of a store stand on: its config, its datasets, its clock and its maker of ids."""

from __future__ import annotations

import os
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from filestore.codec import to_json_value
from filestore.datapoint import Datapoint
from filestore.errors import (
    DatapointNotFoundError,
    InvalidIdError,
    RequestError,
)
from filestore.functions import FunctionConfig
from filestore.garbage import leave_behind
from filestore.ids import IdMaker, is_canonical_uuid, parse_canonical_uuid, parse_uuid, random_bits
from filestore.storage import changes
from filestore.storage.change import Change
from filestore.storage.config_files import ConfigFiles
from filestore.storage.dataset import Dataset
from filestore.storage.datasets import Datasets
from filestore.storage.files import Disk
from filestore.storage.lists import Lists
from filestore.storage.view import DatasetView

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Id", "StoreBase", "insert", "naming_item", "parse_id", "require_live"]

Id = uuid.UUID | str
Result = TypeVar("Result")


_open_stores: weakref.WeakSet[StoreBase] = weakref.WeakSet()


class StoreBase:
    """An open store, without its operations; see `FileStore` for the arguments."""

    def __init__(
        self,
        root: str | os.PathLike[str],
        config_file: str | os.PathLike[str] | None = None,
        *,
        durable: bool = True,
        lock_timeout: float = 30.0,
        watch: bool = True,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        random_bits: Callable[[int], int] = random_bits,
    ) -> None:
        self._root = os.path.realpath(os.fsdecode(root))
        self._clock = clock
        self._id_maker = IdMaker(clock, random_bits)
        self._config_files = ConfigFiles(self._root, config_file)
        self._datasets = Datasets(self._root, Disk(durable=durable), lock_timeout, watch=watch)
        self._config_files.current()
        _open_stores.add(self)

    @property
    def root(self) -> Path:
        """The store's directory, absolute and free of links."""
        from pathlib import Path

        return Path(self._root)

    @property
    def config(self) -> FunctionConfig:
        """The function config, as its files are now.

        Raises:
            ConfigError: A mistake in it.
        """
        return self._load_config()

    def _load_config(self) -> FunctionConfig:
        return self._config_files.current()

    def _lists(self, view: DatasetView) -> Lists:
        return Lists(view, self._load_config)

    def _stale(self, dataset_name: str, iter_live: Callable[[DatasetView], Iterable[uuid.UUID]]) -> int:
        """Soft-delete the live datapoints that `iter_live` names, without looking into their files.

        Where it names none nothing is written, not even a lock.
        """
        dataset = self._datasets.find(dataset_name)
        if dataset is None or dataset.read(lambda view: next(iter(iter_live(view)), None), absent=None) is None:
            return 0

        def plan(view: DatasetView) -> tuple[Change, int]:
            live = list(iter_live(view))
            change = Change()
            changes.stale(change, live, self._clock())
            return change, len(live)

        return dataset.write(plan)

    # --- for rooms above the store, which work on files

    def open_dataset(self, dataset_name: str) -> Dataset:
        """Return a dataset, whether or not it exists: its reads, and the one funnel of its writes.

        Raises:
            DatasetNameError: The name cannot be a dataset's.
        """
        return self._datasets.get(dataset_name)

    def config_paths(self) -> set[str]:
        """Return the absolute paths of the files that the function config is made of."""
        self._config_files.current()
        return self._config_files.paths()

    def now(self) -> datetime:
        """Return the time by the store's clock, UTC."""
        return self._clock()

    def make_id(self) -> uuid.UUID:
        """Return a new datapoint id, greater than all that the store has made before."""
        return self._id_maker.make()[0]

    def bring_along(
        self, datapoint: Datapoint, files: dict[str, bytes], target: Dataset
    ) -> tuple[Datapoint, dict[str, bytes]]:
        """Copy the attached files of other datasets that a datapoint points to: each dataset is committed by itself."""
        complete, copied = changes.copy_attachments(datapoint, target.layout.directory, self._datasets.find_attachment)
        return complete, {**files, **copied}

    def _write_existing(
        self, dataset: Dataset, plan: Callable[[DatasetView], tuple[Change, Result]], first: uuid.UUID
    ) -> Result:
        """Write to a dataset whose datapoints must exist, without making one that does not."""
        if not dataset.exists():
            raise DatapointNotFoundError(dataset.layout.name, first)
        return dataset.write(plan)


def parse_id(value: Id) -> uuid.UUID:
    """Return an id given as a UUID of any class or as text.

    Raises:
        InvalidIdError: It spells no UUID.
    """
    if isinstance(value, uuid.UUID):
        return value
    if type(value) is str and is_canonical_uuid(value):
        return parse_canonical_uuid(value)
    text = to_json_value(value)
    if not isinstance(text, str):
        raise InvalidIdError(f"a datapoint id is a UUID, not {type(value).__name__}")
    return parse_uuid(text)


@contextmanager
def naming_item(index: int) -> Iterator[None]:
    """Note in a refusal which item of the request it is about."""
    try:
        yield
    except RequestError as error:
        error.item = index
        raise


def insert(dataset: Dataset, parsed: Sequence[tuple[Datapoint, dict[str, bytes]]]) -> None:
    """Write new datapoints and their files, if there are any."""

    def plan(view: DatasetView) -> tuple[Change, None]:
        change = Change()
        for datapoint, files in parsed:
            changes.put(change, view, datapoint, files)
        return change, None

    if parsed:
        dataset.write(plan)


def require_live(view: DatasetView, datapoint_id: uuid.UUID, load_config: Callable[[], FunctionConfig]) -> Datapoint:
    """Read a live datapoint.

    Raises:
        DatapointNotFoundError: There is none, or it is stale.
    """
    found = changes.find_live(view, datapoint_id, load_config)
    if found is None:
        raise DatapointNotFoundError(view.layout.name, datapoint_id)
    return found


def _renew_locks() -> None:
    """Free the locks of all open stores in a forked child: the threads that held them are not there."""
    leave_behind()
    for store in _open_stores:
        store._config_files.renew_lock()
        store._id_maker.renew_lock()
        store._datasets.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
