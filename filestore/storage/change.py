"""What one write does to a dataset, and its manifest on the disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import NamedTuple

from filestore.codec import JSONValue, dumps, loads
from filestore.shapes import ObjectReader, expect_text
from filestore.storage.files import Signature, signature
from filestore.storage.layout import Entry

__all__ = ["Change", "Pending", "Replaced"]


class Replaced(NamedTuple):
    """The state of a file that a change was computed from."""

    signature: Signature
    digest: str
    """SHA-256 of its bytes."""
    mode: int
    """Its permission bits, which the new file gets."""

    @classmethod
    def of(cls, data: bytes, status: os.stat_result) -> Replaced:
        """Return the state of a file that was just read."""
        import hashlib

        return cls(signature(status), hashlib.sha256(data).hexdigest(), stat.S_IMODE(status.st_mode))


class Change:
    """What one write does to a dataset: all of it or nothing.

    Attributes:
        puts: The files to write, with their bytes.
        replaced: The state in which those that exist already were read, and those that a successor takes over from.
        removed: The tombstones to take away.
    """

    def __init__(self, removed: Iterable[Entry] = ()) -> None:
        self.puts: dict[Entry, bytes] = {}
        self.replaced: dict[Entry, Replaced] = {}
        self.removed = list(removed)


class Pending(NamedTuple):
    """A committed change that may not be wholly in its place yet.

    Attributes:
        head: The commit HEAD was at, None outside a repository.
        puts: The files it writes, with the digest of the file each one replaces.
        removed: The tombstones it takes away.
    """

    head: str | None
    puts: dict[Entry, str | None]
    removed: list[Entry]

    def render(self) -> bytes:
        """Return the manifest: ids and kinds, never paths."""
        puts: list[JSONValue] = [
            {"kind": entry.kind, "name": entry.name, "replaces": digest} for entry, digest in self.puts.items()
        ]
        removed: list[JSONValue] = [{"kind": entry.kind, "name": entry.name} for entry in self.removed]
        return dumps({"head": self.head, "puts": puts, "removed": removed})

    @classmethod
    def parse(cls, data: bytes) -> Pending:
        """Read a manifest; it may come from strangers.

        Raises:
            ValueError: It is no manifest.
        """
        reader = ObjectReader(loads(data))
        puts = reader.require_list("puts", lambda item: (_parse_entry(item), _parse_digest(item)))
        return cls(reader.take("head", expect_text), dict(puts), reader.require_list("removed", _parse_entry))


def _parse_entry(value: JSONValue) -> Entry:
    reader = ObjectReader(value)
    return Entry(reader.require("kind", expect_text), reader.require("name", expect_text))


def _parse_digest(value: JSONValue) -> str | None:
    return ObjectReader(value).take("replaces", expect_text)
