"""Lists, counts and summaries of a dataset's live datapoints."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from filestore.codec import JSONValue
from filestore.datapoint import Datapoint
from filestore.datapoint_file import FileContext, read_datapoint
from filestore.functions import FunctionConfig
from filestore.query import ListQuery
from filestore.storage.files import is_young, signature
from filestore.storage.index import Reading
from filestore.storage.rows import Row
from filestore.storage.view import DatasetView

__all__ = ["Lists"]

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
            page = ids[max(len(ids) - offset - limit, 0) : max(len(ids) - offset, 0)][::-1]
            is_remembered = not self.view.is_overlaid and (len(page) <= _MOST_REMEMBERED or index.is_complete)
            rows = index.rows(page, self) if is_remembered else []
        return [self._datapoint(row) for row in rows] if is_remembered else [self.read(one) for one in page]

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
                keys = reversed(index.orders.narrowest(query))
                find = index.peek if query.search is None else lambda one: index.find_row(one, self)
                found = query.select(find(one) for _, one in keys)
                rows = [index.find_row(row.key[1], self) for row in found]
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
        return row.datapoint(self.view.layout.name, self.view.load_schema)

    # --- reading files

    def read(self, one: str) -> Datapoint:
        """Read the file of an id."""
        return read_file(self.view, one, self.load_config)[0]

    def read_row(self, one: str) -> Reading:
        """Read the file of an id, and note what else it was read from."""
        used = _Used(self)
        now = time.time_ns()
        datapoint, status = read_file(self.view, one, used.load_config, used.load_schema)
        return Reading(
            Row.of(datapoint, used.schema),
            None if is_young(status, now) else signature(status),
            status.st_nlink > 1,
            used.is_configured,
        )

    def load_schema(self, digest: str) -> JSONValue:
        """Return the schema that lies under a digest in `schemas/`, as its file is now."""
        return self.view.look_at_schema(digest)


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


def read_file(
    view: DatasetView,
    one: str,
    load_config: Callable[[], FunctionConfig],
    load_schema: Callable[[str], JSONValue] | None = None,
) -> tuple[Datapoint, os.stat_result]:
    """Read the datapoint with an id that the view lists.

    Raises:
        FileContentError: Its file cannot be read.
    """
    context = FileContext(view.layout.name, load_config, load_schema or view.load_schema)
    datapoint_id = uuid.UUID(one)
    return view.read(one, lambda data, path: read_datapoint(data, path, datapoint_id, context))
