"""The drafts of JSON Schema: for each, the package's validator class, extended with our keywords."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import attrs
import referencing.jsonschema
from jsonschema import validators
from jsonschema.protocols import Validator
from jsonschema_specifications import REGISTRY
from referencing.jsonschema import SchemaRegistry, Specification

from filestore.codec import JSONValue
from filestore.errors import SchemaCompileError
from filestore.schema import keywords
from filestore.schema.formats import DRAFT4_FORMATS, DRAFT6_FORMATS, DRAFT7_FORMATS

__all__ = ["KNOWN_SCHEMAS", "Draft", "find_draft"]

KNOWN_SCHEMAS: SchemaRegistry = REGISTRY
"""The drafts' own metaschemas: all that a `$ref` finds outside its document."""


@dataclass(frozen=True)
class Draft:
    """One draft.

    Attributes:
        base: The package's validator class.
        specification: How the draft finds ids, anchors and subschemas.
        formats: The formats it asserts.
        own: The keywords that answer differently from the package's.
        ref_hides_siblings: Whether keywords beside `$ref` are ignored.
    """

    base: type[Validator]
    specification: Specification
    formats: Mapping[str, Callable[[str], bool]]
    own: Mapping[str, keywords.Keyword]
    ref_hides_siblings: bool = False

    @cached_property
    def _class(self) -> Any:
        extended: Any = validators.create(
            meta_schema=self.base.META_SCHEMA,
            validators={**self.base.VALIDATORS, **self.own, "format": keywords.make_format(self.formats)},
            type_checker=self.base.TYPE_CHECKER,
            id_of=self.base.ID_OF,
            applicable_validators=self._applicable,
        )
        # The package's own `evolve` would go on with the package's class wherever a subschema has a `$schema`.
        extended.evolve = attrs.evolve
        return extended

    def _applicable(self, schema: Any) -> list[tuple[str, Any]]:
        if self.ref_hides_siblings and "$ref" in schema:
            return [("$ref", schema["$ref"])]
        return keywords.order_keywords(schema)

    @cached_property
    def metaschema_validator(self) -> Validator:
        """What a schema of this draft must fit."""
        return self.validator_for(dict(self.base.META_SCHEMA))

    def validator_for(self, document: JSONValue) -> Validator:
        """Return a validator for a schema whose references have been checked."""
        validator: Validator = self._class(document, registry=KNOWN_SCHEMAS)
        return validator


_SPECIFICATIONS = referencing.jsonschema
_DRAFT4 = Draft(
    validators.Draft4Validator,
    _SPECIFICATIONS.DRAFT4,
    DRAFT4_FORMATS,
    {**keywords.COMMON, **keywords.DRAFT4},
    ref_hides_siblings=True,
)
_DRAFT6 = Draft(
    validators.Draft6Validator,
    _SPECIFICATIONS.DRAFT6,
    DRAFT6_FORMATS,
    {**keywords.COMMON, **keywords.CONTENT},
    ref_hides_siblings=True,
)
_DRAFT7 = Draft(
    validators.Draft7Validator,
    _SPECIFICATIONS.DRAFT7,
    DRAFT7_FORMATS,
    {**keywords.COMMON, **keywords.CONTENT},
    ref_hides_siblings=True,
)
_DRAFT201909 = Draft(
    validators.Draft201909Validator, _SPECIFICATIONS.DRAFT201909, {}, {**keywords.COMMON, **keywords.UNEVALUATED}
)
_DRAFT202012 = Draft(
    validators.Draft202012Validator, _SPECIFICATIONS.DRAFT202012, {}, {**keywords.COMMON, **keywords.UNEVALUATED}
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
