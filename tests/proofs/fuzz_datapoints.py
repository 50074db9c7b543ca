"""Laws of bytes that become datapoints, schemas and function configs."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from filestore.codec import JSONValue, compact, dumps, loads, pack, unpack
from filestore.datapoint import (
    ChatDatapoint,
    Datapoint,
    JsonDatapoint,
    render_legacy,
    render_legacy_transitional,
    render_transitional,
)
from filestore.datapoint_file import FileContext, read_datapoint, read_schema, render_datapoint, schema_digest
from filestore.errors import ConfigError, FileContentError, FilestoreError, SchemaCompileError, ShapeError
from filestore.function_config import parse_config
from filestore.functions import FunctionConfig
from filestore.query import parse_list_query
from filestore.requests_legacy import LegacyRequests
from filestore.requests_v1 import (
    build_created,
    build_updated,
    parse_create_item,
    parse_metadata_item,
    parse_update_item,
    successor,
)
from filestore.schema import check_schema, compile_schema
from filestore.schema.patterns import compile_pattern
from filestore.schema.plain import is_plain
from filestore.storage.rows import Row
from tests.proofs.fuzz_texts import assert_place

__all__ = ["SAMPLES", "datapoint_file", "function_config", "requests", "schema"]

SAMPLES = Path(__file__).parent.parent.parent / "sample_datasets"
DATASET = "demo"
ID = uuid.UUID("019a4903-0e5f-7522-aed5-b912bbcb6b2a")
NEXT_ID = uuid.UUID("019a4903-0e5f-7522-aed5-b912bbcb6b2b")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@cache
def sample_config() -> FunctionConfig:
    """Return the function config of the samples."""
    path = str(SAMPLES / "tensorzero.toml")
    return parse_config([(path, Path(path).read_bytes())], lambda name: Path(name).read_bytes(), check_schema)


@cache
def sample_schemas() -> dict[str, JSONValue]:
    """Return the output schemas of the samples by their digests."""
    paths = SAMPLES.glob("*/schemas/*.json")
    return {path.stem: read_schema(path.read_bytes(), path.name, path.stem) for path in paths}


def _context(schemas: dict[str, JSONValue]) -> FileContext:
    def load_schema(digest: str) -> JSONValue:
        if digest not in schemas:
            raise ShapeError("no such schema")
        return unpack(pack(schemas[digest]))

    return FileContext(DATASET, sample_config, load_schema)


# --- files


def datapoint_file(data: bytes) -> None:
    """A file is refused with the place of the mistake, or is a datapoint that its canonical file says again."""
    try:
        datapoint = read_datapoint(data, "demo/file.json", ID, _context(sample_schemas()))
    except FileContentError as error:
        assert_place(data.removeprefix(b"\xef\xbb\xbf"), error.line, error.column)
        return
    assert_kept(datapoint)


def assert_kept(datapoint: Datapoint) -> None:
    """Assert that a datapoint has a file which says all of it, and that it goes out in every form there is."""
    schemas: dict[str, JSONValue] = {}
    digest = None
    if isinstance(datapoint, JsonDatapoint):
        written = dumps(datapoint.output_schema)
        digest = schema_digest(written)
        schemas[digest] = read_schema(written, "schema.json", digest)
    file = dumps(render_datapoint(datapoint, digest))
    again = read_datapoint(file, "demo/canonical.json", datapoint.id, _context(schemas))
    # Representations tell 1 from 1.0 and `true`.
    assert _shown(again) == _shown(datapoint), file
    assert dumps(render_datapoint(again, digest)) == file
    config = sample_config()
    for form in (
        datapoint.to_dict(),
        render_legacy(datapoint, config),
        render_legacy_transitional(datapoint, config),
        render_transitional(datapoint),
    ):
        assert repr(loads(compact(form).encode(), max_depth=200)) == repr(form), file


def _shown(datapoint: Datapoint) -> dict[str, str]:
    return {field.name: repr(getattr(datapoint, field.name)) for field in fields(datapoint)}


# --- requests


@cache
def _sample(kind: str) -> Datapoint:
    for path in sorted(SAMPLES.glob("*/*.json")):
        datapoint = read_datapoint(path.read_bytes(), path.name, ID, _context(sample_schemas()))
        if datapoint.type == kind:
            return datapoint
    raise AssertionError(f"the samples have no {kind} datapoint")


def _bulk(value: JSONValue) -> Datapoint:
    return LegacyRequests(DATASET, DATASET, sample_config()).parse_bulk_item(value, 0, NEXT_ID)[0]


def _put(value: JSONValue) -> Datapoint:
    return LegacyRequests(DATASET, DATASET, sample_config()).parse_put(value, NEXT_ID, NOW)[0]


def _create(value: JSONValue) -> Datapoint:
    return build_created(parse_create_item(value, DATASET), DATASET, NEXT_ID, sample_config())


def _update(value: JSONValue) -> Datapoint:
    item = parse_update_item(value, DATASET)
    return successor(build_updated(_sample(item.kind), item, sample_config()), NEXT_ID)


def _list(value: JSONValue) -> None:
    query = parse_list_query(value)
    query.check()
    rows = sorted((Row.of(_sample(kind)) for kind in ("chat", "json")), key=lambda row: row.key, reverse=True)
    assert len(query.select(rows)) <= query.limit


def _rename(value: JSONValue) -> None:
    parse_metadata_item(value)


REQUESTS: tuple[Callable[[JSONValue], Datapoint | None], ...] = (_bulk, _put, _create, _update, _list, _rename)


def requests(data: bytes) -> None:
    """An item of a request is refused with a status of the client's, or becomes a datapoint that can be kept."""
    try:
        value = loads(data[1:])
    except FilestoreError:
        return
    try:
        datapoint = REQUESTS[data[0] % len(REQUESTS)](value)
    except FilestoreError as error:
        assert 400 <= error.status < 500, repr(error)
        return
    if datapoint is not None:
        assert isinstance(datapoint, ChatDatapoint | JsonDatapoint)
        assert_kept(datapoint)


# --- schemas and configs


def schema(data: bytes) -> None:
    """A schema does not compile, or judges any value; text is no pattern, or searches any text."""
    text, _, value = data.partition(b"\0")
    try:
        found, judged = loads(text), loads(value or b"null")
    except FilestoreError:
        _assert_pattern(text.decode(errors="replace"), value.decode(errors="replace"))
        return
    is_sure = is_plain(found)
    try:
        compiled = compile_schema(found)
    except SchemaCompileError:
        assert not is_sure
        return
    for one in (judged, found):
        errors = list(compiled.iter_errors(one))
        assert compiled.is_valid(one) == (not errors)
        assert compiled.find_error(one) == next(iter(errors), None)


def _assert_pattern(text: str, searched: str) -> None:
    try:
        pattern = compile_pattern(text)
    except SchemaCompileError:
        return
    assert compile_schema({"pattern": text}).is_valid(searched) in (True, False)
    assert pattern is not None


def function_config(data: bytes) -> None:
    """A config is refused with its file and its key, or has functions and tools; files that it names are any bytes."""
    document, *files = data.split(b"\0")

    def read(path: str) -> bytes:
        if not files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return files[len(path) % len(files)]

    try:
        config = parse_config([("tensorzero.toml", document)], read, check_schema)
    except ConfigError as error:
        assert error.path
        return
    for name, function in config.functions.items():
        assert config.get_function(name) is function
        assert set(function.tools) <= config.tools.keys()
        for found in (*function.schemas.values(), function.output_schema):
            compile_schema(found)
