"""Laws of the schema for editors: it takes every file that the check takes, and refuses what it can."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from filestore import FileStore
from filestore.codec import JSONValue, dumps, loads
from filestore.datapoint_file import FileContext, parse_datapoint, schema_digest
from filestore.datapoint_judgement import iter_judgement
from filestore.editor import editor_schema
from filestore.editor.embedding import embed
from filestore.errors import SchemaCompileError, ShapeError
from filestore.findings import RULES, Severity
from filestore.functions import EMPTY_CONFIG
from filestore.schema import compile_schema
from tests.test_corpus import CORPUS, EXPECTED, INVALID, READABLE, VALID, is_draft
from tests.test_datapoint_issues import CONFIG, FILES, ID, SAMPLES, mutated
from tests.test_schema import ASSERTIONS, DRAFTS, SCHEMAS, VALUES

CORPUS_CONFIG = FileStore(CORPUS, CORPUS / "config" / "tensorzero.toml").config


def schema_files(root: Path) -> dict[str, JSONValue]:
    return {path.stem: loads(path.read_bytes()) for path in root.glob("*/schemas/*.json")}


SAMPLE_SCHEMAS = schema_files(SAMPLES)
CONTEXT = FileContext("cases", lambda: CONFIG, SAMPLE_SCHEMAS.__getitem__)
OF_SAMPLES = Draft7Validator(editor_schema(CONFIG, SAMPLE_SCHEMAS))
FAST = jsonschema_rs.Draft7Validator(editor_schema(CONFIG, SAMPLE_SCHEMAS))


def errors(validator: Draft7Validator, value: JSONValue) -> list[str]:
    return [f"{list(error.absolute_path)}: {error.message}" for error in validator.iter_errors(value)]


def test_it_is_a_schema_of_draft_7_and_the_same_bytes_each_time() -> None:
    schema = editor_schema(CONFIG, SAMPLE_SCHEMAS)
    Draft7Validator.check_schema(schema)
    assert dumps(schema) == dumps(editor_schema(CONFIG, dict(reversed(SAMPLE_SCHEMAS.items()))))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_sample_is_taken(path: Path) -> None:
    value = loads(path.read_bytes())
    assert errors(OF_SAMPLES, value) == []
    assert FAST.is_valid(value)
    assert errors(Draft7Validator(editor_schema(EMPTY_CONFIG)), value) == []


@settings(max_examples=500, deadline=None)
@given(mutated())
def test_whatever_the_check_takes_is_taken(value: JSONValue) -> None:
    try:
        datapoint = parse_datapoint(copy.deepcopy(value), ID, CONTEXT)
    except (ShapeError, KeyError):
        return
    assert isinstance(value, dict)
    judged = {RULES[issue.code].severity for issue in iter_judgement(value, datapoint, CONFIG)}
    if Severity.ERROR not in judged:
        assert errors(OF_SAMPLES, value) == []
        assert FAST.is_valid(value)


# --- the corpus

UNSEEN = {
    "bad-schema": "an editor does not compile schemas",
    "duplicate-tool": "an editor does not compare names",
    "missing-attachment": "an editor does not look for other files",
    "raw-output-mismatch": "it is a warning",
    "raw-output-disagrees": "it is a warning",
    "missing-tool": "it is a warning",
    "tool-call-mismatch--custom-tool": "an editor does not see that a tool of the same file has no schema",
    "wrong-type--grammar": "an editor looks at the keys of a custom tool alone",
    "not-canonical": "it is a warning",
}
"""What a schema cannot say."""
SHAPES = [path for path in INVALID if EXPECTED[path.stem]["pointer"] is not None and not is_draft(path)]
SEEN = [path for path in SHAPES if not {path.stem, path.stem.partition("--")[0]} & UNSEEN.keys()]


@pytest.fixture(scope="module")
def of_corpus() -> Any:
    schemas = [loads((CORPUS / "config" / f"{name}.json").read_bytes()) for name in ("answer", "verdict")]
    return Draft7Validator(editor_schema(CORPUS_CONFIG, {schema_digest(dumps(one)): one for one in schemas}))


@pytest.mark.parametrize("path", [*VALID, *READABLE], ids=lambda path: path.stem)
def test_valid_files_are_taken(path: Path, of_corpus: Draft7Validator) -> None:
    assert errors(of_corpus, json.loads(path.read_bytes())) == []


@pytest.mark.parametrize("path", SEEN, ids=lambda path: path.stem)
def test_invalid_files_are_refused(path: Path, of_corpus: Draft7Validator) -> None:
    assert errors(of_corpus, json.loads(path.read_bytes())) != []


def test_most_of_the_corpus_is_seen() -> None:
    assert len(SEEN) > 80


# --- users' schemas in another one


@settings(max_examples=600, deadline=None)
@given(SCHEMAS, st.lists(VALUES, min_size=1, max_size=4), ASSERTIONS, st.sampled_from(DRAFTS))
def test_an_embedded_schema_takes_whatever_the_schema_takes(
    schema: Any, values: list[JSONValue], definition: dict[str, JSONValue], draft: str
) -> None:
    definition.pop("$ref", None)
    document: dict[str, Any] = {"allOf": [schema], "$defs": {"x": definition, "y": {"items": {"$ref": "#/$defs/x"}}}}
    document["$schema"] = draft
    try:
        compiled = compile_schema(document)
    except SchemaCompileError:
        return
    place = "#/definitions/a%20b"
    outer = {"definitions": {"a b": embed(document, place)}, "properties": {"here": {"$ref": place}}}
    validator = jsonschema_rs.Draft7Validator(outer)
    for value in values:
        assert validator.is_valid({"here": value}) or not compiled.is_valid(value)


def test_a_recursive_schema_stays_recursive() -> None:
    tree: dict[str, Any] = {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["n"],
    }
    outer = Draft7Validator({"definitions": {"t": embed(tree, "#/definitions/t")}, "$ref": "#/definitions/t"})
    assert errors(outer, {"n": 1, "children": [{"n": 2}]}) == []
    assert errors(outer, {"n": 1, "children": [{"m": 2}]}) != []


@pytest.mark.parametrize(
    "schema",
    [{"allOf": [{"$ref": "#"}]}, {"$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"$ref": "#/$defs/a"}}}],
    ids=["itself", "in turns"],
)
def test_a_schema_that_only_refers_to_itself_is_left_out(schema: JSONValue) -> None:
    assert embed(schema, "#/definitions/x") == {}


def test_a_number_without_a_fraction_is_an_integer() -> None:
    embedded = embed({"type": ["integer", "null"]}, "#/definitions/x")
    assert embedded == {"type": ["null", "number"], "multipleOf": 1}
