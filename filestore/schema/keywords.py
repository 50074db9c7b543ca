"""The keywords that answer as upstream's engine does where the package's own differ, in what they accept or in words.

One table for each draft; what is not in it is the package's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jsonschema import ValidationError

from filestore.codec import compact
from filestore.schema import arrays, objects
from filestore.schema.applying import Keyword, dynamic_reference, recursive_reference, reference
from filestore.schema.values import BOUNDS, BOUNDS_DRAFT4, CONST, CONTENT, VALUES

__all__ = ["DRAFT4", "DRAFT6", "DRAFT7", "DRAFT201909", "DRAFT202012", "order_keywords"]

_ORDER = (
    *("type", "const", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "pattern", "format", "contentEncoding", "contentMediaType"),
    *("minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "required", "dependentRequired"),
    *("properties", "propertyNames", "dependencies", "dependentSchemas", "items", "prefixItems", "contains"),
    *("allOf", "anyOf", "oneOf", "not", "if", "unevaluatedItems", "unevaluatedProperties", "$ref", "$dynamicRef"),
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


# These two ask the subschemas without `fits`: each function on the way takes from the depth that a value may have.


def _any_of(validator: Any, subschemas: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    for subschema in subschemas:
        if next(validator.descend(instance, subschema), None) is None:
            return
    yield ValidationError(_explain_none(instance, "anyOf"))


def _one_of(validator: Any, subschemas: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    count = 0
    for subschema in subschemas:
        count += next(validator.descend(instance, subschema), None) is None
    if count == 0:
        yield ValidationError(_explain_none(instance, "oneOf"))
    elif count > 1:
        yield ValidationError(
            f"{compact(instance)} is valid under more than one of the schemas listed in the 'oneOf' keyword"
        )


def _explain_none(instance: Any, keyword: str) -> str:
    return f"{compact(instance)} is not valid under any of the schemas listed in the '{keyword}' keyword"


def _not(validator: Any, subschema: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if next(validator.descend(instance, subschema), None) is None:
        yield ValidationError(f"{compact(subschema)} is not allowed for {compact(instance)}")


_COMMON: dict[str, Keyword] = {
    **VALUES,
    "$ref": reference,
    "required": objects.required,
    "properties": objects.properties,
    "dependencies": objects.dependencies,
    "items": arrays.items,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
}
_ADDITIONAL: dict[str, Keyword] = {"additionalItems": arrays.additional_items}

DRAFT4 = _COMMON | _ADDITIONAL | BOUNDS_DRAFT4
DRAFT6 = _COMMON | _ADDITIONAL | BOUNDS | CONST | CONTENT
DRAFT6 |= {"contains": arrays.make_contains(counts=False), "propertyNames": objects.property_names}
DRAFT7 = DRAFT6
DRAFT202012 = _COMMON | BOUNDS | CONST
DRAFT202012 |= {
    "$dynamicRef": dynamic_reference,
    "contains": arrays.make_contains(counts=True),
    "dependentRequired": objects.dependent_required,
    "propertyNames": objects.property_names,
    "unevaluatedItems": arrays.unevaluated_items,
    "unevaluatedProperties": objects.unevaluated_properties,
}
DRAFT201909 = DRAFT202012 | _ADDITIONAL | {"$recursiveRef": recursive_reference}
del DRAFT201909["$dynamicRef"]
