"""The JSON Schema (draft 7) of a datapoint file: its format, and for each function what fits that very function."""

from __future__ import annotations

from collections.abc import Mapping

from filestore.codec import JSONObject, JSONValue
from filestore.editor.blocks import content_of, input_blocks, output_of_chat, tool_list
from filestore.editor.embedding import embed
from filestore.functions import Function, FunctionConfig, bare_function

__all__ = ["editor_schema"]

_UUID = (
    r"^((urn:uuid:)?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}"
    r"|\{[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\})$"
)
_TIME = r"^[0-9T:-]+(\.[0-9]{1,6})?Z$"
_REFERENCE = r"^schemas/[0-9a-f]{16,64}\.json$"
_CHAT_KEYS = ("allowed_tools", "additional_tools", "tool_choice", "parallel_tool_calls", "provider_tools")
_JSON_KEYS = ("output_raw", "output_schema")


def editor_schema(config: FunctionConfig, schema_files: Mapping[str, JSONValue] | None = None) -> JSONObject:
    """Return the JSON Schema of a datapoint file.

    Args:
        config: The function config; without one the format alone is described.
        schema_files: Digest to content of the dataset's files in `schemas/`; None where they are not known.
    """
    functions = [config.functions[name] for name in sorted(config.functions)]
    functions.append(bare_function("tensorzero::default", "chat"))
    definitions: JSONObject = {"input_block": input_blocks(), "chat": _rules_of("chat"), "json": _rules_of("json")}
    for digest, content in sorted((schema_files or {}).items()):
        definitions[f"schema {digest}"] = embed(content, f"#/definitions/schema%20{digest}")
    branches: list[JSONValue] = [_branch(one, config, definitions, schema_files) for one in functions]
    kinds: list[JSONValue] = [_kind("chat"), _kind("json")]
    properties = _properties(schema_files)
    if config.is_configured:
        properties["function_name"] = _function_names(functions)
    schema: JSONObject = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Datapoint",
        "description": "One datapoint of a dataset: an input, and the output that is expected for it.",
        "type": "object",
        "properties": properties,
        "required": ["function_name", "input"],
        "additionalProperties": False,
        "allOf": [*kinds, *branches],
        "definitions": definitions,
    }
    if not config.is_configured:
        schema["anyOf"] = [
            {"required": ["type"]},
            {"properties": {"function_name": {"const": "tensorzero::default"}}},
        ]
    return schema


def _text(title: str, description: str, **more: JSONValue) -> JSONObject:
    return {"title": title, "description": description, "type": ["string", "null"], **more}


def _described(title: str, description: str, **more: JSONValue) -> JSONObject:
    return {"title": title, "description": description, **more}


def _properties(schema_files: Mapping[str, JSONValue] | None) -> JSONObject:
    return {
        "$schema": {"type": ["string", "null"], "description": "The schema that your editor checks this file by."},
        "type": _described(
            "Kind",
            "Whether the output is chat blocks or one JSON value; if missing, what the function says.",
            enum=["chat", "json", None],
        ),
        "function_name": _described("Function", "The function that this datapoint is for.", type="string"),
        "name": _text("Name", "What you call this datapoint; best used once in a dataset."),
        "episode_id": _text("Episode", "The UUID of the episode that it comes from.", pattern=_UUID),
        "input": _input(),
        "output": _described("Output", "What is expected: for chat a text or blocks, for JSON the value itself."),
        "output_raw": _text("Raw output", "The exact text of a JSON output, where `output` does not say it all."),
        "output_schema": _output_schema(schema_files),
        **tool_list(),
        "tags": _described(
            "Tags", "Labels to find it by.", type=["object", "null"], additionalProperties={"type": "string"}
        ),
        "is_custom": _described("Custom", "Whether a person made it; if missing, true.", type="boolean"),
        "source_inference_id": _text("Inference", "The UUID of the inference that it comes from.", pattern=_UUID),
        "replaces": _text("Replaces", "The UUID of the datapoint whose place it took.", pattern=_UUID),
        "updated_at": _text("Updated at", "When it last changed, UTC; if missing, the time in its id.", pattern=_TIME),
    }


def _input() -> JSONObject:
    system = _described("System", "The system message: a text, or the arguments of the system template.")
    messages = _described("Messages", "The conversation so far.", type="array", items=_message())
    return _described(
        "Input",
        "What the function is called with.",
        type="object",
        properties={"system": system, "messages": messages},
        additionalProperties=False,
    )


def _output_schema(schema_files: Mapping[str, JSONValue] | None) -> JSONObject:
    reference: JSONObject = {}
    if schema_files is not None:
        known: list[JSONValue] = [f"schemas/{digest}.json" for digest in sorted(schema_files)]
        reference = {"anyOf": [{"enum": known}, {"not": {"type": "string", "pattern": _REFERENCE}}]}
    return {
        "title": "Output schema",
        "description": "A reference to a file in `schemas/`, or a schema written out; if missing, the function's.",
        "type": ["object", "boolean", "null"],
        "if": {"required": ["$ref"], "maxProperties": 1},
        "then": {"properties": {"$ref": reference}},
    }


def _message() -> JSONObject:
    return {
        "type": "object",
        "properties": {
            "role": {"title": "Role", "description": "Who speaks.", "enum": ["user", "assistant"]},
            "content": {
                "title": "Content",
                "description": "A text, the arguments of the role's template, or a list of blocks.",
                "type": ["string", "object", "array"],
                "items": {"$ref": "#/definitions/input_block"},
            },
        },
        "required": ["role", "content"],
        "additionalProperties": False,
        "defaultSnippets": [{"label": "message", "body": {"role": "user", "content": "$1"}}],
    }


def _kind(kind: str) -> JSONObject:
    """Return what holds for all datapoints of a kind that the file states."""
    return {
        "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
        "then": {"$ref": f"#/definitions/{kind}"},
    }


def _rules_of(kind: str) -> JSONObject:
    if kind == "chat":
        return {"properties": {"output": output_of_chat(), **dict.fromkeys(_JSON_KEYS, False)}}
    return {
        "properties": dict.fromkeys(_CHAT_KEYS, False),
        "if": {"not": {"required": ["output_raw"]}},
        "then": {
            "properties": {
                "output": {
                    "not": {
                        "type": "object",
                        "minProperties": 1,
                        "properties": {"raw": True, "parsed": True},
                        "additionalProperties": False,
                    }
                }
            }
        },
    }


def _function_names(functions: list[Function]) -> JSONObject:
    names: list[JSONValue] = [function.name for function in functions]
    descriptions: list[JSONValue] = [function.description or f"A {function.type} function." for function in functions]
    return {
        "title": "Function",
        "description": "The function that this datapoint is for.",
        "enum": names,
        "enumDescriptions": descriptions,
    }


# --- one function


def _branch(
    function: Function,
    config: FunctionConfig,
    definitions: JSONObject,
    schema_files: Mapping[str, JSONValue] | None,
) -> JSONObject:
    """Return what holds for the datapoints of one function, and add the schemas of the function to the definitions."""
    places = {
        name: _define(definitions, f"{function.name} {name}", schema) for name, schema in function.schemas.items()
    }
    then: JSONObject = {
        "properties": {"type": {"enum": [function.type, None]}, "input": _input_of(function, places)},
    }
    rules: list[JSONValue] = [{"$ref": f"#/definitions/{function.type}"}]
    if function.type == "json":
        rules += _outputs_of(function, definitions, schema_files)
    elif config.is_configured:
        tools = [config.tools[key] for key in function.tools]
        known = {tool.name: _define(definitions, f"tool {tool.key}", tool.parameters) for tool in tools}
        rules.append({"properties": {"output": output_of_chat(known)}})
        rules.append(_known_tools_alone(known))
    return {
        "if": {"properties": {"function_name": {"const": function.name}}, "required": ["function_name"]},
        "then": {**then, "allOf": rules},
    }


def _define(definitions: JSONObject, name: str, schema: JSONValue) -> JSONObject:
    """Add a schema to the definitions; return the reference to it."""
    from urllib.parse import quote

    place = "#/definitions/" + quote(name.replace("~", "~0").replace("/", "~1"), safe="~")
    definitions[name] = embed(schema, place)
    return {"$ref": place}


def _input_of(function: Function, places: Mapping[str, JSONObject]) -> JSONObject:
    rules: JSONObject = {}
    system: JSONObject = {"type": ["string", "null"]}
    if "system" in places:
        rules["required"] = ["system"]
        system = {"allOf": [{"not": {"type": "null"}}, places["system"]]}
    elif "system" in function.template_names:
        system = {}
    templates = sorted({*places, *function.template_names})
    message: JSONObject = {
        "allOf": [
            {
                "if": {"properties": {"role": {"const": role}}, "required": ["role"]},
                "then": {"properties": {"content": content_of(role, places, templates)}},
            }
            for role in ("user", "assistant")
        ]
    }
    rules["properties"] = {"system": system, "messages": {"items": message}}
    return rules


def _outputs_of(
    function: Function, definitions: JSONObject, schema_files: Mapping[str, JSONValue] | None
) -> list[JSONValue]:
    """Return the rules for the output of a json function: it fits the schema that the file names, or the function's."""
    own = _define(definitions, f"{function.name} output", function.output_schema)
    names_none: JSONObject = {"properties": {"output_schema": {"type": "null"}}}
    rules: list[JSONValue] = [_if_output(names_none, own)]
    for digest in sorted(schema_files or {}):
        named: JSONObject = {
            "properties": {"output_schema": {"const": {"$ref": f"schemas/{digest}.json"}}},
            "required": ["output_schema"],
        }
        rules.append(_if_output(named, {"$ref": f"#/definitions/schema%20{digest}"}))
    return rules


def _if_output(condition: JSONObject, schema: JSONObject) -> JSONObject:
    has_output: JSONObject = {"properties": {"output": {"not": {"type": "null"}}}, "required": ["output"]}
    return {"if": {"allOf": [condition, has_output]}, "then": {"properties": {"output": schema}}}


def _known_tools_alone(known: Mapping[str, JSONObject]) -> JSONObject:
    """Return the rule that a datapoint without tools of its own calls those of the function alone."""
    called: JSONObject = {"enum": [*sorted(known), None]} if known else {"type": "null"}
    calls: JSONObject = {
        "if": {"properties": {"type": {"const": "tool_call"}}, "required": ["type"]},
        "then": {"properties": {"name": called}},
    }
    chosen: JSONObject = {"properties": {"specific": {"enum": list[JSONValue](sorted(known))} if known else False}}
    return {
        "if": {"not": {"anyOf": [{"required": ["allowed_tools"]}, {"required": ["additional_tools"]}]}},
        "then": {"properties": {"output": {"items": calls}, "tool_choice": chosen}},
    }
