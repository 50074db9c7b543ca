"""What the function config of today, and its own output schema, say of a datapoint that can be read.

A datapoint that is judged well is one that could be inserted as it stands.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from filestore.codec import JSONObject, JSONValue, is_same
from filestore.datapoint import ChatDatapoint, Datapoint, JsonDatapoint
from filestore.errors import Pointer, SchemaCompileError, SchemaTimeoutError, render_path, suggest_name
from filestore.findings import Issue
from filestore.functions import Function, FunctionConfig, Tool
from filestore.outputs import read_raw
from filestore.schema import compile_schema, limited
from filestore.shapes import expect_object, expect_text
from filestore.tools import find_available_tools

__all__ = ["iter_judgement", "judge", "wrong_kind"]

_MOST_MISMATCHES = 20
"""Of one value: a list of a thousand wrong items is one mistake."""
_LONGEST_REASON = 300
_BLOCK_DEPTH = len(("input", "messages", 0, "content", 0))
_TEXT_KEYS = ("text", "arguments", "value")
"""Under which a content block has a text or the arguments of a template; the last in drafts alone."""


def judge(value: JSONObject, datapoint: Datapoint, config: FunctionConfig) -> list[Issue]:
    """Return what is wrong with a datapoint, as `iter_judgement` yields it, within the time that one request has."""
    found: list[Issue] = []
    try:
        with limited():
            found += iter_judgement(value, datapoint, config)
    except SchemaTimeoutError as error:
        found.append(Issue("bad-schema", f"{error}.", ("function_name",)))
    return found


def wrong_kind(function: Function) -> Issue:
    """Return what is wrong with a datapoint of the other kind than its function."""
    message = f"Function `{function.name}` is a {function.type} function: make this `type` {function.type}."
    return Issue("wrong-kind", message, ("type",))


def _suggest(name: str, known: Collection[str]) -> str:
    """Return a sentence that says which name was meant, or which there are."""
    if not known:
        return "there is none."
    text = suggest_name(name, sorted(known))
    return text if text.endswith("?") else f"{text}."


def iter_judgement(value: JSONObject, datapoint: Datapoint, config: FunctionConfig) -> Iterator[Issue]:
    """Yield what is wrong with a datapoint.

    Args:
        value: The value of its file, in which the places are.
        datapoint: What the file was read as.
        config: The function config; one that is not configured asks nothing.
    """
    function = config.find_function(datapoint.function_name)
    if function is None and config.is_configured:
        advice = _suggest(datapoint.function_name, config.functions)
        message = f"The function config has no function `{datapoint.function_name}`: {advice}"
        yield Issue("unknown-function", message, ("function_name",))
    elif function is not None and function.type != datapoint.type:
        yield wrong_kind(function)
        function = None
    if function is not None:
        yield from _Input(value, datapoint, function).iter_issues()
    if isinstance(datapoint, JsonDatapoint):
        yield from _iter_json_output(value, datapoint)
        return
    if function is not None and config.is_configured:
        yield from _iter_tools(datapoint, function, config)
        yield from _iter_tool_calls(datapoint, function, config)
    yield from _iter_own_tools(datapoint)
    yield from _iter_raw_arguments(value)


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
            is_null = _at(self.value, ("input", "system")) is None and "system" in expect_object(self.value["input"])
            yield Issue("input-mismatch", message, ("input", "system") if is_null else ("input",))
        elif "system" in schemas:
            yield from _iter_mismatches(schemas["system"], system, ("input", "system"), "input-mismatch")
        elif system is not None and not isinstance(system, str) and "system" not in self.function.template_names:
            message = f"Function `{self.function.name}` has no system template: `system` must be a text."
            yield Issue("unknown-template", message, ("input", "system"))

    def _iter_block(self, block: JSONObject, role: str, place: Pointer) -> Iterator[Issue]:
        written = _at(self.value, place)
        keys = written if isinstance(written, dict) and len(place) == _BLOCK_DEPTH else JSONObject()
        where = next(((*place, key) for key in _TEXT_KEYS if key in keys), place)
        schemas = self.function.schemas
        if block["type"] == "text" and role in schemas:
            yield from _iter_mismatches(schemas[role], block["text"], where, "input-mismatch")
        elif block["type"] == "template":
            name = str(block["name"])
            if name in schemas:
                yield from _iter_mismatches(schemas[name], block["arguments"], where, "input-mismatch")
            elif name not in self.function.template_names:
                known = sorted({*schemas, *self.function.template_names})
                advice = _suggest(name, known) if known else "write a text."
                message = f"Function `{self.function.name}` has no template `{name}`: {advice}"
                yield Issue("unknown-template", message, (*place, "name") if "name" in keys else where)


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
        path = render_path((*place, *error.pointer))
        message = f"{path}: it does not fit its schema: {_clip(error.message)}."
        if error.unexpected is None:
            yield Issue(code, message, (*place, *error.pointer))
        else:
            yield Issue(code, message, (*place, *error.pointer, error.unexpected), is_key=True)


def _clip(reason: str) -> str:
    """Return a reason short enough for one line: the engine quotes whole values."""
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:200]} … {reason[-80:]}"


# --- output


def _iter_json_output(value: JSONObject, datapoint: JsonDatapoint) -> Iterator[Issue]:
    output, raw = value.get("output"), value.get("output_raw")
    raw_place: Pointer = ("output_raw",)
    if datapoint.output is not None and datapoint.output["parsed"] is None and output is not None:
        output, raw, raw_place = None, _at(output, ("raw",)), ("output", "raw")  # of a draft that is a v1 request
    if output is not None and isinstance(raw, str) and not is_same(read_raw(raw), output):
        message = "`output` counts and this says something else: remove it, or write the same."
        yield Issue("raw-output-disagrees", message, ("output_raw",))
    try:
        compile_schema(datapoint.output_schema)
    except SchemaCompileError as error:
        yield Issue("bad-schema", f"The output schema is no JSON Schema: {error}.", ("output_schema",))
        return
    if output is not None:
        yield from _iter_mismatches(datapoint.output_schema, output, ("output",), "output-mismatch")
    elif isinstance(raw, str):
        yield from _iter_raw_mismatches(datapoint.output_schema, raw, raw_place)


def _iter_raw_mismatches(schema: JSONValue, raw: str, place: Pointer) -> Iterator[Issue]:
    parsed = read_raw(raw)
    if parsed is None:
        message = "It is not JSON: if it should be, write the value itself as `output`."
        yield Issue("raw-output-mismatch", message, place)
        return
    mismatch = compile_schema(schema).find_error(parsed)
    if mismatch is None and place != ("output_raw",):  # adopting the draft makes it the output
        return
    reason = f"It does not fit its schema: {_clip(mismatch.message)}." if mismatch else "It fits its schema."
    yield Issue("raw-output-mismatch", f"{reason} If it is right, write the value itself as `output`.", place)


# --- tools


def _iter_tools(datapoint: ChatDatapoint, function: Function, config: FunctionConfig) -> Iterator[Issue]:
    own = {tool["name"] for tool in datapoint.additional_tools}
    for index, key in enumerate(datapoint.allowed_tools or []):
        if key not in config.tools and key not in own:
            advice = _suggest(key, config.tools)
            message = f"The function config has no tool `{key}`: {advice}"
            yield Issue("missing-tool", message, ("allowed_tools", index))
    yield from _iter_duplicate_tools(datapoint, function, config)
    choice = datapoint.tool_choice
    available = find_available_tools(datapoint.tool_params, function, config)
    if isinstance(choice, dict) and choice["specific"] not in available:
        message = f"The datapoint offers no tool `{choice['specific']}`: name one that it does."
        yield Issue("unknown-tool", message, ("tool_choice", "specific"))


def _iter_duplicate_tools(datapoint: ChatDatapoint, function: Function, config: FunctionConfig) -> Iterator[Issue]:
    """Yield the tools whose name another one has before them: an insert would refuse the second."""
    keys = dict.fromkeys([*function.tools, *(datapoint.allowed_tools or ())])
    names = {config.tools[key].name for key in keys if key in config.tools}
    for index, tool in enumerate(datapoint.additional_tools):
        name = expect_text(tool["name"])
        if name in names:
            message = f"There is another tool `{name}`: rename one of the two."
            yield Issue("duplicate-tool", message, ("additional_tools", index, "name"))
        names.add(name)


def _iter_own_tools(datapoint: ChatDatapoint) -> Iterator[Issue]:
    for index, tool in enumerate(datapoint.additional_tools):
        if tool["type"] == "function":
            try:
                compile_schema(tool["parameters"])
            except SchemaCompileError as error:
                message = _clip(f"The parameters of tool `{tool['name']}` are no JSON Schema: {error}.")
                yield Issue("bad-schema", message, ("additional_tools", index, "parameters"))


def _iter_raw_arguments(value: JSONObject) -> Iterator[Issue]:
    written = value.get("output")
    for index, call in enumerate(written if isinstance(written, list) else ()):
        raw, arguments = _at(call, ("raw_arguments",)), _at(call, ("arguments",))
        if isinstance(raw, str) and arguments is not None and not is_same(read_raw(raw), arguments):
            message = "`arguments` says something else than this: remove it, or write the same."
            yield Issue("raw-output-disagrees", message, ("output", index, "raw_arguments"))


def _iter_tool_calls(datapoint: ChatDatapoint, function: Function, config: FunctionConfig) -> Iterator[Issue]:
    tools = find_available_tools(datapoint.tool_params, function, config)
    for index, block in enumerate(datapoint.output or []):
        if block["type"] == "tool_call" and block["name"] is not None:
            yield from _iter_tool_call(block, ("output", index), tools)


def _iter_tool_call(block: JSONObject, place: Pointer, tools: dict[str, Tool | None]) -> Iterator[Issue]:
    name = str(block["name"])
    if name not in tools:
        advice = _suggest(name, tools)
        message = f"The datapoint offers no tool `{name}`: {advice} A name that is no tool's goes under `raw_name`."
        yield Issue("unknown-tool", message, (*place, "name"))
        return
    tool = tools[name]
    arguments, where = block["arguments"], (*place, "arguments")
    if arguments is None:
        return
    if tool is None:
        message = f"What the custom tool `{name}` is called with is free text: write it as `raw_arguments` alone."
        yield Issue("tool-call-mismatch", message, where)
        return
    try:
        yield from _iter_mismatches(tool.parameters, arguments, where, "tool-call-mismatch")
    except SchemaCompileError:
        return  # which is told of the tool itself
