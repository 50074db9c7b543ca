"""Functions and tools, as a function config names them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from filestore.codec import JSONValue
from filestore.errors import RequestError, UnknownFunctionError

__all__ = ["EMPTY_CONFIG", "Function", "FunctionConfig", "FunctionType", "Tool", "bare_function"]

FunctionType = Literal["chat", "json"]


class Tool(NamedTuple):
    """A tool that a chat function may offer to the model.

    Attributes:
        key: What functions and `allowed_tools` call it: the `KEY` of `[tools.KEY]`.
        name: What the model calls it, by default the key.
        description: What it does, told to the model.
        parameters: The JSON Schema of its arguments.
        strict: Whether the model provider shall enforce the schema.
    """

    key: str
    name: str
    description: str
    parameters: JSONValue
    strict: bool = False


class Function(NamedTuple):
    """A task that an application hands to a model.

    Attributes:
        name: The `NAME` of `[functions.NAME]`.
        type: Whether its outputs are content blocks (`chat`) or one JSON value (`json`).
        schemas: Template name to the JSON Schema of its arguments; `system`, `user` and `assistant` bind the roles.
        template_names: The templates that an input may call by name.
        tools: Keys of the tools it offers.
        tool_choice: `none`, `auto`, `required` or `{"specific": name of a tool}`.
        parallel_tool_calls: Whether the model may call several tools at once; None leaves it to the model.
        output_schema: The JSON Schema of its outputs; `{}` fits every value.
        description: What it is for.
    """

    name: str
    type: FunctionType
    schemas: Mapping[str, JSONValue]
    template_names: frozenset[str]
    tools: tuple[str, ...]
    tool_choice: JSONValue
    parallel_tool_calls: bool | None
    output_schema: JSONValue
    description: str | None


def bare_function(name: str, kind: FunctionType) -> Function:
    """Return a function that asks for nothing: no schemas, templates or tools."""
    return Function(
        name=name,
        type=kind,
        schemas={},
        template_names=frozenset(),
        tools=(),
        tool_choice="auto",
        parallel_tool_calls=None,
        output_schema={},
        description=None,
    )


_DEFAULT_FUNCTION = bare_function("tensorzero::default", "chat")


class FunctionConfig(NamedTuple):
    """The functions and tools that datapoints may name.

    Attributes:
        functions: Configured functions by name.
        tools: Configured tools by key.
        is_configured: Whether there is any config file at all.
    """

    functions: Mapping[str, Function]
    tools: Mapping[str, Tool]
    is_configured: bool

    def find_function(self, name: str) -> Function | None:
        """Return a function by name, the built-in `tensorzero::default` included, or None.

        >>> EMPTY_CONFIG.find_function("tensorzero::default").type
        'chat'
        """
        return _DEFAULT_FUNCTION if name == _DEFAULT_FUNCTION.name else self.functions.get(name)

    def get_function(self, name: str) -> Function:
        """Return a function by name.

        Raises:
            UnknownFunctionError: There is none.
        """
        function = self.find_function(name)
        if function is None:
            raise UnknownFunctionError(name)
        return function

    def get_item_function(self, name: str, kind: object) -> Function:
        """Return the function that a request item names; without any config, one of the type that the item states.

        Raises:
            UnknownFunctionError: There is none; without any config, the text says what to add where.
        """
        if self.is_configured or self.find_function(name) is not None:
            return self.get_function(name)
        if kind == "chat" or kind == "json":
            return bare_function(name, kind)
        hint = (
            f". There is no function config: add [functions.{name}] to a tensorzero.toml in the root of the store, or"
            ' state "type": "chat" or "type": "json" in the item'
        )
        raise UnknownFunctionError(name, hint)

    def get_tool(self, key: str) -> Tool:
        """Return a tool by key.

        Raises:
            RequestError: There is none.
        """
        try:
            return self.tools[key]
        except KeyError:
            raise RequestError(f"Tool not found: {key}") from None


EMPTY_CONFIG = FunctionConfig(functions={}, tools={}, is_configured=False)
"""What a store without a config file has: the built-in function alone."""
