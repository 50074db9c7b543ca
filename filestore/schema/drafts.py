"""The drafts of JSON Schema: for each, the package's validator class, extended with our keywords."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import attrs
import referencing.jsonschema as specifications
from jsonschema import validators
from jsonschema.protocols import Validator
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # it ships no stubs
from referencing import Registry, Specification
from referencing.jsonschema import SchemaRegistry

from filestore.codec import JSONValue
from filestore.errors import SchemaCompileError
from filestore.schema import keywords
from filestore.schema.allowance import take_step
from filestore.schema.applying import Keyword, explain, remember_visits
from filestore.schema.formats import DRAFT4_FORMATS, DRAFT6_FORMATS, DRAFT7_FORMATS
from filestore.schema.values import make_format

__all__ = ["Draft", "find_draft"]

_MAPS = {"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"}


@dataclass(frozen=True)
class Draft:
    """One draft.

    Attributes:
        base: The package's validator class.
        family: How the draft finds ids and anchors.
        formats: The formats it asserts.
        own: The keywords that answer differently from the package's.
        holders: The keywords that hold subschemas.
        ref_hides_siblings: Whether keywords beside `$ref` are ignored.
        changes: What upstream's metaschema says otherwise of the keywords.
    """

    base: Any
    family: Specification[Any]
    formats: Mapping[str, Callable[[str], bool]]
    own: Mapping[str, Keyword]
    holders: frozenset[str]
    ref_hides_siblings: bool = False
    changes: Mapping[str, JSONValue] = field(default_factory=dict)

    @cached_property
    def _class(self) -> Any:
        table: dict[str, Any] = {**self.base.VALIDATORS, **self.own, "format": make_format(self.formats)}
        extended: Any = validators.create(
            meta_schema=self.base.META_SCHEMA,
            validators=table,
            type_checker=self.base.TYPE_CHECKER,
            id_of=self.base.ID_OF,
            applicable_validators=self._applicable,
        )
        # The package's own `evolve` would go on with the package's class wherever a schema has a `$schema`.
        extended.evolve = attrs.evolve
        return extended

    def _applicable(self, schema: Any) -> list[tuple[str, Any]]:
        take_step()
        if self.ref_hides_siblings and "$ref" in schema:
            return [("$ref", schema["$ref"])]
        return keywords.order_keywords(schema)

    @cached_property
    def specification(self) -> Specification[Any]:
        """How references are followed."""
        family: Any = self.family
        # The family trips over `dependencies` that hold both subschemas and lists of names.
        specification: Specification[Any] = attrs.evolve(family, subresources_of=self.iter_subschemas)
        return specification

    @cached_property
    def metaschemas(self) -> SchemaRegistry:
        """The draft's own metaschemas: all that a `$ref` finds outside its document."""
        root = self.base.ID_OF(self.base.META_SCHEMA).removesuffix("#").removesuffix("schema")
        return Registry().with_resources((uri, REGISTRY[uri]) for uri in REGISTRY if uri.startswith(root)).crawl()

    @cached_property
    def _metaschema_validator(self) -> Validator:
        metaschema: Any = dict(self.base.META_SCHEMA)
        changed = metaschema | {"properties": {**metaschema.get("properties", {}), **self.changes}}
        resource = self.specification.create_resource(changed)
        # Crawled once here, and not for each anchor that is looked up.
        registry = self.metaschemas.with_resource(self.base.ID_OF(changed), resource).crawl()
        return self._validator_for(changed, registry.resolver(resource.id() or ""))

    def check_schema(self, schema: JSONValue) -> None:
        """Check a schema against the metaschema.

        Raises:
            SchemaCompileError: It does not fit.
        """
        with remember_visits(self._metaschema_validator.schema, schema):
            for error in self._metaschema_validator.iter_errors(schema):
                raise SchemaCompileError(explain(error))

    def resolver_for(self, document: JSONValue) -> Any:
        """Return what follows the references of a document."""
        return self.metaschemas.resolver_with_root(self.specification.create_resource(document))

    def validator_for(self, document: JSONValue) -> Validator:
        """Return a validator for a schema whose references have been checked."""
        return self._validator_for(document, self.resolver_for(document))

    def _validator_for(self, document: JSONValue, resolver: Any) -> Validator:
        validator: Validator = self._class(document, registry=self.metaschemas, _resolver=resolver)
        return validator

    def iter_subschemas(self, schema: Any) -> Iterator[Any]:
        """Yield the subschemas that the keywords of a schema hold, those that only wait for a reference included."""
        for _, subschema in self._iter_held(schema):
            yield subschema

    def iter_applied(self, schema: Any) -> Iterator[Any]:
        """Yield the subschemas that the keywords of a schema apply."""
        idle = {"$defs", "definitions", "contentSchema"}
        if "if" not in schema:
            idle |= {"then", "else"}
        if not isinstance(schema.get("items"), list):
            idle.add("additionalItems")
        for keyword, subschema in self._iter_held(schema):
            if keyword not in idle:
                yield subschema

    def _iter_held(self, schema: Any) -> Iterator[tuple[str, Any]]:
        for keyword, value in schema.items() if isinstance(schema, dict) else ():
            if keyword in self.holders:
                parts = value.values() if keyword in _MAPS else value if isinstance(value, list) else [value]
                for part in parts:
                    take_step()
                    if isinstance(part, dict | bool):  # not the list of names that `dependencies` may hold
                        yield keyword, part


_HOLDERS4 = frozenset(
    {
        *("additionalItems", "additionalProperties", "allOf", "anyOf", "definitions", "dependencies", "items"),
        *("not", "oneOf", "patternProperties", "properties"),
    }
)
_HOLDERS6 = _HOLDERS4 | {"contains", "propertyNames"}
_HOLDERS7 = _HOLDERS6 | {"if", "then", "else"}
_HOLDERS201909 = _HOLDERS7 | {
    *("$defs", "contentSchema", "dependentSchemas", "unevaluatedItems", "unevaluatedProperties"),
}
_HOLDERS202012 = _HOLDERS201909 - {"additionalItems"} | {"prefixItems"}

_DRAFT4 = Draft(
    validators.Draft4Validator,
    specifications.DRAFT4,
    DRAFT4_FORMATS,
    keywords.DRAFT4,
    _HOLDERS4,
    ref_hides_siblings=True,
    changes={"$ref": {"type": "string"}, "enum": {"type": "array"}},
)
_DRAFT6 = Draft(
    validators.Draft6Validator,
    specifications.DRAFT6,
    DRAFT6_FORMATS,
    keywords.DRAFT6,
    _HOLDERS6,
    ref_hides_siblings=True,
    changes={"contentEncoding": {"type": "string"}, "contentMediaType": {"type": "string"}},
)
_DRAFT7 = Draft(
    validators.Draft7Validator,
    specifications.DRAFT7,
    DRAFT7_FORMATS,
    keywords.DRAFT7,
    _HOLDERS7,
    ref_hides_siblings=True,
)
_DRAFT201909 = Draft(
    validators.Draft201909Validator, specifications.DRAFT201909, {}, keywords.DRAFT201909, _HOLDERS201909
)
_DRAFT202012 = Draft(
    validators.Draft202012Validator, specifications.DRAFT202012, {}, keywords.DRAFT202012, _HOLDERS202012
)
_SCHEME = re.compile("https?:")
_BY_NAME = {
    "//json-schema.org/draft-04/schema": _DRAFT4,
    "//json-schema.org/draft-06/schema": _DRAFT6,
    "//json-schema.org/draft-07/schema": _DRAFT7,
    "//json-schema.org/draft/2019-09/schema": _DRAFT201909,
    "//json-schema.org/draft/2020-12/schema": _DRAFT202012,
    "//json-schema.org/schema": _DRAFT202012,
}


def find_draft(schema: JSONValue) -> Draft:
    """Return the draft a schema is written in: what `$schema` names, by http or https, else 2020-12.

    Raises:
        SchemaCompileError: `$schema` names no draft.
    """
    uri = schema.get("$schema") if isinstance(schema, dict) else None
    if not isinstance(uri, str):
        return _DRAFT202012
    draft = _BY_NAME.get(_SCHEME.sub("", uri.removesuffix("#"), count=1))
    if draft is None:
        raise SchemaCompileError(f"Unknown meta-schema: '{uri}'. Custom meta-schemas are not supported")
    return draft
