"""What the function config of today, and its own output schema, say of a datapoint that can be read.

A datapoint that is judged well is one that could be inserted as it stands.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from filestore.codec import JSONObject, JSONValue, is_same
from filestore.datapoint import ChatDatapoint, Datapoint, JsonDatapoint
from filestore.errors import Pointer, SchemaCompileError, SchemaTimeoutError, suggest_name
from filestore.findings import Issue
from filestore.functions import Function, FunctionConfig, Tool
from filestore.outputs import read_raw
from filestore.schema import compile_schema, limited
from filestore.tools import find_available_tools

__all__ = ["iter_judgement", "judge"]

_UNEXPECTED = re.compile(r"Additional properties are not allowed \('(.+)' was unexpected\)", re.DOTALL)
_MOST_MISMATCHES = 20
"""Of one value: a list of a thousand wrong items is one mistake."""


def judge(value: JSONObject, datapoint: Datapoint, config: FunctionConfig) -> list[Issue]:
    """Return what is wrong with a datapoint, as `iter_judgement` yields it, within the time that one request has."""
    found: list[Issue] = []
    try:
        with limited():
            found += iter_judgement(value, datapoint, config)
    except SchemaTimeoutError as error:
        found.append(Issue("bad-schema", f"{error}.", ("function_name",)))
    return found


def iter_judgement(value: JSONObject, datapoint: Datapoint, config: FunctionConfig) -> Iterator[Issue]:
    """Yield what is wrong with a datapoint.

    Args:
        value: The value of its file, in which the places are.
        datapoint: What the file was read as.
        config: The function config; one that is not configured asks nothing.
    """
    function = config.find_function(datapoint.function_name)
    if function is None and config.is_configured:
        advice = suggest_name(datapoint.function_name, sorted(config.functions)) if config.functions else "it has none"
        message = f"The function config has no function `{datapoint.function_name}`: {advice}."
        yield Issue("unknown-function", message, ("function_name",))
    elif function is not None and function.type != datapoint.type:
        message = f"Function `{function.name}` is a {function.type} function: make this `type` {function.type}."
        yield Issue("wrong-kind", message, ("type",))
        function = None
    if function is not None:
        yield from _Input(value, datapoint, function).iter_issues()
    if isinstance(datapoint, JsonDatapoint):
        yield from _iter_json_output(value, datapoint)
    elif function is not None and config.is_configured:
        yield from _iter_tools(datapoint, function, config)
        yield from _iter_tool_calls(value, datapoint, function, config)


# --- input


class _Input(NamedTuple):
    """The input of a datapoint, beside the function it is for."""

    value: JSONObject
    datapoint: Datapoint
    function: Function

    def iter_issues(self) -> Iterator[Issue]:
        yield from self._iter_system()
        messages = self.datapoint.input["messages"]
        assert isinstance(messages, list)  # it is in normal form
        for index, message in enumerate(messages):
            assert isinstance(message, dict)
            assert isinstance(message["content"], list)
            for number, block in enumerate(message["content"]):
                assert isinstance(block, dict)
                yield from self._iter_block(block, str(message["role"]), self._place(index, number))

    def _place(self, index: int, number: int) -> Pointer:
        """Return where the file has a block: a lone text, or the arguments of a template, may stand by themselves."""
        content: Pointer = ("input", "messages", index, "content")
        return (*content, number) if isinstance(_at(self.value, content), list) else content

    def _iter_system(self) -> Iterator[Issue]:
        system, schemas = self.datapoint.input.get("system"), self.function.schemas
        if "system" in schemas and system is None:
            message = f"Function `{self.function.name}` needs a `system`: add one that fits its system schema."
            yield Issue("input-mismatch", message, ("input", "system") if self._says_system() else ("input",))
        elif "system" in schemas:
            yield from _iter_mismatches(schemas["system"], system, ("input", "system"), "input-mismatch")
        elif system is not None and not isinstance(system, str) and "system" not in self.function.template_names:
            message = f"Function `{self.function.name}` has no system template: `system` must be a text."
            yield Issue("unknown-template", message, ("input", "system"))

    def _says_system(self) -> bool:
        written = self.value["input"]
        return isinstance(written, dict) and "system" in written

    def _iter_block(self, block: JSONObject, role: str, place: Pointer) -> Iterator[Issue]:
        written = _at(self.value, place)
        is_spelled_out = isinstance(written, dict) and written.get("type") is not None
        schemas = self.function.schemas
        if block["type"] == "text" and role in schemas:
            where = (*place, "text") if is_spelled_out else place
            yield from _iter_mismatches(schemas[role], block["text"], where, "input-mismatch")
        elif block["type"] == "template":
            name = str(block["name"])
            where = (*place, "arguments") if is_spelled_out else place
            if name in schemas:
                yield from _iter_mismatches(schemas[name], block["arguments"], where, "input-mismatch")
            elif name not in self.function.template_names:
                known = sorted({*schemas, *self.function.template_names})
                advice = suggest_name(name, known) if known else "write a text"
                message = f"Function `{self.function.name}` has no template `{name}`: {advice}."
                has_name = isinstance(written, dict) and "name" in written and is_spelled_out
                yield Issue("unknown-template", message, (*place, "name") if has_name else place)


def _at(value: JSONValue, pointer: Pointer) -> JSONValue:
    for step in pointer:
        if isinstance(value, list) and isinstance(step, int):
            value = value[step]
        elif isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        else:
            return None
    return value


def _iter_mismatches(schema: JSONValue, value: JSONValue, place: Pointer, code: str) -> Iterator[Issue]:
    """Yield where a value does not fit a schema."""
    errors = compile_schema(schema).iter_errors(value)
    for error, _ in zip(errors, range(_MOST_MISMATCHES), strict=False):
        unexpected = _UNEXPECTED.fullmatch(error.message)
        key = unexpected[1] if unexpected and isinstance(_at(value, error.pointer), dict) else None
        pointer = (*place, *error.pointer) if key is None else (*place, *error.pointer, key)
        yield Issue(code, f"It does not fit its schema: {error.message}.", pointer, is_key=key is not None)


# --- output


def _iter_json_output(value: JSONObject, datapoint: JsonDatapoint) -> Iterator[Issue]:
    try:
        compile_schema(datapoint.output_schema)
    except SchemaCompileError as error:
        yield Issue("bad-schema", f"The output schema is no JSON Schema: {error}.", ("output_schema",))
        return
    output, raw = value.get("output"), value.get("output_raw")
    if output is not None:
        yield from _iter_mismatches(datapoint.output_schema, output, ("output",), "output-mismatch")
        if isinstance(raw, str) and not is_same(read_raw(raw), output):
            message = "`output` counts and this says something else: remove it, or write the same."
            yield Issue("raw-output-disagrees", message, ("output_raw",))
    elif isinstance(raw, str):
        yield from _iter_raw_mismatches(datapoint.output_schema, raw)


def _iter_raw_mismatches(schema: JSONValue, raw: str) -> Iterator[Issue]:
    parsed = read_raw(raw)
    if parsed is None:
        message = "It is not JSON: if it should be, write the value itself as `output`."
        yield Issue("raw-output-mismatch", message, ("output_raw",))
        return
    mismatch = compile_schema(schema).find_error(parsed)
    reason = f"It does not fit its schema: {mismatch.message}." if mismatch else "It fits its schema."
    yield Issue("raw-output-mismatch", f"{reason} If it is right, write the value itself as `output`.", ("output_raw",))


# --- tools


def _iter_tools(datapoint: ChatDatapoint, function: Function, config: FunctionConfig) -> Iterator[Issue]:
    own = {tool["name"] for tool in datapoint.additional_tools}
    for index, key in enumerate(datapoint.allowed_tools or []):
        if key not in config.tools and key not in own:
            advice = suggest_name(key, sorted(config.tools)) if config.tools else "it has none"
            message = f"The function config has no tool `{key}`: {advice}."
            yield Issue("missing-tool", message, ("allowed_tools", index))
    yield from _iter_own_tools(datapoint, function, config)
    choice = datapoint.tool_choice
    available = find_available_tools(datapoint.tool_params, function, config)
    if isinstance(choice, dict) and choice["specific"] not in available:
        message = f"The datapoint offers no tool `{choice['specific']}`: name one that it does."
        yield Issue("unknown-tool", message, ("tool_choice", "specific"))


def _iter_own_tools(datapoint: ChatDatapoint, function: Function, config: FunctionConfig) -> Iterator[Issue]:
    keys = dict.fromkeys([*function.tools, *(datapoint.allowed_tools or ())])
    taken = Counter(config.tools[key].name for key in keys if key in config.tools)
    for index, tool in enumerate(datapoint.additional_tools):
        name = str(tool["name"])
        taken[name] += 1
        if taken[name] > 1:
            message = f"There is a tool `{name}` already: give this one another name."
            yield Issue("duplicate-tool", message, ("additional_tools", index, "name"))
        if tool["type"] == "function":
            try:
                compile_schema(tool["parameters"])
            except SchemaCompileError as error:
                message = f"The parameters are no JSON Schema: {error}."
                yield Issue("bad-schema", message, ("additional_tools", index, "parameters"))


def _iter_tool_calls(
    value: JSONObject, datapoint: ChatDatapoint, function: Function, config: FunctionConfig
) -> Iterator[Issue]:
    tools = find_available_tools(datapoint.tool_params, function, config)
    for index, block in enumerate(datapoint.output or []):
        if block["type"] == "tool_call" and block["name"] is not None:
            yield from _iter_tool_call(block, ("output", index), tools)


def _iter_tool_call(block: JSONObject, place: Pointer, tools: dict[str, Tool | None]) -> Iterator[Issue]:
    name = str(block["name"])
    if name not in tools:
        advice = suggest_name(name, sorted(tools)) if tools else "it offers none"
        message = f"The datapoint offers no tool `{name}`: {advice}. For a call of no tool, write `raw_name`."
        yield Issue("unknown-tool", message, (*place, "name"))
        return
    tool = tools[name]
    if tool is not None and block["arguments"] is not None:
        try:
            yield from _iter_mismatches(
                tool.parameters, block["arguments"], (*place, "arguments"), "tool-call-mismatch"
            )
        except SchemaCompileError as error:
            message = f"The parameters of tool `{name}` are no JSON Schema: {error}."
            yield Issue("tool-call-mismatch", message, (*place, "arguments"))
