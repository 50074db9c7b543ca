"""A store as a whole: its datasets one by one, and what lies beside them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from types import TracebackType
from typing import NamedTuple

from filestore.check.dataset import check_dataset, check_files
from filestore.check.names import misplaced
from filestore.check.workers import Workers
from filestore.errors import ConfigError
from filestore.findings import Finding
from filestore.functions import EMPTY_CONFIG, FunctionConfig
from filestore.ids import fold_dataset_name, is_file_name, parse_directory_name
from filestore.storage.config_files import ConfigFiles
from filestore.storage.files import Disk
from filestore.storage.initialize import is_store
from filestore.storage.journal import Journal
from filestore.storage.layout import INTERNAL, DatasetLayout

__all__ = ["Outcome", "StoreCheck"]

_IN_TOML = re.compile(r"\(at line ([0-9]+), column ([0-9]+)\)")
_IN_SCHEMA = re.compile(r"(\S+\.json):([0-9]+):([0-9]+): ")
_MOST_LOOKS = 3
"""How often a dataset is looked at that is written to meanwhile: its findings may be of half a change."""


class Outcome(NamedTuple):
    """What a check found.

    Attributes:
        findings: Sorted by path and place.
        files: How many datapoint files and drafts were looked at.
    """

    findings: list[Finding]
    files: int


class StoreCheck(AbstractContextManager["StoreCheck"]):
    """Checks a store, or parts of it.

    Args:
        root: The store's directory, absolute and free of links.
        config_file: A `tensorzero.toml`, or a glob of several; by default the one in the root.
        now: The current time, UTC.
        jobs: How many processes may work at once.
        progress: Told how many more files were looked at.
    """

    def __init__(
        self,
        root: str,
        config_file: str | None,
        now: datetime,
        jobs: int = 1,
        progress: Callable[[int], None] = lambda count: None,
    ) -> None:
        self._root = root
        self._now = now
        self._disk = Disk()
        self._found: list[Finding] = []
        self._config_paths: set[str] = set()
        """Files of the function config that lie in the store are no drafts."""
        self._has_config = True
        """Whether it is known which those are."""
        self._config = self._load_config(config_file)
        self._workers = Workers(self._config, jobs, progress)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes that work for it."""
        self._workers.close()

    def check_all(self) -> Outcome:
        """Check every dataset, and what lies beside them."""
        files = 0
        names = self._disk.names(self._root)
        self._found += map(misplaced, filter(is_file_name, names))
        directories = sorted(filter(self._is_dataset, names))
        folded: dict[str, str] = {}
        for directory in directories:
            other = folded.setdefault(fold_dataset_name(str(parse_directory_name(directory))), directory)
            if other != directory:
                message = f"Dataset {other} differs from it in letter case alone: rename one of the two."
                self._found.append(Finding(directory, 1, 1, "case-collision", message))
            files += self._check_dataset(directory)
        return Outcome(sorted(self._found), files)

    def check_parts(self, datasets: Sequence[str], files: Sequence[str]) -> Outcome:
        """Check datasets, and single files of others, of which it is not looked at what they are to one another.

        Args:
            datasets: The names of their directories.
            files: Paths relative to the root.
        """
        looked_at = 0
        for directory in dict.fromkeys(datasets):
            if self._is_dataset(directory):
                looked_at += self._check_dataset(directory)
        by_directory: dict[str, list[str]] = {}
        for path in dict.fromkeys(files):
            if not self._is_of_config(path):
                by_directory.setdefault(path.partition("/")[0], []).append(path)
        for directory, paths in by_directory.items():
            if directory not in datasets and self._is_dataset(directory):
                self._found += check_files(self._disk, self._layout(directory), paths, self._now, self._config)
                looked_at += len(paths)
        return Outcome(sorted(self._found), looked_at)

    def _load_config(self, config_file: str | None) -> FunctionConfig:
        files = ConfigFiles(self._root, config_file)
        try:
            config = files.current()
            self._config_paths = {path.removeprefix(f"{self._root}/") for path in files.paths()}
            return config
        except ConfigError as error:
            self._has_config = False
            self._found.append(_locate(error, self._root))
            return EMPTY_CONFIG

    def _is_of_config(self, path: str) -> bool:
        """Tell whether a file is of the function config, or may be, where that cannot be read: then it is no draft."""
        if self._has_config:
            return path in self._config_paths
        names = self._disk.names(f"{self._root}/{path.partition('/')[0]}")
        return not any(map(is_file_name, names))

    def _is_dataset(self, name: str) -> bool:
        """Tell whether a name in the root is a dataset's; tell of what looks like one and is none."""
        if name.startswith("."):
            return False
        status = self._disk.status(f"{self._root}/{name}")
        is_link = status is not None and stat.S_ISLNK(status.st_mode)
        if status is None or not (is_link or stat.S_ISDIR(status.st_mode)):
            return False
        is_name = parse_directory_name(name) is not None
        if not is_link and is_name:
            return not is_store(f"{self._root}/{name}")
        try:
            holds_datapoints = any(map(is_file_name, self._disk.iter_names(f"{self._root}/{name}")))
        except OSError:
            return False
        if holds_datapoints:
            code, message = "link", "It is a link, which is never followed: put the directory itself here."
            if not is_link:
                code, message = "wrong-directory", "It holds datapoints, but its name spells no dataset: rename it."
            self._found.append(Finding(name, 1, 1, code, message))
        return False

    def _layout(self, directory: str) -> DatasetLayout:
        name = parse_directory_name(directory)
        assert name is not None  # it was seen to be one
        return DatasetLayout.of(self._root, name)

    def _check_dataset(self, directory: str) -> int:
        layout = self._layout(directory)
        journal = Journal(layout, self._disk)
        for _ in range(_MOST_LOOKS):
            before = journal.sequence()
            found, files = check_dataset(
                self._disk, layout, self._now, self._config, self._workers.check, self._is_of_config
            )
            if journal.sequence() == before:
                break
        if journal.has_pending():
            message = "A change was interrupted: the next write, or `filestore recover`, completes it."
            found.append(Finding(f"{INTERNAL}/{directory}/pending", 1, 1, "unfinished-change", message))
        self._found += found
        return files


def _locate(error: ConfigError, root: str) -> Finding:
    """Return what is wrong with a function config at its place, as far as the error tells it."""
    path = _relative(error.path or "tensorzero.toml", root)
    reason = str(error).removeprefix(f"{error.path}: ")
    if in_schema := _IN_SCHEMA.search(reason):
        path, line, column = _relative(in_schema[1], root), int(in_schema[2]), int(in_schema[3])
    elif in_toml := _IN_TOML.search(reason):
        line, column = int(in_toml[1]), int(in_toml[2])
    else:
        line, column = 1, 1
    return Finding(path, line, column, "invalid-config", f"{reason.rstrip('.?')}{'?' if reason.endswith('?') else '.'}")


def _relative(shown: str, root: str) -> str:
    """Return a path, which errors show from the working directory on, relative to the root."""
    return os.path.relpath(os.path.abspath(shown), root).replace(os.sep, "/")  # noqa: PTH100 (a link stays one)
