"""One dataset: its files one by one, and what they are to each other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from filestore.attachments import has_digest_of_name
from filestore.check.files import Facts, FileChecker, Text, read_text, refusal
from filestore.check.names import find_names
from filestore.codec import dumps
from filestore.findings import Finding
from filestore.functions import FunctionConfig
from filestore.storage.files import Disk
from filestore.storage.layout import EDITOR_SCHEMA, DatasetLayout, Entry, find_references

__all__ = ["FileResult", "check_dataset", "check_files"]

FileResult = tuple[list[Finding], Facts | None]
CheckFiles = Callable[[DatasetLayout, list[tuple[str, bool]]], Iterable[FileResult]]
"""Checks datapoint files, each with whether it is stale, in order."""
_MOMENT = timedelta(milliseconds=1)


def check_dataset(
    disk: Disk,
    layout: DatasetLayout,
    now: datetime,
    config: FunctionConfig,
    check_files: CheckFiles,
    is_of_config: Callable[[str], bool],
) -> tuple[list[Finding], int]:
    """Check a whole dataset.

    Args:
        disk: The door to the disk.
        layout: Where it lies.
        now: The current time, UTC.
        config: The function config.
        check_files: What checks its datapoint files.
        is_of_config: Tells whether a path relative to the root is a file of the function config, and so no draft.

    Returns:
        The findings, and how many files were looked at.
    """
    try:
        names = find_names(disk, layout, now)
    except OSError as error:
        return [refusal(layout.shown(str(error.filename or layout.path)), error)], 0
    found = list(names.findings)
    relations = _Relations(layout, names.stale)
    for result in check_files(layout, [(name, name.removesuffix(".json") in names.stale) for name in names.datapoints]):
        found += result[0]
        relations.add(result[1])
    relations.compare_successors()
    found += relations.found
    drafts = [name for name in names.drafts if not is_of_config(f"{layout.directory}/{name}")]
    checker = FileChecker(layout, disk, config)
    for name in drafts:
        found += _iter_draft(disk, checker, layout, name, relations)
    for kind in ("schema", "file"):
        found += _iter_shared(disk, layout, kind, relations)
    return found, len(names.datapoints) + len(drafts)


def check_files(
    disk: Disk, layout: DatasetLayout, paths: Iterable[str], now: datetime, config: FunctionConfig
) -> Iterator[Finding]:
    """Yield what is wrong with single files of a dataset, but not what they are to others.

    Args:
        disk: The door to the disk.
        layout: Where the dataset lies.
        paths: The files, relative to the root.
        now: The current time, UTC.
        config: The function config.
    """
    try:
        names = find_names(disk, layout, now)
    except OSError as error:
        yield refusal(layout.shown(str(error.filename or layout.path)), error)
        return
    wanted = set(paths)
    yield from (finding for finding in names.findings if finding.path in wanted)
    datapoints, drafts = set(names.datapoints), set(names.drafts)
    checker = FileChecker(layout, disk, config)
    nobody = _Relations(layout, {})
    for path in wanted:
        parent, _, name = path.removeprefix(f"{layout.directory}/").rpartition("/")
        if not parent and name in datapoints:
            yield from checker.check(name, is_stale=name.removesuffix(".json") in names.stale)[0]
        elif not parent and name in drafts:
            yield from _iter_draft(disk, checker, layout, name, nobody)
        elif (parent == "schemas" and name != EDITOR_SCHEMA) or parent == "files":
            yield from _iter_altered(disk, layout, parent.removesuffix("s"), name)


def _iter_draft(
    disk: Disk, checker: FileChecker, layout: DatasetLayout, name: str, relations: _Relations
) -> Iterator[Finding]:
    path = f"{layout.directory}/{name}"
    text = read_text(disk, f"{layout.path}/{name}", path)
    if not isinstance(text, Text):
        relations.is_complete = False
        yield text
        return
    yield from text.findings
    yield Finding(path, 1, 1, "draft", "It is no datapoint yet: `filestore fmt --adopt` makes it one.")
    yield from checker.check_draft(text)
    for kind, used in find_references(text.value).items():
        relations.used[kind].update(used)


class _Relations:
    """What the datapoints of a dataset are to one another; what is kept of each is little, as there may be many."""

    def __init__(self, layout: DatasetLayout, stale: dict[str, list[datetime]]) -> None:
        self._directory = layout.directory
        self._stale = stale
        self._names: dict[str, str] = {}
        self._contents: dict[bytes, str] = {}
        self._successors: dict[str, list[str]] = {}
        self.found: list[Finding] = []
        self.used: dict[str, set[str]] = {"schema": set(), "file": set()}
        self.is_complete = True
        """Whether every file that may use another could be read."""

    def add(self, facts: Facts | None) -> None:
        """Take notice of a datapoint, or that a file is none."""
        if facts is None:
            self.is_complete = False
            return
        if facts.schema is not None:
            self.used["schema"].add(f"{facts.schema}.json")
        self.used["file"].update(facts.attachments)
        if facts.replaces is not None:
            self._successors.setdefault(facts.replaces, []).append(facts.id)
        times = self._stale.get(facts.id)
        if times is None:
            self._compare(facts)
        elif facts.updated_at > times[0] + _MOMENT:
            message = "It was edited after its deletion, which it met in a merge: restore it, or leave it deleted."
            self._tell(facts.id, "edited-and-deleted", message)

    def _compare(self, facts: Facts) -> None:
        if facts.name is not None:
            other = self._names.setdefault(facts.name, facts.id)
            if other != facts.id:
                self._tell(facts.id, "same-name", f"{other}.json has the same `name`: give one of the two another.")
        other = self._contents.setdefault(facts.content, facts.id)
        if other != facts.id:
            self._tell(facts.id, "same-content", f"{other}.json says the same: delete one of the two.")

    def compare_successors(self) -> None:
        """Tell of datapoints that were replaced twice, or replaced and deleted."""
        for replaced, successors in self._successors.items():
            live = [one for one in successors if one not in self._stale]
            for one in live[1:]:
                message = f"{live[0]}.json took the place of {replaced}, too: keep one of the two, delete the other."
                self._tell(one, "two-successors", message)
            if len(live) == 1 and len(self._stale.get(replaced, ())) > len(successors):
                message = (
                    f"{replaced}, whose place it took, was deleted on another branch: delete this, too, or keep it."
                )
                self._tell(live[0], "edited-and-deleted", message)

    def _tell(self, one: str, code: str, message: str) -> None:
        self.found.append(Finding(f"{self._directory}/{one}.json", 1, 1, code, message))


# --- files that datapoints share


def _iter_shared(disk: Disk, layout: DatasetLayout, kind: str, relations: _Relations) -> Iterator[Finding]:
    directory = layout.parent_of(kind)
    noun = "attachment" if kind == "file" else kind
    try:
        disk.check_directory(directory)  # a link is not followed
        names = sorted(disk.names(directory))
    except OSError as error:
        yield refusal(layout.shown(directory), error)
        return
    for name in names:
        path = layout.shown(f"{directory}/{name}")
        if kind == "schema" and name == EDITOR_SCHEMA:
            continue
        if Entry.is_name(kind, name):
            yield from _iter_altered(disk, layout, kind, name)
        is_unused = relations.is_complete and name not in relations.used[kind]
        if is_unused or not Entry.is_name(kind, name):
            advice = "remove it, or `filestore purge` does" if Entry.is_name(kind, name) else "remove it"
            message = f"No datapoint refers to it: {advice}."
            yield Finding(path, 1, 1, f"unused-{noun}", message)


def _iter_altered(disk: Disk, layout: DatasetLayout, kind: str, name: str) -> Iterator[Finding]:
    place = f"{layout.parent_of(kind)}/{name}"
    path = layout.shown(place)
    if kind == "file":
        try:
            is_altered = not has_digest_of_name(disk.read(place)[0], name)
        except OSError as error:
            yield refusal(path, error)
            return
        if is_altered:
            message = "Its content no longer has the digest in its name: restore it from git."
            yield Finding(path, 1, 1, "altered-attachment", message)
        return
    text = read_text(disk, place, path)
    if not isinstance(text, Text):
        yield text
        return
    yield from text.findings
    canonical = dumps(text.value)
    if not isinstance(text.value, dict | bool):
        yield Finding(path, 1, 1, "wrong-type", "It is no JSON Schema, which is an object: restore it from git.", ())
    elif not hashlib.sha256(canonical).hexdigest().startswith(name.removesuffix(".json")):
        message = "Its content no longer has the digest in its name: restore it from git, and change a datapoint's own."
        yield Finding(path, 1, 1, "altered-schema", message)
    elif canonical != text.data and not text.findings:
        message = "It is spelled in another way than the store would: `filestore fmt` spells it so."
        yield Finding(path, 1, 1, "not-canonical", message)
