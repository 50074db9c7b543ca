"""Keywords that judge objects by their properties."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jsonschema import ValidationError

from filestore.codec import compact
from filestore.schema.applying import UnexpectedPropertyError, fits, iter_in_place
from filestore.schema.patterns import compile_pattern

__all__ = [
    "dependencies",
    "dependent_required",
    "properties",
    "property_names",
    "required",
    "unevaluated_properties",
]


def required(validator: Any, names: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Ask for properties."""
    if isinstance(instance, dict):
        for name in names:
            if name not in instance:
                yield ValidationError(f"{compact(name)} is a required property")


def dependent_required(validator: Any, needs: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Ask for properties where another one is there."""
    if isinstance(instance, dict):
        for trigger, names in needs.items():
            if trigger in instance:
                yield from required(validator, names, instance, schema)


def dependencies(validator: Any, needs: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Ask for properties, or apply a schema, where another property is there."""
    if not isinstance(instance, dict):
        return
    for trigger, needed in needs.items():
        if trigger in instance and isinstance(needed, list):
            yield from required(validator, needed, instance, schema)
        elif trigger in instance:
            yield from validator.descend(instance, needed)


def property_names(validator: Any, subschema: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Judge the names of properties; upstream quotes the object where no name at all is allowed."""
    if not isinstance(instance, dict):
        return
    if subschema is False and instance:
        yield ValidationError(f"False schema does not allow {compact(instance)}")
        return
    for name in instance:
        yield from validator.descend(name, subschema)


def properties(validator: Any, _: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Judge `properties`, `patternProperties` and `additionalProperties` in one pass, in the order of the object."""
    if not isinstance(instance, dict):
        return
    named = schema.get("properties", {})
    patterned = [(compile_pattern(text), part) for text, part in schema.get("patternProperties", {}).items()]
    additional = schema.get("additionalProperties", True)
    is_alone = "properties" not in schema and "patternProperties" not in schema
    for name, value in instance.items():
        parts = [part for pattern, part in patterned if pattern.search(name)]
        if name in named:
            parts.insert(0, named[name])
        if not parts and additional is False and not is_alone:
            error = UnexpectedPropertyError(_explain_unexpected([name], "Additional"))
            error.name = name
            yield error
            continue
        for part in parts or [additional]:
            yield from validator.descend(value, part, path=name)


def _explain_unexpected(names: list[str], keyword: str) -> str:
    listed = ", ".join(f"'{name}'" for name in names)
    return f"{keyword} properties are not allowed ({listed} {'was' if len(names) == 1 else 'were'} unexpected)"


def unevaluated_properties(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Judge the properties that no other keyword has judged, nor one of a subschema that the object fits."""
    if not isinstance(instance, dict):
        return
    others = {keyword: value for keyword, value in schema.items() if keyword != "unevaluatedProperties"}
    evaluated: set[str] = set()
    for inner in iter_in_place(validator.evolve(schema=others), instance, {id(schema)}):
        evaluated |= _find_evaluated(inner.schema, instance)
    left = [name for name in instance if name not in evaluated]
    refused = [name for name in left if not fits(validator, instance[name], allowed)]
    if refused:
        yield ValidationError(_explain_unexpected(refused, "Unevaluated"))


def _find_evaluated(schema: dict[str, Any], instance: dict[str, Any]) -> set[str]:
    """Return the properties that the keywords of one schema judge."""
    if "additionalProperties" in schema or "unevaluatedProperties" in schema:
        return set(instance)
    patterns = [compile_pattern(text) for text in schema.get("patternProperties", {})]
    named = schema.get("properties", {})
    return {name for name in instance if name in named or any(pattern.search(name) for pattern in patterns)}
