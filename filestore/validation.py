"""What both generations check against the function config: inputs, and the arguments of tool calls."""

from __future__ import annotations

from filestore.codec import JSONObject, JSONValue
from filestore.errors import RequestError, SchemaCompileError
from filestore.functions import Function, Tool
from filestore.schema import compile_schema
from filestore.shapes import expect_list, expect_object

__all__ = ["fits_tool", "validate_input"]


def validate_input(value: JSONObject, function: Function) -> None:
    """Check an input in normal form against the schemas and templates of its function.

    The order is upstream's: the system first, then messages and their blocks as they come.

    Raises:
        RequestError: The first failure, in upstream's words.
    """
    _validate_system(value.get("system"), function)
    for index, item in enumerate(expect_list(value["messages"])):
        message = expect_object(item)
        for block in expect_list(message["content"]):
            _validate_block(expect_object(block), message["role"], index, function)


def _validate_system(system: JSONValue, function: Function) -> None:
    if "system" in function.schemas:
        if system is None:
            raise RequestError("`input.system` is empty but a system template is present.")
        _validate(system, function, "system")
    elif system is not None and not isinstance(system, str) and "system" not in function.template_names:
        raise RequestError("System message has non-string content but there is no template `system` in any variant")


def _validate_block(block: JSONObject, role: JSONValue, index: int, function: Function) -> None:
    kind = block["type"]
    if kind == "text" and isinstance(block.get("text"), str):
        if role in function.schemas:
            _validate(block["text"], function, str(role))
    elif kind == "template":
        name = str(block["name"])
        if name in function.schemas:
            _validate(block["arguments"], function, name)
        elif name not in function.template_names:
            raise RequestError(
                f"Message at index {index} has non-string content but there is no template `{name}` in any variant"
            )


def _validate(value: JSONValue, function: Function, template_name: str) -> None:
    compile_schema(function.schemas[template_name]).validate(value)


def fits_tool(tool: Tool, arguments: JSONValue) -> bool:
    """Tell whether arguments fit a tool's schema; nothing fits one that does not compile."""
    try:
        return compile_schema(tool.parameters).is_valid(arguments)
    except SchemaCompileError:
        return False
