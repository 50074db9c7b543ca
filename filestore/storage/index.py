"""What a process remembers of a dataset's live datapoints, and what it must look at again before it believes it.

Where the kernel tells of changes, a row is believed until an event names its file. Elsewhere it is believed for one
read, once its file has been found in the state in which it was read. The lock is held from the moment at which doubts
are taken until they are settled: an event that comes later is a new doubt.
"""

from __future__ import annotations

import errno
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from filestore.codec import JSONValue
from filestore.datapoint import Datapoint
from filestore.errors import FileContentError, ShapeError
from filestore.functions import FunctionConfig
from filestore.storage.files import Disk, Signature, signature
from filestore.storage.layout import DatasetLayout
from filestore.storage.names import DatasetNames, Shift
from filestore.storage.orders import Orders
from filestore.storage.rows import Row
from filestore.storage.watches import Watches

if TYPE_CHECKING:
    from filestore.storage.feed import ChangeFeed

__all__ = ["DatasetIndex", "Reading", "SchemaMemory", "Source", "TextBudget"]

SchemaMemory = dict[str, tuple[Signature, bytes]]
"""Packed schemas by digest, with the state of the file that each was read from."""

_TEXT_BYTES = 128 << 20
"""Texts that are kept for all datasets of a store; those of further datapoints are read again when they are needed."""
_SINGLE_READS = 16
"""After so many gets it pays to list a dataset and to be told what changes in it."""
_SIGNATURE = struct.Struct("<QQqq")


class Reading(NamedTuple):
    """What was made of a datapoint's file.

    Attributes:
        datapoint: The datapoint.
        row: What to remember of it.
        signature: The state of the file; None if it was too young to be told from the next.
        is_linked: Whether the file has other names, changes under which nobody tells of.
        is_configured: Whether the function config was needed to read it.
    """

    datapoint: Datapoint
    row: Row
    signature: Signature | None
    is_linked: bool
    is_configured: bool


class TextBudget:
    """How many bytes of texts are kept, of those that may be."""

    def __init__(self, most: int = _TEXT_BYTES) -> None:
        self._left = most
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Take room for a text, if there is enough."""
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True

    def give_back(self, size: int) -> None:
        """Give back the room of a text."""
        with self._lock:
            self._left += size


class Source(Protocol):
    """What rows are made from."""

    def read_row(self, one: str) -> Reading:
        """Read the file of an id."""

    def load_schema(self, digest: str) -> JSONValue:
        """Return the schema that lies under a digest in `schemas/`."""

    def load_config(self) -> FunctionConfig:
        """Return the function config as it is now."""


class DatasetIndex:
    """The live datapoints of one dataset.

    Attributes:
        lock: Held by whoever brings something up to date, and until it is read.
        names: Which datapoints there are.
        watches: What the kernel tells of.
        orders: The orders of all live rows; up to date after `complete`.
        schemas: Output schemas by digest; that a file is still what its digest says is another question.
        fit_schemas: Digests of schemas whose file is, as long as no event says otherwise.

    Args:
        layout: Where they lie.
        disk: The door to the disk.
        get_feed: Returns the store's feed of changes, or None where there is none.
        budget: What may be kept of texts.
    """

    def __init__(
        self, layout: DatasetLayout, disk: Disk, get_feed: Callable[[], ChangeFeed | None], budget: TextBudget
    ) -> None:
        self.lock = threading.RLock()
        self.names = DatasetNames(layout, disk)
        self.watches = Watches(layout, disk, get_feed)
        self.orders = Orders()
        self.schemas: SchemaMemory = {}
        self.fit_schemas: set[str] = set()
        self.is_complete = False
        self._layout = layout
        self._disk = disk
        self._rows: dict[str, Row] = {}
        self._signatures: dict[str, bytes] = {}
        self._checked: dict[str, int] = {}
        self._generation = 0
        self._single_reads = 0
        self._complete_generation = -1
        self._doubted: set[str] = set()
        self._unread: set[str] = set()
        self._linked: set[str] = set()
        self._configured: set[str] = set()
        self._config: FunctionConfig | None = None
        self._digests: Counter[str] = Counter()
        self._budget = budget

    def release(self) -> None:
        """Give back what others could use; the index is not used any more."""
        for row in list(self._rows.values()):
            if row.texts is not None:
                self._budget.give_back(len(row.texts))

    # --- which datapoints there are

    def refresh_names(self, own_mtime_ns: int) -> None:
        """Bring the names up to date, and note which rows have come into doubt; the lock is held.

        Args:
            own_mtime_ns: The mtime that the store's own last change left on the dataset's directory.
        """
        if self.names.is_listed and not self.watches.is_on:  # a process that lists once needs no watches
            self.watches.start()
        try:
            doubts = self.watches.take_doubts()
            if not doubts.everything:
                if doubts.schemas:
                    self.fit_schemas.clear()
                if doubts.names or doubts.tombstones or doubts.shards:
                    self._doubted.update({name.removesuffix(".json") for name in doubts.names} & self._rows.keys())
                    self._follow(self.names.look_at(doubts.names, doubts.tombstones, doubts.shards))
                return
            self._generation += 1
            self.fit_schemas.clear()
            self._follow(self.names.list_all(own_mtime_ns))
        except BaseException:
            self.watches.close()  # what was in doubt is not settled
            raise

    def is_worth_watching(self) -> bool:
        """Tell whether the kernel tells of changes, which it is asked to once single datapoints were read a few times.

        From then on they are answered from memory, for a listing of the directory.
        """
        if not self.watches.is_on:
            self._single_reads += 1
            if self._single_reads % _SINGLE_READS == 0:
                self.watches.start()
        return self.watches.is_on

    def staled_at(self, one: str, own_mtime_ns: int) -> datetime | None:
        """Return when a datapoint was deleted, or None while it is live."""
        if self.watches.is_on and self.lock.acquire(blocking=False):
            try:
                self.refresh_names(own_mtime_ns)
                return self.names.stale.get(one)
            finally:
                self.lock.release()
        return self.names.staled_at(one)

    def _follow(self, shift: Shift) -> None:
        gone = [row for one in shift.gone for row in self._forget(one)]
        if self.is_complete:
            self.orders.update(gone, ())
            self._unread |= shift.come
            self._unread -= shift.gone

    # --- what is in them

    def rows(self, ids: Iterable[str], source: Source) -> list[Row]:
        """Return rows of live datapoints as their files are; the names are up to date, and the lock is held.

        Raises:
            FileContentError: A file cannot be read.
            FileNotFoundError: One is gone.
        """
        self._doubt_configured(source)
        return [self._row(one, source) for one in ids]

    def get(self, one: str, source: Source) -> Row | Datapoint:
        """Return a live datapoint as its file is, or the row of it; the names are up to date, and the lock is held.

        Raises:
            FileContentError: The file cannot be read.
            FileNotFoundError: It is gone.
        """
        self._doubt_configured(source)
        row = self._find_fit(one, source)
        return row if row is not None and row.texts is not None else self._reread(one, row, source).datapoint

    def complete(self, source: Source) -> None:
        """Bring the rows of all live datapoints, and their orders, up to date; the lock is held.

        Raises:
            FileContentError: A file cannot be read.
            FileNotFoundError: One is gone.
        """
        self._doubt_configured(source)
        unfit = {digest for digest in self._digests.keys() - self.fit_schemas if not self._is_fit(digest, source)}
        if unfit:
            self._doubted.update(one for one, row in self._rows.items() if row.schema in unfit)
        if self.is_complete and self.watches.is_on and self._generation == self._complete_generation:
            doubtful = sorted({*self._unread, *self._linked, *self._doubted})  # of several mistakes the same is told
        else:
            doubtful = self.names.live
        self._load([one for one in doubtful if self._find_valid(one) is None], source)
        self._unread.clear()
        self._complete_generation = self._generation
        if not self.is_complete:
            self.orders.update((), self._rows.values())
            self.is_complete = True

    def find_row(self, one: str, source: Source) -> Row:
        """Return a row that `complete` has brought up to date, with its texts."""
        row = self._rows[one]
        return source.read_row(one).row if row.texts is None else row

    def peek(self, one: str, source: Source) -> Row:
        """Return a row that `complete` has brought up to date; its texts may be missing."""
        return self._rows[one]

    def _row(self, one: str, source: Source) -> Row:
        row = self._find_fit(one, source)
        return row if row is not None and row.texts is not None else self._reread(one, row, source).row

    def _find_fit(self, one: str, source: Source) -> Row | None:
        """Return the row of an id unless it, or its schema, must be read again."""
        row = self._find_valid(one)
        return row if row is None or row.schema is None or self._is_fit(row.schema, source) else None

    def _find_valid(self, one: str) -> Row | None:
        """Return the row of an id unless it must be read again."""
        row = self._rows.get(one)
        if row is None or one in self._doubted:
            return None
        if self._checked[one] == self._generation and one not in self._linked:
            return row
        path = f"{self._layout.path}/{one}.json"
        status = self._disk.status(path)
        if status is None:
            raise FileNotFoundError(errno.ENOENT, "it is gone", path)
        if _SIGNATURE.pack(*signature(status)) != self._signatures[one]:
            return None
        self._checked[one] = self._generation
        return row

    def _load(self, ids: Iterable[str], source: Source) -> None:
        gone: list[Row] = []
        come: list[Row] = []
        try:
            for one in ids:
                reading = source.read_row(one)
                gone += self._forget(one)
                self._remember(one, reading)
                come.append(reading.row)
        finally:
            if self.is_complete:
                self.orders.update(gone, come)

    def _reread(self, one: str, row: Row | None, source: Source) -> Reading:
        """Read a file of which no row is valid, or one whose row has no texts: there was no room for them."""
        reading = source.read_row(one)
        if row is None:
            gone = self._forget(one)
            self._remember(one, reading)
            if self.is_complete:
                self.orders.update(gone, (reading.row,))
        return reading

    def _remember(self, one: str, reading: Reading) -> None:
        row = reading.row
        if row.texts is not None and not self._budget.take(len(row.texts)):
            row = row._replace(texts=None)
        self._rows[one] = row
        self._checked[one] = self._generation
        self._signatures[one] = b"" if reading.signature is None else _SIGNATURE.pack(*reading.signature)
        if reading.is_linked:
            self._linked.add(one)
        if reading.is_configured:
            self._configured.add(one)
        if row.schema is not None:
            self._digests[row.schema] += 1

    def _forget(self, one: str) -> list[Row]:
        """Forget the row of an id, and return it if there is one."""
        for ids in (self._doubted, self._linked, self._configured):
            ids.discard(one)
        row = self._rows.pop(one, None)
        if row is None:
            return []
        if row.texts is not None:
            self._budget.give_back(len(row.texts))
        del self._checked[one], self._signatures[one]
        if row.schema is not None:
            self._digests[row.schema] -= 1
            if not self._digests[row.schema]:
                del self._digests[row.schema]
        return [row]

    def _doubt_configured(self, source: Source) -> None:
        """Doubt the rows that another function config was needed for."""
        if self._configured and (config := source.load_config()) is not self._config:
            self._doubted |= self._configured
            self._config = config

    def _is_fit(self, digest: str, source: Source) -> bool:
        """Tell whether a schema file is there, with the content that its name says."""
        if digest in self.fit_schemas:
            return True
        try:
            source.load_schema(digest)
        except (ShapeError, FileContentError):
            return False
        if self.watches.is_on:
            self.fit_schemas.add(digest)
        return True
