"""Keywords that answer as upstream's engine does where the package's own differ, in what they accept or in words.

Each has the signature that the package asks for: `(validator, value of the keyword, instance, schema)`, and yields an
error for each failure.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

from jsonschema import ValidationError

from filestore.codec import JSONValue, compact, parse_raw
from filestore.schema.patterns import compile_pattern

__all__ = ["COMMON", "CONTENT", "DRAFT4", "UNEVALUATED", "Keyword", "make_format", "order_keywords", "remember_visits"]

Keyword = Callable[[Any, Any, Any, Any], Iterable[ValidationError]]


_ORDER = (
    *("$ref", "type", "const", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "pattern", "format", "contentEncoding", "contentMediaType"),
    *("minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "required", "dependentRequired"),
    *("properties", "propertyNames", "dependencies", "dependentSchemas", "items", "prefixItems"),
)
_RANKS = {keyword: rank for rank, keyword in enumerate(_ORDER)}
_JUDGED_TOGETHER = ("properties", "patternProperties", "additionalProperties")


def order_keywords(schema: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the keywords of a schema in upstream's order, as only the first failure is reported.

    >>> [keyword for keyword, _ in order_keywords({"additionalProperties": False, "required": [], "type": "object"})]
    ['type', 'required', 'properties']
    """
    ordered = [(keyword, value) for keyword, value in schema.items() if keyword not in _JUDGED_TOGETHER]
    if any(keyword in schema for keyword in _JUDGED_TOGETHER):
        ordered.append(("properties", schema.get("properties")))
    ordered.sort(key=lambda pair: _rank(pair[0], schema))
    return ordered


def _rank(keyword: str, schema: dict[str, Any]) -> float:
    # Upstream judges the three in one go in this case, and reports an unexpected property first.
    is_closed = schema.get("additionalProperties") is False and "properties" in schema
    if keyword == "required" and is_closed and len(schema["required"]) == 1:
        return _RANKS["properties"] + 0.5
    return _RANKS.get(keyword, len(_ORDER))


def json_identity(value: JSONValue) -> Hashable:
    """Return a key that is equal for equal JSON values: 1 and 1.0 are equal, 1 and true are not.

    >>> json_identity([1, {"a": 2.0}]) == json_identity([1.0, {"a": 2}])
    True
    >>> json_identity(1) == json_identity(True)
    False
    """
    if isinstance(value, bool):
        return (bool, value)
    if isinstance(value, list):
        return (list, tuple(json_identity(item) for item in value))
    if isinstance(value, dict):
        return (dict, frozenset((key, json_identity(item)) for key, item in value.items()))
    return value


def is_multiple(value: int | float, divisor: int | float) -> bool:
    """Tell whether `value` is a multiple of `divisor` as both are written.

    >>> is_multiple(0.7, 0.1), is_multiple(1e308, 3)
    (True, False)
    """
    if isinstance(value, int) and isinstance(divisor, int):
        return value % divisor == 0
    return (Fraction(repr(value)) / Fraction(repr(divisor))).denominator == 1


def _list(texts: list[str]) -> str:
    if len(texts) > 3:
        texts = [*texts[:2], f"{len(texts) - 2} other candidates"]
    return " or ".join(part for part in (", ".join(texts[:-1]), *texts[-1:]) if part)


# --- values by themselves

_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")


def _type(validator: Any, types: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    wanted = [types] if isinstance(types, str) else types
    if not any(validator.is_type(instance, one) for one in wanted):
        listed = [f'"{one}"' for one in _TYPES if one in wanted]
        yield ValidationError(
            f"{compact(instance)} is not of {'type' if len(listed) == 1 else 'types'} {', '.join(listed)}"
        )


def _const(validator: Any, expected: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if json_identity(instance) != json_identity(expected):
        yield ValidationError(f"{compact(expected)} was expected")


def _enum(validator: Any, candidates: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if json_identity(instance) not in map(json_identity, candidates):
        yield ValidationError(f"{compact(instance)} is not one of {_list(list(map(compact, candidates)))}")


def _for(type_name: str, fits: Callable[[Any, Any], bool], explain: Callable[[Any], str]) -> Keyword:
    """Make a keyword that asserts something of the instances of one type; all others pass."""

    def keyword(validator: Any, limit: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if validator.is_type(instance, type_name) and not fits(instance, limit):
            yield ValidationError(f"{compact(instance)} {explain(limit)}")

    return keyword


def _count(comparison: str, one: str, many: str) -> Callable[[Any], str]:
    return lambda limit: f"{comparison} {int(limit)} {one if limit == 1 else many}"


def _at_least(value: Any, limit: Any) -> bool:
    return len(value) >= limit


def _at_most(value: Any, limit: Any) -> bool:
    return len(value) <= limit


def _unique(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    is_asked = wanted is True and isinstance(instance, list)
    if is_asked and len({json_identity(item) for item in instance}) < len(instance):
        yield ValidationError(f"{compact(instance)} has non-unique elements")


_minimum = _for("number", lambda value, limit: value >= limit, lambda at: f"is less than the minimum of {compact(at)}")
_maximum = _for(
    "number", lambda value, limit: value <= limit, lambda at: f"is greater than the maximum of {compact(at)}"
)
_exclusive_minimum = _for(
    "number", lambda value, limit: value > limit, lambda at: f"is less than or equal to the minimum of {compact(at)}"
)
_exclusive_maximum = _for(
    "number", lambda value, limit: value < limit, lambda at: f"is greater than or equal to the maximum of {compact(at)}"
)


def _minimum_draft4(validator: Any, limit: Any, instance: Any, schema: Any) -> Iterable[ValidationError]:
    return (_exclusive_minimum if schema.get("exclusiveMinimum") is True else _minimum)(
        validator, limit, instance, schema
    )


def _maximum_draft4(validator: Any, limit: Any, instance: Any, schema: Any) -> Iterable[ValidationError]:
    return (_exclusive_maximum if schema.get("exclusiveMaximum") is True else _maximum)(
        validator, limit, instance, schema
    )


def _pattern(validator: Any, text: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not compile_pattern(text).search(instance):
        yield ValidationError(f'{compact(instance)} does not match "{text}"')


def make_format(formats: Mapping[str, Callable[[str], bool]]) -> Keyword:
    """Make the keyword `format`, asserted for the formats given and an annotation for all others."""

    def check(validator: Any, name: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        is_format = formats.get(name) if isinstance(name, str) else None
        if is_format is not None and isinstance(instance, str) and not is_format(instance):
            yield ValidationError(f'{compact(instance)} is not a "{name}"')

    return check


def _decode_base64(text: str) -> bytes | None:
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    # The module takes non-zero bits after the last byte; RFC 4648 lets a decoder refuse them, and upstream's does.
    return content if base64.b64encode(content).decode() == text else None


def _content_encoding(validator: Any, name: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if name == "base64" and isinstance(instance, str) and _decode_base64(instance) is None:
        yield ValidationError(f'{compact(instance)} is not compliant with "base64" content encoding')


def _content_media_type(validator: Any, name: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if name != "application/json" or not isinstance(instance, str):
        return
    is_encoded = schema.get("contentEncoding") == "base64"
    content = _decode_base64(instance) if is_encoded else instance.encode()
    if content is None:
        return  # no base64, which `contentEncoding` says already
    try:
        parse_raw(content.decode())
    except ValueError:
        yield ValidationError(f'{compact(instance)} is not compliant with "application/json" media type')


# --- references

_Visit = tuple[int, int]
_current = threading.local()


@contextmanager
def remember_visits() -> Iterator[None]:
    """Remember, for one validation, what the targets of references said of which instances.

    The ways to them through a recursive schema can be exponentially many.
    """
    outer, _current.visits = getattr(_current, "visits", None), {}
    try:
        yield
    finally:
        _current.visits = outer


def _reference(validator: Any, reference: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Apply the schema that a reference leads to; one that comes back to it for the same instance asks nothing more."""
    target = validator._resolver.lookup(reference)
    visits: dict[_Visit, list[str]] = _current.visits
    visit = (id(target.contents), id(instance))
    if visit in visits:
        yield from map(ValidationError, visits[visit])
        return
    visits[visit] = []
    for error in validator.descend(instance, target.contents, resolver=target.resolver):
        visits[visit].append(error.message)
        yield error


# --- properties


def _required(validator: Any, names: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for name in names:
            if name not in instance:
                yield ValidationError(f"{compact(name)} is a required property")


def _properties(validator: Any, _: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Judge `properties`, `patternProperties` and `additionalProperties` in one pass, in the order of the object."""
    if not isinstance(instance, dict):
        return
    named = schema.get("properties", {})
    patterned = [(compile_pattern(text), text) for text in schema.get("patternProperties", {})]
    additional = schema.get("additionalProperties", True)
    for name, value in instance.items():
        is_known = name in named
        if is_known:
            yield from validator.descend(value, named[name], path=name, schema_path=name)
        for pattern, text in patterned:
            if pattern.search(name):
                is_known = True
                yield from validator.descend(value, schema["patternProperties"][text], path=name, schema_path=text)
        if not is_known and additional is False:
            yield ValidationError(_explain_unexpected([name], "Additional"))
        elif not is_known:
            yield from validator.descend(value, additional, path=name)


def _find_additional(instance: dict[str, Any], schema: Any) -> list[str]:
    patterns = [compile_pattern(text) for text in schema.get("patternProperties", {})]
    known = schema.get("properties", {})
    return [
        name for name in instance if name not in known and not any(pattern.search(name) for pattern in patterns)
    ]


def _explain_unexpected(names: list[str], keyword: str) -> str:
    listed = ", ".join(f"'{name}'" for name in names)
    return f"{keyword} properties are not allowed ({listed} {'was' if len(names) == 1 else 'were'} unexpected)"


def _unevaluated_properties(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    others = {key: value for key, value in schema.items() if key != "unevaluatedProperties"}
    evaluated = _find_evaluated(validator, instance, others)
    left = [name for name in instance if name not in evaluated]
    refused = [name for name in left if not _fits(validator, instance[name], allowed)]
    if refused:
        yield ValidationError(_explain_unexpected(refused, "Unevaluated"))


def _fits(validator: Any, instance: Any, schema: Any) -> bool:
    return next(iter(validator.descend(instance, schema)), None) is None


def _find_evaluated(validator: Any, instance: dict[str, Any], schema: Any) -> set[str]:
    """Return the properties that a fitting schema judges, for `unevaluatedProperties`."""
    if not isinstance(schema, dict):
        return set()
    evaluated = set(schema.get("properties", {})) & set(instance)
    if "additionalProperties" in schema:
        evaluated.update(_find_additional(instance, schema))
    if "unevaluatedProperties" in schema:
        evaluated.update(instance)
    for text in schema.get("patternProperties", {}):
        pattern = compile_pattern(text)
        evaluated.update(name for name in instance if pattern.search(name))
    for inner, subschema in _iter_in_place(validator, instance, schema):
        evaluated |= _find_evaluated(inner, instance, subschema)
    return evaluated


def _iter_in_place(validator: Any, instance: Any, schema: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield the subschemas that apply to the same instance and that it fits, each with its validator."""
    for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
        if keyword in schema:
            # The package offers no public way to follow a reference from a keyword.
            found = validator._resolver.lookup(schema[keyword])
            yield validator.evolve(schema=found.contents, _resolver=found.resolver), found.contents
    for keyword in ("allOf", "anyOf", "oneOf"):
        for subschema in schema.get(keyword, ()):
            if _fits(validator, instance, subschema):
                yield validator, subschema
    for name, subschema in schema.get("dependentSchemas", {}).items():
        if name in instance:
            yield validator, subschema
    if "if" in schema:
        is_so = _fits(validator, instance, schema["if"])
        if is_so:
            yield validator, schema["if"]
        branch = "then" if is_so else "else"
        if branch in schema:
            yield validator, schema[branch]


def _dependent_required(validator: Any, needs: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for trigger, names in needs.items():
            if trigger in instance:
                yield from _required(validator, names, instance, schema)


# --- combinations


def _any_of(validator: Any, subschemas: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not any(_fits(validator, instance, subschema) for subschema in subschemas):
        yield ValidationError(_explain_none(instance, "anyOf"))


def _one_of(validator: Any, subschemas: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    count = sum(_fits(validator, instance, subschema) for subschema in subschemas)
    if count == 0:
        yield ValidationError(_explain_none(instance, "oneOf"))
    elif count > 1:
        yield ValidationError(
            f"{compact(instance)} is valid under more than one of the schemas listed in the 'oneOf' keyword"
        )


def _explain_none(instance: Any, keyword: str) -> str:
    return f"{compact(instance)} is not valid under any of the schemas listed in the '{keyword}' keyword"


def _not(validator: Any, subschema: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if _fits(validator, instance, subschema):
        yield ValidationError(f"{compact(subschema)} is not allowed for {compact(instance)}")


COMMON: dict[str, Keyword] = {
    "$ref": _reference,
    "type": _type,
    "const": _const,
    "enum": _enum,
    "minimum": _minimum,
    "maximum": _maximum,
    "exclusiveMinimum": _exclusive_minimum,
    "exclusiveMaximum": _exclusive_maximum,
    "multipleOf": _for("number", is_multiple, lambda at: f"is not a multiple of {compact(at)}"),
    "minLength": _for("string", _at_least, _count("is shorter than", "character", "characters")),
    "maxLength": _for("string", _at_most, _count("is longer than", "character", "characters")),
    "minItems": _for("array", _at_least, _count("has less than", "item", "items")),
    "maxItems": _for("array", _at_most, _count("has more than", "item", "items")),
    "minProperties": _for("object", _at_least, _count("has less than", "property", "properties")),
    "maxProperties": _for("object", _at_most, _count("has more than", "property", "properties")),
    "uniqueItems": _unique,
    "pattern": _pattern,
    "required": _required,
    "properties": _properties,
    "dependentRequired": _dependent_required,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
}


def _pass(validator: Any, value: Any, instance: Any, schema: Any) -> Iterable[ValidationError]:
    """Judge nothing: a keyword that this draft does not have, or that another one speaks for."""
    return ()


DRAFT4: dict[str, Keyword] = {
    "minimum": _minimum_draft4,
    "maximum": _maximum_draft4,
    "exclusiveMinimum": _pass,
    "exclusiveMaximum": _pass,
    "const": _pass,
}
CONTENT: dict[str, Keyword] = {"contentEncoding": _content_encoding, "contentMediaType": _content_media_type}
UNEVALUATED: dict[str, Keyword] = {"unevaluatedProperties": _unevaluated_properties}
