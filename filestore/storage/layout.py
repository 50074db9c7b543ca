"""Where things lie: every path of a store is built here, from names that have been checked before."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from filestore.attachments import ATTACHMENT_NAME
from filestore.codec import JSONValue, compact
from filestore.ids import file_name, format_file_time, is_draft_name, parse_file_time, spell_dataset_name

__all__ = [
    "EDITOR_SCHEMA",
    "DatasetLayout",
    "Entry",
    "Kind",
    "find_references",
    "parse_tombstone_name",
    "tombstone_names",
]

INTERNAL = ".filestore"
"""Locks, staging and caches: never committed, nothing in it trusted beyond ids and kinds."""

EDITOR_SCHEMA = "datapoint.schema.json"
"""The file in `schemas/` by which editors check datapoint files; no output schema."""

_ID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_TOMBSTONE = re.compile(rf"({_ID})@(\d{{8}}T\d{{6}}\.\d{{6}}Z)")
_NAMES = {
    "datapoint": re.compile(rf"{_ID}\.json"),
    "schema": re.compile(r"[0-9a-f]{16,64}\.json"),
    "file": ATTACHMENT_NAME,
    "tombstone": _TOMBSTONE,
    "editor": re.compile(re.escape(EDITOR_SCHEMA)),
}
_REFERENCES = {
    "schema": re.compile(r"schemas/([0-9a-f]{16,64}\.json)"),
    "file": re.compile(rf"files/({ATTACHMENT_NAME.pattern})"),
}
Kind = str
"""What a file of a dataset is: `datapoint`, `schema`, `file`, `tombstone`, `draft` or `editor`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a dataset, named by kind and file name; the two alone decide where it lies."""

    kind: Kind
    name: str

    def __post_init__(self) -> None:
        if not self.is_name(self.kind, self.name):
            raise ValueError(f"no file of a dataset: {self.kind} {self.name!r}")

    @staticmethod
    def is_name(kind: Kind, name: str) -> bool:
        """Tell whether a file of a kind may have a name."""
        if kind == "draft":
            return is_draft_name(name)
        pattern = _NAMES.get(kind)
        return pattern is not None and pattern.fullmatch(name) is not None

    @property
    def staged_name(self) -> str:
        """Its name in the staging directory, where all kinds lie side by side."""
        return f"{self.kind}-{self.name}"


@dataclass(frozen=True)
class DatasetLayout:
    """The paths of one dataset.

    Attributes:
        root: The store's root, absolute and free of links.
        name: The dataset's name as the caller spelled it.
        directory: The name of its directory.
    """

    root: str
    name: str
    directory: str

    @classmethod
    def of(cls, root: str, dataset_name: str) -> DatasetLayout:
        """Return the layout of a dataset.

        Raises:
            DatasetNameError: The name cannot be a dataset's.
        """
        return cls(root, dataset_name, spell_dataset_name(dataset_name))

    @cached_property
    def path(self) -> str:
        """The dataset's directory."""
        return f"{self.root}/{self.directory}"

    @cached_property
    def internal(self) -> str:
        """The dataset's part of the store's internal directory."""
        return f"{self.root}/{INTERNAL}/{self.directory}"

    @cached_property
    def lock(self) -> str:
        """The file whose lock every writer of the dataset holds."""
        return f"{self.internal}/lock"

    @cached_property
    def sequence(self) -> str:
        """The file with the dataset's sequence number."""
        return f"{self.internal}/seq"

    @cached_property
    def pending(self) -> str:
        """The directory of a committed change that is being applied."""
        return f"{self.internal}/pending"

    @cached_property
    def copies(self) -> str:
        """The directory of copies that people are editing; no dataset's internal directory has an `@`."""
        return f"{self.root}/{INTERNAL}/edits@/{self.directory}"

    @cached_property
    def tombstones(self) -> str:
        """The tombstone index."""
        return f"{self.path}/tombstones"

    @cached_property
    def schemas(self) -> str:
        """The output schemas in force."""
        return f"{self.path}/schemas"

    def datapoint(self, datapoint_id: uuid.UUID) -> str:
        """Return the path of a datapoint file."""
        return f"{self.path}/{file_name(datapoint_id)}"

    def shard(self, datapoint_id: uuid.UUID) -> str:
        """Return the directory that holds an id's tombstones."""
        return f"{self.tombstones}/{str(datapoint_id)[-2:]}"

    def final(self, entry: Entry) -> str:
        """Return where an entry lies in the dataset."""
        return f"{self.parent(entry)}/{entry.name}"

    def staged(self, entry: Entry) -> str:
        """Return where an entry of the pending change lies until it is applied."""
        return f"{self.pending}/{entry.staged_name}"

    def parent(self, entry: Entry) -> str:
        """Return the directory an entry lies in."""
        if entry.kind in ("datapoint", "draft"):
            return self.path
        if entry.kind == "editor":
            return self.schemas
        if entry.kind == "tombstone":
            return f"{self.tombstones}/{entry.name.partition('@')[0][-2:]}"
        return self.parent_of(entry.kind)

    def parent_of(self, kind: Kind) -> str:
        """Return the directory that all schemas, or all attached files, lie in."""
        return f"{self.path}/{kind}s"

    def shown(self, path: str) -> str:
        """Return a path as errors name it: relative to the root."""
        return path.removeprefix(f"{self.root}/")


def tombstone_names(ids: Iterable[uuid.UUID], staled_at: datetime) -> list[str]:
    """Return the names of the tombstones of datapoints that were deleted together."""
    time = format_file_time(staled_at)
    return [f"{datapoint_id}@{time}" for datapoint_id in ids]


def find_references(value: JSONValue) -> dict[Kind, list[str]]:
    """Return the names of the files in `schemas/` and `files/` that a value speaks of, by kind."""
    spelled = compact(value)  # the one spelling without escapes that could hide a name
    return {kind: list(dict.fromkeys(pattern.findall(spelled))) for kind, pattern in _REFERENCES.items()}


def parse_tombstone_name(name: str) -> tuple[uuid.UUID, datetime] | None:
    """Return the id and the time that a tombstone's name spells, or None where it is none."""
    match = _TOMBSTONE.fullmatch(name)
    if match is None:
        return None
    try:
        return uuid.UUID(int=int(match[1].replace("-", ""), 16)), parse_file_time(match[2])
    except ValueError:
        return None
