"""JSON Schema, drafts 4 to 2020-12: the `jsonschema` package, extended to answer as upstream's engine does.

>>> schema = compile_schema({"type": "object", "required": ["answer"]})
>>> schema.find_error({})
SchemaMismatch(message='"answer" is a required property', pointer=())

Nothing outside a schema is ever fetched. The package takes longer to load than a datapoint to read, so it is loaded
when the first schema is compiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from filestore.codec import JSONValue, compact
from filestore.schema.allowance import limited
from filestore.schema.plain import is_plain

if TYPE_CHECKING:
    from filestore.schema.compiled import CompiledSchema

__all__ = ["check_schema", "compile_schema", "limited"]


def compile_schema(schema: JSONValue) -> CompiledSchema:
    """Compile a schema, or return what it was compiled to before.

    Raises:
        SchemaCompileError: It is no schema, or refers to something that is not part of it.
        SchemaTimeoutError: To compile it takes too long.
    """
    from filestore.schema.compiled import compile_text

    return compile_text(compact(schema))


def check_schema(schema: JSONValue) -> None:
    """Check that a schema compiles; a plain one is compiled no sooner than a value is to be judged.

    Raises:
        SchemaCompileError: It is no schema, or refers to something that is not part of it.
        SchemaTimeoutError: To compile it takes too long.
    """
    if not is_plain(schema):
        compile_schema(schema)
