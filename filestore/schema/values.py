"""Keywords that judge a value by itself, without subschemas, in the words of upstream's engine."""

from __future__ import annotations

import base64
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import orjson
from jsonschema import ValidationError

from filestore.codec import JSONValue, compact, parse_raw
from filestore.schema.applying import Keyword
from filestore.schema.patterns import compile_pattern

__all__ = ["BOUNDS", "BOUNDS_DRAFT4", "CONST", "CONTENT", "VALUES", "json_identity", "make_format"]


def json_identity(value: JSONValue) -> Hashable:
    """Return a key that is equal for equal JSON values: 1 and 1.0 are equal, 1 and true are not.

    An array or an object is its text: nobody can choose many whose hashes are the same, as they can for tuples.

    >>> json_identity([1, {"a": 2.0}]) == json_identity([1.0, {"a": 2}])
    True
    >>> json_identity(1) == json_identity(True)
    False
    """
    if isinstance(value, bool):
        return (bool, value)
    if isinstance(value, list | dict):
        return orjson.dumps(_with_whole_numbers(value), option=orjson.OPT_SORT_KEYS)
    return value


def _with_whole_numbers(value: JSONValue) -> JSONValue:
    """Return a copy in which each number that is whole, and fits 64 bits, is an integer."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and -(2**63) <= value < 2**64 else value
    if isinstance(value, list):
        return [_with_whole_numbers(item) for item in value]
    if isinstance(value, dict):
        return {key: _with_whole_numbers(item) for key, item in value.items()}
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
    return bool(len(value) >= limit)


def _at_most(value: Any, limit: Any) -> bool:
    return bool(len(value) <= limit)


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


VALUES: dict[str, Keyword] = {
    "type": _type,
    "enum": _enum,
    "multipleOf": _for("number", is_multiple, lambda at: f"is not a multiple of {compact(at)}"),
    "minLength": _for("string", _at_least, _count("is shorter than", "character", "characters")),
    "maxLength": _for("string", _at_most, _count("is longer than", "character", "characters")),
    "minItems": _for("array", _at_least, _count("has less than", "item", "items")),
    "maxItems": _for("array", _at_most, _count("has more than", "item", "items")),
    "minProperties": _for("object", _at_least, _count("has less than", "property", "properties")),
    "maxProperties": _for("object", _at_most, _count("has more than", "property", "properties")),
    "uniqueItems": _unique,
    "pattern": _pattern,
}
"""The keywords that all drafts share."""
CONST: dict[str, Keyword] = {"const": _const}
BOUNDS: dict[str, Keyword] = {
    "minimum": _minimum,
    "maximum": _maximum,
    "exclusiveMinimum": _exclusive_minimum,
    "exclusiveMaximum": _exclusive_maximum,
}
BOUNDS_DRAFT4: dict[str, Keyword] = {"minimum": _minimum_draft4, "maximum": _maximum_draft4}
CONTENT: dict[str, Keyword] = {"contentEncoding": _content_encoding, "contentMediaType": _content_media_type}
