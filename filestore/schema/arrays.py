"""Keywords that judge arrays by their items."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jsonschema import ValidationError

from filestore.codec import compact
from filestore.schema.applying import Keyword, fits, iter_in_place

__all__ = ["additional_items", "items", "make_contains", "unevaluated_items"]


def items(validator: Any, schemas: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Judge each item by its own schema where there is a list of them, else all but the prefix by one."""
    if not isinstance(instance, list):
        return
    if isinstance(schemas, list):
        for index, (item, subschema) in enumerate(zip(instance, schemas, strict=False)):
            yield from validator.descend(item, subschema, path=index)
        return
    for index in range(_prefix_length(validator, schema), len(instance)):
        yield from validator.descend(instance[index], schemas, path=index)


def _prefix_length(validator: Any, schema: Any) -> int:
    return len(schema.get("prefixItems", ())) if "prefixItems" in validator.VALIDATORS else 0


def additional_items(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Judge the items beyond a list of schemas in `items`."""
    schemas = schema.get("items")
    if not isinstance(instance, list) or not isinstance(schemas, list):
        return
    if allowed is False and len(instance) > len(schemas):
        yield ValidationError(_explain_unexpected(list(map(compact, instance[len(schemas) :])), "Additional"))
    elif allowed is not False:
        for index in range(len(schemas), len(instance)):
            yield from validator.descend(instance[index], allowed, path=index)


def _explain_unexpected(listed: list[str], keyword: str) -> str:
    verb = "was" if len(listed) == 1 else "were"
    return f"{keyword} items are not allowed ({', '.join(listed)} {verb} unexpected)"


def make_contains(*, counts: bool) -> Keyword:
    """Make the keyword `contains`.

    Args:
        counts: Whether the draft has `minContains` and `maxContains`.
    """

    def contains(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if not isinstance(instance, list):
            return
        least = schema.get("minContains", 1) if counts else 1
        most = schema.get("maxContains", len(instance)) if counts else len(instance)
        if not least <= sum(fits(validator, item, wanted) for item in instance) <= most:
            yield ValidationError(f"None of {compact(instance)} are valid under the given schema")

    return contains


def unevaluated_items(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Judge the items that no other keyword has judged, nor one of a subschema that the array fits."""
    if not isinstance(instance, list):
        return
    others = {keyword: value for keyword, value in schema.items() if keyword != "unevaluatedItems"}
    evaluated: set[int] = set()
    for inner in iter_in_place(validator.evolve(schema=others), instance, {id(schema)}):
        evaluated |= _find_evaluated(inner, instance)
    left = [item for index, item in enumerate(instance) if index not in evaluated]
    refused = [f"'{compact(item)}'" for item in left if not fits(validator, item, allowed)]
    if refused:
        yield ValidationError(_explain_unexpected(refused, "Unevaluated"))


def _find_evaluated(validator: Any, instance: list[Any]) -> set[int]:
    """Return the indexes that the keywords of one schema judge."""
    schema = validator.schema
    judged = schema.get("items")
    if "unevaluatedItems" in schema or isinstance(judged, dict | bool):
        return set(range(len(instance)))
    if isinstance(judged, list):
        return set(range(len(instance) if "additionalItems" in schema else len(judged)))
    evaluated = set(range(_prefix_length(validator, schema)))
    if "contains" in schema and "prefixItems" in validator.VALIDATORS:  # draft 2019-09 does not count these
        evaluated |= {index for index, item in enumerate(instance) if fits(validator, item, schema["contains"])}
    return evaluated
