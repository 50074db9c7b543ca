"""The store: one method per operation of the API, over plain files."""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from filestore.codec import JSONValue, to_json_value
from filestore.datapoint import Datapoint
from filestore.errors import (
    DatapointNotFoundError,
    DatasetNameError,
    InvalidIdError,
    RecoveryNeededError,
    RequestError,
    ShapeError,
)
from filestore.functions import FunctionConfig
from filestore.ids import IdMaker, check_tensorzero_uuid, created_at, is_datapoint_id, parse_uuid
from filestore.query import ListQuery, parse_list_query
from filestore.requests_legacy import LegacyRequests
from filestore.requests_v1 import (
    build_created,
    build_updated,
    in_place,
    parse_create_item,
    parse_metadata_item,
    parse_update_item,
    successor,
)
from filestore.shapes import expect_list, parse_list
from filestore.storage import changes
from filestore.storage.config_files import ConfigFiles
from filestore.storage.dataset import Dataset
from filestore.storage.datasets import Datasets
from filestore.storage.files import Disk
from filestore.storage.journal import Change, Decision
from filestore.storage.upkeep import Purge, find_live_successors, plan_purge
from filestore.storage.view import DatasetView

__all__ = ["DatasetSummary", "FileStore"]

Id = uuid.UUID | str
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """What `list_datasets` says of one dataset."""

    dataset_name: str
    datapoint_count: int
    """Live datapoints."""
    last_updated: datetime
    """UTC; when one of them last changed."""


class FileStore:
    """A directory of datasets.

    Args:
        root: The store's directory; it is made by the first write.
        config_file: A `tensorzero.toml`, or a glob of several; by default the one in the root, if there is one.
        durable: Whether a change survives power loss once its call has returned.
        lock_timeout: Seconds a write waits for other writers of the same dataset.
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

    def __init__(
        self,
        root: str | os.PathLike[str],
        config_file: str | os.PathLike[str] | None = None,
        *,
        durable: bool = True,
        lock_timeout: float = 30.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        random_bits: Callable[[int], int] = secrets.randbits,
    ) -> None:
        self.root = Path(root).resolve()
        self._clock = clock
        self._id_maker = IdMaker(clock, random_bits)
        self._config_files = ConfigFiles(self.root, config_file)
        self._datasets = Datasets(str(self.root), Disk(durable=durable), lock_timeout)
        self._config_files.current()

    @property
    def config(self) -> FunctionConfig:
        """The function config, as its files are now.

        Raises:
            ConfigError: A mistake in it.
        """
        return self._config_files.current()

    # --- the legacy generation

    def bulk_insert_datapoints(self, *, dataset_name: str, datapoints: Sequence[object]) -> list[uuid.UUID]:
        """Insert datapoints: all of them or none.

        Args:
            dataset_name: The dataset; it need not exist yet.
            datapoints: Items of the legacy form: `function_name`, `input`, `output`, `tags`, tool fields for chat
                functions, `output_schema` for JSON functions.

        Returns:
            The new ids, one for each item, in order; they ascend.

        Raises:
            RequestError: An item is wrong; nothing was inserted.
        """
        items = expect_list(to_json_value(datapoints))
        dataset = self._datasets.get(dataset_name)
        requests = LegacyRequests(dataset_name, dataset.layout.directory, self.config)
        ids = self._id_maker.make(len(items))
        parsed = []
        for index, (item, new_id) in enumerate(zip(items, ids, strict=True)):
            with _naming_item(index):
                parsed.append(requests.parse_bulk_item(item, index, new_id))
        _insert(dataset, parsed)
        return ids

    def put_datapoint(self, *, dataset_name: str, datapoint_id: Id, datapoint: object) -> uuid.UUID:
        """Create a datapoint under an id of the caller's choice, or replace the one that has it.

        Args:
            dataset_name: The dataset; it need not exist yet.
            datapoint_id: A UUIDv7; if it is stale it becomes live again.
            datapoint: The body of the internal PUT: `function_name`, `input`, `is_custom` and so on.

        Raises:
            InvalidIdError: The id is no UUIDv7 of a sensible time.
            UnknownFunctionError: The function is not configured.
            RequestError: The datapoint is wrong.
        """
        body = to_json_value(datapoint)
        checked_id = parse_id(datapoint_id)
        now = self._clock()
        check_tensorzero_uuid(checked_id, now)
        dataset = self._datasets.get(dataset_name)
        requests = LegacyRequests(dataset_name, dataset.layout.directory, self.config)
        parsed, files = requests.parse_put(body, checked_id, now)

        def plan(view: DatasetView) -> tuple[Change, uuid.UUID]:
            change = Change(removed=view.tombstone_entries(checked_id))
            changes.put(change, view, parsed, files, replaces=True)
            return change, checked_id

        return dataset.write(plan)

    def get_datapoint(self, *, dataset_name: str, datapoint_id: Id) -> Datapoint:
        """Return a live datapoint.

        Raises:
            DatapointNotFoundError: There is none with this id in this dataset, or it is stale.
            FileContentError: Its file cannot be read.
        """
        checked_id = parse_id(datapoint_id)
        dataset = self._datasets.find(dataset_name)
        config = self.config
        found = dataset.read(lambda view: changes.find_live(view, checked_id, config)) if dataset else None
        if found is None:
            raise DatapointNotFoundError(dataset_name, checked_id)
        return found

    def delete_datapoint(self, *, dataset_name: str, datapoint_id: Id) -> int:
        """Soft-delete a datapoint: it becomes stale, its file stays.

        Returns:
            1, or 0 where there is no such live datapoint.
        """
        checked_id = parse_id(datapoint_id)
        return self._stale(dataset_name, lambda view: [checked_id] if changes.is_live(view, checked_id) else [])

    def delete_dataset(self, *, dataset_name: str) -> int:
        """Soft-delete every live datapoint of a dataset; return how many there were."""
        return self._stale(dataset_name, DatasetView.live_ids)

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
        for value in (limit, offset):
            if not isinstance(value, int) or value < 0:
                raise RequestError(f"limit and offset are whole numbers from 0 on, not {value!r}")
        dataset = self._datasets.find(dataset_name)
        if limit == 0 or dataset is None:
            return []
        config = self.config

        def action(view: DatasetView) -> list[Datapoint]:
            ids = view.live_ids()
            if function_name is None:
                return [changes.load_datapoint(view, one, config) for one in ids[offset : offset + limit]]
            loaded = (changes.load_datapoint(view, one, config) for one in ids)
            matching = [datapoint for datapoint in loaded if datapoint.function_name == function_name]
            return matching[offset : offset + limit]

        return dataset.read(action)

    # --- the v1 generation

    def create_datapoints(self, *, dataset_name: str, requests: Sequence[object]) -> list[uuid.UUID]:
        """Create datapoints: all of them or none.

        Args:
            dataset_name: The dataset; it need not exist yet.
            requests: Items of the v1 form, each with its `type`.

        Returns:
            The new ids, one for each item, in order; they ascend.

        Raises:
            RequestError: An item is wrong, or there is none; nothing was created.
        """
        items = self._parse_items(dataset_name, requests, parse_create_item)
        dataset = self._datasets.get(dataset_name)
        _refuse_empty(items)
        config = self.config
        ids = self._id_maker.make(len(items))
        built = []
        for index, (item, new_id) in enumerate(zip(items, ids, strict=True)):
            with _naming_item(index):
                built.append(self._bring_along(build_created(item, dataset_name, new_id, config), item.files, dataset))
        _insert(dataset, built)
        return ids

    def query_datapoints(self, *, dataset_name: str, query: ListQuery) -> list[Datapoint]:
        """Return the page of live datapoints that a v1 list query asks for.

        Raises:
            FileContentError: A file of a live datapoint cannot be read.
        """
        dataset = self._datasets.get(dataset_name)
        query.check()
        if query.limit == 0 or not dataset.exists():
            return []
        config = self.config
        return dataset.read(
            lambda view: query.select(changes.load_datapoint(view, one, config) for one in view.live_ids())
        )

    def get_datapoints(self, *, ids: Iterable[Id], dataset_name: str | None = None) -> list[Datapoint]:
        """Return datapoints by id, live and stale, the one updated last first; unknown ids are left out.

        Args:
            ids: The ids; a repeated one counts once.
            dataset_name: The dataset, or None for any.

        Raises:
            FileContentError: A file of theirs cannot be read.
        """
        wanted = list(dict.fromkeys(map(parse_id, ids)))
        config = self.config
        found: list[Datapoint] = []
        for name in self.dataset_names() if dataset_name is None else [dataset_name]:
            dataset = self._datasets.get(name)
            if dataset.exists():
                looked_up = dataset.read(lambda view: [changes.find_datapoint(view, one, config) for one in wanted])
                found += [datapoint for datapoint in looked_up if datapoint is not None]
        return sorted(found, key=lambda datapoint: (datapoint.updated_at, datapoint.id), reverse=True)

    def update_datapoints(
        self, *, dataset_name: str, requests: Sequence[object], new_ids: bool = True
    ) -> list[uuid.UUID]:
        """Update datapoints: all of them or none.

        Args:
            dataset_name: Their dataset.
            requests: Items of the v1 form: `type`, `id` and the fields to change.
            new_ids: Whether a successor with a new id takes over, and the old datapoint becomes stale, as in the API;
                otherwise the file is changed in place.

        Returns:
            The ids that the datapoints have now, in order.

        Raises:
            DatapointNotFoundError: There is no live datapoint with one of the ids.
            RequestError: An item is wrong, stands twice, or there is none.
        """
        items = self._parse_items(dataset_name, requests, parse_update_item)
        dataset = self._datasets.get(dataset_name)
        _refuse_empty(items)
        _refuse_repeated([item.id for item in items])
        config = self.config

        def plan(view: DatasetView) -> tuple[Change, list[uuid.UUID]]:
            updated = [build_updated(_require_live(view, item.id, config), item, config) for item in items]
            change = Change()
            if new_ids:
                ids = self._id_maker.make(len(items), after=max(item.id for item in items))
                updated = [successor(datapoint, new_id) for datapoint, new_id in zip(updated, ids, strict=True)]
                changes.stale(change, (item.id for item in items), created_at(ids[0]))
            else:
                now = self._clock()
                updated = [in_place(datapoint, now) for datapoint in updated]
            for datapoint, item in zip(updated, items, strict=True):
                complete, files = self._bring_along(datapoint, item.files, dataset)
                changes.put(change, view, complete, files, replaces=not new_ids)
            return change, [datapoint.id for datapoint in updated]

        return self._write_existing(dataset, plan, items[0].id)

    def update_datapoints_metadata(self, *, dataset_name: str, requests: Sequence[object]) -> list[uuid.UUID]:
        """Rename datapoints in place: all of them or none; return their ids.

        Args:
            dataset_name: Their dataset.
            requests: Items of the v1 form: `id`, and `name` (None clears it).

        Raises:
            DatapointNotFoundError: There is no live datapoint with one of the ids.
            RequestError: An item is wrong, stands twice, or there is none.
        """
        items = self._parse_items(dataset_name, requests, lambda value, _: parse_metadata_item(value))
        dataset = self._datasets.get(dataset_name)
        _refuse_empty(items)
        _refuse_repeated([item.id for item in items])
        config = self.config

        def plan(view: DatasetView) -> tuple[Change, list[uuid.UUID]]:
            change = Change()
            now = self._clock()
            for item in items:
                current = _require_live(view, item.id, config)
                renamed = replace(current, name=item.name if item.sets_name else current.name)
                changes.put(change, view, in_place(renamed, now), {}, replaces=True)
            return change, [item.id for item in items]

        return self._write_existing(dataset, plan, items[0].id)

    def delete_datapoints(self, *, dataset_name: str, ids: Iterable[Id]) -> int:
        """Soft-delete datapoints; return how many of the ids were live.

        Raises:
            RequestError: There is no id.
        """
        wanted = list(dict.fromkeys(map(parse_id, ids)))
        self._datasets.get(dataset_name)
        if not wanted:
            raise RequestError("ids must be a non-empty list")
        return self._stale(dataset_name, lambda view: [one for one in wanted if changes.is_live(view, one)])

    def restore_datapoints(self, *, dataset_name: str, ids: Iterable[Id]) -> list[uuid.UUID]:
        """Undo the soft deletion of datapoints: all of them or none; return their ids.

        Raises:
            DatapointNotFoundError: There is no datapoint with one of the ids.
            RequestError: One was never deleted, or an update has replaced it; or there is no id.
        """
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
        dataset = self._datasets.get(dataset_name)
        if not dataset.exists():
            return Purge([], [], [])
        deadline = self._clock() - older_than

        def plan(view: DatasetView) -> tuple[Change, Purge]:
            return plan_purge(view, lambda staled_at: staled_at <= deadline)

        return dataset.read(lambda view: plan(view)[1]) if dry_run else dataset.write(plan)

    def clone_datapoints(self, *, dataset_name: str, ids: Iterable[Id]) -> list[uuid.UUID | None]:
        """Copy live datapoints of any dataset into one.

        Args:
            dataset_name: The dataset the copies go into.
            ids: The datapoints to copy; a repeated one is copied once.

        Returns:
            The id of the copy for each id, in order; None where there is no such live datapoint.
        """
        wanted = list(map(parse_id, ids))
        dataset = self._datasets.get(dataset_name)
        copies: dict[uuid.UUID, tuple[Datapoint, dict[str, bytes]]] = {}
        for name in self.dataset_names():
            copies.update(self._read_copies(name, [one for one in wanted if one not in copies], dataset))
        ordered = [one for one in dict.fromkeys(wanted) if one in copies]
        new_ids = dict(zip(ordered, self._id_maker.make(len(ordered)), strict=True))
        _insert(dataset, [(_cloned(copies[one][0], new_ids[one], dataset_name), copies[one][1]) for one in ordered])
        return [new_ids.get(one) for one in wanted]

    def _read_copies(
        self, dataset_name: str, ids: Iterable[uuid.UUID], target: Dataset
    ) -> dict[uuid.UUID, tuple[Datapoint, dict[str, bytes]]]:
        config = self.config

        def action(view: DatasetView) -> dict[uuid.UUID, tuple[Datapoint, dict[str, bytes]]]:
            found = ((one, changes.find_live(view, one, config)) for one in dict.fromkeys(ids))
            return {one: self._bring_along(datapoint, {}, target) for one, datapoint in found if datapoint is not None}

        return self._datasets.get(dataset_name).read(action)

    def count_datapoints(self, *, dataset_name: str, function_name: str | None = None) -> int:
        """Count live datapoints, of one function or of all."""
        dataset = self._datasets.find(dataset_name)
        if dataset is None:
            return 0
        if function_name is None:
            return dataset.read(lambda view: len(view.live_ids()))
        config = self.config
        return dataset.read(
            lambda view: sum(
                changes.load_datapoint(view, one, config).function_name == function_name for one in view.live_ids()
            )
        )

    # --- about the store

    def list_datasets(
        self, *, function_name: str | None = None, limit: int | None = None, offset: int = 0
    ) -> list[DatasetSummary]:
        """List the datasets that have live datapoints, the one updated last first.

        Args:
            function_name: Count only datapoints of this function.
            limit: At most so many datasets.
            offset: After leaving out so many.

        Raises:
            FileContentError: A datapoint file cannot be read.
        """
        config = self.config

        def summarize(view: DatasetView) -> DatasetSummary | None:
            loaded = (changes.load_datapoint(view, one, config) for one in view.live_ids())
            times = [one.updated_at for one in loaded if function_name in (None, one.function_name)]
            return DatasetSummary(view.layout.name, len(times), max(times)) if times else None

        summaries = [self._datasets.get(name).read(summarize) for name in self.dataset_names()]
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

    # --- inner steps

    def _stale(self, dataset_name: str, find_live: Callable[[DatasetView], list[uuid.UUID]]) -> int:
        """Soft-delete the live datapoints that `find_live` names, without looking into their files."""
        dataset = self._datasets.find(dataset_name)
        if dataset is None or not dataset.read(find_live):
            return 0

        def plan(view: DatasetView) -> tuple[Change, int]:
            live = find_live(view)
            change = Change()
            changes.stale(change, live, self._clock())
            return change, len(live)

        return dataset.write(plan)

    def _parse_items(
        self, dataset_name: str, requests: Sequence[object], parse: Callable[[JSONValue, str], Item]
    ) -> list[Item]:
        """Check the shape of request items, before anything else about the request."""
        try:
            directory = self._datasets.get(dataset_name).layout.directory
        except DatasetNameError:
            directory = ""  # refused by the caller, after the items' shape
        try:
            return parse_list(to_json_value(requests), lambda value: parse(value, directory))
        except ShapeError as error:
            placed = error.within("datapoints")
            placed.item = next((step for step in error.pointer if isinstance(step, int)), None)
            raise placed from None

    def _bring_along(
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
    text = to_json_value(value)
    if not isinstance(text, str):
        raise InvalidIdError(f"a datapoint id is a UUID, not {type(value).__name__}")
    return parse_uuid(text)


@contextmanager
def _naming_item(index: int) -> Iterator[None]:
    """Note in a refusal which item of the request it is about."""
    try:
        yield
    except RequestError as error:
        error.item = index
        raise


def _insert(dataset: Dataset, parsed: Sequence[tuple[Datapoint, dict[str, bytes]]]) -> None:
    """Write new datapoints and their files, if there are any."""

    def plan(view: DatasetView) -> tuple[Change, None]:
        change = Change()
        for datapoint, files in parsed:
            changes.put(change, view, datapoint, files)
        return change, None

    if parsed:
        dataset.write(plan)


def _cloned(datapoint: Datapoint, new_id: uuid.UUID, dataset_name: str) -> Datapoint:
    return replace(datapoint, id=new_id, dataset_name=dataset_name, updated_at=created_at(new_id), replaces=None)


def _require_live(view: DatasetView, datapoint_id: uuid.UUID, config: FunctionConfig) -> Datapoint:
    found = changes.find_live(view, datapoint_id, config)
    if found is None:
        raise DatapointNotFoundError(view.layout.name, datapoint_id)
    return found


def _require_stale(view: DatasetView, datapoint_id: uuid.UUID) -> None:
    if not is_datapoint_id(datapoint_id) or view.find(datapoint_id, lambda data, path: None) is None:
        raise DatapointNotFoundError(view.layout.name, datapoint_id)
    if view.staled_at(datapoint_id) is None:
        raise RequestError(f"Datapoint {datapoint_id} was never deleted")


def _refuse_empty(items: Sequence[object]) -> None:
    if not items:
        raise RequestError("At least one datapoint must be provided")


def _refuse_repeated(ids: Sequence[uuid.UUID]) -> None:
    seen: set[uuid.UUID] = set()
    for one in ids:
        if one in seen:
            raise RequestError(f"Duplicate datapoint id provided: {one}")
        seen.add(one)
