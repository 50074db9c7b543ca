"""One look at a dataset: the ids that are there, which of them are stale, and what their files hold.

A view is made for one operation. It never writes, and it never leaves out a file that it cannot read.
"""

from __future__ import annotations

import errno
import os
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TypeVar

from filestore.codec import JSONValue, pack, unpack
from filestore.datapoint_file import read_schema
from filestore.errors import FileContentError, ShapeError, StorageError
from filestore.ids import file_name, parse_file_name
from filestore.storage.change import Pending, Replaced
from filestore.storage.files import Disk, is_young, signature
from filestore.storage.index import DatasetIndex
from filestore.storage.layout import DatasetLayout, Entry, parse_tombstone_name
from filestore.storage.names import list_json_names
from filestore.storage.patience import Patience, is_recent
from filestore.storage.placing import find_digest, is_as_read

__all__ = ["DatasetView"]

T = TypeVar("T")
_MOST_SEEN_SCHEMAS = 1000
_MOST_KNOWN_SCHEMAS = 4000
"""Each datapoint may have a schema of its own: what is kept of them is bounded. Values take more room than bytes."""


class DatasetView:
    """A dataset as one operation sees it.

    Args:
        layout: Where the dataset lies.
        disk: The door to the disk.
        index: What the process remembers of the dataset.
        own_mtime_ns: The mtime that the store's own last change left on the directory.
        pending: A committed change to be seen as if it were applied, where it cannot be.

    Attributes:
        since_ns: A time before anything was read.
    """

    def __init__(
        self,
        layout: DatasetLayout,
        disk: Disk,
        index: DatasetIndex,
        own_mtime_ns: int,
        pending: Pending | None = None,
    ) -> None:
        self.since_ns = time.time_ns()
        self.layout = layout
        self.index = index
        self.is_overlaid = pending is not None
        self._disk = disk
        self._own_mtime_ns = own_mtime_ns
        self._pending = pending
        self._seen_schemas: dict[str, JSONValue] = {}
        self._seen_bytes: dict[Entry, bytes | None] = {}
        self._found: dict[Entry, tuple[bytes, os.stat_result]] = {}

    # --- which datapoints there are

    def refresh_names(self) -> None:
        """Bring what the index knows of names up to date; its lock is held."""
        self.index.refresh_names(self._own_mtime_ns)

    def ids(self) -> list[uuid.UUID]:
        """Return the ids of all datapoint files, live and stale, newest first."""
        with self.index.lock:
            self.refresh_names()
            ids = self.index.names.ids()
        if self._pending is None:
            return list(map(uuid.UUID, ids))
        staged = {
            name.removesuffix(".json")
            for kind, name in (
                (entry.kind, entry.name) for entry, replaces in self._pending.puts.items() if not replaces
            )
            if kind == "datapoint" and parse_file_name(name)
        }
        removed = {entry.name.removesuffix(".json") for entry in self._pending.removed if entry.kind == "datapoint"}
        return list(map(uuid.UUID, sorted(staged.union(ids).difference(removed), reverse=True)))

    def tombstones(self) -> dict[uuid.UUID, datetime]:
        """Return when each stale datapoint was deleted."""
        with self.index.lock:
            self.refresh_names()
            tombstones = {uuid.UUID(one): staled_at for one, staled_at in self.index.names.stale.items()}
        if self._pending is None:
            return tombstones
        for entry in self._pending.removed:
            self._forget(tombstones, entry)
        for entry in self._pending.puts:
            if entry.kind == "tombstone":
                self._remember(tombstones, entry)
        return tombstones

    def staled_at(self, datapoint_id: uuid.UUID) -> datetime | None:
        """Return when a datapoint was deleted, or None while it is live."""
        if self._pending is not None:
            return self.tombstones().get(datapoint_id)
        return self.index.staled_at(str(datapoint_id), self._own_mtime_ns)

    def live_ids(self) -> list[uuid.UUID]:
        """Return the ids of all live datapoints, newest first."""
        if self._pending is None:
            with self.index.lock:
                self.refresh_names()
                return list(map(uuid.UUID, reversed(self.index.names.live)))
        tombstones = self.tombstones()
        return [datapoint_id for datapoint_id in self.ids() if datapoint_id not in tombstones]

    def iter_live(self) -> Iterator[str]:
        """Iterate over the ids of all live datapoints as text, newest first.

        They take little memory where no list was asked for before, as this one is not remembered.
        """
        if self._pending is not None:
            return map(str, self.live_ids())
        with self.index.lock:
            if not self.index.names.is_listed:
                return self.index.names.look_once(self._own_mtime_ns)
            self.refresh_names()
            return reversed(self.index.names.live.copy())

    def tombstone_entries(self, datapoint_id: uuid.UUID) -> list[Entry]:
        """Return every tombstone of a datapoint."""
        shard = self.layout.shard(datapoint_id)
        for path in (self.layout.tombstones, shard):
            self._disk.check_directory(path)
        names = self._disk.names(shard)
        parsed = ((name, parse_tombstone_name(name)) for name in names)
        return [Entry("tombstone", name) for name, found in parsed if found is not None and found[0] == datapoint_id]

    @staticmethod
    def _forget(tombstones: dict[uuid.UUID, datetime], entry: Entry) -> None:
        parsed = parse_tombstone_name(entry.name)
        if parsed is not None and tombstones.get(parsed[0]) == parsed[1]:
            del tombstones[parsed[0]]

    @staticmethod
    def _remember(tombstones: dict[uuid.UUID, datetime], entry: Entry) -> None:
        parsed = parse_tombstone_name(entry.name)
        if parsed is not None:
            tombstones[parsed[0]] = min(parsed[1], tombstones.get(parsed[0], parsed[1]))

    # --- what their files hold

    def read(self, datapoint_id: str, parse: Callable[[bytes, str], T]) -> tuple[T, os.stat_result]:
        """Return what `parse(data, path)` makes of a datapoint's file, and the file's status.

        Raises:
            FileNotFoundError: There is no such file.
            FileContentError: The file cannot be read, and nobody is just writing it.
        """
        if self._pending is None:
            try:
                data, status = self._disk.read(f"{self.layout.path}/{datapoint_id}.json")
                return parse(data, f"{self.layout.directory}/{datapoint_id}.json"), status
            except (OSError, FileContentError):
                pass  # it may just be written: look closely
        entry = Entry("datapoint", f"{datapoint_id}.json")
        try:
            return self._read(entry, parse)
        except FileNotFoundError:
            found = self.find(uuid.UUID(datapoint_id), parse)  # waits, as git may just be replacing it
            if found is None:
                raise
            return found

    def read_unchecked(self, datapoint_id: str) -> bytes | None:
        """Return the bytes of a datapoint's file, None where it takes `read` to get them, or to say what is wrong."""
        if self._pending is not None:
            return None
        try:
            return self._disk.read_unchecked(f"{self.layout.path}/{datapoint_id}.json")
        except OSError:
            return None

    def find(self, datapoint_id: uuid.UUID, parse: Callable[[bytes, str], T]) -> tuple[T, os.stat_result] | None:
        """Return what `parse(data, path)` makes of a datapoint's file and the file's status, None where none is.

        However often it is asked, a view finds the same bytes: a change is computed from one state of the file.
        """
        entry = Entry("datapoint", file_name(datapoint_id))
        if entry in self._found:
            data, status = self._found[entry]
            return parse(data, self.layout.shown(self.layout.final(entry))), status

        def look() -> tuple[tuple[bytes, T], os.stat_result] | None:
            try:
                return self._read(entry, lambda data, path: (data, parse(data, path)))
            except FileNotFoundError:
                return None

        names = self.index.names
        found = look() or names.look_patiently(look, self._own_mtime_ns, lambda found: found is not None)
        if found is None and names.knows(str(datapoint_id)) and names.wait_for({str(datapoint_id)}):
            found = look()
        if found is None:
            return None
        (data, parsed), status = found
        self._found[entry] = data, status
        return parsed, status

    def is_there(self, datapoint_id: uuid.UUID) -> bool:
        """Tell whether a datapoint has a file, live or stale.

        Raises:
            StorageError: What has its name is no file.
        """
        status = None if self._pending else self._disk.status(self.layout.datapoint(datapoint_id))
        if status is not None and stat.S_ISREG(status.st_mode):
            return True
        return self.find(datapoint_id, lambda data, path: None) is not None

    def load_schema(self, digest: str) -> JSONValue:
        """Return the schema that lies under a digest in `schemas/`.

        Raises:
            ShapeError: There is none.
            FileContentError: It was altered, or is no JSON.
        """
        return self._seen_schemas[digest] if digest in self._seen_schemas else self.look_at_schema(digest)

    def look_at_schema(self, digest: str) -> JSONValue:
        """Return a schema as `load_schema` does, and look at its file even if that was done before."""
        self._seen_schemas.pop(digest, None)
        schema = self._find_schema(digest)
        if len(self._seen_schemas) >= _MOST_SEEN_SCHEMAS:
            self._seen_schemas.clear()
        self._seen_schemas[digest] = schema
        return schema

    def _find_schema(self, digest: str) -> JSONValue:
        entry = Entry("schema", f"{digest}.json")
        known = self.index.schemas.get(digest)
        if known is not None and self._disk.check_directory(self.layout.schemas) is not None:
            status = self._disk.status(self.layout.final(entry))
            if status is not None and known[0] == signature(status):
                return unpack(known[1])
        return self._read_schema(entry, digest)

    def _read_schema(self, entry: Entry, digest: str) -> JSONValue:
        self._disk.check_directory(self.layout.parent(entry))
        now = time.time_ns()
        try:
            schema, status = self._read(entry, lambda data, path: read_schema(data, path, digest))
        except FileNotFoundError:
            path = self.layout.shown(self.layout.final(entry))
            raise ShapeError(f"there is no {path}: restore it from git", code="missing-schema") from None
        if not is_young(status, now):  # one more change could leave the same signature
            if len(self.index.schemas) >= _MOST_KNOWN_SCHEMAS:
                self.index.schemas.clear()
            self.index.schemas[digest] = (signature(status), pack(schema))
        return schema

    def find_bytes(self, entry: Entry) -> bytes | None:
        """Return the bytes of a schema or an attached file as they are, or None where there is none."""
        if entry not in self._seen_bytes:
            self._disk.check_directory(self.layout.parent(entry))
            try:
                self._seen_bytes[entry] = self._open(entry, self.layout.final(entry))[0]
            except FileNotFoundError:
                self._seen_bytes[entry] = None
        return self._seen_bytes[entry]

    def look(self, entry: Entry, parse: Callable[[bytes, str], T]) -> tuple[T, bytes, os.stat_result]:
        """Return what `parse(data, path)` makes of a schema or a draft, its bytes, and the file's status.

        Raises:
            FileNotFoundError: There is no such file.
            FileContentError: The file cannot be read, and nobody is just writing it.
        """
        self._disk.check_directory(self.layout.parent(entry))
        (parsed, data), status = self._read(entry, lambda data, path: (parse(data, path), data))
        return parsed, data, status

    def names_of(self, kind: str) -> list[str]:
        """Return the names of the files of one kind that carries its kind in its directory."""
        path = self.layout.parent_of(kind)
        self._disk.check_directory(path)
        return [name for name in self._disk.names(path) if Entry.is_name(kind, name)]

    def has_file(self, path: str) -> bool:
        """Tell whether anything lies at a path in the dataset's directory."""
        return self._disk.status(f"{self.layout.path}/{path}") is not None

    def json_names(self, *, is_patient: bool = False) -> set[str]:
        """Return the names of all JSON files in the dataset's directory: datapoints, drafts and mistakes.

        Args:
            is_patient: Whether to look for so long that none is missing which somebody takes away for a moment.
        """
        if not is_patient:
            return list_json_names(self._disk, self.layout)
        names = self.index.names.json_names(self._own_mtime_ns)
        return names.union(map(file_name, self.ids())) if self._pending is None else names

    def is_json_as_read(self, name: str, read: Replaced) -> bool:
        """Tell whether a JSON file in the dataset's directory is still in the state it was read in."""
        return is_as_read(self._disk, f"{self.layout.path}/{name}", read)

    def read_json(self, name: str) -> tuple[bytes, os.stat_result]:
        """Return the bytes of a JSON file in the dataset's directory, and its status.

        Raises:
            FileNotFoundError: It is gone.
        """
        return self._disk.read(f"{self.layout.path}/{name}")

    def _read(self, entry: Entry, parse: Callable[[bytes, str], T]) -> tuple[T, os.stat_result]:
        path = self.layout.final(entry)
        patience = Patience()
        while True:
            now = time.time_ns()
            data, status = self._open(entry, path)
            try:
                return parse(data, self.layout.shown(path)), status
            except FileContentError:
                if not self._is_changing(status, now) or patience.is_over():
                    raise

    def _is_changing(self, status: os.stat_result, now_ns: int) -> bool:
        """Tell whether a file, or the directories of what it refers to, changed within the last second."""
        places = (self._disk.status(self.layout.path), self._disk.status(self.layout.schemas))
        return any(is_recent(one, now_ns) for one in (status, *places))

    def _open(self, entry: Entry, path: str) -> tuple[bytes, os.stat_result]:
        if self._pending is not None and entry in self._pending.removed:
            raise FileNotFoundError(errno.ENOENT, "it was removed", path)
        staged = self._find_staged(entry, path)
        if staged is not None:
            return staged
        try:
            return self._disk.read(path)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StorageError(f"{self.layout.shown(path)} cannot be read: {error.strerror}") from error

    def _find_staged(self, entry: Entry, path: str) -> tuple[bytes, os.stat_result] | None:
        """Return what a pending change puts in a place, or None where it has been put or a hand edit keeps it out."""
        if self._pending is None or entry not in self._pending.puts:
            return None
        try:
            staged = self._disk.read(self.layout.staged(entry))
        except FileNotFoundError:
            return None
        is_kept_out = entry.kind == "datapoint" and find_digest(self._disk, path) != self._pending.puts[entry]
        return None if is_kept_out else staged
