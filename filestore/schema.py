"""STUB"""
import jsonschema_rs
from filestore.errors import *
from filestore.codec import compact
class CompiledSchema:
    def __init__(self,s): self.schema=s; self.v=jsonschema_rs.validator_for(s)
    def is_valid(self,v): return self.v.is_valid(v)
    def validate(self,v):
        e=next(iter(self.v.iter_errors(v)),None)
        if e: raise SchemaMismatchError(f"JSON Schema validation failed:\n{e.message}\n\nSchema:\n{compact(self.schema)}")
def compile_schema(s):
    try: return CompiledSchema(s)
    except Exception as e: raise SchemaCompileError(str(e))
