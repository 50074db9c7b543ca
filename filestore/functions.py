"""STUB"""
from __future__ import annotations
from dataclasses import dataclass
from typing import Any, Mapping
from filestore.errors import UnknownFunctionError, RequestError
@dataclass(frozen=True, slots=True)
class Tool:
    key: str; name: str; description: str; parameters: Any; strict: bool
@dataclass(frozen=True, slots=True)
class Function:
    name: str; type: Any; schemas: Any; template_names: Any; tools: Any; tool_choice: Any; parallel_tool_calls: Any; output_schema: Any; description: Any
@dataclass(frozen=True, slots=True)
class FunctionConfig:
    functions: Any; tools: Any; is_configured: bool
    def find_function(self, n):
        if n=="tensorzero::default": return Function(n,"chat",{},frozenset(),(),"auto",None,{},None)
        return self.functions.get(n)
    def get_function(self,n):
        f=self.find_function(n)
        if f is None: raise UnknownFunctionError(n)
        return f
    def get_tool(self,k):
        if k not in self.tools: raise RequestError(f"Tool not found: {k}")
        return self.tools[k]
EMPTY_CONFIG = FunctionConfig({}, {}, False)
