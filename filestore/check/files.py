"""One file of a dataset: everything that is wrong in it, and what the rest of the dataset has to know of it."""

from __future__ import annotations

import errno
import hashlib
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from filestore.codec import JSONValue, compact, dumps, loads_file
from filestore.codec.positions import SourceMap, find_crlf, map_source
from filestore.codec.reading import BYTE_ORDER_MARK
from filestore.datapoint import Datapoint, JsonDatapoint
from filestore.datapoint_file import (
    FileContext,
    parse_datapoint,
    read_schema,
    render_datapoint,
    schema_digest,
    schema_reference,
)
from filestore.datapoint_issues import issue_of, iter_draft_issues, iter_issues
from filestore.datapoint_judgement import judge, wrong_kind
from filestore.drafts import parse_draft, read_shape
from filestore.errors import FileContentError, JSONTextError, Pointer, ShapeError
from filestore.findings import RULES, Finding, Issue, Severity
from filestore.functions import FunctionConfig
from filestore.shapes import expect_object
from filestore.storage.files import Disk, LinkError
from filestore.storage.layout import DatasetLayout, find_references

__all__ = ["Facts", "FileChecker", "Text", "read_text", "refusal"]

_OWN = ("$schema", "name", "episode_id", "tags", "is_custom", "source_inference_id", "replaces", "updated_at")
"""What two datapoints of the same content may differ in."""
_SOME_ID = uuid.UUID("01890000-0000-7000-8000-000000000000")
"""What a draft is read under: it has no id yet."""


class Facts(NamedTuple):
    """What the rest of the dataset has to know of one datapoint.

    Attributes:
        id: As its file name spells it.
        name: What people call it.
        content: A digest of what it says, the same for datapoints that differ in name, tags, ids and times alone.
        replaces: The datapoint whose place it took.
        updated_at: UTC.
        schema: The schema file it refers to, by digest.
        attachments: The attached files it refers to, by name.
    """

    id: str
    name: str | None
    content: bytes
    replaces: str | None
    updated_at: datetime
    schema: str | None
    attachments: tuple[str, ...]


class Text(NamedTuple):
    """A file that is JSON: its bytes, its value, and what is wrong with the spelling."""

    path: str
    data: bytes
    value: JSONValue
    findings: list[Finding]

    def locate(self, issues: Iterable[Issue]) -> list[Finding]:
        """Return issues in the value at their lines and columns."""
        places: SourceMap | None = None
        found = []
        for issue in issues:
            places = map_source(self.data) if places is None else places  # most files have none
            line, column = places.locate(issue.pointer, key=issue.is_key)
            found.append(Finding(self.path, line, column, issue.code, issue.message, issue.pointer))
        return found


def refusal(path: str, error: OSError) -> Finding:
    """Return the finding that the operating system refused to read a file, or that it is none."""
    if isinstance(error, LinkError) or error.errno == errno.ELOOP:
        return Finding(path, 1, 1, "link", "It is a link, which is never followed: put the file itself here.")
    return Finding(path, 1, 1, "unreadable", f"It cannot be read: {error.strerror or error}.")


def read_text(disk: Disk, place: str, path: str) -> Text | Finding:
    """Read a JSON file.

    Args:
        disk: The door to the disk.
        place: Where it lies.
        path: How a finding names it.
    """
    try:
        data = disk.read(place)[0]
    except OSError as error:
        return refusal(path, error)
    try:
        value = loads_file(data)
    except JSONTextError as error:
        reason = f"{error.reason}: {error.hint}" if error.hint else error.reason
        return Finding(path, error.line, max(error.column, 1), error.code, f"{_sentence(reason)}.")
    return Text(path, data, value, list(_iter_spellings(path, data)))


def _sentence(reason: str) -> str:
    return reason[:1].upper() + reason[1:]


def _iter_spellings(path: str, data: bytes) -> Iterator[Finding]:
    if data.startswith(BYTE_ORDER_MARK):
        yield Finding(path, 1, 1, "byte-order-mark", "It begins with a byte-order mark: `filestore fmt` removes it.")
    place = find_crlf(data)
    if place is not None:
        message = "Lines end with CRLF: `filestore fmt` writes LF, and `filestore init` keeps git from changing it."
        yield Finding(path, *place, "crlf", message)


class FileChecker:
    """Checks the datapoint files of one dataset, one by one.

    Args:
        layout: Where the dataset lies.
        disk: The door to the disk.
        config: The function config; one that is not configured asks for nothing.
    """

    def __init__(self, layout: DatasetLayout, disk: Disk, config: FunctionConfig) -> None:
        self._layout = layout
        self._disk = disk
        self._config = config
        self._context = FileContext(layout.name, lambda: config, self._load_schema)
        self._schemas: dict[str, JSONValue] = {}

    def check(self, name: str, *, is_stale: bool) -> tuple[list[Finding], Facts | None]:
        """Check a datapoint file.

        Args:
            name: Its file name.
            is_stale: Whether it is deleted; today's function config asks nothing of it then.

        Returns:
            The findings, and the facts; None where the file is no datapoint.
        """
        text = read_text(self._disk, f"{self._layout.path}/{name}", f"{self._layout.directory}/{name}")
        if isinstance(text, Finding):
            return [text], None
        try:
            datapoint = parse_datapoint(text.value, uuid.UUID(name.removesuffix(".json")), self._context)
        except ShapeError as error:
            return [*text.findings, *text.locate(self._explain(text.value, error))], None
        assert isinstance(text.value, dict)  # or it would be no datapoint
        found = list(text.findings)
        if not is_stale:
            found += text.locate(judge(text.value, datapoint, self._config))
        attachments = tuple(find_references(text.value)["file"]) if b"files/" in text.data else ()
        found += text.locate(self._iter_missing_attachments(text, attachments))
        digest = _find_digest(text.value.get("output_schema"), datapoint)
        canonical = render_datapoint(datapoint, digest)
        if not found and dumps(canonical) != text.data:  # what is wrong comes first
            message = "It is spelled in another way than the store would: `filestore fmt` spells it so."
            found.append(Finding(text.path, 1, 1, "not-canonical", message))
        return found, _facts(datapoint, canonical, digest, attachments)

    def _explain(self, value: JSONValue, error: ShapeError) -> list[Issue]:
        """Return everything that keeps a value from being a datapoint; of the other kind nearly everything would."""
        kind = value.get("type") if isinstance(value, dict) else None
        name = value.get("function_name") if isinstance(value, dict) else None
        function = self._config.find_function(name) if isinstance(name, str) else None
        if isinstance(value, dict) and function is not None and kind in ("chat", "json") and kind != function.type:
            others = iter_issues({**value, "type": function.type}, self._context)
            return [wrong_kind(function), *others]
        return list(iter_issues(value, self._context)) or [issue_of(error)]

    def check_draft(self, text: Text) -> list[Finding]:
        """Check what a draft says: whatever its adoption refuses is an error here."""
        issues = list(iter_draft_issues(text.value, self._context))
        if not issues:
            datapoint, _ = read_shape(text.value, _SOME_ID, self._context)
            issues = judge(expect_object(text.value), datapoint, self._config)
        if any(RULES[issue.code].severity is Severity.ERROR for issue in issues):
            return text.locate(issues)
        stem = text.path.rpartition("/")[2].removesuffix(".json")
        try:
            parse_draft(text.value, stem, _SOME_ID, self._context)
        except ShapeError as error:
            issues.append(issue_of(error))
        return text.locate(issues)

    def _load_schema(self, digest: str) -> JSONValue:
        """Return a schema; one that was altered is told by itself, and every value fits it here."""
        if digest not in self._schemas:
            path = f"{self._layout.schemas}/{digest}.json"
            try:
                self._schemas[digest] = read_schema(self._disk.read(path)[0], self._layout.shown(path), digest)
            except FileNotFoundError:
                reason = f"there is no {self._layout.shown(path)}: restore it from git"
                raise ShapeError(reason, code="missing-schema") from None
            except (FileContentError, OSError):
                self._schemas[digest] = True
        return self._schemas[digest]

    def _iter_missing_attachments(self, text: Text, names: Iterable[str]) -> Iterator[Issue]:
        for name in names:
            if self._disk.status(f"{self._layout.parent_of('file')}/{name}") is None:
                message = f"There is no {self._layout.directory}/files/{name}: restore it from git."
                yield Issue("missing-attachment", message, _find_text(text.value, f"files/{name}") or ())


def _find_text(value: JSONValue, part: str, place: Pointer = ()) -> Pointer | None:
    """Return the place of the first text that has a part."""
    if isinstance(value, str):
        return place if part in value else None
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = (_find_text(item, part, (*place, step)) for step, item in inner)
    return next((one for one in found if one is not None), None)


def _find_digest(schema: JSONValue, datapoint: Datapoint) -> str | None:
    """Return the digest that a file refers to, or that its schema would lie under."""
    if not isinstance(datapoint, JsonDatapoint):
        return None
    return schema_reference(schema) or schema_digest(dumps(datapoint.output_schema))


def _facts(datapoint: Datapoint, canonical: dict[str, JSONValue], digest: str | None, names: tuple[str, ...]) -> Facts:
    content = {key: item for key, item in canonical.items() if key not in _OWN}
    return Facts(
        id=str(datapoint.id),
        name=datapoint.name,
        content=hashlib.blake2b(compact(content).encode(), digest_size=16).digest(),
        replaces=None if datapoint.replaces is None else str(datapoint.replaces),
        updated_at=datapoint.updated_at,
        schema=digest,
        attachments=names,
    )
