"""What makes a directory a store: the files that keep git from changing or taking what it should not."""

from __future__ import annotations

import os
from pathlib import Path

from filestore.storage.config_files import CONFIG_NAME
from filestore.storage.files import Disk
from filestore.storage.ignoring import ignore_internal
from filestore.storage.layout import INTERNAL

__all__ = ["GIT_ATTRIBUTES", "initialize", "is_store"]

GIT_ATTRIBUTES = ("*.json text eol=lf", "**/files/** -text")
"""Lines that keep bytes the same on every machine: no CRLF in datapoints, no conversion at all of attached files."""


def initialize(root: str | os.PathLike[str]) -> list[str]:
    """Make a directory a store, and keep what is there already.

    Returns:
        The paths that were made or added to, as `root` spells them; none for a store that lacks nothing.

    Raises:
        OSError: The file system refuses, or something else lies in the way.
    """
    shown = Path(root)
    disk = Disk()
    made = [str(shown)] if _make_directories(disk, shown.resolve()) else []
    real = str(shown.resolve())
    if _append_lines(disk, f"{real}/.gitattributes", GIT_ATTRIBUTES):
        made.append(str(shown / ".gitattributes"))
    disk.make_directory(f"{real}/{INTERNAL}")
    if ignore_internal(disk, real):
        made.append(str(shown / INTERNAL / ".gitignore"))
    return made


def is_store(path: str) -> bool:
    """Tell whether a directory is the root of a store by all looks, and so no dataset of one around it."""
    return any(os.path.lexists(f"{path}/{name}") for name in (INTERNAL, CONFIG_NAME))


def _make_directories(disk: Disk, path: Path) -> bool:
    """Make a directory and those above it; tell whether it is new."""
    if disk.check_directory(str(path)) is not None:
        return False
    _make_directories(disk, path.parent)
    return disk.make_directory(str(path))


def _append_lines(disk: Disk, path: str, lines: tuple[str, ...]) -> bool:
    """Append those lines that a file lacks, making it where it is missing; tell whether it lacked any."""
    data = b"" if disk.status(path) is None else disk.read(path)[0]
    present = {line.strip() for line in data.splitlines()}
    missing = [line.encode() for line in lines if line.encode() not in present]
    if missing:
        separator = b"" if not data or data.endswith(b"\n") else b"\n"
        disk.append(path, separator + b"\n".join(missing) + b"\n")
    return bool(missing)
