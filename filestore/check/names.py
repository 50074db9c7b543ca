"""The names in a dataset's directory: which are datapoints, drafts and mistakes, and which of them are deleted."""

from __future__ import annotations

import re
import stat
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from filestore.findings import Finding
from filestore.ids import created_at, fold_dataset_name, is_draft_name, is_file_name, is_id_shaped, parse_file_name
from filestore.storage.files import Disk
from filestore.storage.layout import DatasetLayout, parse_tombstone_name

__all__ = ["Names", "find_names", "misplaced"]

_FOR_WINDOWS = re.compile(
    r'[<>:"|?*\\\x00-\x1f]|[. ]\Z|\A(?:CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(?:\.|\Z)', re.IGNORECASE
)
_NEARLY_JSON = re.compile(r"\.(?:json(?:c|5|\.txt)?|jsn)\Z", re.IGNORECASE)
_OF_A_DATASET = frozenset({"schemas", "tombstones", "files"})
_SKEW = timedelta(minutes=5)
"""The clock of another machine may be ahead by so much."""


@dataclass
class Names:
    """What a dataset's directory holds, by name.

    Attributes:
        datapoints: Names of datapoint files, sorted.
        drafts: Names of files that are no datapoints yet, sorted.
        stale: Id, as text, of each deleted datapoint to when it was deleted, the earliest time first.
        findings: What is wrong with names.
    """

    datapoints: list[str] = field(default_factory=list)
    drafts: list[str] = field(default_factory=list)
    stale: dict[str, list[datetime]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def find_names(disk: Disk, layout: DatasetLayout, now: datetime) -> Names:
    """Look at the names of a dataset.

    Args:
        disk: The door to the disk.
        layout: Where the dataset lies.
        now: The current time, UTC.

    Raises:
        OSError: A directory cannot be listed.
    """
    names = Names()
    for name in sorted(disk.iter_names(layout.path)):
        if name.startswith("."):
            continue  # hidden: an editor's own
        if name.endswith(".json"):
            _sort_in(names, name, disk, layout, now)
        elif _NEARLY_JSON.search(name):
            message = "Nothing reads a file of this name: let it end in `.json`."
            names.findings.append(Finding(f"{layout.directory}/{name}", 1, 1, "wrong-suffix", message))
        elif name not in _OF_A_DATASET:
            names.findings += _iter_misplaced(disk, layout, name)
    folded: dict[str, str] = {}
    for name in [*names.datapoints, *names.drafts]:
        other = folded.setdefault(fold_dataset_name(name), name)
        if other != name:
            message = f"{other} differs from it in letter case alone: rename one of the two."
            names.findings.append(Finding(f"{layout.directory}/{name}", 1, 1, "case-collision", message))
    _find_tombstones(names, disk, layout)
    return names


def misplaced(path: str) -> Finding:
    """Return the finding that a datapoint's file is where no reader looks for one."""
    message = "No reader finds a datapoint here: move it into the directory of its dataset."
    return Finding(path, 1, 1, "misplaced-datapoint", message)


def _iter_misplaced(disk: Disk, layout: DatasetLayout, name: str) -> Iterator[Finding]:
    """Yield what a directory holds that people have put into a dataset's."""
    status = disk.status(f"{layout.path}/{name}")
    if status is not None and stat.S_ISDIR(status.st_mode):
        inner = sorted(filter(is_file_name, disk.iter_names(f"{layout.path}/{name}")))
        yield from (misplaced(f"{layout.directory}/{name}/{one}") for one in inner)


def _sort_in(names: Names, name: str, disk: Disk, layout: DatasetLayout, now: datetime) -> None:
    path = f"{layout.directory}/{name}"
    status = disk.status(f"{layout.path}/{name}")
    if status is None:
        return
    if stat.S_ISLNK(status.st_mode):
        message = "It is a link, which is never followed: put the file itself here."
        names.findings.append(Finding(path, 1, 1, "link", message))
        return
    datapoint_id = parse_file_name(name)
    if datapoint_id is None and is_id_shaped(name.removesuffix(".json")):
        message = "It looks like an id, but an id is a lower-case UUIDv7: give it another name, and it is a draft."
        names.findings.append(Finding(path, 1, 1, "wrong-id", message))
    elif datapoint_id is None:
        if not is_draft_name(name):
            return  # it is no text
        names.drafts.append(name)
        if _FOR_WINDOWS.search(name):
            message = "Windows does not allow this file name: rename it."
            names.findings.append(Finding(path, 1, 1, "windows-name", message))
    else:
        names.datapoints.append(name)
        names.findings += _iter_future(path, datapoint_id, now)


def _iter_future(path: str, datapoint_id: uuid.UUID, now: datetime) -> Iterator[Finding]:
    created = created_at(datapoint_id)
    if created > now + _SKEW:
        message = f"Its id is of {created:%Y-%m-%d}, which is still to come: lists show it first until then."
        yield Finding(path, 1, 1, "future-id", message)


# --- tombstones


def _find_tombstones(names: Names, disk: Disk, layout: DatasetLayout) -> None:
    there = {name.removesuffix(".json") for name in names.datapoints}
    disk.check_directory(layout.tombstones)  # a link is not followed
    for shard in sorted(disk.names(layout.tombstones)):
        status = disk.status(f"{layout.tombstones}/{shard}")
        if status is not None and stat.S_ISLNK(status.st_mode):
            message = "It is a link, which is never followed: put the directory itself here."
            names.findings.append(Finding(f"{layout.directory}/tombstones/{shard}", 1, 1, "link", message))
            continue
        for name in sorted(_names_in(disk, f"{layout.tombstones}/{shard}")):
            path = f"{layout.directory}/tombstones/{shard}/{name}"
            parsed = parse_tombstone_name(name)
            if parsed is None or not str(parsed[0]).endswith(shard) or len(shard) != 2:
                right = f"tombstones/{str(parsed[0])[-2:]}/" if parsed else "tombstones/<xx>/<id>@<time>"
                message = f"No reader finds it here: it belongs into {right}, or remove it."
                names.findings.append(Finding(path, 1, 1, "misplaced-tombstone", message))
            elif str(parsed[0]) not in there:
                message = "Its datapoint is not there: restore that from git, or remove this."
                names.findings.append(Finding(path, 1, 1, "orphan-tombstone", message))
            else:
                names.stale.setdefault(str(parsed[0]), []).append(parsed[1])
    for times in names.stale.values():
        times.sort()


def _names_in(disk: Disk, path: str) -> list[str]:
    try:
        return disk.names(path)
    except NotADirectoryError:
        return [""]  # a file in place of a shard: no name in it is any tombstone's
