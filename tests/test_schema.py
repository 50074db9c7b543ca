"""Our engine gives the answers of upstream's, of which `jsonschema_rs` is the Python binding."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filestore.codec import JSONValue
from filestore.errors import SchemaCompileError, SchemaMismatchError
from filestore.schema import compile_schema
from filestore.schema import keywords as tables
from filestore.schema.compiled import SchemaMismatch
from filestore.schema.patterns import compile_pattern
from filestore.schema.plain import PATTERN, is_plain

DRAFT4 = "http://json-schema.org/draft-04/schema#"
DRAFT6 = "http://json-schema.org/draft-06/schema#"
DRAFT7 = "http://json-schema.org/draft-07/schema#"
DRAFT201909 = "https://json-schema.org/draft/2019-09/schema"
DRAFT202012 = "https://json-schema.org/draft/2020-12/schema"
DRAFTS = [DRAFT4, DRAFT6, DRAFT7, DRAFT201909, DRAFT202012]

COMPILES_NOT = "does not compile"


def ask_oracle(schema: Any, value: JSONValue) -> str:
    """Return the first error's text, "" where there is none, or that the schema does not compile."""
    try:
        jsonschema_rs.validator_for(schema, retriever=_refuse).validate(value)
    except jsonschema_rs.ValidationError as error:
        return COMPILES_NOT if not _compiles(schema) else error.message
    return ""


def _compiles(schema: Any) -> bool:
    try:
        jsonschema_rs.validator_for(schema, retriever=_refuse)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
        return False
    return True


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is not fetched")


def ask_ours(schema: JSONValue, value: JSONValue) -> str:
    try:
        compiled = compile_schema(schema)
    except SchemaCompileError:
        return COMPILES_NOT
    error = compiled.find_error(value)
    assert (error is None) == compiled.is_valid(value)
    return "" if error is None else error.message


def cases(*schemas_and_values: tuple[Any, list[Any]]) -> Callable[[Any], Any]:
    """Parametrise a test with every value of every schema."""
    pairs = [(schema, value) for schema, values in schemas_and_values for value in values]
    return pytest.mark.parametrize(("schema", "value"), pairs, ids=lambda each: str(each)[:60])


OBJECT: dict[str, JSONValue] = {"a": 1, "b": "x", "c": [1, 1], "d": {"e": None}}
ANSWER: dict[str, JSONValue] = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}


@cases(
    (ANSWER, [{}, {"b": 1}, {"answer": 1, "b": 1}, {"b": 1, "answer": 1}, {"answer": "x"}, [], None]),
    ({"type": "string"}, [1, 1.0, True, None, [], {}, ""]),
    ({"type": ["object", "boolean"]}, [1, "é", True]),
    ({"type": ["string", "null", "number", "integer"]}, [[], True]),
    ({"type": "integer"}, [1.0, 1e2, 1.5, True, 1e300, 2**63]),
    ({"type": "number"}, [True, 1, 1.5]),
    ({"enum": ["x", "y"]}, ["z", "x"]),
    ({"enum": [1]}, ["z", 1.0, True]),
    ({"enum": [1, 2, 3]}, ["z"]),
    ({"enum": [{"a": 1}, None, True, 4]}, ["z", 1, {"a": 1.0}]),
    ({"const": {"a": [1.0, None]}}, ["z", {"a": [1, None]}]),
    ({"const": 2**53 + 1}, [float(2**53), 2**53 + 1]),
    ({"enum": [[0]]}, [[False], [0.0]]),
    ({"minimum": 2}, [1, 2, 1.5, "1", True]),
    ({"minimum": 2**53 + 1}, [float(2**53)]),
    ({"maximum": 2.0}, [3, 2]),
    ({"maximum": 2**53}, [2**53 + 1]),
    ({"exclusiveMinimum": 2}, [2, 2.5]),
    ({"exclusiveMaximum": 2}, [2, 1]),
    ({"minimum": 5, "multipleOf": 2, "maximum": 0}, [3]),
    ({"multipleOf": 2}, [3, 4, 4.0]),
    ({"multipleOf": 0.1}, [0.7, 0.75, 1e16, -0.0]),
    ({"multipleOf": 0.01}, [4.35, 19.99, 0.001]),
    ({"multipleOf": 1e-10}, [1e308]),
    ({"multipleOf": 3}, [2**63, 6.0]),
    ({"minLength": 1}, ["", "a"]),
    ({"minLength": 2.0}, ["a", "😀"]),
    ({"maxLength": 0}, ["a"]),
    ({"maxLength": 1}, ["ab", "😀"]),
    ({"pattern": '^a\\d"'}, ['b"', 'a1"']),
    ({"pattern": "^a", "minLength": 4, "maxLength": 1}, ["xy"]),
    ({"minItems": 1}, [[]]),
    ({"minItems": 2}, [[]]),
    ({"maxItems": 1}, [[1, 2]]),
    ({"uniqueItems": True}, [[1, 1], [1, 1.0], [1, True], [[1], [1.0]], [0, False, None, "", [], {}], ["1", 1]]),
    ({"uniqueItems": False}, [[1, 1]]),
    ({"minProperties": 2}, [{}, {"a": 1}]),
    ({"maxProperties": 1}, [OBJECT]),
    ({"required": ["z", "y"]}, [{}, {"y": 1}]),
    ({"minProperties": 9, "required": ["q"], "type": "string"}, [OBJECT]),
    ({"properties": {"b": {"type": "integer"}, "a": {"type": "string"}}}, [OBJECT, {}]),
    ({"properties": {"b": False}}, [OBJECT]),
    ({"properties": {"z": {}}, "additionalProperties": {"type": "null"}}, [OBJECT]),
    ({"properties": {"a": {}, "b": {}, "c": {}}, "additionalProperties": False}, [OBJECT]),
    ({"properties": {}, "additionalProperties": False}, [OBJECT]),
    ({"additionalProperties": False}, [OBJECT, {}]),
    ({"patternProperties": {"^a": {"type": "string"}}, "additionalProperties": False}, [OBJECT, {"ab": "x"}]),
    ({"propertyNames": {"pattern": "^z"}}, [OBJECT, {"z": 1}]),
    ({"dependentRequired": {"a": ["z"]}}, [OBJECT, {}]),
    ({"dependentSchemas": {"a": {"required": ["y"]}}}, [OBJECT]),
    ({"dependencies": {"a": ["z"], "b": {"required": ["w"]}}}, [OBJECT, {"b": 1}]),
    ({"items": {"type": "string"}}, [[1], ["a"]]),
    ({"prefixItems": [{"type": "string"}], "items": False}, [["1", 2], ["1"]]),
    ({"contains": {"type": "string"}}, [[1], ["a", 1]]),
    ({"contains": {"type": "string"}, "minContains": 2}, [["a"], ["a", "b"]]),
    ({"contains": False, "minContains": 0}, [[1], []]),
    ({"contains": {"type": "string"}, "maxContains": 1}, [["a", "b"], ["a"]]),
    ({"contains": {"type": "string"}, "minContains": 0}, [[1]]),
    ({"allOf": [{"type": "string"}, {"minimum": 7}]}, [1, "a"]),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, [1, None]),
    ({"oneOf": [{"type": "integer"}, {"minimum": 0}]}, [1, 1.5, -1, -1.5]),
    ({"not": {"type": "integer"}}, [1, "a"]),
    ({"if": {"type": "integer"}, "then": {"minimum": 5}, "else": {"type": "null"}}, [1, "1", None, 7]),
    ({"unevaluatedProperties": False, "properties": {"a": {}}}, [OBJECT, {"a": 1}]),
    ({"unevaluatedProperties": {"type": "integer"}, "anyOf": [{"properties": {"b": {"type": "string"}}}]}, [OBJECT]),
    ({"unevaluatedProperties": False, "if": {"required": ["a"]}, "then": {"properties": {"a": {}}}}, [OBJECT]),
    ({"unevaluatedItems": False, "prefixItems": [{}]}, [[1, "b", 3], [1]]),
    ({"unevaluatedItems": False, "contains": {"type": "string"}}, [["a", 1], ["a"]]),
    ({"$ref": "#/$defs/x", "not": {}, "anyOf": [False], "type": "array", "$defs": {"x": {"const": 0}}}, [1, []]),
    ({"$ref": "#/$defs/x", "anyOf": [False], "enum": [1], "$defs": {"x": {"const": 0}}}, [1, []]),
    ({"unevaluatedProperties": False, "contains": {}, "$ref": "#/$defs/x", "$defs": {"x": {"not": {}}}}, [OBJECT, []]),
    (False, [1, OBJECT]),
    (True, [1]),
)
def test_the_first_failure_has_the_words_of_upstreams_engine(schema: JSONValue, value: JSONValue) -> None:
    assert ask_ours(schema, value) == ask_oracle(schema, value)


DRAFT_CASES: list[tuple[dict[str, Any], list[Any]]] = [
    ({"type": "integer"}, [1.0, 1e2]),
    ({"const": 1}, [2]),
    ({"contains": False}, [[1]]),
    ({"contains": {"type": "string"}, "minContains": 2}, [["a"]]),
    ({"propertyNames": False}, [{"a": 1}]),
    ({"if": True, "then": False}, [1]),
    ({"exclusiveMinimum": True, "minimum": 1}, [1, 2]),
    ({"exclusiveMaximum": True, "maximum": 1}, [1, 0]),
    ({"exclusiveMinimum": True}, [1]),
    ({"exclusiveMinimum": 1}, [1]),
    ({"items": [{"type": "string"}]}, [[1], ["a", 1]]),
    ({"items": [{}], "additionalItems": False}, [[1, 2], [1]]),
    ({"items": [{}], "additionalItems": {"type": "string"}}, [[1, 2]]),
    ({"items": True, "additionalItems": False}, [[1]]),
    ({"prefixItems": [False]}, [[1]]),
    ({"dependencies": {"a": ["b"]}}, [{"a": 1}]),
    ({"dependentRequired": {"a": ["b"]}}, [{"a": 1}]),
    ({"unevaluatedProperties": False}, [{"a": 1}]),
    ({"required": []}, [{}]),
    ({"properties": {"a": True}}, [{"a": 1}]),
    ({"$ref": "#/definitions/x", "definitions": {"x": {}}, "type": "string"}, [1]),
    ({"$ref": "#/nope", "type": "string"}, [1]),
    ({"contentEncoding": "base64"}, ["!", "YQ==", "YR==", "YQ", "", "YQ==\n", 1]),
    ({"contentMediaType": "application/json"}, ["{", "1", "", "[1,]", "NaN", 1]),
    ({"contentMediaType": "application/json", "contentEncoding": "base64"}, ["!", "eA==", "MQ=="]),
    ({"contentMediaType": "text/plain", "contentEncoding": "gzip"}, ["!"]),
]


@cases(*(({"$schema": draft, **keywords}, values) for draft in DRAFTS for keywords, values in DRAFT_CASES))
def test_each_draft_knows_its_own_keywords(schema: JSONValue, value: JSONValue) -> None:
    ours, theirs = ask_ours(schema, value), ask_oracle(schema, value)
    assert (ours == COMPILES_NOT, ours == "") == (theirs == COMPILES_NOT, theirs == "")


@pytest.mark.parametrize(
    "uri",
    [
        *DRAFTS,
        *(draft.removesuffix("#") for draft in DRAFTS),
        *(f"{draft.removesuffix('#')}#" for draft in DRAFTS),
        *("http://json-schema.org/schema#", "https://json-schema.org/draft-07/schema"),
        *("http://json-schema.org/draft-03/schema#", "http://json-schema.org/draft-07/schema/", "urn:x", "foo"),
        *("https://json-schema.org/draft/next/schema", "HTTP://json-schema.org/draft-07/schema", 5, None, ["x"]),
    ],
    ids=str,
)
def test_the_draft_is_chosen_by_its_uri_and_an_unknown_one_does_not_compile(uri: JSONValue) -> None:
    schema: JSONValue = {"$schema": uri, "type": "integer"}
    assert ask_ours(schema, 1.0) == ask_oracle(schema, 1.0)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "invalid"}, "\"invalid\" is not valid under any of the schemas listed in the 'anyOf' keyword"),
        ([{"a": "é"}], '[{"a":"é"}] is not of types "boolean", "object"'),
        ("x", '"x" is not of types "boolean", "object"'),
        (None, 'null is not of types "boolean", "object"'),
        ({"items": [{}]}, '[{}] is not of types "boolean", "object"'),
        ({"required": ["a", "a"]}, '["a","a"] has non-unique elements'),
        ({"minLength": -1}, "-1 is less than the minimum of 0"),
        ({"minLength": 1.5}, '1.5 is not of type "integer"'),
        ({"multipleOf": 0}, "0 is less than or equal to the minimum of 0"),
        ({"properties": {"a": {"enum": 5}}}, '5 is not of type "array"'),
        ({"anyOf": []}, "[] has less than 1 item"),
        ({"$id": "a#b"}, '"a#b" does not match "^[^#]*#?$"'),
        ({"$schema": DRAFT4, "exclusiveMinimum": True}, '"minimum" is a required property'),
        ({"$schema": 5}, '5 is not of type "string"'),
        ({"$schema": DRAFT4, "$ref": 5}, '5 is not of type "string"'),
        ({"$schema": DRAFT6, "contentEncoding": 5}, '5 is not of type "string"'),
        ({"pattern": "("}, '"(" is not a "regex"'),
        ({"patternProperties": {"(": {}}}, '"(" is not a "regex"'),
        ({"$schema": DRAFT7, "definitions": {"unused": {"pattern": "("}}}, '"(" is not a "regex"'),
        ({"$ref": "#/x", "x": 5}, '5 is not of types "boolean", "object"'),
        ({"$ref": "#/x", "x": {"minLength": -1}}, "-1 is less than the minimum of 0"),
    ],
    ids=str,
)
def test_a_broken_schema_is_refused_in_the_words_of_upstreams_engine(schema: JSONValue, message: str) -> None:
    with pytest.raises(SchemaCompileError) as caught:
        compile_schema(schema)
    assert str(caught.value) == message
    if isinstance(schema, dict):
        with pytest.raises(jsonschema_rs.ValidationError) as theirs:
            jsonschema_rs.validator_for(schema)
        assert theirs.value.message == message


@pytest.mark.parametrize(
    ("schema", "reference"),
    [
        ({"$ref": "#/nope"}, "#/nope"),
        ({"$ref": "#nope"}, "#nope"),
        ({"$dynamicRef": "#nope"}, "#nope"),
        ({"$ref": "#/x", "x": {"$ref": "#/y"}}, "#/y"),
        ({"$ref": "#/prefixItems/a", "prefixItems": [{}]}, "#/prefixItems/a"),
        ({"$ref": "#/minLength/a", "minLength": 1}, "#/minLength/a"),
        ({"$ref": DRAFT7}, DRAFT7),
        ({"$schema": DRAFT7, "if": True, "then": {"$ref": "#/nope"}}, "#/nope"),
    ],
    ids=str,
)
def test_a_reference_that_leads_nowhere_does_not_compile(schema: JSONValue, reference: str) -> None:
    assert ask_oracle(schema, 1) == COMPILES_NOT
    with pytest.raises(SchemaCompileError) as caught:
        compile_schema(schema)
    assert str(caught.value) == _leads_nowhere(reference)


def _leads_nowhere(reference: str) -> str:
    return f"Reference '{reference}' leads to nothing in the schema; other documents are never fetched"


@pytest.mark.parametrize(
    "reference", ["http://127.0.0.1:9/schema.json", "https://example.com/x#/y", "file:///etc/passwd", "other.json"]
)
@pytest.mark.parametrize("place", ["root", "property", "unused definition", "beside a $ref", "of draft 4"])
def test_a_reference_to_another_document_does_not_compile_and_is_never_fetched(place: str, reference: str) -> None:
    referring: JSONValue = {"$ref": reference}
    schemas: dict[str, JSONValue] = {
        "root": referring,
        "property": {"properties": {"a": {"items": referring}}},
        "unused definition": {"$defs": {"a": referring}},
        "beside a $ref": {"$ref": "#/$defs/a", "$defs": {"a": {}, "b": referring}},
        "of draft 4": {"$schema": DRAFT4, "dependencies": {"a": referring, "b": ["items"]}},
    }
    with pytest.raises(SchemaCompileError) as caught:
        compile_schema(schemas[place])
    assert str(caught.value) == _leads_nowhere(reference)


@pytest.mark.parametrize("uri", ["http://[", "a b", "é", "#/%", "#/$defs/a b"])
@pytest.mark.parametrize("keyword", ["$id", "$ref"])
@pytest.mark.parametrize("draft", [DRAFT7, DRAFT202012], ids=["7", "2020-12"])
def test_what_is_no_uri_reference_does_not_compile(draft: str, keyword: str, uri: str) -> None:
    schema: JSONValue = {"$schema": draft, "$defs": {"a b": True}, "properties": {"a": {keyword: uri}}}
    assert ask_ours(schema, 1) == ask_oracle(schema, 1) == COMPILES_NOT


@cases(
    ({"$defs": {"unused": {"$ref": "#/nowhere"}}}, [1]),
    ({"$defs": {"unused": {"pattern": "("}}}, [1]),
    ({"then": {"$ref": "#/nowhere"}, "else": {"pattern": "("}}, [1]),
    ({"enum": [{"$ref": "http://x/"}], "default": {"$ref": "#/nowhere"}, "x": {"$ref": "http://x/"}}, [1]),
    ({"$schema": DRAFT7, "dependentSchemas": {"a": {"$ref": "http://x/"}}, "prefixItems": 5}, [1]),
    ({"$schema": DRAFT7, "$ref": "#/definitions/a", "definitions": {"a": True}, "not": {"$ref": "#/nowhere"}}, [1]),
    ({"properties": {"a": {"$schema": "urn:x", "type": "string"}}}, [{"a": 1}]),
)
def test_a_mistake_where_nothing_is_applied_does_no_harm(schema: JSONValue, value: JSONValue) -> None:
    assert ask_ours(schema, value) == ask_oracle(schema, value) != COMPILES_NOT


BESIDE: dict[str, JSONValue] = {
    "properties": {"a": {"$ref": "w"}},
    "$defs": {"c": {"$id": "w", "type": "string"}},
}
"""A schema that refers to a part of its own by a relative id."""


@cases(
    ({"$ref": "#/$defs/a~1b%25", "$defs": {"a/b%": {"type": "string"}}}, [1, "a"]),
    ({"$ref": "#/properties/a", "properties": {"a": {"type": "string"}}}, [1]),
    ({"$ref": "#/x/y", "x": {"y": {"type": "string"}}}, [1]),
    ({"$ref": "#/prefixItems/0", "prefixItems": [{"type": "string"}]}, [1]),
    ({"$ref": "#/x", "x": False}, [1]),
    ({"$ref": "#a", "$defs": {"x": {"$anchor": "a", "type": "string"}}}, [1, "a"]),
    ({"$id": "http://x/y", "properties": {"a": {"$ref": "y"}}, "type": "object"}, [{"a": 1}, {"a": {}}]),
    ({"$defs": {"b": {"$id": "http://z/b", "type": "string"}}, "allOf": [{"$ref": "http://z/b"}]}, [1]),
    ({"$schema": DRAFT7, "definitions": {"b": {"$id": "#b", "type": "string"}}, "allOf": [{"$ref": "#b"}]}, [1]),
    ({"$id": "http://x/y/", "$ref": "#/$defs/b", "$defs": {"b": {**BESIDE, "$id": "z/"}}}, [{"a": 1}, {"a": "b"}]),
    ({"$id": "http://x/y/", "$ref": "z/", "$defs": {"b": {**BESIDE, "$id": "z/"}}}, [{"a": 1}, {"a": "b"}]),
    ({"properties": {"b": {"$ref": "#/$defs/b"}}, "$defs": {"b": {**BESIDE, "$id": "z/"}}}, [{"b": {"a": 1}}]),
    ({"$schema": DRAFT4, "definitions": {"b": {"id": "urn:b", "type": "string"}}, "not": {"$ref": "urn:b"}}, [1, ""]),
    ({"$ref": DRAFT202012}, [{"type": 5}, {"type": "null"}, 5]),
    ({"$schema": DRAFT7, "$ref": DRAFT7}, [{"type": 5}]),
    ({"properties": {"a": {"$ref": "#"}}, "additionalProperties": False}, [{"a": {"a": {"b": 1}}}, {"a": {"a": {}}}]),
    ({"$defs": {"unused": {"$ref": "#/nowhere"}}, "const": {"$ref": "#/nowhere"}}, [1]),
    ({"properties": {"$ref": {"type": "string"}}}, [{"$ref": 1}]),
)
def test_references_lead_anywhere_in_the_schema(schema: JSONValue, value: JSONValue) -> None:
    assert ask_ours(schema, value) == ask_oracle(schema, value)


def _tree(reference: dict[str, JSONValue], anchor: dict[str, JSONValue], draft: str) -> JSONValue:
    tree: JSONValue = {
        "$id": "http://x/tree",
        "type": "object",
        "properties": {"data": True, "children": {"items": reference}},
        **anchor,
    }
    strict = {"$id": "http://x/strict", "$ref": "tree", "unevaluatedProperties": False, **anchor}
    return {"$schema": draft, **strict, "$defs": {"tree": tree}}


def _either_tree(reference: dict[str, JSONValue], anchor: dict[str, JSONValue], draft: str) -> JSONValue:
    """The strict tree is tried first, on the same values: what it says of them must not be taken for the other's."""
    strict = _tree(reference, anchor, draft)
    return {
        "$schema": draft,
        "$defs": {"strict": strict},
        "anyOf": [{"$ref": "http://x/strict"}, {"$ref": "http://x/tree"}],
    }


@cases(
    (_tree({"$dynamicRef": "#n"}, {"$dynamicAnchor": "n"}, DRAFT202012), [{"children": [{"daat": 1}]}, {"data": 1}]),
    (_tree({"$recursiveRef": "#"}, {"$recursiveAnchor": True}, DRAFT201909), [{"children": [{"daat": 1}]}]),
    (_tree({"$ref": "#"}, {}, DRAFT202012), [{"children": [{"daat": 1}]}, {"daat": 1}]),
    (_tree({"$ref": "#n"}, {"$dynamicAnchor": "n"}, DRAFT202012), [{"children": [{"daat": 1}]}]),
    (_either_tree({"$dynamicRef": "#n"}, {"$dynamicAnchor": "n"}, DRAFT202012), [{"children": [{"daat": 1}]}]),
    (_either_tree({"$recursiveRef": "#"}, {"$recursiveAnchor": True}, DRAFT201909), [{"children": [{"daat": 1}]}]),
)
def test_dynamic_references_lead_to_the_outermost_anchor(schema: JSONValue, value: JSONValue) -> None:
    assert ask_ours(schema, value) == ask_oracle(schema, value)


# Patterns -------------------------------------------------------------------------------------------------------------

PATTERNS = [
    *(r"^\d+$", r"^\w$", r"^\s$", r"^[\d]$", r"^[^\w]$", r"^\W$", r"^\D$", r"^\S$", r"[\s\S]", r"^[\w-]+$", r"a\b"),
    *(r"^\p{L}+$", r"\p{Lu}", r"\P{L}", r"[\p{L}\d]", r"\p{Script=Greek}", r"^[^\P{L}]$", r"\pL", r"\p{^L}"),
    *("^a$", "^.$", "a|^b", "^(a|b)+?$", "(a)\\1", "^(?<n>a)$", "(?P<n>a)", "(?:a)", "(?i)^É$", "(?i:k)", "(?s)^.$"),
    *("^(?=.*a).{2}$", "^(?!a)", "(?<=a)b", "(?<!a)b", "(?<=a+)b", "a{2}", "^a{1,}$", "a{0,1}b", "x++x", "\\Aa\\z"),
    *(r"\u0041", r"\u{1F600}", r"\x41", r"\cA", r"[\cA]", r"\/", r"\-", r"\#", r"\_", r"[a\-z]", r"[\x41-\x43]"),
    *("]", "}", "[]a]", "[^]a]", "[a[b]", "[[a-z]]", "[a-c-e]", "[-a]", "[a-]", "[+--]", "a#b", "a b", "", "|", "\\\\"),
]
NO_PATTERNS = [
    *("(", ")", "[", "[a", "[]", "[^]", "\\", "*a", "+", "?", "{", "a{", "a{1", "a{,3}", "a{2,1}", "a**", "a???"),
    *("(?", "(?:", "(?<n", "(?<n>", "(?<1>a)", "(?<a>x)(?<a>y)", "(?#c)a", "(?>a)", "(?|a)", "(?(1)a|b)", "(?&a)"),
    *(r"\a", r"\e", r"\h", r"\K", r"\G", r"\R", r"\X", r"\Q", r"\N", r"\Z", r"\é", r"\c", r"\c1", r"\x4", r"\p"),
    *(r"\0", r"\01", r"\1", r"(a)\2", r"\k<a>", r"[\b]", r"[\B]", r"\ud83d\ude00", r"\ud83d", r"\p{Nope}", r"\p{L"),
    *(r"[z-a]", r"[a-\d]", r"[\w-.]", r"[\]", r"[\1]", r"\u{110000}", "(?=a)*", "(*FAIL)", "(a{1000}){1000}"),
]
TEXTS = [
    *("", "a", "b", "ab", "aa", "aé", "A", "é", "É", "ß", "k", "K", "1", "42", "٣", "_", "-", " ", "\n", "a\n", "\r"),
    *(
        "\u2028",
        "\u00a0",
        "\ufeff",
        "\u200b",
        "α",
        "Ω",
        "😀",
        "中",
        "\x01",
        "/",
        "#",
        "]",
        "}",
        "[",
        "z]",
        "a b",
        "xxx",
    ),
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_finds_what_upstreams_engine_finds(pattern: str) -> None:
    compiled, oracle = compile_schema({"pattern": pattern}), jsonschema_rs.validator_for({"pattern": pattern})
    ascii_only = "(?=" in pattern or "(?!" in pattern or "(?<" in pattern  # upstream leaves \d and \w Unicode there
    texts = [text for text in TEXTS if text.isascii() or not ascii_only]
    assert [text for text in texts if compiled.is_valid(text)] == [text for text in texts if oracle.is_valid(text)]


@pytest.mark.parametrize("pattern", NO_PATTERNS)
def test_what_is_no_pattern_does_not_compile(pattern: str) -> None:
    schemas: list[JSONValue] = [{"pattern": pattern}, {"patternProperties": {pattern: True}}]
    for schema in schemas:
        assert ask_oracle(schema, 1) == COMPILES_NOT
        with pytest.raises(SchemaCompileError) as caught:
            compile_schema(schema)
        assert str(caught.value) == f'"{pattern}" is not a "regex"'


@pytest.mark.parametrize("pattern", ["(" * 5000 + ")" * 5000, "((a{1000}){1000}){1000}", "a{99999999999}"])
def test_a_monstrous_pattern_does_not_compile(pattern: str) -> None:
    with pytest.raises(SchemaCompileError):
        compile_schema({"pattern": pattern})


# Formats --------------------------------------------------------------------------------------------------------------

LABEL = "a" * 63
FORMATS: dict[str, list[str]] = {
    "date": [
        *(
            "2020-01-01",
            "2020-1-1",
            "20200101",
            "2020-02-30",
            "0000-01-01",
            "0000-02-29",
            "2020-01-01\n",
            "10000-01-01",
        ),
        *("２０２０-01-01", "2019-02-29", "1900-02-29", "2000-02-29", " 2020-01-01", "2020-00-10", "2020-01-00"),
    ],
    "time": [
        *("12:00:00Z", "12:00:00z", "12:00:00", "12:00:00+00:00", "12:00:00.5Z", "12:00:00.Z", "24:00:00Z", "12:00Z"),
        *("23:59:60Z", "12:59:60Z", "00:29:60+00:30", "00:59:60+01:00", "22:59:60-01:00", "12:00:00+24:00"),
        *("12:00:00-23:59", "12:00:00+0100", "12:00:00,5Z", "12:00:00 Z", "12:00:00Z\n"),
    ],
    "date-time": [
        *("2020-01-01T12:00:00Z", "2020-01-01t12:00:00z", "2020-01-01 12:00:00Z", "2020-01-01T12:00:00"),
        *("2020-02-30T12:00:00Z", "2020-01-01T12:00:00+01:00", "2020-01-01T", "T12:00:00Z", "2020-12-31T23:59:60Z"),
    ],
    "email": [
        *("a@b", "joe.bloggs@example.com", "a@", "@b", "a", "a@b@c", '"a b"@c.d', '"a@b"@c', "a..b@c.d", ".a@c.d"),
        *("a.@c.d", "a@[127.0.0.1]", "a@[IPv6:::1]", "a@[x]", "a@-b.c", "a@b_c.d", "a b@c.d", "é@c.d", "a@é.d"),
        *("te~st@example.com", "x" * 64 + "@b.c", "x" * 65 + "@b.c", "Joe <a@b.c>", "a@b.c\n", '""@b.c', "a@127.0.0.1"),
    ],
    "idn-email": ["실례@실례.테스트", "a@b.c", "2962", "a@é.d", "é@b.c", "a@-é.c"],
    "hostname": [
        *("a", "www.example.com", "-a", "a-", "a_b", "a..b", ".a", "a.", "é", "a b", "1.2.3.4", "", "a--b", "A\n"),
        *(LABEL, LABEL + "a", ".".join([LABEL] * 4), "xn--4gbwdl.xn--wgbh1c", "xn--X", "xn--a", "ab--cd"),
    ],
    "idn-hostname": [
        *("실례.테스트", "〮실례", "a", "-a", "é", "a_b", "实例。com", "xn--X", "xn--ihqwcrb4cv8a8dqg056pqjye", "·"),
        *("l·l", "a·l", "ab--cd", "", "a..b", "ß", "Ω", "א׳ב", "A׳ב", "a.", "\u0300abc", "○", "१२", "〱", "a\u200db"),
        *("क्\u200dष", "abc\u200c", "def・", "カ・ハ"),
    ],
    "ipv4": ["127.0.0.1", "256.0.0.1", "1.2.3", "1.2.3.4.5", "01.2.3.4", " 1.2.3.4", "1.2.3.4/8", "１.2.3.4", "1.2.3."],
    "ipv6": [
        *("::", "::1", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9", "::1.2.3.4", "fe80::1%eth0", "12345::", "g::", "1:2"),
        *("1::2::3", "::01.2.3.4", "[::1]", "::1/64", "1:2:3:4:5:6:7::", "1:2:3:4::5:6:7:8", "A::", "::１"),
    ],
    "uri": [
        *("http://a/b?c=d#e", "a", "//a", "urn:x:y", "mailto:a@b", "http://[::1]:80/", "http://[::1", "http://a b"),
        *("http://a/%zz", "http://a/%20", "http://é", "", "http:", "http://", "1http://a", 'http://a/"', "a+b.c-d:e"),
        *(
            "http://a/{x}",
            "http://a\\b",
            "file:///etc",
            "http://a:b",
            "http://u:p@h",
            "http://[1.2.3.4]",
            "http://[v1.x]",
        ),
        *("http://a#b#c", "http://a?b?c", "tel:+1", ":a", "http://a/\n", "http://a@b@c", "http://a[b", "http:///a"),
    ],
    "uri-reference": ["", "a", "/a", "//a", "#a", "a:b", "a b", "%", "\\a", "1:2", "a/b:c", ":a", "é", "//a:x", "{a}"],
    "iri": ["http://é", "http://a/ü?ø#å", "é", "http://a b", "urn:é", "http://a/\ue000", "http://a?\ue000", "é:b"],
    "iri-reference": ["é", "é b", "", "#ƒ", "//é", "\\é", "é:b", "é/b:c"],
    "uri-template": [
        "",
        "http://a/{b}",
        "{",
        "}",
        "{}",
        "{+a}",
        "{#a*}",
        "{a:3}",
        "{a:0}",
        "{a,b}",
        "{a b}",
        "%zz",
        "{é}",
    ],
    "json-pointer": ["", "/", "/a", "a", "/~0~1", "/~", "/~2", "#/a", "/é", "//", "/\x00"],
    "relative-json-pointer": ["0", "01", "0/a", "1#", "#", "/a", "-1", "1/a~", "10", "1##", "", "１", "0/"],
    "regex": ["(", "a", "[", "a{2}", "a{2,1}", "(?<a>x)", "\\", "^(abc]", "\\p{L}", "(?=a)", "*a", "\\a"],
    "unknown": ["anything", ""],
}


@pytest.mark.parametrize("draft", [DRAFT4, DRAFT6, DRAFT7], ids=["4", "6", "7"])
@pytest.mark.parametrize("name", FORMATS)
def test_early_drafts_assert_the_formats_upstreams_engine_asserts(name: str, draft: str) -> None:
    schema: dict[str, Any] = {"$schema": draft, "format": name}
    compiled, oracle = compile_schema(schema), jsonschema_rs.validator_for(schema)
    texts = FORMATS[name]
    assert [text for text in texts if compiled.is_valid(text)] == [text for text in texts if oracle.is_valid(text)]
    assert compiled.is_valid(5)


@pytest.mark.parametrize("draft", [{}, {"$schema": DRAFT201909}, {"$schema": DRAFT202012}], ids=str)
def test_later_drafts_take_format_for_an_annotation(draft: dict[str, JSONValue]) -> None:
    assert all(compile_schema({**draft, "format": name}).is_valid("%( a{") for name in FORMATS)


# Depth ----------------------------------------------------------------------------------------------------------------

RECURSIVE: dict[str, JSONValue] = {
    "object": {"type": "object", "properties": {"a": {"$ref": "#"}}},
    "optional": {"type": "object", "properties": {"a": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}},
    "any JSON": {
        "$ref": "#/$defs/any",
        "$defs": {
            "any": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/array"}, {"$ref": "#/$defs/object"}]},
            "array": {"type": "array", "items": {"$ref": "#/$defs/any"}},
            "object": {"type": "object", "additionalProperties": {"$ref": "#/$defs/any"}},
        },
    },
}


def nest(levels: int, innermost: JSONValue) -> JSONValue:
    value = innermost
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(("name", "levels"), [("object", 135), ("optional", 135), ("any JSON", 100)])
def test_a_deep_value_is_judged(name: str, levels: int) -> None:
    compiled = compile_schema(RECURSIVE[name])
    assert compiled.is_valid(nest(levels, {}))
    error = compiled.find_error(nest(levels, 1))
    assert error is not None
    assert "too deep" not in error.message


def test_a_value_deeper_than_python_can_go_does_not_fit() -> None:
    compiled = compile_schema(RECURSIVE["any JSON"])
    assert not compiled.is_valid(nest(200, None))
    error = compiled.find_error(nest(200, None))
    assert error == SchemaMismatch("The value is nested too deeply to be checked against this schema", ())


@pytest.mark.parametrize(
    ("keyword", "levels"), [("not", 100), ("items", 100), ("additionalProperties", 100), ("propertyNames", 100)]
)
def test_a_deep_schema_compiles(keyword: str, levels: int) -> None:
    schema: JSONValue = True
    for _ in range(levels):
        schema = {keyword: schema}
    assert compile_schema(schema).is_valid(1)


@pytest.mark.parametrize("levels", [127, 128, 200])
def test_a_deeper_schema_does_not_compile(levels: int) -> None:
    schema: JSONValue = True
    for _ in range(levels):
        schema = {"not": schema}
    with pytest.raises(SchemaCompileError, match="nested"):
        compile_schema(schema)


@cases(
    ({"$ref": "#"}, [1]),
    ({"allOf": [{"$ref": "#"}], "type": "string"}, [1, "a"]),
    ({"anyOf": [{"$ref": "#"}, {"type": "string"}]}, [1]),
    ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, [1]),
    ({"$dynamicRef": "#a", "$dynamicAnchor": "a"}, [1]),
    ({"$schema": DRAFT201909, "$recursiveRef": "#", "$recursiveAnchor": True}, [1]),
    ({"$ref": "#", "unevaluatedProperties": False}, [{"a": 1}, {}]),
    ({"allOf": [{"$ref": "#"}], "unevaluatedItems": False}, [[1], []]),
)
def test_a_schema_that_only_refers_to_itself_asks_nothing(schema: JSONValue, value: JSONValue) -> None:
    assert ask_ours(schema, value) == ask_oracle(schema, value)


def test_the_failures_of_a_schema_that_refers_to_itself_come_to_an_end() -> None:
    schema: JSONValue = {"$ref": "#/$defs/a", "$defs": {"a": {"type": "string", "allOf": [{"$ref": "#/$defs/a"}]}}}
    assert set(compile_schema(schema).iter_errors(1)) == {SchemaMismatch('1 is not of type "string"', ())}


def test_the_ways_through_a_recursive_schema_are_not_tried_one_by_one() -> None:
    def branch(name: str) -> JSONValue:
        return {"allOf": [{"properties": {"a": {"$ref": "#"}}}, {"required": [name]}]}

    schema: JSONValue = {"anyOf": [branch("b"), branch("c"), {"maxProperties": 0}]}
    assert not compile_schema(schema).is_valid(nest(60, {}))  # 2**60 ways


# The interface --------------------------------------------------------------------------------------------------------


def test_every_failure_is_found_with_its_place() -> None:
    schema: JSONValue = {
        "$defs": {"name": {"type": "string"}},
        "required": ["id", "name"],
        "properties": {"names": {"items": {"$ref": "#/$defs/name"}}},
        "additionalProperties": False,
    }
    assert list(compile_schema(schema).iter_errors({"names": ["a", 1, None], "id": 1, "x": 2})) == [
        SchemaMismatch('"name" is a required property', ()),
        SchemaMismatch('1 is not of type "string"', ("names", 1)),
        SchemaMismatch('null is not of type "string"', ("names", 2)),
        SchemaMismatch("Additional properties are not allowed ('id' was unexpected)", (), "id"),
        SchemaMismatch("Additional properties are not allowed ('x' was unexpected)", (), "x"),
    ]


def test_a_mismatch_is_told_with_the_schema() -> None:
    compiled = compile_schema({"type": "object", "required": ["é"]})
    compiled.validate({"é": 1})
    with pytest.raises(SchemaMismatchError) as caught:
        compiled.validate({})
    assert str(caught.value) == (
        'JSON Schema validation failed:\n"é" is a required property\n\nSchema:\n{"type":"object","required":["é"]}'
    )


@pytest.mark.parametrize(("constant", "equal"), [(1, [1, 1.0]), (1.0, [1, 1.0]), (True, [True])], ids=str)
def test_schemas_that_python_takes_for_equal_are_told_apart(constant: JSONValue, equal: list[JSONValue]) -> None:
    compiled = compile_schema({"const": constant})
    assert [value for value in (1, 1.0, True) if compiled.is_valid(value)] == equal


def test_a_schema_is_compiled_once_and_not_changed_by_its_caller() -> None:
    schema: dict[str, JSONValue] = {"enum": ["compiled once"]}
    compiled = compile_schema(schema)
    assert compile_schema({"enum": ["compiled once"]}) is compiled
    schema["enum"] = []
    assert compiled.schema == {"enum": ["compiled once"]}
    assert compiled.is_valid("compiled once")


def test_threads_share_a_compiled_schema() -> None:
    compiled = compile_schema(RECURSIVE["any JSON"])
    verdicts: list[bool] = []

    def judge() -> None:
        verdicts.extend(compiled.is_valid(nest(20, None)) and not compiled.is_valid(nest(20, 1)) for _ in range(20))

    threads = [threading.Thread(target=judge) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == [True] * 80


# Any schema, any value ------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c"])
SCALARS = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, 1.0, 0.5, 0.7, 2.5, "", "a", "ab", "1"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
SMALL = st.integers(0, 2)


def _extend(schemas: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.dictionaries(NAMES, schemas, max_size=2)
    listed = st.lists(schemas, min_size=1, max_size=2)
    optional: dict[str, st.SearchStrategy[Any]] = {
        "properties": named,
        "patternProperties": st.dictionaries(st.sampled_from(["a", "^b$", "[bc]"]), schemas, max_size=1),
        "additionalProperties": schemas,
        "propertyNames": schemas,
        "dependentSchemas": named,
        "items": schemas,
        "prefixItems": listed,
        "contains": schemas,
        "minContains": SMALL,
        "maxContains": SMALL,
        "allOf": listed,
        "anyOf": listed,
        "oneOf": listed,
        "not": schemas,
        "if": schemas,
        "then": schemas,
        "else": schemas,
        "unevaluatedProperties": schemas,
        "unevaluatedItems": schemas,
    }
    keywords = st.lists(st.sampled_from(sorted(optional)), min_size=1, max_size=4, unique=True)
    return keywords.flatmap(lambda names: st.fixed_dictionaries({name: optional[name] for name in names}))


ASSERTIONS = st.fixed_dictionaries(
    {},
    optional={
        "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
        "const": VALUES,
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "minimum": st.integers(-2, 2) | st.sampled_from([0.5, 1.0]),
        "exclusiveMaximum": st.integers(-2, 2),
        "multipleOf": st.sampled_from([1, 2, 0.5, 0.1]),
        "minLength": SMALL,
        "pattern": st.sampled_from(["a", "^b", r"\d$", "^$"]),
        "maxItems": SMALL,
        "uniqueItems": st.booleans(),
        "minProperties": SMALL,
        "required": st.lists(NAMES, max_size=2, unique=True),
        "dependentRequired": st.dictionaries(NAMES, st.lists(NAMES, max_size=1), max_size=1),
        "$ref": st.sampled_from(["#/$defs/x", "#/$defs/y"]),
    },
)
SCHEMAS = st.recursive(st.booleans() | ASSERTIONS, _extend, max_leaves=5)


@settings(max_examples=400, deadline=None)
@given(SCHEMAS, st.lists(VALUES, min_size=1, max_size=4), ASSERTIONS)
def test_any_schema_and_value_get_the_verdict_of_upstreams_engine(
    schema: Any, values: list[JSONValue], definition: dict[str, JSONValue]
) -> None:
    definition.pop("$ref", None)
    document: dict[str, Any] = {"allOf": [schema], "$defs": {"x": definition, "y": {"items": {"$ref": "#/$defs/x"}}}}
    compiled, oracle = compile_schema(document), jsonschema_rs.validator_for(document)
    for value in values:
        assert compiled.is_valid(value) == oracle.is_valid(value)
        assert (compiled.find_error(value) is None) == oracle.is_valid(value)


KEYWORDS = sorted(
    {*tables.DRAFT4, *tables.DRAFT7, *tables.DRAFT202012, "allOf", "if", "$id", "id", "$anchor", "$schema"}
)
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.sampled_from(["#", "#/x", "#a", "(", "urn:a", "", "http://[", *DRAFTS]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(JUNK, st.sampled_from(DRAFTS), VALUES)
def test_junk_compiles_or_is_refused(junk: JSONValue, draft: str, value: JSONValue) -> None:
    schema = {**junk, "$schema": draft} if isinstance(junk, dict) else junk
    try:
        compiled = compile_schema(schema)
    except SchemaCompileError:
        return
    assert compiled.is_valid(value) == (not list(compiled.iter_errors(value)))


# --- schemas that are known to compile without the engine

PLAIN: dict[str, JSONValue] = {
    "empty": {},
    "draft": {"$schema": DRAFT7, "type": "object"},
    "types": {"type": ["string", "null"]},
    "object": {"properties": {"a": {"enum": ["x"]}, "$ref": True}, "required": ["a"], "additionalProperties": False},
    "sizes": {"items": {"minLength": 1, "maximum": 2.5}, "maxItems": 0, "uniqueItems": True},
    "choice": {"anyOf": [{"const": None}, {"not": {"type": "integer"}}], "default": {"type": "strnig"}},
    "reference": {"$defs": {"node": {"items": {"$ref": "#/$defs/node"}}}, "$ref": "#/$defs/node"},
    "old-reference": {
        "$schema": DRAFT7,
        "definitions": {"id": {"type": "string"}},
        "items": {"$ref": "#/definitions/id"},
    },
    "pattern": {"pattern": r"^[A-Z]{2}-\d{5}$"},
}
NOT_PLAIN: dict[str, JSONValue] = {
    "flag": True,
    "number": 1,
    "old-draft": {"$schema": DRAFT4},
    "inner-draft": {"items": {"$schema": DRAFT202012}},
    "unknown-type": {"type": "strnig"},
    "no-type": {"type": []},
    "repeated-type": {"type": ["string", "string"]},
    "unknown-keyword": {"mimimum": 1},
    "id": {"$id": "https://example.com"},
    "size": {"maxLength": -1},
    "size-flag": {"maxLength": True},
    "choice": {"anyOf": []},
    "repeated-name": {"required": ["a", "a"]},
    "reference": {"$ref": "#/$defs/x", "$defs": {}},
    "reference-elsewhere": {"$ref": "#"},
    "reference-list": {"$ref": ["#/$defs/x"], "$defs": {"x": {}}},
    "group": {"pattern": "(a|b)"},
    "range": {"pattern": "[z-a]"},
    "count": {"pattern": "a{3,1}"},
    "long-pattern": {"pattern": "a" * 300},
    "deep": nest(60, {}),
}


@pytest.mark.parametrize("schema", PLAIN.values(), ids=PLAIN.keys())
def test_a_plain_schema_is_known_to_compile(schema: JSONValue) -> None:
    assert is_plain(schema)
    compile_schema(schema)


@pytest.mark.parametrize("schema", NOT_PLAIN.values(), ids=NOT_PLAIN.keys())
def test_of_what_is_not_plain_nothing_is_known(schema: JSONValue) -> None:
    assert not is_plain(schema)


@given(st.from_regex(re.compile(PATTERN, re.ASCII | re.VERBOSE), fullmatch=True))
def test_a_plain_pattern_compiles(pattern: str) -> None:
    compile_pattern(pattern)


PLAIN_PARTS = st.recursive(
    st.sampled_from([{}, True, {"type": "string"}, {"type": ["null"]}, {"$ref": "#/$defs/a"}, {"pattern": "a+"}]),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("items", "additionalProperties", "not"), inner),
            **{keyword: st.lists(inner, min_size=1, max_size=2) for keyword in ("allOf", "anyOf", "oneOf")},
            **{
                keyword: st.dictionaries(NAMES, inner, max_size=2) for keyword in ("properties", "$defs", "definitions")
            },
            "required": st.lists(NAMES, unique=True, max_size=2),
            "enum": st.lists(VALUES, min_size=1, max_size=2),
            "default": VALUES,
            "minLength": st.integers(0, 3),
            "minimum": st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False),
        },
    ),
    max_leaves=8,
)


@given(PLAIN_PARTS, JUNK, st.sampled_from(DRAFTS))
def test_whatever_is_taken_for_plain_compiles(schema: Any, junk: Any, draft: str) -> None:
    document = {**(schema if isinstance(schema, dict) else {}), "$defs": {"a": {}}, "$schema": draft}
    for candidate in (document, {**document, "properties": {"x": junk}}, junk):
        if is_plain(candidate):
            compile_schema(candidate)
            assert _compiles(candidate)


def test_a_pattern_of_very_many_classes_is_refused_before_it_is_compiled() -> None:
    """Each takes as much time and memory as hundreds of characters."""
    with pytest.raises(SchemaCompileError, match='is not a "regex"'):
        compile_pattern(r"\S" * 190_000)
    assert compile_pattern(r"\S" * 1000).search("a" * 1000)
