"""Lists, counts and summaries of a dataset's live datapoints."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from filestore.codec import JSONValue, loads_file
from filestore.datapoint import Datapoint
from filestore.datapoint_file import FileContext, parse_datapoint, read_datapoint
from filestore.errors import FileContentError, JSONTextError, ShapeError
from filestore.functions import FunctionConfig
from filestore.garbage import collected_later
from filestore.ids import parse_canonical_uuid
from filestore.storage.changes import find_datapoint, find_live
from filestore.storage.files import is_young, signature
from filestore.storage.index import Reading
from filestore.storage.rows import Row
from filestore.storage.view import DatasetView

if TYPE_CHECKING:
    from filestore.query import ListQuery

__all__ = ["Lists"]

T = TypeVar("T")
_MOST_REMEMBERED = 1000
"""A longer page is read from the files and forgotten: it may be a copy of everything."""


@dataclass(frozen=True, slots=True)
class Lists:
    """What a view of a dataset lists.

    Attributes:
        view: The dataset.
        load_config: Returns the function config as it is now.
    """

    view: DatasetView
    load_config: Callable[[], FunctionConfig]

    def newest(self, offset: int, limit: int, function_name: str | None = None) -> list[Datapoint]:
        """Return datapoints by id, descending.

        Raises:
            FileContentError: A file of the page, or with a function's name of any live datapoint, cannot be read.
        """
        index = self.view.index
        with index.lock:
            ids = self._ids(function_name)
            page = _page(ids, offset, limit)
            is_worth_it = index.is_complete or (index.watches.is_on and len(page) <= _MOST_REMEMBERED)
            is_remembered = is_worth_it and not self.view.is_overlaid
            rows = index.rows(page, self) if is_remembered else []
        return [self._datapoint(row) for row in rows] if is_remembered else self._read_page(page)

    def find_live(self, datapoint_id: uuid.UUID) -> Datapoint | None:
        """Return a live datapoint, or None where there is none.

        Raises:
            FileContentError: Its file cannot be read.
        """
        found = self._recall(str(datapoint_id))
        return find_live(self.view, datapoint_id, self.load_config) if found is None else found

    def find_all(self, ids: Iterable[uuid.UUID]) -> list[Datapoint]:
        """Return those of the datapoints that there are, live and stale.

        Raises:
            FileContentError: A file of theirs cannot be read.
        """
        found = (self._recall(str(one)) or find_datapoint(self.view, one, self.load_config) for one in ids)
        return [datapoint for datapoint in found if datapoint is not None]

    def _recall(self, one: str) -> Datapoint | None:
        """Return a live datapoint, None where it takes a closer look, or a wait for another reader."""
        index = self.view.index
        if self.view.is_overlaid or not index.is_worth_watching() or not index.lock.acquire(blocking=False):
            return None
        try:
            self.view.refresh_names()
            found = index.get(one, self) if index.names.is_live(one) else None
        finally:
            index.lock.release()
        return self._datapoint(found) if isinstance(found, Row) else found

    def select(self, query: ListQuery) -> list[Datapoint]:
        """Return the page that a query asks for.

        Raises:
            FileContentError: The file of a live datapoint cannot be read.
        """
        index = self.view.index
        with index.lock:
            if self.view.is_overlaid:
                rows = query.select(sorted(self._read_all(), key=lambda row: row.key, reverse=True))
            else:
                self._complete()
                keys = index.orders.narrowest(query)
                if query.takes_all:  # and what is narrower than all is the function's
                    page = [one for _, one in _page(keys, query.offset, query.limit)]
                else:
                    find = index.find_row if query.search else index.peek
                    page = [row.key[1] for row in query.select(find(one, self) for _, one in reversed(keys))]
                rows = [index.find_row(one, self) for one in page]
        return [self._datapoint(row) for row in rows]

    def count(self, function_name: str | None = None) -> int:
        """Count live datapoints, of one function or of all; only the former are looked into."""
        with self.view.index.lock:
            return len(self._ids(function_name))

    def latest_update(self, function_name: str | None = None) -> datetime | None:
        """Return when a live datapoint last changed, None where there is none.

        Raises:
            FileContentError: The file of a live datapoint cannot be read.
        """
        with self.view.index.lock:
            if self.view.is_overlaid:
                rows = self._read_all()
                return max((row.updated_at for row in rows if function_name in (None, row.function_name)), default=None)
            self._complete()
            latest = self.view.index.orders.latest(function_name)
            return None if latest is None else latest[0]

    def _ids(self, function_name: str | None) -> list[str]:
        """Return the ids of live datapoints, ascending; not to be changed."""
        if self.view.is_overlaid:
            if function_name is None:
                return [str(one) for one in reversed(self.view.live_ids())]
            return sorted(row.key[1] for row in self._read_all() if row.function_name == function_name)
        if function_name is None:
            self.view.refresh_names()
            return self.view.index.names.live
        self._complete()
        return self.view.index.orders.ids_of_function(function_name)

    def _complete(self) -> None:
        self.view.refresh_names()
        self.view.index.complete(self)

    def _read_all(self) -> list[Row]:
        return [self.read_row(str(one)).row for one in self.view.live_ids()]

    def _datapoint(self, row: Row) -> Datapoint:
        try:
            return row.datapoint(self.view.layout.name, self.view.load_schema)
        except (FileContentError, ShapeError):  # its schema has changed meanwhile, and the file may have with it
            context = FileContext(self.view.layout.name, self.load_config, self.view.load_schema)
            return self._read(row.key[1], context)[0]

    # --- reading files

    def read_row(self, one: str) -> Reading:
        """Read the file of an id, and note what else it was read from."""
        used = _Used(self)
        now = time.time_ns()
        datapoint, status = self._read(one, FileContext(self.view.layout.name, used.load_config, used.load_schema))
        return Reading(
            datapoint,
            Row.of(datapoint, used.schema),
            None if is_young(status, now) else signature(status),
            status.st_nlink > 1,
            used.is_configured,
        )

    def load_schema(self, digest: str) -> JSONValue:
        """Return the schema that lies under a digest in `schemas/`, as its file is now."""
        return self.view.look_at_schema(digest)

    def read_each(self, ids: Iterable[str]) -> Iterator[Datapoint]:
        """Iterate over what the files of ids hold.

        Raises:
            FileContentError: A file cannot be read.
            FileNotFoundError: One is gone.
        """
        context = FileContext(self.view.layout.name, self.load_config, self.view.load_schema)
        for one in ids:
            yield self._read_usual(one, context) or self._read(one, context)[0]

    def _read_page(self, ids: Iterable[str]) -> list[Datapoint]:
        with collected_later():
            return list(self.read_each(ids))

    def _read_usual(self, one: str, context: FileContext) -> Datapoint | None:
        """Read a file that is as it should be, None where it takes a closer look."""
        data = self.view.read_unchecked(one)
        if data is None:
            return None
        try:
            return parse_datapoint(loads_file(data), parse_canonical_uuid(one), context)
        except (JSONTextError, ShapeError):
            return None

    def _read(self, one: str, context: FileContext) -> tuple[Datapoint, os.stat_result]:
        datapoint_id = parse_canonical_uuid(one)
        return self.view.read(one, lambda data, path: read_datapoint(data, path, datapoint_id, context))


def _page(ascending: Sequence[T], offset: int, limit: int) -> Sequence[T]:
    """Return a page in descending order."""
    return ascending[max(len(ascending) - offset - limit, 0) : max(len(ascending) - offset, 0)][::-1]


@dataclass(slots=True)
class _Used:
    """Notes what a datapoint file is read with."""

    lists: Lists
    schema: str | None = None
    is_configured: bool = False

    def load_config(self) -> FunctionConfig:
        self.is_configured = True
        return self.lists.load_config()

    def load_schema(self, digest: str) -> JSONValue:
        self.schema = digest
        return self.lists.view.load_schema(digest)
