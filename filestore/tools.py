"""Tool parameters: which tools a chat datapoint offers, how the model may choose, and both generations' rules for it.

Tools are late-bound: a datapoint names the configured tools it allows and spells out only its own additional ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from filestore.codec import JSONObject, JSONValue, is_same
from filestore.errors import RequestError, ShapeError
from filestore.functions import Function, FunctionConfig, Tool
from filestore.shapes import ObjectReader, expect_flag, expect_list, expect_object, expect_text, parse_list

__all__ = [
    "ToolParams",
    "available_tools",
    "find_available_tools",
    "parse_additional_tool",
    "parse_additional_tool_legacy",
    "parse_names",
    "parse_provider_tool",
    "parse_tool_choice",
    "parse_tool_params_legacy",
    "render_additional_tools_for_file",
    "render_tool_params_legacy",
    "resolve_tool_params",
    "resolve_tool_params_legacy",
]


@dataclass(frozen=True, slots=True)
class ToolParams:
    """The tool parameters of a chat datapoint, in the v1 vocabulary.

    Attributes:
        allowed_tools: Keys of configured tools, or None for the function's own.
        additional_tools: Tools of this datapoint alone, as v1 returns them.
        tool_choice: The resolved choice; None means that there are no tool parameters at all.
        parallel_tool_calls: Whether the model may call several tools at once; None leaves it to the model.
        provider_tools: Tools that a model provider runs itself.
    """

    allowed_tools: list[str] | None = None
    additional_tools: list[JSONObject] = field(default_factory=list)
    tool_choice: JSONValue = None
    parallel_tool_calls: bool | None = None
    provider_tools: list[JSONObject] = field(default_factory=list)


def parse_tool_choice(value: JSONValue) -> JSONValue:
    """Return a tool choice: `none`, `auto`, `required` or `{"specific": name}`."""
    if isinstance(value, str):
        if value not in ("none", "auto", "required"):
            raise ShapeError(f"unknown variant `{value}`, expected one of `none`, `auto`, `required`, `specific`")
        return value
    reader = ObjectReader(value, "string or map")
    reader.refuse_unknown(("specific",))
    return {"specific": reader.require("specific", expect_text)}


def _parse_function_tool(reader: ObjectReader) -> JSONObject:
    reader.refuse_unknown(("type", "description", "parameters", "name", "strict"))
    return {
        "type": "function",
        "description": reader.require("description", expect_text),
        "parameters": reader.require("parameters", lambda value: value),
        "name": reader.require("name", expect_text),
        "strict": reader.take_present("strict", expect_flag, False),
    }


def parse_additional_tool_legacy(value: JSONValue) -> JSONObject:
    """Return an additional tool of a legacy request, which knows no `type`."""
    reader = ObjectReader(value, "struct Tool")
    reader.refuse_unknown(("description", "parameters", "name", "strict"))
    return _parse_function_tool(reader)


def parse_additional_tool(value: JSONValue) -> JSONObject:
    """Return an additional tool of a v1 request or a file: a function tool or an `openai_custom` one."""
    try:
        reader = ObjectReader(value)
        kind = reader.take("type", expect_text)
        if kind == "openai_custom":
            return _parse_custom_tool(reader)
        if kind in (None, "function", "client_side_function"):
            return _parse_function_tool(reader)
        raise ShapeError(f"unknown variant `{kind}`, expected `function` or `openai_custom`", ("type",))
    except ShapeError as error:
        reason = f"Failed to parse as `Tool` (tagged) or `FunctionTool` (untagged): {error.reason}"
        raise error.elsewhere(error.pointer, reason) from None


def _parse_custom_tool(reader: ObjectReader) -> JSONObject:
    reader.refuse_unknown(("type", "name", "description", "format"))
    reader.require("name", expect_text)
    reader.take("description", expect_text)
    reader.take("format", _check_custom_format)
    return {key: value for key, value in reader.value.items() if value is not None}


def _check_custom_format(value: JSONValue) -> None:
    reader = ObjectReader(value)
    kind = reader.require("type", expect_text)
    if kind == "grammar":
        reader.require("grammar", _check_grammar)
    elif kind != "text":
        raise ShapeError(f"unknown variant `{kind}`, expected `text` or `grammar`", ("type",))


def _check_grammar(value: JSONValue) -> None:
    grammar = ObjectReader(value)
    if grammar.require("syntax", expect_text) not in ("lark", "regex"):
        raise ShapeError("expected `lark` or `regex`", ("syntax",))
    grammar.require("definition", expect_text)


def parse_provider_tool(value: JSONValue) -> JSONObject:
    """Return a provider tool: `{"scope": null | {"model_name", "provider_name"?}, "tool"}`."""
    reader = ObjectReader(value, "struct ProviderTool")
    reader.refuse_unknown(("scope", "tool"))
    return {"scope": reader.take("scope", _parse_scope), "tool": reader.require("tool", lambda tool: tool)}


def _parse_scope(value: JSONValue) -> JSONObject:
    reader = ObjectReader(value, "a scope")
    scope: JSONObject = {"model_name": reader.require("model_name", expect_text)}
    provider = reader.take("provider_name", expect_text)
    if provider is None:
        provider = reader.take("model_provider_name", expect_text)
    return scope if provider is None else {**scope, "provider_name": provider}


def available_tools(params: ToolParams, function: Function | None, config: FunctionConfig) -> list[Tool]:
    """Return the function tools that a datapoint offers today; a tool that is gone from the config is left out."""
    keys = params.allowed_tools if params.allowed_tools is not None else (function.tools if function else ())
    configured = [config.tools[key] for key in dict.fromkeys(keys) if key in config.tools]
    own = [_tool_of(tool) for tool in params.additional_tools if tool["type"] == "function"]
    names = {tool.name for tool in configured}
    return configured + [tool for tool in own if tool.name not in names]


def find_available_tools(params: ToolParams, function: Function, config: FunctionConfig) -> dict[str, Tool | None]:
    """Return what the output of a stored datapoint may call today: its function's tools and its own.

    They go by display name, with None for custom tools, whose arguments are free text.
    """
    keys = dict.fromkeys([*function.tools, *(params.allowed_tools or ())])
    configured = [config.tools[key] for key in keys if key in config.tools]
    own = {
        expect_text(tool["name"]): _tool_of(tool) if tool["type"] == "function" else None
        for tool in params.additional_tools
    }
    return {**{tool.name: tool for tool in configured}, **own}


def _tool_of(tool: JSONObject) -> Tool:
    name = expect_text(tool["name"])
    return Tool(
        key=name,
        name=name,
        description=expect_text(tool["description"]),
        parameters=tool["parameters"],
        strict=expect_flag(tool["strict"]),
    )


def _refuse_duplicates(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise RequestError(f"Duplicate tool name: {name}. Tool names must be unique.")
        seen.add(name)


def _refuse_unavailable_choice(choice: JSONValue, names: Iterable[str]) -> None:
    if isinstance(choice, dict) and choice["specific"] not in list[JSONValue](names):
        raise RequestError(f"Tool not found: {choice['specific']}")


def resolve_tool_params_legacy(
    request: ToolParams, function: Function, config: FunctionConfig
) -> tuple[ToolParams, list[Tool]]:
    """Resolve a legacy request's tool fields against the function.

    Returns:
        What to store, and the tools whose calls an output may hold.

    Raises:
        RequestError: An allowed tool is not configured, a display name stands twice, or a specific choice is not there.
    """
    keys: Sequence[str] = function.tools if request.allowed_tools is None else request.allowed_tools
    if not keys and not request.additional_tools and not isinstance(request.tool_choice or function.tool_choice, dict):
        return ToolParams(), []
    tools = [config.get_tool(key) for key in keys] + [_tool_of(tool) for tool in request.additional_tools]
    names = [tool.name for tool in tools]
    _refuse_duplicates(names)
    choice = function.tool_choice if request.tool_choice is None else request.tool_choice
    _refuse_unavailable_choice(choice, names)
    if not tools:
        return ToolParams(), []
    return _resolved(request, function, choice), tools


def resolve_tool_params(
    request: ToolParams, function: Function, config: FunctionConfig
) -> tuple[ToolParams, dict[str, Tool | None]]:
    """Resolve a v1 request's tool fields against the function.

    Returns:
        What to store, and the available tools by display name (None for custom tools, whose arguments are free text).

    Raises:
        RequestError: An allowed tool does not exist, a display name stands twice, or a specific choice is not there.
    """
    own = [expect_text(tool["name"]) for tool in request.additional_tools]
    explicit = request.allowed_tools or []
    for key in explicit:
        if key not in config.tools and key not in own:
            raise RequestError(f"Tool not found: {key}")
    keys = dict.fromkeys([*function.tools, *(key for key in explicit if key in config.tools)])
    tools: list[tuple[str, Tool | None]] = [(tool.name, tool) for tool in map(config.get_tool, keys)]
    tools += [
        (expect_text(tool["name"]), _tool_of(tool) if tool["type"] == "function" else None)
        for tool in request.additional_tools
    ]
    _refuse_duplicates(name for name, _ in tools)
    choice = function.tool_choice if request.tool_choice is None else request.tool_choice
    available = dict(tools)
    _refuse_unavailable_choice(choice, available)
    if not tools and not request.provider_tools:
        return ToolParams(), {}
    return _resolved(request, function, choice), available


def _resolved(request: ToolParams, function: Function, choice: JSONValue) -> ToolParams:
    parallel = request.parallel_tool_calls
    return ToolParams(
        allowed_tools=request.allowed_tools,
        additional_tools=request.additional_tools,
        tool_choice=choice,
        parallel_tool_calls=function.parallel_tool_calls if parallel is None else parallel,
        provider_tools=request.provider_tools,
    )


def parse_tool_params_legacy(value: JSONValue, config: FunctionConfig) -> tuple[ToolParams, list[Tool]]:
    """Read the `tool_params` of the internal PUT, which spells every tool out.

    A tool equal to a configured one is stored by its key, the others as additional tools.
    """
    reader = ObjectReader(value, "struct ToolCallConfigDatabaseInsert")
    tools = reader.require_list("tools_available", parse_additional_tool_legacy)
    choice = reader.require("tool_choice", parse_tool_choice)
    parallel = reader.take("parallel_tool_calls", expect_flag)
    keys = [_configured_key(tool, config) for tool in tools]
    params = ToolParams(
        allowed_tools=[key for key in keys if key is not None],
        additional_tools=[tool for tool, key in zip(tools, keys, strict=True) if key is None],
        tool_choice=choice,
        parallel_tool_calls=parallel,
    )
    return params, [_tool_of(tool) for tool in tools]


def _configured_key(tool: JSONObject, config: FunctionConfig) -> str | None:
    for key, configured in config.tools.items():
        if is_same({"type": "function", **render_tool(configured)}, tool):
            return key
    return None


def render_tool(tool: Tool) -> JSONObject:
    """Spell a function tool as the legacy wire does."""
    return {
        "description": tool.description,
        "parameters": tool.parameters,
        "name": tool.name,
        "strict": tool.strict,
    }


def render_tool_params_legacy(params: ToolParams, function: Function | None, config: FunctionConfig) -> JSONObject:
    """Spell tool parameters as the legacy wire does: every tool written out, from today's config."""
    return {
        "tools_available": [render_tool(tool) for tool in available_tools(params, function, config)],
        "tool_choice": params.tool_choice,
        "parallel_tool_calls": params.parallel_tool_calls,
    }


def parse_names(value: JSONValue) -> list[str]:
    """Return a list of strings."""
    return parse_list(expect_list(value), expect_text)


def render_additional_tools_for_file(tools: list[JSONObject]) -> list[JSONObject]:
    """Return tools as a file spells them: the default `type` and `strict` left out."""
    return [_render_tool_for_file(expect_object(tool)) for tool in tools]


def _render_tool_for_file(tool: JSONObject) -> JSONObject:
    if tool["type"] != "function":
        return tool
    keys = ("name", "description", "parameters") + (("strict",) if tool["strict"] else ())
    return {key: tool[key] for key in keys}
