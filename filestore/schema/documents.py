"""What the package checks on use only, checked once for all: references and patterns of a whole document."""

from __future__ import annotations

from typing import Any

from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import SchemaResource

from filestore.errors import SchemaCompileError
from filestore.schema.drafts import KNOWN_SCHEMAS, Draft
from filestore.schema.patterns import compile_pattern

__all__ = ["check_document"]

_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


def check_document(document: Any, draft: Draft) -> Any:
    """Check the references and patterns of a schema document, and return it as the package is to see it.

    Args:
        document: A schema that fits its metaschema; it is changed.
        draft: The draft it is written in.

    Raises:
        SchemaCompileError: A reference leads to nothing inside the document, or a pattern is none.
    """
    _rewrite_dependencies(document)
    resource = draft.specification.create_resource(document)
    registry: Registry[Any] = KNOWN_SCHEMAS.with_resource(draft.specification.id_of(document) or "", resource)
    _check(resource, registry.resolver_with_root(resource), draft, set())
    return document


def _check(resource: SchemaResource, resolver: Any, draft: Draft, seen: set[int]) -> None:
    schema = resource.contents
    if not isinstance(schema, dict) or id(schema) in seen:
        return
    seen.add(id(schema))
    for keyword in _REFERENCES:
        target = schema.get(keyword)
        if isinstance(target, str):
            _check_target(_look_up(resolver, target), draft, seen)
    if draft.ref_hides_siblings and isinstance(schema.get("$ref"), str):
        return
    _check_patterns(schema)
    for part in resource.subresources():
        _check(part, resolver.in_subresource(part), draft, seen)


def _look_up(resolver: Any, reference: str) -> Any:
    try:
        return resolver.lookup(reference)
    except Unresolvable:
        raise SchemaCompileError(
            f"Reference '{reference}' leads to nothing in the schema; other documents are never fetched"
        ) from None


_HOLDERS = (
    *("additionalItems", "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"),
    *("unevaluatedItems", "unevaluatedProperties"),
)
_MAPS = ("$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties")
_LISTS = ("allOf", "anyOf", "items", "oneOf", "prefixItems")


def _rewrite_dependencies(schema: Any) -> None:
    """Spell every name list in `dependencies` as a schema: the package's look-up of references trips over a mixture."""
    if not isinstance(schema, dict):
        return
    dependencies = schema.get("dependencies")
    if isinstance(dependencies, dict):
        for name, needed in dependencies.items():
            if isinstance(needed, list):
                dependencies[name] = {"required": needed}
    parts = [schema.get(keyword) for keyword in _HOLDERS]
    parts += [part for keyword in _MAPS if isinstance(schema.get(keyword), dict) for part in schema[keyword].values()]
    parts += [part for keyword in _LISTS if isinstance(schema.get(keyword), list) for part in schema[keyword]]
    for part in parts:
        _rewrite_dependencies(part)


def _check_target(found: Any, draft: Draft, seen: set[int]) -> None:
    if not isinstance(found.contents, dict | bool):
        raise SchemaCompileError(f"A reference leads to {type(found.contents).__name__}, which is no schema")
    if not _is_known(found.contents):
        _check(Resource(found.contents, draft.specification), found.resolver, draft, seen)


def _is_known(contents: Any) -> bool:
    """Tell whether a schema is one of the drafts' own, which need no check and must not be changed."""
    return any(contents is resource.contents for resource in map(KNOWN_SCHEMAS.__getitem__, KNOWN_SCHEMAS))


def _check_patterns(schema: dict[str, Any]) -> None:
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        compile_pattern(pattern)
    properties = schema.get("patternProperties")
    if isinstance(properties, dict):
        for text in properties:
            compile_pattern(text)
