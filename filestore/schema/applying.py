"""How a schema is applied to an instance: references, and the subschemas that judge the same instance.

A keyword is a function with the signature that the `jsonschema` package asks for: `(validator, value of the keyword,
instance, schema)`. It yields an error for each failure.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from jsonschema import ValidationError
from referencing.jsonschema import DRAFT202012, lookup_recursive_ref

from filestore.codec import compact

__all__ = [
    "Keyword",
    "UnexpectedPropertyError",
    "dynamic_reference",
    "explain",
    "fits",
    "iter_in_place",
    "recursive_reference",
    "reference",
    "remember_visits",
]


class UnexpectedPropertyError(ValidationError):
    """An object has a property that its schema does not allow at all."""

    name: str


Keyword = Callable[[Any, Any, Any, Any], Iterable[ValidationError]]

_Visit = tuple[int, int, tuple[str, ...]]
"""The target of a reference, the instance, and the documents whose dynamic anchors count."""
_current = threading.local()


def explain(error: ValidationError) -> str:
    """Return the text of an error."""
    if error.validator is None:  # the schema `false`, the only error that the package words, and with Python's `repr`
        return f"False schema does not allow {compact(error.instance)}"
    return error.message


def fits(validator: Any, instance: Any, schema: Any) -> bool:
    """Tell whether an instance fits a subschema of the validator's schema."""
    return next(validator.descend(instance, schema), None) is None


@contextmanager
def remember_visits(schema: Any, instance: Any) -> Iterator[None]:
    """Remember, for one validation of an instance, what the targets of references said of which parts of it.

    The ways to them through a recursive schema can be exponentially many.
    """
    visits: dict[_Visit, str | None] = {(id(schema), id(instance), ()): None}
    outer, _current.visits = getattr(_current, "visits", None), visits
    try:
        yield
    finally:
        _current.visits = outer


def _make_reference(find_target: Callable[[Any, Any], Any]) -> Keyword:
    """Make a keyword that applies what `find_target` finds with a resolver and the keyword's value.

    A target that comes back to itself with the same instance asks nothing more.
    """

    def keyword(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        target = find_target(validator._resolver, value)  # the package has no public way to follow a reference
        visit = _identify_visit(target, instance)
        visits: dict[_Visit, str | None] = _current.visits
        if visit in visits:
            text = visits[visit]
            if text is not None:
                yield ValidationError(text)
            return
        visits[visit] = None
        for error in validator.descend(instance, target.contents, resolver=target.resolver):
            visits[visit] = visits[visit] or explain(error)
            yield error

    return keyword


def _identify_visit(target: Any, instance: Any) -> _Visit:
    # The outermost document counts, so of one that is in the scope more than once the outermost place is kept.
    scope = reversed([uri for uri, _ in target.resolver.dynamic_scope()])
    return id(target.contents), id(instance), tuple(dict.fromkeys(scope))


def _find(resolver: Any, value: Any) -> Any:
    return resolver.lookup(value)


def _find_recursive(resolver: Any, value: Any) -> Any:
    return lookup_recursive_ref(resolver)


reference = _make_reference(_find)
dynamic_reference = _make_reference(_find)
recursive_reference = _make_reference(_find_recursive)
_FINDERS = {"$ref": _find, "$dynamicRef": _find, "$recursiveRef": _find_recursive}


def iter_in_place(validator: Any, instance: Any, seen: set[int]) -> Iterator[Any]:
    """Yield a validator, and those of all subschemas that the same instance fits, for `unevaluatedItems` and the like.

    Args:
        validator: A validator of drafts 2019-09 or 2020-12.
        instance: What is validated.
        seen: The schemas that were there before, by their ids; those that follow are added.
    """
    schema = validator.schema
    if not isinstance(schema, dict) or id(schema) in seen:
        return
    seen.add(id(schema))
    yield validator
    for inner in _iter_targets(validator, schema):
        yield from iter_in_place(inner, instance, seen)
    for subschema in _iter_fitting(validator, instance, schema):
        resolver = validator._resolver.in_subresource(DRAFT202012.create_resource(subschema))
        inner = validator.evolve(schema=subschema, _resolver=resolver)
        yield from iter_in_place(inner, instance, seen)


def _iter_targets(validator: Any, schema: dict[str, Any]) -> Iterator[Any]:
    for keyword, find in _FINDERS.items():
        if keyword in schema and keyword in validator.VALIDATORS:
            target = find(validator._resolver, schema[keyword])
            yield validator.evolve(schema=target.contents, _resolver=target.resolver)


def _iter_fitting(validator: Any, instance: Any, schema: dict[str, Any]) -> Iterator[Any]:
    for keyword in ("allOf", "anyOf", "oneOf"):
        for subschema in schema.get(keyword, ()):
            if fits(validator, instance, subschema):
                yield subschema
    if isinstance(instance, dict):
        for name, subschema in schema.get("dependentSchemas", {}).items():
            if name in instance:
                yield subschema
    if "if" in schema:
        is_so = fits(validator, instance, schema["if"])
        if is_so:
            yield schema["if"]
        branch = "then" if is_so else "else"
        if branch in schema:
            yield schema[branch]
