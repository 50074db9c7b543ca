"""What becomes of one file: computed from one look at its dataset, and added to a change of it."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from filestore.codec import dumps, loads_file
from filestore.datapoint import Datapoint, JsonDatapoint
from filestore.datapoint_file import FileContext, placed, read_datapoint, read_schema
from filestore.drafts import read_draft
from filestore.errors import FileContentError, ShapeError, StorageError
from filestore.ids import file_name, is_draft_name, parse_file_name
from filestore.shapes import expect_object
from filestore.storage.change import Change, Replaced
from filestore.storage.changes import put
from filestore.storage.dataset import Dataset
from filestore.storage.layout import Entry
from filestore.storage.view import DatasetView
from filestore.store import FileStore

__all__ = ["FileFormatter", "Options", "Outcome", "State", "refuse_disagreement"]

_SCHEMAS = "schemas/"


class Options(NamedTuple):
    """What to do.

    Attributes:
        adopts: Whether to make datapoints of drafts.
        touches: Whether to set `updated_at` of datapoints to now.
    """

    adopts: bool = False
    touches: bool = False


class State(enum.Enum):
    """What has become of a file, or would."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    ADOPTED = "adopted"
    DRAFT = "draft"
    """A draft that is left alone."""
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of one file, or would.

    Attributes:
        path: Relative to the root, as are all paths here.
        state: What it was, or is now.
        before: The bytes of a file that is changed or adopted.
        after: Those that take their place.
        new_path: The datapoint that a draft has become.
        error: Why a file is left as it is.
    """

    path: str
    state: State
    before: bytes = b""
    after: bytes = b""
    new_path: str = ""
    error: FileContentError | None = None

    @property
    def is_change(self) -> bool:
        """Whether bytes on the disk are others now, or would be."""
        return self.state in (State.CHANGED, State.ADOPTED)


class FileFormatter:
    """Computes what becomes of the files of one dataset.

    Args:
        store: The store.
        dataset: The dataset.
        options: What to do.
    """

    def __init__(self, store: FileStore, dataset: Dataset, options: Options) -> None:
        self._store = store
        self._dataset = dataset
        self._options = options

    def plan(self, view: DatasetView, names: Iterable[str]) -> tuple[Change, dict[str, Outcome]]:
        """Return what is to be written and taken away, and what becomes of each file.

        Args:
            view: The dataset.
            names: The files' paths in the dataset's directory.
        """
        change = Change()
        return change, {name: self._plan_one(view, change, name) for name in names}

    def _plan_one(self, view: DatasetView, change: Change, name: str) -> Outcome:
        path = f"{view.layout.directory}/{name}"
        try:
            if name.startswith(_SCHEMAS):
                return self._plan_schema(view, change, name.removeprefix(_SCHEMAS), path)
            datapoint_id = parse_file_name(name)
            if datapoint_id is not None:
                return self._plan_datapoint(view, change, datapoint_id, path)
            if is_draft_name(name):
                return self._plan_draft(view, change, name, path)
            reason = "this name looks like an id but is no lower-case UUIDv7: rename it, and it is a draft"
            raise FileContentError(path, 1, 1, reason)
        except FileNotFoundError:  # gone since it was listed
            return Outcome(path, State.UNCHANGED)
        except FileContentError as error:
            return Outcome(path, State.UNREADABLE, error=error)
        except StorageError as error:
            refused = error.__cause__
            told = isinstance(refused, OSError) and refused.strerror
            return Outcome(path, State.UNREADABLE, error=FileContentError(path, 1, 1, told or str(error)))

    def _context(self, view: DatasetView) -> FileContext:
        return FileContext(view.layout.name, lambda: self._store.config, view.load_schema)

    def _plan_datapoint(self, view: DatasetView, change: Change, datapoint_id: uuid.UUID, path: str) -> Outcome:
        context = self._context(view)

        def read(data: bytes, path: str) -> tuple[bytes, Datapoint]:
            return data, read_datapoint(data, path, datapoint_id, context)

        found = view.find(datapoint_id, read)
        if found is None:
            return Outcome(path, State.UNCHANGED)
        data, datapoint = found[0]
        refuse_disagreement(data, path, datapoint)
        if self._options.touches:
            if view.staled_at(datapoint_id) is not None:
                raise FileContentError(
                    path, 1, 1, "this datapoint is deleted: `filestore restore` it before you touch it"
                )
            datapoint = replace(datapoint, updated_at=self._store.now())
        put(change, view, datapoint, {}, replaces=True)
        return _changed(path, data, change.puts.get(Entry("datapoint", file_name(datapoint_id)), data))

    def _plan_schema(self, view: DatasetView, change: Change, name: str, path: str) -> Outcome:
        entry = Entry("schema", name)
        digest = name.removesuffix(".json")
        schema, data, status = view.look(entry, lambda data, path: read_schema(data, path, digest))
        canonical = dumps(schema)
        if canonical != data:
            change.puts[entry] = canonical
            change.replaced[entry] = Replaced.of(data, status, view.since_ns)
        return _changed(path, data, canonical)

    def _plan_draft(self, view: DatasetView, change: Change, name: str, path: str) -> Outcome:
        if not self._options.adopts:
            return Outcome(path, State.DRAFT)
        entry = Entry("draft", name)
        new_id = self._store.make_id()
        context = self._context(view)
        (datapoint, files), data, status = view.look(entry, lambda data, path: read_draft(data, path, new_id, context))
        put(change, view, *self._store.bring_along(datapoint, files, self._dataset))
        change.replaced[entry] = Replaced.of(data, status, view.since_ns)
        change.removed.append(entry)
        new = Entry("datapoint", file_name(new_id))
        new_path = view.layout.shown(view.layout.final(new))
        return Outcome(path, State.ADOPTED, data, change.puts[new], new_path)


def _changed(path: str, before: bytes, after: bytes) -> Outcome:
    return Outcome(path, State.UNCHANGED) if before == after else Outcome(path, State.CHANGED, before, after)


def refuse_disagreement(data: bytes, path: str, datapoint: Datapoint) -> None:
    """Refuse to write a datapoint file anew whose `output_raw` says something else than its `output`.

    The output counts, so that text would be gone, and a person may have meant to change just that.

    Raises:
        FileContentError: It does.
    """
    if not isinstance(datapoint, JsonDatapoint) or datapoint.output is None or b"output_raw" not in data:
        return
    raw = expect_object(loads_file(data)).get("output_raw")
    if isinstance(raw, str) and raw != datapoint.output["raw"]:
        reason = "it says something else than `output`, which counts: correct it, or take it away"
        raise placed(ShapeError(reason, ("output_raw",), is_key=True), data, path)
