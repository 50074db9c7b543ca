"""Compiled schemas: what the engine makes of a schema, ready to judge values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from jsonschema import ValidationError
from jsonschema.protocols import Validator

from filestore.codec import JSONValue, compact, parse_raw
from filestore.errors import Pointer, SchemaCompileError, SchemaMismatchError
from filestore.schema.allowance import charged
from filestore.schema.applying import UnexpectedPropertyError, explain, remember_visits
from filestore.schema.documents import check_document
from filestore.schema.drafts import find_draft
from filestore.schema.recent import Recent

__all__ = ["CompiledSchema", "SchemaMismatch", "compile_text"]


@dataclass(frozen=True, slots=True)
class SchemaMismatch:
    """One place where a value does not fit its schema."""

    message: str
    pointer: Pointer
    """The place in the value."""
    unexpected: str | None = field(default=None, repr=False)
    """The one property of the object there that makes it fail, if it is its being there alone."""


@dataclass(frozen=True, slots=True)
class CompiledSchema:
    """A schema ready to judge values; safe to share among threads."""

    schema: JSONValue
    _validator: Validator = field(repr=False, compare=False)

    def find_error(self, value: JSONValue) -> SchemaMismatch | None:
        """Return the first failure, if there is one.

        Raises:
            SchemaTimeoutError: To judge the value takes too long.
        """
        return next(iter(self._judge(value, most=1)), None)

    def iter_errors(self, value: JSONValue) -> Iterator[SchemaMismatch]:
        """Return every failure with its place.

        Raises:
            SchemaTimeoutError: To judge the value takes too long.
        """
        return iter(self._judge(value, most=None))

    def _judge(self, value: JSONValue, most: int | None) -> list[SchemaMismatch]:
        """Return the first failures, `most` at the most."""
        try:
            with charged(value), remember_visits(self._validator.schema, value):
                errors = self._validator.iter_errors(value)
                return [_mismatch(error) for error in islice(errors, most)]
        except RecursionError:
            return [SchemaMismatch("The value is nested too deeply to be checked against this schema", ())]

    def is_valid(self, value: JSONValue) -> bool:
        """Tell whether the value fits.

        Raises:
            SchemaTimeoutError: To judge the value takes too long.
        """
        return self.find_error(value) is None

    def validate(self, value: JSONValue) -> None:
        """Check that the value fits.

        Raises:
            SchemaMismatchError: It does not; the text names the first failure and quotes the schema.
            SchemaTimeoutError: To judge the value takes too long.
        """
        error = self.find_error(value)
        if error is not None:
            raise SchemaMismatchError(
                f"JSON Schema validation failed:\n{error.message}\n\nSchema:\n{compact(self.schema)}"
            )


def _mismatch(error: ValidationError) -> SchemaMismatch:
    unexpected = error.name if isinstance(error, UnexpectedPropertyError) else None
    return SchemaMismatch(explain(error), tuple(error.absolute_path), unexpected)


def _compile(text: str) -> CompiledSchema:
    try:
        schema, document = parse_raw(text), parse_raw(text)
    except ValueError as error:
        raise SchemaCompileError(f"The schema is {error}") from None
    if not isinstance(schema, dict | bool):
        raise SchemaCompileError(f'{text} is not of types "boolean", "object"')
    draft = find_draft(schema)
    try:
        with charged(schema=text):
            draft.check_schema(schema)
            check_document(document, draft)
    except RecursionError:
        raise SchemaCompileError("The schema is nested too deeply") from None
    return CompiledSchema(schema, draft.validator_for(document))


_MOST_CHARACTERS = 8 * 2**20
"""Of the schemas that are kept, which take up to 60 bytes for each."""

# Keyed by text, as 1, 1.0 and True are one key in Python; the copy read from it cannot be changed by a caller.
_recent = Recent(_compile, _MOST_CHARACTERS)


def compile_text(text: str) -> CompiledSchema:
    """Compile the schema that a text spells, or return what it was compiled to before.

    Raises:
        SchemaCompileError: It is no schema, or refers to something that is not part of it.
        SchemaTimeoutError: To compile it takes too long.
    """
    return _recent(text)
