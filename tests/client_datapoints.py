"""Datapoints as clients send them, and as each release of the client prints what comes back."""

from __future__ import annotations

import base64
import hashlib
import uuid
from datetime import UTC, datetime
from typing import Any

from tests.client_releases import CURRENT_RELEASE
from tests.conftest import SCHEMAS

PNG = base64.b64decode("iVBORw0KGgo=")
TOOL = {"name": "ask", "description": "Ask a person", "parameters": {"type": "object"}, "strict": False}
TOOL_CALL = {"type": "tool_call", "name": "get_temperature", "arguments": {"location": "NYC"}}
TOOL_RESULT = {"type": "tool_result", "id": "1", "name": "get_temperature", "result": "42"}
THOUGHT = {"type": "thought", "text": "Hm.", "signature": "s"}
RAW_TEXT = {"type": "raw_text", "value": "{{ raw }}"}
TEMPLATE = {"type": "template", "name": "greeting", "arguments": {"name": "Ada"}}
SYSTEM = {"assistant_name": "Ada"}

CHAT: dict[str, Any] = {
    "function_name": "weather_helper",
    "input": {
        "system": SYSTEM,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Is it warm?"},
                    RAW_TEXT,
                    {"type": "file", "mime_type": "image/png", "data": base64.b64encode(PNG).decode()},
                ],
            },
            {"role": "assistant", "content": [THOUGHT, {**TOOL_CALL, "id": "1"}]},
            {"role": "user", "content": [TOOL_RESULT, {"type": "unknown", "data": {"x": 1}}]},
        ],
    },
    "output": [{"type": "text", "text": "Yes."}, TOOL_CALL],
    "additional_tools": [TOOL],
    "tags": {"a": "b"},
}
TEMPLATED: dict[str, Any] = {
    "function_name": "templated",
    "input": {"messages": [{"role": "user", "content": [TEMPLATE]}]},
}
JSON: dict[str, Any] = {
    "function_name": "json_success",
    "input": {"system": SYSTEM, "messages": [{"role": "user", "content": {"country": "US"}}]},
    "output": {"answer": "Hello"},
    "output_schema": {"type": "object", "required": ["answer"]},
}
BATCH = (CHAT, TEMPLATED, JSON)

# Sent through the v1 generation alone; older releases must read them nevertheless.
NEWER_BLOCKS: list[dict[str, Any]] = [
    {
        "type": "thought",
        "summary": [{"type": "summary_text", "text": "k"}],
        "provider_type": "p",
        "extra_data": {"a": 1},
    },
    {"type": "unknown", "data": None, "model_name": "m", "provider_name": "p"},
    {"type": "unknown", "data": 1, "model_name": "m"},
    {"type": "file", "file_type": "url", "url": "https://example.com/a.png"},
    {"type": "file", "file_type": "base64", "mime_type": "image/png", "data": "iVBORw0KGgo=", "detail": "low"},
]
NEWER_TOOLS: dict[str, Any] = {
    "additional_tools": [TOOL, {"type": "openai_custom", "name": "grep", "format": {"type": "text"}}],
    "provider_tools": [
        {"scope": None, "tool": {}},
        {"scope": {"model_name": "m"}, "tool": {}},
        {"scope": {"model_name": "m", "provider_name": "p"}, "tool": {}},
    ],
    "parallel_tool_calls": False,
}

CHAT_OUTPUT: list[dict[str, Any]] = [
    {"type": "text", "text": "Yes."},
    {**TOOL_CALL, "id": "", "raw_name": "get_temperature", "raw_arguments": '{"location":"NYC"}'},
]


def wire_time(datapoint_id: str) -> str:
    milliseconds = uuid.UUID(datapoint_id).int >> 80
    return f"{datetime.fromtimestamp(milliseconds // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def printed(release: str, datapoint_id: str, fields: dict[str, Any]) -> dict[str, Any]:
    """What a release prints of a datapoint in `demo`."""
    value: dict[str, Any] = {
        "dataset_name": "demo",
        "id": datapoint_id,
        "episode_id": None,
        "tags": {},
        "is_deleted": False,
    }
    times = {} if release == "2025.9.6" else {"updated_at": wire_time(datapoint_id)}
    return {**value, "is_custom": True, **times, **fields}


def chat_input(release: str) -> dict[str, Any]:
    """The input of `CHAT` as a release prints it."""
    is_nested = release in ("2025.9.6", "2025.10.7")
    path = f"files/{hashlib.sha256(PNG).hexdigest()}.png"
    file: dict[str, Any] = {
        "type": "file",
        "storage_path": {"kind": {"type": "filesystem", "path": "demo"}, "path": path},
    }
    if is_nested:
        file["file"] = {"url": None, "mime_type": "image/png"}
    else:
        file.update(source_url=None, mime_type="image/png")
    unknown: dict[str, Any] = {"type": "unknown", "data": {"x": 1}}
    if release == CURRENT_RELEASE:
        file["file_type"] = "object_storage_pointer"
    else:
        unknown["model_provider_name"] = None
    text = {"type": "text", "value" if is_nested else "text": "Is it warm?"}
    call = {**TOOL_CALL, "id": "1", "arguments": '{"location":"NYC"}'}
    return {
        "system": SYSTEM,
        "messages": [
            {"role": "user", "content": [text, RAW_TEXT, file]},
            {"role": "assistant", "content": [THOUGHT, call]},
            {"role": "user", "content": [TOOL_RESULT, unknown]},
        ],
    }


def chat_tools(release: str) -> dict[str, Any]:
    """The tools of `CHAT` as a release prints them."""
    if release == CURRENT_RELEASE:
        return {"additional_tools": [{"type": "function", **TOOL}], "tool_choice": "auto", "provider_tools": []}
    if release == "2025.11.3":
        rest: dict[str, Any] = {
            "allowed_tools": None,
            "tool_choice": "auto",
            "parallel_tool_calls": None,
            "provider_tools": [],
        }
        return {"additional_tools": [TOOL], **rest}
    own = {
        "name": "get_temperature",
        "description": "Get the current temperature in a given location",
        "parameters": SCHEMAS["temperature.json"],
        "strict": False,
    }
    return {"tool_params": {"tools_available": [own, TOOL], "tool_choice": "auto", "parallel_tool_calls": None}}
