"""Datapoints as values: what the store holds, and both wire forms of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal, Self

from filestore.codec import JSONObject, JSONValue
from filestore.functions import FunctionConfig
from filestore.ids import format_wire_time
from filestore.spellings import render_input_legacy, render_input_transitional
from filestore.tools import ToolParams, render_tool_params_legacy

__all__ = [
    "TOOL_FIELDS",
    "ChatDatapoint",
    "Datapoint",
    "JsonDatapoint",
    "render_legacy",
    "render_legacy_transitional",
    "render_transitional",
    "tool_fields",
]

TOOL_FIELDS = ("allowed_tools", "additional_tools", "tool_choice", "parallel_tool_calls", "provider_tools")


# Without slots, so that a reader of many files can fill the instance's dictionary at once: see `from_fields`.


@dataclass(frozen=True, kw_only=True)
class _Common:
    """What chat and JSON datapoints share."""

    dataset_name: str
    function_name: str
    id: uuid.UUID
    input: JSONObject
    """`{"system"?, "messages": [{"role", "content": [blocks]}]}`."""
    updated_at: datetime
    """UTC; the time of the id unless something changed since."""
    episode_id: uuid.UUID | None = None
    tags: dict[str, str] = field(default_factory=dict)
    is_custom: bool = True
    source_inference_id: uuid.UUID | None = None
    staled_at: datetime | None = None
    """UTC; when it was soft-deleted, None while it is live."""
    name: str | None = None
    replaces: uuid.UUID | None = None
    """The datapoint whose place this one took when it was updated."""
    schema_ref: str | None = None
    """Editor's `$schema` of the file, kept as it is."""

    _factories: ClassVar[tuple[tuple[str, Callable[[], object]], ...]]
    """What makes the defaults that are not the class's own."""

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Self:
        """Return a datapoint as `cls(**fields)` does, at a tenth of the cost; names and types are not checked.

        Args:
            fields: Those that have no default, and any others.
        """
        datapoint = object.__new__(cls)
        own = datapoint.__dict__
        own.update(fields)
        for name, make in cls._factories:
            if name not in own:
                own[name] = make()
        return datapoint

    def _head(self) -> JSONObject:
        return {
            "type": self.type,  # type: ignore[attr-defined]  # both leaves have it
            "dataset_name": self.dataset_name,
            "function_name": self.function_name,
            "id": str(self.id),
            "episode_id": None if self.episode_id is None else str(self.episode_id),
            "input": self.input,
        }

    def _tail(self) -> JSONObject:
        tail: JSONObject = {"tags": dict(self.tags), "is_deleted": False, "is_custom": self.is_custom}
        if self.source_inference_id is not None:
            tail["source_inference_id"] = str(self.source_inference_id)
        if self.staled_at is not None:
            tail["staled_at"] = format_wire_time(self.staled_at)
        tail["updated_at"] = format_wire_time(self.updated_at)
        return tail

    def _named_tail(self) -> JSONObject:
        tail = self._tail()
        if self.name is not None:
            tail["name"] = self.name
        return tail


@dataclass(frozen=True, kw_only=True)
class ChatDatapoint(_Common):
    """A datapoint of a chat function."""

    type: ClassVar[Literal["chat"]] = "chat"
    _factories = (("tags", dict), ("additional_tools", list), ("provider_tools", list))
    output: list[JSONObject] | None = None
    """Content blocks, or None where no output is expected."""
    allowed_tools: list[str] | None = None
    """Keys of configured tools, or None for the function's own."""
    additional_tools: list[JSONObject] = field(default_factory=list)
    tool_choice: JSONValue = None
    """The resolved choice; None means that the datapoint has no tool parameters at all."""
    parallel_tool_calls: bool | None = None
    provider_tools: list[JSONObject] = field(default_factory=list)

    @property
    def tool_params(self) -> ToolParams:
        """The five tool fields as one value."""
        return ToolParams(**{name: getattr(self, name) for name in TOOL_FIELDS})

    def to_dict(self) -> JSONObject:
        """Return the v1 wire form."""
        value = self._head()
        if self.output is not None:
            value["output"] = list[JSONValue](self.output)
        if self.allowed_tools is not None:
            value["allowed_tools"] = list[JSONValue](self.allowed_tools)
        if self.additional_tools:
            value["additional_tools"] = list[JSONValue](self.additional_tools)
        if self.tool_choice is not None:
            value["tool_choice"] = self.tool_choice
        if self.parallel_tool_calls is not None:
            value["parallel_tool_calls"] = self.parallel_tool_calls
        value["provider_tools"] = list[JSONValue](self.provider_tools)
        value.update(self._named_tail())
        return value


@dataclass(frozen=True, kw_only=True)
class JsonDatapoint(_Common):
    """A datapoint of a JSON function."""

    type: ClassVar[Literal["json"]] = "json"
    _factories = (("tags", dict), ("output_schema", dict))
    output: JSONObject | None = None
    """`{"raw": text or None, "parsed": value or None}`, or None where no output is expected."""
    output_schema: JSONValue = field(default_factory=dict)

    def to_dict(self) -> JSONObject:
        """Return the v1 wire form."""
        value = self._head()
        if self.output is not None:
            value["output"] = self.output
        value["output_schema"] = self.output_schema
        value.update(self._named_tail())
        return value


Datapoint = ChatDatapoint | JsonDatapoint


def tool_fields(params: ToolParams) -> dict[str, Any]:
    """Return tool parameters as keyword arguments of `ChatDatapoint`."""
    return {name: getattr(params, name) for name in TOOL_FIELDS}


def render_legacy(datapoint: Datapoint, config: FunctionConfig) -> JSONObject:
    """Return the old wire form, as clients without a `User-Agent` read it."""
    value = datapoint._head()
    value["input"] = render_input_legacy(datapoint.input)
    if datapoint.output is not None:
        value["output"] = datapoint.output if isinstance(datapoint, JsonDatapoint) else list(datapoint.output)
    if isinstance(datapoint, JsonDatapoint):
        value["output_schema"] = datapoint.output_schema
    elif datapoint.tool_params.tool_choice is not None:
        function = config.find_function(datapoint.function_name)
        value["tool_params"] = render_tool_params_legacy(datapoint.tool_params, function, config)
    value.update(datapoint._tail())
    return value


def render_legacy_transitional(datapoint: Datapoint, config: FunctionConfig) -> JSONObject:
    """Return the old wire form with the tools in both spellings.

    Releases from 2025.11.1 on no longer read `tool_params`, and those before read nothing else.
    """
    value = render_legacy(datapoint, config)
    if isinstance(datapoint, ChatDatapoint) and datapoint.tool_choice is not None:
        value.update(_render_tools_transitional(datapoint))
    return value


def render_transitional(datapoint: Datapoint) -> JSONObject:
    """Return the v1 wire form as its first clients (2025.11), which send no `User-Agent`, read it."""
    value = {**datapoint.to_dict(), "input": render_input_transitional(datapoint.input)}
    if isinstance(datapoint, ChatDatapoint):
        value.update(_render_tools_transitional(datapoint))
    return value


def _render_tools_transitional(datapoint: ChatDatapoint) -> JSONObject:
    """Spell tool fields for clients that know neither a tool's `type`, nor custom tools, nor a short provider scope."""
    value: JSONObject = {key: item for key, item in datapoint.to_dict().items() if key in TOOL_FIELDS}
    if datapoint.additional_tools:
        value["additional_tools"] = [
            {key: item for key, item in tool.items() if key != "type"}
            for tool in datapoint.additional_tools
            if tool["type"] == "function"
        ]
    value["provider_tools"] = [
        {**tool, "scope": _render_scope_transitional(tool["scope"])} for tool in datapoint.provider_tools
    ]
    return value


def _render_scope_transitional(scope: JSONValue) -> JSONValue:
    if not isinstance(scope, dict):
        return scope
    return {"model_name": scope["model_name"], "model_provider_name": scope.get("provider_name", "")}
