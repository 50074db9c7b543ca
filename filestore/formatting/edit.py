"""Editing one datapoint: on a copy, which takes the file's place once it is right and nobody else has changed that."""

from __future__ import annotations

import enum
import itertools
import uuid
from dataclasses import replace
from pathlib import Path

from filestore.codec import JSONValue, loads_file
from filestore.codec.positions import locate
from filestore.datapoint import Datapoint
from filestore.datapoint_file import FileContext, parse_datapoint, placed, read_datapoint
from filestore.datapoint_issues import iter_issues
from filestore.datapoint_judgement import judge
from filestore.errors import DatapointNotFoundError, FileContentError, JSONTextError, RequestError, ShapeError
from filestore.findings import RULES, Issue, Severity
from filestore.ids import file_name, is_datapoint_id
from filestore.storage.change import Change
from filestore.storage.changes import put
from filestore.storage.files import Disk
from filestore.storage.layout import INTERNAL, DatasetLayout, Entry
from filestore.storage.view import DatasetView
from filestore.store import FileStore

__all__ = ["Edit", "Ending", "find_mistakes"]


class Ending(enum.Enum):
    """How an edit ended."""

    WRITTEN = "written"
    SAME = "same"
    """It says what the file said, in the same bytes once canonical: nothing was written."""
    OVERTAKEN = "overtaken"
    """Somebody else has changed, deleted or removed the datapoint meanwhile: nothing was written."""


class Edit:
    """An edit that has begun: a copy of a datapoint's file lies outside the dataset.

    Args:
        store: The store.
        dataset_name: The dataset.
        datapoint_id: A live datapoint; its file need not be readable, as an edit may be what it needs.

    Attributes:
        path: Where the copy is.

    Raises:
        DatapointNotFoundError: There is no such datapoint.
        RequestError: It is deleted.
    """

    def __init__(self, store: FileStore, dataset_name: str, datapoint_id: uuid.UUID) -> None:
        self._store = store
        self._dataset = store.open_dataset(dataset_name)
        self._id = datapoint_id
        self._original = self._read_original()
        self.path = _write_copy(self._dataset.layout, datapoint_id, self._original)

    def _read_original(self) -> bytes:
        def action(view: DatasetView) -> bytes | None:
            found = view.find(self._id, lambda data, path: data) if is_datapoint_id(self._id) else None
            if found is not None and view.staled_at(self._id) is not None:
                raise RequestError(f"Datapoint {self._id} is deleted: `filestore restore` it first")
            return None if found is None else found[0]

        found = self._dataset.read(action, absent=None)
        if found is None:
            raise DatapointNotFoundError(self._dataset.layout.name, self._id)
        return found

    @property
    def is_untouched(self) -> bool:
        """Whether the copy is what it was."""
        return self.path.read_bytes() == self._original

    def find_mistakes(self) -> list[FileContentError]:
        """Return what keeps the copy from taking the file's place, with the places in the copy."""
        data = self.path.read_bytes()

        def action(view: DatasetView) -> list[FileContentError]:
            return find_mistakes(data, self._original, str(self.path), self._id, self._context(view))

        nothing: list[FileContentError] = []
        return self._dataset.read(action, absent=nothing)

    def finish(self) -> Ending:
        """Write the copy in the file's place, in its canonical spelling, and remove it.

        The datapoint's `updated_at` becomes now, unless the person has set it or nothing else has changed. Where
        somebody else was faster, the copy stays.

        Raises:
            FileContentError: The copy has a mistake.
        """
        data = self.path.read_bytes()
        ending = self._dataset.write(lambda view: self._plan(view, data))
        if ending is not Ending.OVERTAKEN:
            self.discard()
        return ending

    def discard(self) -> None:
        """Remove the copy."""
        self.path.unlink(missing_ok=True)

    def _plan(self, view: DatasetView, data: bytes) -> tuple[Change, Ending]:
        change = Change()
        found = view.find(self._id, lambda data, path: data)
        if found is None or found[0] != self._original or view.staled_at(self._id) is not None:
            return change, Ending.OVERTAKEN
        context = self._context(view)
        edited = read_datapoint(data, str(self.path), self._id, context)
        before = _read_or_none(self._original, self._id, context)
        # By their texts: 1, 1.0 and true are equal otherwise.
        if repr(edited) != repr(before) and (before is None or edited.updated_at == before.updated_at):
            edited = replace(edited, updated_at=self._store.now())
        put(change, view, edited, {}, replaces=True)
        is_written = Entry("datapoint", file_name(self._id)) in change.puts
        return change, Ending.WRITTEN if is_written else Ending.SAME

    def _context(self, view: DatasetView) -> FileContext:
        return FileContext(view.layout.name, lambda: self._store.config, view.load_schema)


def find_mistakes(
    data: bytes, original: bytes, path: str, datapoint_id: uuid.UUID, context: FileContext
) -> list[FileContentError]:
    """Return what is wrong in an edited datapoint file; what was wrong before may stay, if it can be read.

    Args:
        data: The bytes of the edited file.
        original: What they were before.
        path: How errors name the file.
        datapoint_id: The datapoint's id.
        context: What the file does not say itself.
    """
    try:
        value = loads_file(data)
    except JSONTextError as error:
        return [placed(error, data, path)]
    issues = list(iter_issues(value, context)) or _judge(value, datapoint_id, context)
    try:
        before = loads_file(original)
        known = _judge(before, datapoint_id, context)
    except (JSONTextError, ShapeError):  # it may have been opened to be repaired
        before, known = None, []
    if _raw_output(value) == _raw_output(before):  # then it is a remainder, and the output counts
        issues = [issue for issue in issues if issue.code != "raw-output-disagrees"]
    new = [issue for issue in issues if issue not in known]
    return [FileContentError(path, *locate(data, one.pointer, key=one.is_key), one.message) for one in new]


def _judge(value: JSONValue, datapoint_id: uuid.UUID, context: FileContext) -> list[Issue]:
    """Return what is wrong with a datapoint that can be read; warnings stop no edit, but for two texts that disagree.

    Raises:
        ShapeError: It cannot be read.
    """
    datapoint = parse_datapoint(value, datapoint_id, context)
    assert isinstance(value, dict)  # or it could not
    found = judge(value, datapoint, context.load_config())
    return [one for one in found if RULES[one.code].severity == Severity.ERROR or one.code == "raw-output-disagrees"]


def _read_or_none(data: bytes, datapoint_id: uuid.UUID, context: FileContext) -> Datapoint | None:
    try:
        return read_datapoint(data, "", datapoint_id, context)
    except FileContentError:
        return None


def _raw_output(value: JSONValue) -> JSONValue:
    return value.get("output_raw") if isinstance(value, dict) else None


def _write_copy(layout: DatasetLayout, datapoint_id: uuid.UUID, data: bytes) -> Path:
    """Write a copy under a name that no other copy has: it may be all that is left of somebody's work."""
    disk = Disk(durable=False)
    internal = f"{layout.root}/{INTERNAL}"
    for path in (internal, layout.copies.rpartition("/")[0], layout.copies):
        disk.make_directory(path)
    if disk.status(f"{internal}/.gitignore") is None:
        disk.overwrite(f"{internal}/.gitignore", b"*\n")
    for number in itertools.count(1):
        path = f"{layout.copies}/{datapoint_id}{f'-{number}' if number > 1 else ''}.json"
        try:
            disk.write_new(path, data)
        except FileExistsError:
            continue
        return Path(path)
    raise AssertionError("numbers end")
