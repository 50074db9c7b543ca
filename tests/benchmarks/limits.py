"""The limits: bare loops of the file operations that a job cannot do without."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import orjson


def insert_many(stage: str, target: str, files: Mapping[str, bytes]) -> None:
    """Make files appear below a directory, durably: written elsewhere, synced once, renamed, their names synced.

    Args:
        stage: A directory to make for that, and to remove again.
        target: Where.
        files: Path below the target to bytes; the directories are there.
    """
    os.mkdir(stage)
    watched = os.open(stage, os.O_RDONLY)
    staged = {f"{stage}/{number}": f"{target}/{path}" for number, path in enumerate(files)}
    for path, data in zip(staged, files.values(), strict=True):
        _write(path, data)
    _sync_file_system(watched)
    for path, place in staged.items():
        os.rename(path, place)
    directories = {place.rpartition("/")[0] for place in staged.values()}
    if len(directories) > 2:
        _sync_file_system(watched)
    else:
        for directory in directories:
            _sync(directory)
    os.close(watched)
    os.rmdir(stage)


def insert_one(stage: str, target: str, data: bytes) -> None:
    """Make one file appear at a path, durably: write, fsync, rename, fsync of the directory."""
    _write(stage, data, sync=True)
    os.rename(stage, target)
    _sync(os.path.dirname(target))


def make_empty(path: str) -> None:
    """Make an empty file in its place, durably: fsync, fsync of the directory."""
    _write(path, b"", sync=True)
    _sync(os.path.dirname(path))


def make_empty_many(target: str, paths: Iterable[str]) -> None:
    """Make empty files in their places below a directory, durably: synced once."""
    for path in paths:
        _write(f"{target}/{path}", b"")
    watched = os.open(target, os.O_RDONLY)
    _sync_file_system(watched)
    os.close(watched)


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


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _sync_file_system(descriptor: int) -> None:
    if _libc().syncfs(descriptor) != 0:
        raise OSError(ctypes.get_errno(), "syncfs")


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
