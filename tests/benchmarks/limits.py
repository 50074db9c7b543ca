"""The limits: bare loops of the file operations that a job cannot do without."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import orjson

__all__ = ["insert_batch", "insert_one", "read_all", "read_bytes", "read_one"]


def insert_batch(stage: str, target: str, files: Mapping[str, bytes]) -> None:
    """Make files appear in a directory, durably: written elsewhere, synced once, renamed, the names synced."""
    os.mkdir(stage)
    watched = os.open(stage, os.O_RDONLY)
    for name, data in files.items():
        _write(f"{stage}/{name}", data)
    if _libc().syncfs(watched) != 0:
        raise OSError(ctypes.get_errno(), "syncfs")
    os.close(watched)
    for name in files:
        os.rename(f"{stage}/{name}", f"{target}/{name}")
    _sync_directory(target)
    os.rmdir(stage)


def insert_one(stage: str, target: str, data: bytes) -> None:
    """Make one file appear at a path, durably: write, fsync, rename, fsync of the directory."""
    _write(stage, data, sync=True)
    os.rename(stage, target)
    _sync_directory(os.path.dirname(target))


def read_all(directory: str) -> list[Any]:
    """Return the values of all JSON files of a directory."""
    with os.scandir(directory) as entries:
        return [read_one(entry.path) for entry in entries if entry.name.endswith(".json")]


def read_one(path: str) -> Any:
    """Return the value of one JSON file of at most 64 KiB."""
    descriptor = os.open(path, os.O_RDONLY)
    data = os.read(descriptor, 65536)
    os.close(descriptor)
    return orjson.loads(data)


def read_bytes(directory: str, names: Iterable[str]) -> dict[str, bytes]:
    """Return what files of a directory hold, by name."""
    files = {}
    for name in names:
        with open(f"{directory}/{name}", "rb") as file:
            files[name] = file.read()
    return files


def _write(path: str, data: bytes, *, sync: bool = False) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    os.write(descriptor, data)
    if sync:
        os.fsync(descriptor)
    os.close(descriptor)


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
