"""The stores that people would pick instead, each as durable as it can be.

Each can `close`, `insert` records, `get` one by its id, and return the `newest` (last inserted first), those
`with_tag`, and all (`scan`, in the order of insertion).
"""

from __future__ import annotations

import importlib.util
import os
import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

Record = dict[str, Any]
"""A datapoint with its `id`; ids ascend."""


class JsonLines:
    """One file, one record on each line: appended to, and searched from its beginning."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "records.jsonl"
        self._path.touch()
        self.close = lambda: None

    def insert(self, records: Sequence[Record]) -> None:
        with self._path.open("ab") as file:
            file.write(b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records))
            file.flush()
            os.fsync(file.fileno())

    def get(self, id: str) -> Record:
        beginning = orjson.dumps({"id": id})[:-1]
        with self._path.open("rb") as file:
            return next(orjson.loads(line) for line in file if line.startswith(beginning))

    def newest(self, count: int) -> list[Record]:
        with self._path.open("rb") as file:
            return [orjson.loads(line) for line in reversed(deque(file, count))]

    def scan(self) -> list[Record]:
        with self._path.open("rb") as file:
            return [orjson.loads(line) for line in file]

    def with_tag(self, tag: tuple[str, str], count: int) -> list[Record]:
        with self._path.open("rb") as file:
            return _first(map(orjson.loads, file), tag, count)


class Sqlite:
    """A table of one JSON column in sqlite3."""

    def __init__(self, directory: Path) -> None:
        self._connection = sqlite3.connect(directory / "records.db", isolation_level=None)
        self.close = self._connection.close
        for statement in (
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=FULL",
            "CREATE TABLE IF NOT EXISTS record (id TEXT PRIMARY KEY, body TEXT NOT NULL)",
        ):
            self._connection.execute(statement)

    def insert(self, records: Sequence[Record]) -> None:
        rows = [(record["id"], orjson.dumps(record).decode()) for record in records]
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT INTO record VALUES (?, ?)", rows)
        self._connection.execute("COMMIT")

    def get(self, id: str) -> Record:
        [found] = self._select("WHERE id = ?", id)
        return found

    def newest(self, count: int) -> list[Record]:
        return self._select("ORDER BY id DESC LIMIT ?", count)

    def scan(self) -> list[Record]:
        return self._select("ORDER BY id")

    def with_tag(self, tag: tuple[str, str], count: int) -> list[Record]:
        return self._select("WHERE json_extract(body, ?) = ? LIMIT ?", f"$.tags.{tag[0]}", tag[1], count)

    def _select(self, rest: str, *values: object) -> list[Record]:
        return [orjson.loads(body) for (body,) in self._connection.execute(f"SELECT body FROM record {rest}", values)]


class TinyDB:
    """TinyDB, which reads and writes its one file as a whole."""

    def __init__(self, directory: Path) -> None:
        import tinydb

        self._database = tinydb.TinyDB(directory / "records.json")
        self._where = tinydb.where
        self.close = self._database.close

    def insert(self, records: Sequence[Record]) -> None:
        self._database.insert_multiple(records)

    def get(self, id: str) -> Record:
        found = self._database.get(self._where("id") == id)
        assert isinstance(found, dict)
        return dict(found)

    def newest(self, count: int) -> list[Record]:
        return self.scan()[: -count - 1 : -1]

    def scan(self) -> list[Record]:
        return [dict(one) for one in self._database.all()]

    def with_tag(self, tag: tuple[str, str], count: int) -> list[Record]:
        condition = self._where("tags")[tag[0]] == tag[1]
        return [dict(one) for one in self._database.search(condition)[:count]]


class DiskCache:
    """diskcache, which keeps pickles in sqlite3."""

    def __init__(self, directory: Path) -> None:
        import diskcache

        self._cache = diskcache.Cache(
            str(directory / "cache"), eviction_policy="none", size_limit=1 << 40, sqlite_synchronous=2
        )
        self.close = self._cache.close

    def insert(self, records: Sequence[Record]) -> None:
        with self._cache.transact():
            for record in records:
                self._cache.set(record["id"], record)

    def get(self, id: str) -> Record:
        record: Record = self._cache[id]
        return record

    def newest(self, count: int) -> list[Record]:
        return [self._cache[id] for id in islice(reversed(self._cache), count)]

    def scan(self) -> list[Record]:
        return list(self._iter_all())

    def with_tag(self, tag: tuple[str, str], count: int) -> list[Record]:
        return _first(self._iter_all(), tag, count)

    def _iter_all(self) -> Iterator[Record]:
        return (self._cache[id] for id in self._cache)


Rival = JsonLines | Sqlite | TinyDB | DiskCache

_RIVALS: dict[str, type[Rival]] = {
    "JSON Lines": JsonLines,
    "sqlite3": Sqlite,
    "TinyDB": TinyDB,
    "diskcache": DiskCache,
}
_PACKAGES = {"TinyDB": "tinydb", "diskcache": "diskcache"}
_TINYDB_MOST = 10_000
"""Every write to TinyDB writes the whole file again: beyond this size one would take seconds."""


def open_rivals(directory: Path, size: int) -> tuple[dict[str, Rival], dict[str, str]]:
    """Make an empty store of each kind; return them by name, and for each that is left out the reason."""
    rivals: dict[str, Rival] = {}
    notes = {}
    for name, kind in _RIVALS.items():
        if name in _PACKAGES and importlib.util.find_spec(_PACKAGES[name]) is None:
            notes[name] = "not installed"
        elif name == "TinyDB" and size > _TINYDB_MOST:
            notes[name] = "skipped: every write would write the whole file again"
        else:
            home = directory / name.replace(" ", "-")
            home.mkdir(parents=True)
            rivals[name] = kind(home)
    return rivals, notes


def _first(records: Iterator[Record], tag: tuple[str, str], count: int) -> list[Record]:
    return list(islice((one for one in records if one["tags"].get(tag[0]) == tag[1]), count))
