"""The store: one method per operation of the API, over plain files."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from filestore.codec import to_json_value
from filestore.datapoint import Datapoint
from filestore.errors import DatapointNotFoundError, RecoveryNeededError, RequestError
from filestore.ids import is_datapoint_id
from filestore.storage.change import Change
from filestore.storage.view import DatasetView
from filestore.store.base import Id, parse_id
from filestore.store.legacy import LegacyOperations
from filestore.store.v1 import V1Operations

if TYPE_CHECKING:
    from filestore.storage.recovery import Decision
    from filestore.storage.scan import Scan
    from filestore.storage.upkeep import Purge

__all__ = ["DatasetSummary", "FileStore"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """What `list_datasets` says of one dataset."""

    dataset_name: str
    datapoint_count: int
    """Live datapoints."""
    last_updated: datetime
    """UTC; when one of them last changed."""


class FileStore(LegacyOperations, V1Operations):
    """A directory of datasets.

    Args:
        root: The store's directory; it is made by the first write.
        config_file: A `tensorzero.toml`, or a glob of several; by default the one in the root, if there is one.
        durable: Whether a change survives power loss once its call has returned.
        lock_timeout: Seconds a write waits for other writers of the same dataset.
        watch: Whether to let the kernel tell what changes, where it can, rather than look at every file before each
            list. Turn it off where files change behind the kernel's back: an NFS export of the root that others write
            to, a mount inside a dataset, a lower layer of an overlay that is changed from elsewhere.
        clock: Returns the current time, UTC.
        random_bits: Returns a random integer of so many bits, for new ids.

    Raises:
        ConfigError: A mistake in the function config.

    Example:
        >>> import tempfile
        >>> store = FileStore(tempfile.mkdtemp())
        >>> item = {"type": "chat", "function_name": "greet", "input": {"messages": []}, "output": "Hello!"}
        >>> [new_id] = store.bulk_insert_datapoints(dataset_name="demo", datapoints=[item])
        >>> store.get_datapoint(dataset_name="demo", datapoint_id=new_id).output
        [{'type': 'text', 'text': 'Hello!'}]
    """

    def list_datapoints(
        self,
        *,
        dataset_name: str,
        function_name: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        filter: object = None,
        order_by: Sequence[object] | None = None,
        search_query: str | None = None,
    ) -> list[Datapoint]:
        """List live datapoints, newest first (by id, descending), or as the v1 arguments ask.

        Args:
            dataset_name: The dataset; one that does not exist is empty.
            function_name: Only datapoints of this function.
            limit: At most so many: by default 100, or 20 with a v1 argument.
            offset: After leaving out so many.
            filter: A v1 filter tree. This and the next two are the v1 arguments: with any of them the one updated last
                comes first.
            order_by: v1 order terms, `{"by", "direction"}`.
            search_query: A text that input or output must hold.

        Raises:
            RequestError: An argument is wrong.
            FileContentError: A file that is needed cannot be read.
        """
        if filter is not None or order_by is not None or search_query is not None:
            from filestore.query import parse_list_query

            body = {
                "function_name": function_name,
                "limit": limit,
                "offset": offset,
                "filter": filter,
                "order_by": order_by,
                "search_query_experimental": search_query,
            }
            return self.query_datapoints(dataset_name=dataset_name, query=parse_list_query(to_json_value(body)))
        limit = 100 if limit is None else limit
        _check_page(limit, offset)
        dataset = self._datasets.find(dataset_name)
        if limit == 0 or dataset is None:
            return []
        return dataset.read(lambda view: self._lists(view).newest(offset, limit, function_name), absent=[])

    def scan_datapoints(
        self,
        *,
        dataset_name: str,
        consume: Callable[[Scan], T],
        function_name: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> T:
        """Hand live datapoints, newest first, to a function one after the other; return what it makes of them.

        They are those that `list_datapoints` returns, but not all of them are held in memory, however many there are.

        Args:
            dataset_name: The dataset; one that does not exist is empty.
            consume: Goes through the iterator it is given. Where something has changed meanwhile it is called again,
                with a new one, and what it made before does not count: let it begin anew whatever it writes. It must
                not change the dataset, and others who do may have to wait until it returns. The iterator's method
                `total()` counts all that there are, whatever limit and offset say.
            function_name: Only datapoints of this function.
            limit: At most so many; by default all.
            offset: After leaving out so many.

        Raises:
            RequestError: An argument is wrong.
            FileContentError: A file that is needed cannot be read; files after the last one asked for are not.

        Example:
            >>> import tempfile
            >>> store = FileStore(tempfile.mkdtemp())
            >>> store.scan_datapoints(dataset_name="demo", consume=lambda datapoints: sum(1 for _ in datapoints))
            0
        """
        from filestore.storage.scan import Scan, consumed

        _check_page(0 if limit is None else limit, offset)
        dataset = self._datasets.find(dataset_name)
        outcome = dataset and dataset.read(
            lambda view: consumed(Scan(self._lists(view), function_name, offset, limit), consume), absent=None
        )
        return (outcome or consumed(Scan(None, function_name, offset, limit), consume))()

    def restore_datapoints(self, *, dataset_name: str, ids: Iterable[Id]) -> list[uuid.UUID]:
        """Undo the soft deletion of datapoints: all of them or none; return their ids.

        Raises:
            DatapointNotFoundError: There is no datapoint with one of the ids.
            RequestError: One is not deleted, or an update has replaced it; or there is no id.
        """
        from filestore.storage.upkeep import find_live_successors

        wanted = list(dict.fromkeys(map(parse_id, ids)))
        dataset = self._datasets.get(dataset_name)
        if not wanted:
            raise RequestError("ids must be a non-empty list")

        def plan(view: DatasetView) -> tuple[Change, list[uuid.UUID]]:
            for one in wanted:
                _require_stale(view, one)
            for one, replacement in find_live_successors(view, wanted).items():
                raise RequestError(
                    f"Datapoint {one} was replaced by {replacement}: delete that first to have the old one back"
                )
            return Change(removed=[entry for one in wanted for entry in view.tombstone_entries(one)]), wanted

        return self._write_existing(dataset, plan, wanted[0])

    def purge_dataset(self, *, dataset_name: str, older_than: timedelta = timedelta(0), dry_run: bool = False) -> Purge:
        """Remove the files of stale datapoints, and schemas and attached files that nothing uses any more.

        Git history still holds what was committed.

        Args:
            dataset_name: The dataset.
            older_than: Only datapoints that were deleted at least so long ago.
            dry_run: Remove nothing; only say what would go.
        """
        from filestore.storage.upkeep import Purge, Referrer, plan_purge

        dataset = self._datasets.get(dataset_name)
        try:
            deadline = self._clock() - older_than
        except OverflowError:  # nothing is that old
            deadline = datetime.min.replace(tzinfo=UTC)

        known: dict[str, Referrer] = {}

        def plan(view: DatasetView) -> tuple[Change, Purge]:
            return plan_purge(view, lambda staled_at: staled_at <= deadline, known)

        if dry_run or not dataset.exists():
            return dataset.read(lambda view: plan(view)[1], absent=Purge([], [], []))
        return dataset.write(plan)

    def list_datasets(
        self, *, function_name: str | None = None, limit: int | None = None, offset: int = 0
    ) -> list[DatasetSummary]:
        """List the datasets that have live datapoints, the one updated last first.

        Args:
            function_name: Count only datapoints of this function.
            limit: At most so many datasets.
            offset: After leaving out so many.

        Raises:
            RequestError: The limit or the offset is no whole number from 0 on.
            FileContentError: A datapoint file cannot be read.
        """
        _check_page(limit, offset)

        def summarize(view: DatasetView) -> DatasetSummary | None:
            lists = self._lists(view)
            latest = lists.latest_update(function_name)
            if latest is None:
                return None
            return DatasetSummary(view.layout.name, lists.count(function_name), latest)

        summaries = [self._datasets.get(name).read(summarize, absent=None) for name in self.dataset_names()]
        found = [summary for summary in summaries if summary is not None]
        found.sort(key=lambda summary: summary.dataset_name)
        found.sort(key=lambda summary: summary.last_updated, reverse=True)
        return found[offset : None if limit is None else offset + limit]

    def dataset_names(self) -> list[str]:
        """Return the names of all dataset directories, sorted; some may hold no live datapoint."""
        return self._datasets.names()

    def read_attachment(self, directory: str, path: str) -> bytes:
        """Return the bytes of an attached file.

        Args:
            directory: The directory name of its dataset, as `storage_path.kind.path` of a file block gives it.
            path: `files/<sha256>.<extension>`, as `storage_path.path` gives it.

        Raises:
            NotFoundError: There is no such file.
            FileContentError: It was altered.
        """
        return self._datasets.attachment(directory, path)

    def recover(self, decision: Decision | None = None) -> list[str]:
        """Complete changes that were interrupted; return the names of the datasets that had one.

        Args:
            decision: What to do about a change that was interrupted at another HEAD: `apply` or `discard` it.

        Raises:
            RecoveryNeededError: There is such a change, and no decision.
        """
        recovered, refusals = [], []
        for name in self.dataset_names():
            try:
                if self._datasets.get(name).recover(decision):
                    recovered.append(name)
            except RecoveryNeededError as error:
                refusals.append(str(error))
        if refusals:
            raise RecoveryNeededError("\n".join(refusals))
        return recovered


def _check_page(limit: int | None, offset: int) -> None:
    for value in (limit or 0, offset):
        if not isinstance(value, int) or value < 0:
            raise RequestError(f"limit and offset are whole numbers from 0 on, not {value!r}")


def _require_stale(view: DatasetView, datapoint_id: uuid.UUID) -> None:
    if not is_datapoint_id(datapoint_id) or view.find(datapoint_id, lambda data, path: None) is None:
        raise DatapointNotFoundError(view.layout.name, datapoint_id)
    if view.staled_at(datapoint_id) is None:
        raise RequestError(f"Datapoint {datapoint_id} is not deleted")
