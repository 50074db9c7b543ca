"""What the package checks on use only, checked once for all: references and patterns of a whole document."""

from __future__ import annotations

from typing import Any
from urllib.parse import urldefrag

from referencing.exceptions import Unresolvable

from filestore.codec import compact
from filestore.errors import SchemaCompileError, SchemaTimeoutError
from filestore.schema.drafts import Draft
from filestore.schema.formats import is_uri_reference
from filestore.schema.patterns import compile_pattern

__all__ = ["check_document"]


def check_document(document: Any, draft: Draft) -> None:
    """Check the references and patterns of a schema document, and make it ready for the package.

    Args:
        document: A schema that fits its metaschema; it is changed.
        draft: The draft it is written in.

    Raises:
        SchemaCompileError: A reference leads to nothing inside the document, or a pattern is none.
    """
    check = _Check(draft)
    check.prepare(document)
    resolver = draft.resolver_for(document)
    check.check_outward(document, resolver)
    check.check_applied(document, resolver)


class _Check:
    """One pass over a document."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.prepared: set[int] = set()
        """The schemas, by their ids, that are known to fit the metaschema."""
        self.applied: set[int] = set()

    def prepare(self, schema: Any) -> None:
        """Check the ids, and remove each `$schema`: one draft is that of the whole document."""
        if not isinstance(schema, dict):
            return
        self.prepared.add(id(schema))
        schema.pop("$schema", None)
        identifier = self.draft.specification.id_of(schema)
        if identifier is not None:
            _check_uri(identifier)
        for subschema in self.draft.iter_subschemas(schema):
            self.prepare(subschema)

    def check_outward(self, schema: Any, resolver: Any) -> None:
        """Check that all documents that are referred to are known, also where nothing applies the reference."""
        if not isinstance(schema, dict):
            return
        reference = schema.get("$ref")
        if isinstance(reference, str) and not reference.startswith("#"):
            _check_uri(reference)
            _look_up(resolver, reference, urldefrag(reference).url)
        for subschema in self.draft.iter_subschemas(schema):
            self.check_outward(subschema, self._enter(subschema, resolver))

    def check_applied(self, schema: Any, resolver: Any) -> None:
        """Check what is applied: that its references lead to schemas, and its patterns are some."""
        if not isinstance(schema, dict) or id(schema) in self.applied:
            return
        self.applied.add(id(schema))
        for keyword in ("$ref", "$dynamicRef"):
            if keyword in schema and keyword in self.draft.own:
                _check_uri(schema[keyword])
                self._check_target(_look_up(resolver, schema[keyword], schema[keyword]))
        if self.draft.ref_hides_siblings and "$ref" in schema:
            return
        for pattern in (*([schema["pattern"]] if "pattern" in schema else ()), *schema.get("patternProperties", ())):
            compile_pattern(pattern)
        for subschema in self.draft.iter_applied(schema):
            self.check_applied(subschema, self._enter(subschema, resolver))

    def _enter(self, subschema: Any, resolver: Any) -> Any:
        """Return a resolver at a subschema's own id; one that has followed a reference is there already."""
        if not isinstance(subschema, dict):
            return resolver
        return resolver.in_subresource(self.draft.specification.create_resource(subschema))

    def _check_target(self, target: Any) -> None:
        schema = target.contents
        if not isinstance(schema, dict | bool):
            raise SchemaCompileError(f'{compact(schema)} is not of types "boolean", "object"')
        document = target.resolver.lookup("#").contents
        if any(document is self.draft.metaschemas[uri].contents for uri in self.draft.metaschemas):
            return
        if isinstance(schema, dict) and id(schema) not in self.prepared:
            self.draft.check_schema(schema)
            self.prepare(schema)
        self.check_applied(schema, target.resolver)


def _check_uri(text: str) -> None:
    if not is_uri_reference(text):
        raise SchemaCompileError(f"Invalid URI reference '{text}'")


def _look_up(resolver: Any, reference: str, looked_up: str) -> Any:
    try:
        return resolver.lookup(looked_up)
    except SchemaTimeoutError:  # a ValueError, too
        raise
    except (Unresolvable, ValueError, TypeError):  # the last two from a pointer into a number or the like
        raise SchemaCompileError(
            f"Reference '{reference}' leads to nothing in the schema; other documents are never fetched"
        ) from None
