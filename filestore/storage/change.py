"""What one write does to a dataset, and its manifest on the disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import NamedTuple

from filestore.codec import JSONValue, dumps, loads
from filestore.shapes import ObjectReader, expect_text
from filestore.storage.files import Signature, is_young, signature
from filestore.storage.layout import Entry

__all__ = ["Change", "Pending", "Replaced"]


class Replaced(NamedTuple):
    """The state of a file that a change was computed from."""

    signature: Signature
    digest: str
    """SHA-256 of its bytes."""
    mode: int
    """Its permission bits, which the new file gets."""
    is_young: bool
    """Whether one more change might have left it with the same signature."""

    @classmethod
    def of(cls, data: bytes, status: os.stat_result, since_ns: int) -> Replaced:
        """Return the state of a file that was read after a moment."""
        import hashlib

        digest = hashlib.sha256(data).hexdigest()
        return cls(signature(status), digest, stat.S_IMODE(status.st_mode), is_young(status, since_ns))


class Change:
    """What one write does to a dataset: all of it or nothing.

    Attributes:
        puts: The files to write, with their bytes.
        replaced: The state in which those that exist already were read, those that a successor takes over from, and
            the drafts to take away.
        removed: The tombstones and drafts to take away, and what is purged.
        needed: The schemas and attached files that its datapoints need and that are there already.
        referrers: Where something is purged because nothing refers to it: all other JSON files of the dataset, by name,
            in the state in which they were read.
    """

    def __init__(self, removed: Iterable[Entry] = ()) -> None:
        self.puts: dict[Entry, bytes] = {}
        self.replaced: dict[Entry, Replaced] = {}
        self.removed = list(removed)
        self.needed: set[Entry] = set()
        self.referrers: dict[str, Replaced] | None = None


class Pending(NamedTuple):
    """A committed change that may not be wholly in its place yet.

    Attributes:
        head: The commit HEAD was at, None outside a repository.
        puts: The files it writes, with the digest of the file each one replaces.
        removed: The files it takes away, with the digest of those that go only if nobody has edited them since.
    """

    head: str | None
    puts: dict[Entry, str | None]
    removed: dict[Entry, str | None]

    @classmethod
    def of(cls, change: Change, head: str | None) -> Pending:
        """Return what is to be noted of a change."""

        def noted(entries: Iterable[Entry]) -> dict[Entry, str | None]:
            found = {entry: change.replaced.get(entry) for entry in entries}
            return {entry: replaced.digest if replaced else None for entry, replaced in found.items()}

        return cls(head, noted(change.puts), noted(change.removed))

    def render(self) -> bytes:
        """Return the manifest: ids and kinds, never paths."""
        return dumps({"head": self.head, "puts": _render(self.puts), "removed": _render(self.removed)})

    @classmethod
    def parse(cls, data: bytes) -> Pending:
        """Read a manifest; it may come from strangers.

        Raises:
            ValueError: It is no manifest.
        """
        reader = ObjectReader(loads(data))
        puts, removed = (dict(reader.require_list(key, _parse_entry)) for key in ("puts", "removed"))
        return cls(reader.take("head", expect_text), puts, removed)


def _render(entries: dict[Entry, str | None]) -> list[JSONValue]:
    return [{"kind": entry.kind, "name": entry.name, "replaces": digest} for entry, digest in entries.items()]


def _parse_entry(value: JSONValue) -> tuple[Entry, str | None]:
    reader = ObjectReader(value)
    entry = Entry(reader.require("kind", expect_text), reader.require("name", expect_text))
    return entry, reader.take("replaces", expect_text)
