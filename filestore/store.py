"""The store: one method per operation of the API, over plain files."""

from __future__ import annotations

import os
import secrets
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from filestore.attachments import ATTACHMENT_NAME
from filestore.codec import JSONValue, dumps, to_json_value
from filestore.datapoint import Datapoint, JsonDatapoint
from filestore.datapoint_file import FileContext, read_datapoint, render_datapoint, schema_digest
from filestore.errors import DatapointNotFoundError, InvalidIdError, NotFoundError, ReservedDatasetNameError
from filestore.functions import FunctionConfig
from filestore.ids import IdMaker, check_tensorzero_uuid, file_name, parse_directory_name, parse_uuid
from filestore.query import ListQuery
from filestore.requests_legacy import LegacyRequests
from filestore.shapes import ObjectReader, expect_list
from filestore.storage.config_files import ConfigFiles
from filestore.storage.dataset import Dataset
from filestore.storage.files import Disk
from filestore.storage.journal import Change, Decision, Replaced
from filestore.storage.layout import DatasetLayout, Entry, tombstone_name
from filestore.storage.view import DatasetView

__all__ = ["DatasetSummary", "FileStore"]

T = TypeVar("T")
Id = uuid.UUID | str


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
        self._disk = Disk(durable=durable)
        self._lock_timeout = lock_timeout
        self._clock = clock
        self._id_maker = IdMaker(clock, random_bits)
        self._config_files = ConfigFiles(self.root, config_file)
        self._datasets: dict[str, Dataset] = {}
        self._datasets_guard = threading.Lock()
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
        dataset = self._dataset(dataset_name)
        items = expect_list(to_json_value(datapoints))
        requests = LegacyRequests(dataset_name, dataset.layout.directory, self.config)
        ids = self._id_maker.make(len(items))
        parsed = [
            requests.parse_bulk_item(item, index, new_id)
            for index, (item, new_id) in enumerate(zip(items, ids, strict=True))
        ]
        if parsed:
            dataset.write(lambda view: (_insertion(view, parsed), None))
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
        dataset = self._dataset(dataset_name)
        requests = LegacyRequests(dataset_name, dataset.layout.directory, self.config)
        parsed, files = requests.parse_put(body, checked_id, now)

        def plan(view: DatasetView) -> tuple[Change, None]:
            change = _insertion(view, [(parsed, files)])
            entry = Entry("datapoint", file_name(checked_id))
            found = view.find(checked_id, lambda data, _: data)
            if found is not None:
                data, status = found
                change.replaced[entry] = Replaced.of(data, status)
            change.removed = view.tombstone_entries(checked_id)
            return change, None

        dataset.write(plan)
        return checked_id

    def list_datapoints(
        self, *, dataset_name: str, function_name: str | None = None, limit: int = 100, offset: int = 0
    ) -> list[Datapoint]:
        """List live datapoints, newest first (by id, descending).

        Args:
            dataset_name: The dataset; one that does not exist is empty.
            function_name: Only datapoints of this function.
            limit: At most so many.
            offset: After leaving out so many.

        Raises:
            FileContentError: A file that is needed cannot be read.
        """
        dataset = self._find_dataset(dataset_name)
        if limit <= 0 or dataset is None:
            return []
        config = self.config

        def action(view: DatasetView) -> list[Datapoint]:
            ids = view.live_ids()
            if function_name is None:
                return [self._load(view, datapoint_id, config) for datapoint_id in ids[offset : offset + limit]]
            loaded = (self._load(view, datapoint_id, config) for datapoint_id in ids)
            matching = [datapoint for datapoint in loaded if datapoint.function_name == function_name]
            return matching[offset : offset + limit]

        return dataset.read(action)

    def query_datapoints(self, *, dataset_name: str, query: ListQuery) -> list[Datapoint]:
        """Return the page of live datapoints that a v1 list query asks for.

        Raises:
            FileContentError: A file of a live datapoint cannot be read.
        """
        dataset = self._dataset(dataset_name)
        if query.limit == 0 or not dataset.exists():
            return []
        config = self.config
        return dataset.read(lambda view: query.select(self._load(view, one, config) for one in view.live_ids()))

    def get_datapoint(self, *, dataset_name: str, datapoint_id: Id) -> Datapoint:
        """Return a live datapoint.

        Raises:
            DatapointNotFoundError: There is none with this id in this dataset, or it is stale.
            FileContentError: Its file cannot be read.
        """
        dataset = self._find_dataset(dataset_name)
        checked_id = parse_id(datapoint_id)
        config = self.config
        found = dataset.read(lambda view: self._find_live(view, checked_id, config)) if dataset else None
        if found is None:
            raise DatapointNotFoundError(dataset_name, checked_id)
        return found

    def delete_datapoint(self, *, dataset_name: str, datapoint_id: Id) -> int:
        """Soft-delete a datapoint: it becomes stale, its file stays.

        Returns:
            1, or 0 where there is no such live datapoint.
        """
        return self._delete(dataset_name, [parse_id(datapoint_id)])

    def delete_dataset(self, *, dataset_name: str) -> int:
        """Soft-delete every live datapoint of a dataset; return how many there were."""
        return self._delete(dataset_name, None)

    def _delete(self, dataset_name: str, ids: Sequence[uuid.UUID] | None) -> int:
        """Soft-delete those of `ids` (None: all) that are live, without looking into their files."""
        dataset = self._find_dataset(dataset_name)
        if dataset is None:
            return 0

        def find_live(view: DatasetView) -> list[uuid.UUID]:
            if ids is None:
                return view.live_ids()
            return [one for one in dict.fromkeys(ids) if view.staled_at(one) is None and _is_there(view, one)]

        def plan(view: DatasetView) -> tuple[Change, int]:
            live = find_live(view)
            now = self._clock()
            return Change(puts={Entry("tombstone", tombstone_name(one, now)): b"" for one in live}), len(live)

        return dataset.write(plan) if dataset.read(find_live) else 0

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
        summaries = []
        for name in self.dataset_names():
            dataset = self._dataset(name)

            def summarize(view: DatasetView) -> DatasetSummary | None:
                loaded = (self._load(view, one, config) for one in view.live_ids())
                times = [one.updated_at for one in loaded if function_name in (None, one.function_name)]
                return DatasetSummary(view.layout.name, len(times), max(times)) if times else None

            summary = dataset.read(summarize)
            if summary is not None:
                summaries.append(summary)
        summaries.sort(key=lambda one: one.dataset_name)
        summaries.sort(key=lambda one: one.last_updated, reverse=True)
        return summaries[offset : None if limit is None else offset + limit]

    def dataset_names(self) -> list[str]:
        """Return the names of all dataset directories, sorted; some may hold no live datapoint."""
        names = []
        for directory in self._disk.names(str(self.root)):
            name = parse_directory_name(directory)
            if name is not None and self._is_directory(directory):
                names.append(name)
        return sorted(names)

    def _is_directory(self, directory: str) -> bool:
        try:
            return self._disk.check_directory(f"{self.root}/{directory}") is not None
        except OSError:  # a file, or a link, which is never followed
            return False

    def read_attachment(self, directory: str, path: str) -> bytes:
        """Return the bytes of an attached file.

        Args:
            directory: The directory name of the dataset.
            path: `files/<sha256>.<extension>`.

        Raises:
            NotFoundError: There is no such file.
        """
        name = parse_directory_name(directory)
        kind, _, file = path.partition("/")
        if name is None or kind != "files" or ATTACHMENT_NAME.fullmatch(file) is None:
            raise NotFoundError(f"No attached file {path} in {directory}")
        try:
            return self._dataset(name).read(lambda view: view.attachment(Entry("file", file)))
        except FileNotFoundError:
            raise NotFoundError(f"No attached file {path} in {directory}") from None

    def recover(self, decision: Decision | None = None) -> list[str]:
        """Complete changes that were interrupted; return the names of the datasets that had one.

        Args:
            decision: What to do about a change that was interrupted at another HEAD: `apply` or `discard` it.

        Raises:
            RecoveryNeededError: There is such a change, and no decision.
        """
        return [name for name in self.dataset_names() if self._dataset(name).recover(decision)]

    # --- inner steps

    def _dataset(self, dataset_name: str) -> Dataset:
        layout = DatasetLayout.of(str(self.root), dataset_name)
        with self._datasets_guard:
            dataset = self._datasets.get(dataset_name)
            if dataset is None:
                dataset = self._datasets[dataset_name] = Dataset(layout, self._disk, self._lock_timeout)
        return dataset

    def _find_dataset(self, dataset_name: str) -> Dataset | None:
        """Return a dataset that exists; a reserved name is nobody's, and asking for it is no mistake."""
        try:
            dataset = self._dataset(dataset_name)
        except ReservedDatasetNameError:
            return None
        return dataset if dataset.exists() else None

    def _load(self, view: DatasetView, datapoint_id: uuid.UUID, config: FunctionConfig) -> Datapoint:
        context = FileContext(view.layout.name, config, view.load_schema)
        return view.read(datapoint_id, lambda data, path: read_datapoint(data, path, datapoint_id, context))

    def _find_live(self, view: DatasetView, datapoint_id: uuid.UUID, config: FunctionConfig) -> Datapoint | None:
        if datapoint_id.version != 7 or view.staled_at(datapoint_id) is not None:
            return None
        context = FileContext(view.layout.name, config, view.load_schema)
        found = view.find(datapoint_id, lambda data, path: read_datapoint(data, path, datapoint_id, context))
        return found[0] if found else None


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


def _is_there(view: DatasetView, datapoint_id: uuid.UUID) -> bool:
    return datapoint_id.version == 7 and view.find(datapoint_id, lambda data, path: None) is not None


def _insertion(view: DatasetView, parsed: Sequence[tuple[Datapoint, dict[str, bytes]]]) -> Change:
    """Return the change that writes datapoints, with the schemas and files they need."""
    change = Change()
    digests: dict[bytes, str] = {}
    for datapoint, files in parsed:
        schema_name = None
        if isinstance(datapoint, JsonDatapoint):
            schema_name = _put_schema(view, change, digests, datapoint.output_schema)
        for name, data in files.items():
            _put_once(view, change, Entry("file", name), data)
        entry = Entry("datapoint", file_name(datapoint.id))
        change.puts[entry] = dumps(render_datapoint(datapoint, schema_name))
    return change


def _put_schema(view: DatasetView, change: Change, digests: dict[bytes, str], schema: JSONValue) -> str:
    data = dumps(schema)
    if data not in digests:

        def is_taken(digest: str) -> bool:
            entry = Entry("schema", f"{digest}.json")
            return change.puts.get(entry, data) != data or view.is_taken(entry, data)

        digests[data] = schema_digest(data, is_taken)
        _put_once(view, change, Entry("schema", f"{digests[data]}.json"), data)
    return digests[data]


def _put_once(view: DatasetView, change: Change, entry: Entry, data: bytes) -> None:
    if entry not in change.puts and not view.has(entry, data):
        change.puts[entry] = data
