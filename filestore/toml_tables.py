"""TOML documents merged into one tree that still knows which file each key is from."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from filestore.errors import ConfigError, suggest_name

__all__ = ["Table", "merge_documents", "render_key"]

T = TypeVar("T")
_KINDS: dict[type, str] = {str: "a string", bool: "`true` or `false`", dict: "a table", list: "a list of strings"}


class Table(NamedTuple):
    """A table of the merged documents: its place, its values, and the file that each key is from."""

    key: tuple[str, ...]
    values: Mapping[str, object]
    origins: Mapping[tuple[str, ...], str]

    def origin(self, key: str | None = None) -> str:
        """Return the file that a key is from, or the one that opened the table."""
        return self.origins[self.key if key is None else (*self.key, key)]

    def error(self, key: str | None, reason: str) -> ConfigError:
        """Return a mistake at a key that is there, or at the table itself."""
        place = self.key if key is None else (*self.key, key)
        return ConfigError(self.origin(key), render_key(place), reason)

    def take(self, key: str, kind: type[T]) -> T | None:
        """Return the value of an optional key."""
        value = self.values.get(key)
        if value is None or isinstance(value, kind):
            return value
        raise self.error(key, f"expected {_KINDS[kind]}")

    def require(self, key: str, kind: type[T], advice: str) -> T:
        """Return the value of a required key."""
        value = self.take(key, kind)
        if value is None:
            raise self.error(None, f"missing `{key}`: {advice}")
        return value

    def take_texts(self, key: str) -> tuple[str, ...]:
        """Return an optional list of strings; absent is empty."""
        items = self.take(key, list) or []
        if not all(isinstance(item, str) for item in items):
            raise self.error(key, f"expected {_KINDS[list]}")
        return tuple(items)

    def take_table(self, key: str) -> Table:
        """Return the table under an optional key; absent is empty."""
        return Table((*self.key, key), self.take(key, dict) or {}, self.origins)

    def tables(self) -> Iterator[tuple[str, Table]]:
        """Yield every key with the table under it."""
        for key in self.values:
            yield key, self.take_table(key)

    def refuse_unknown(self, known: Sequence[str]) -> None:
        """Refuse a key that is not among the known ones."""
        for key in self.values:
            if key not in known:
                raise self.error(key, f"unknown key; {suggest_name(key, known)}")


def merge_documents(documents: Sequence[tuple[str, bytes]]) -> Table:
    """Merge TOML documents, given by path and bytes; the same key in two of them is an error naming both."""
    values: dict[str, object] = {}
    origins: dict[tuple[str, ...], str] = {}
    for path, data in documents:
        try:
            _merge_table(values, _parse_toml(path, data), (), path, origins)
        except RecursionError:
            raise ConfigError(path, "", "it is nested too deeply") from None
    return Table((), values, origins)


def _merge_table(
    target: dict[str, object],
    source: dict[str, object],
    key: tuple[str, ...],
    path: str,
    origins: dict[tuple[str, ...], str],
) -> None:
    for name, value in source.items():
        place = (*key, name)
        if name not in target:
            origins[place] = path
            target[name] = {} if isinstance(value, dict) else value
        known = target[name]
        if isinstance(known, dict) and isinstance(value, dict):
            _merge_table(known, value, place, path, origins)
        elif origins[place] != path:
            raise ConfigError(path, render_key(place), f"also set in {origins[place]}; keep one of the two")


def _parse_toml(path: str, data: bytes) -> dict[str, object]:
    try:
        return tomllib.loads(data.removeprefix(b"\xef\xbb\xbf").decode())
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(path, "", f"line {line} is not UTF-8; save the file in that encoding") from None
    except ValueError as error:  # also what int() says of a number with thousands of digits
        raise ConfigError(path, "", f"not valid TOML: {error}") from None


def render_key(place: tuple[str, ...]) -> str:
    """Spell a key as TOML does.

    >>> render_key(("functions", "v1.2", "type"))
    'functions."v1.2".type'
    """
    return ".".join(
        part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else json.dumps(part, ensure_ascii=False) for part in place
    )
