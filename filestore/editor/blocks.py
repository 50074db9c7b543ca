"""JSON Schemas of content blocks, outputs and tools, as a datapoint file spells them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from filestore.codec import JSONObject, JSONValue

__all__ = ["content_of", "input_blocks", "output_of_chat", "tool_list"]

_STRING: JSONObject = {"type": "string"}
_OPTIONAL: JSONObject = {"type": ["string", "null"]}
_ATTACHMENT = r"^files/[0-9a-f]{64}\.[a-z0-9]{1,16}$"


def _block(
    kind: str, description: str, properties: Mapping[str, JSONValue], required: Iterable[str] = (), **more: JSONValue
) -> JSONObject:
    return {
        "title": kind,
        "description": description,
        "properties": {"type": {"const": kind, "description": description}, **properties},
        "required": ["type", *required],
        "additionalProperties": False,
        **more,
    }


def _choose(blocks: Iterable[JSONObject]) -> JSONObject:
    """Return the schema of one of several blocks, so that only the block of the stated type complains."""
    known = list(blocks)
    kinds: list[JSONValue] = [block["title"] for block in known]
    descriptions: list[JSONValue] = [block["description"] for block in known]
    rules: list[JSONValue] = [
        {"if": {"properties": {"type": {"const": block["title"]}}, "required": ["type"]}, "then": block}
        for block in known
    ]
    return {
        "type": "object",
        "properties": {"type": {"enum": kinds, "enumDescriptions": descriptions}},
        "required": ["type"],
        "allOf": rules,
    }


def _has(**values: str) -> JSONObject:
    """Return the schema of an object that has some keys with some values."""
    return {"properties": {key: {"const": value} for key, value in values.items()}, "required": list(values)}


_THOUGHT: JSONObject = _block(
    "thought",
    "What a model thought.",
    {
        "text": _OPTIONAL,
        "signature": _OPTIONAL,
        "summary": {
            "type": ["array", "null"],
            "items": {
                "type": "object",
                "properties": {"type": {"const": "summary_text"}, "text": _STRING},
                "required": ["type", "text"],
            },
        },
        "provider_type": _OPTIONAL,
        "_internal_provider_type": _OPTIONAL,
        "extra_data": True,
    },
)
_UNKNOWN: JSONObject = _block(
    "unknown",
    "A block that only a model provider knows.",
    {"data": True, "model_name": _OPTIONAL, "provider_name": _OPTIONAL, "model_provider_name": _OPTIONAL},
    ["data"],
)


def input_blocks() -> JSONObject:
    """Return the schema of a content block of a message."""
    text = _block("text", "A text.", {"text": _STRING, "arguments": {"type": "object"}})
    text.update(minProperties=2, maxProperties=2)
    return _choose(
        [
            text,
            _block(
                "template",
                "The arguments of a template of the function.",
                {"name": _STRING, "arguments": {"type": "object"}},
                ["name", "arguments"],
            ),
            _block(
                "raw_text", "A text that goes to the model as it is, past any template.", {"value": _STRING}, ["value"]
            ),
            _block(
                "tool_call",
                "A tool that the model called.",
                {"id": _STRING, "name": _STRING, "arguments": {"type": ["string", "object"]}},
                ["id", "name", "arguments"],
            ),
            _block(
                "tool_result",
                "What a tool answered.",
                {"name": _STRING, "result": _STRING, "id": _STRING},
                ["name", "result", "id"],
            ),
            _file(),
            _THOUGHT,
            _UNKNOWN,
        ]
    )


def _file() -> JSONObject:
    properties: dict[str, JSONValue] = {
        "file_type": True,
        "url": {**_OPTIONAL, "description": "Where the file is; it is never fetched."},
        "source_url": _OPTIONAL,
        "mime_type": {"type": ["string", "null"], "pattern": "/"},
        "storage_path": {
            "description": "A file of the dataset: files/<sha256>.<extension>.",
            "anyOf": [{"type": ["object", "null"]}, {"type": "string", "pattern": _ATTACHMENT}],
        },
        "detail": {"enum": ["low", "high", "auto", None]},
        "filename": _OPTIONAL,
    }
    return _block("file", "An image, a sound, a document.", properties)


def content_of(role: str, places: Mapping[str, JSONObject], templates: Sequence[str]) -> JSONObject:
    """Return what the content of a role's messages must fit in one function.

    Args:
        role: `user` or `assistant`.
        places: Template name to the reference to the schema of its arguments.
        templates: The names of all templates that may be called.
    """
    own = places.get(role)
    calls: list[JSONValue] = [
        {
            "if": {
                "properties": {"type": {"const": "template"}, "name": {"const": name}},
                "required": ["type", "name"],
            },
            "then": {"properties": {"arguments": place}},
        }
        for name, place in sorted(places.items())
    ]
    names: JSONValue = {"enum": list[JSONValue](templates)} if templates else False
    block: JSONObject = {
        "allOf": [
            {
                "if": {"properties": {"type": {"const": "template"}}, "required": ["type"]},
                "then": {"properties": {"name": names}},
            },
            {
                "if": {"properties": {"type": {"const": "text"}}, "required": ["type"]},
                "then": {"properties": {"text": own or True, "arguments": own or (role in templates)}},
            },
            *calls,
        ]
    }
    rules: list[JSONValue] = [
        {"if": {"type": "string"}, "then": own or True},
        {"if": {"type": "object"}, "then": own or (role in templates)},
    ]
    return {"items": block, "allOf": rules}


def output_of_chat(tools: Mapping[str, JSONObject] | None = None) -> JSONObject:
    """Return the schema of a chat output.

    Args:
        tools: Name to the reference to the schema of its arguments, for the tools that are known.
    """
    if tools is None:
        blocks = [_block("text", "A text.", {"text": _STRING}, ["text"]), _tool_call(), _THOUGHT, _UNKNOWN]
        return {
            "title": "Output",
            "description": "A text, or a list of blocks.",
            "type": ["string", "array", "null"],
            "items": _choose(blocks),
        }
    rules: list[JSONValue] = [
        {
            "if": _has(type="tool_call", name=name),
            "then": {"properties": {"arguments": {"anyOf": [{"type": "null"}, place]}}},
        }
        for name, place in sorted(tools.items())
    ]
    return {"items": {"allOf": rules}} if rules else {}


def _tool_call() -> JSONObject:
    properties: dict[str, JSONValue] = {
        "id": _STRING,
        "name": {**_OPTIONAL, "description": "The tool that is called."},
        "arguments": {"description": "What the tool is called with."},
        "raw_name": {**_OPTIONAL, "description": "The name as the model wrote it, where it is no tool's."},
        "raw_arguments": {**_OPTIONAL, "description": "The arguments as the model wrote them, where they say more."},
    }
    needed: list[JSONValue] = [{"anyOf": [_has_value(key), _has_value(f"raw_{key}")]} for key in ("name", "arguments")]
    return _block("tool_call", "A call of a tool.", properties, allOf=needed)


def _has_value(key: str) -> JSONObject:
    return {"properties": {key: {"not": {"type": "null"}}}, "required": [key]}


def tool_list() -> JSONObject:
    """Return the schemas of the keys that say which tools a chat datapoint offers."""
    return {
        "allowed_tools": {
            "title": "Allowed tools",
            "description": "Keys of configured tools that the model may call; if missing, the function's.",
            "type": ["array", "null"],
            "items": _STRING,
        },
        "additional_tools": {
            "title": "Additional tools",
            "description": "Tools of this datapoint alone.",
            "type": ["array", "null"],
            "items": {"if": _is_custom_tool(), "then": _custom_tool(), "else": _function_tool()},
        },
        "tool_choice": {
            "title": "Tool choice",
            "description": "Whether the model may, must or must not call a tool, or which one it must.",
            "anyOf": [
                {"enum": ["none", "auto", "required", None]},
                {
                    "type": "object",
                    "properties": {"specific": _STRING},
                    "required": ["specific"],
                    "additionalProperties": False,
                },
            ],
        },
        "parallel_tool_calls": {
            "title": "Parallel tool calls",
            "description": "Whether the model may call several tools at once.",
            "type": ["boolean", "null"],
        },
        "provider_tools": {
            "title": "Provider tools",
            "description": "Tools that a model provider runs itself.",
            "type": ["array", "null"],
            "items": {
                "type": "object",
                "properties": {"scope": {"type": ["object", "null"]}, "tool": True},
                "required": ["tool"],
                "additionalProperties": False,
            },
        },
    }


def _is_custom_tool() -> JSONObject:
    return {"type": "object", "properties": {"type": {"const": "openai_custom"}}, "required": ["type"]}


def _custom_tool() -> JSONObject:
    properties: JSONObject = {
        "type": True,
        "name": _STRING,
        "description": _OPTIONAL,
        "format": {"type": ["object", "null"]},
    }
    return {"properties": properties, "required": ["name"], "additionalProperties": False}


def _function_tool() -> JSONObject:
    return {
        "type": "object",
        "properties": {
            "type": {"enum": ["function", "client_side_function", None]},
            "name": {"type": "string", "description": "What the model calls it."},
            "description": {"type": "string", "description": "What it does, told to the model."},
            "parameters": {"description": "The JSON Schema of its arguments."},
            "strict": {"type": "boolean", "description": "Whether the provider shall enforce the schema."},
        },
        "required": ["name", "description", "parameters"],
        "additionalProperties": False,
    }
