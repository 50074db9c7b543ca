"""A datapoint as a process remembers it: what lists decide by as values, all else as compact JSON text.

What is handed out is decoded anew each time, so that a caller may change what it got.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import Any

from filestore.codec import JSONObject, JSONValue, compact, pack, unpack
from filestore.datapoint import ChatDatapoint, Datapoint, JsonDatapoint
from filestore.query import SearchText

__all__ = ["Row"]

_CHAT_EXTRAS = ("allowed_tools", "additional_tools", "tool_choice", "parallel_tool_calls", "provider_tools")
_UUID_EXTRAS = ("episode_id", "source_inference_id", "replaces")
_APART = b"\n"
"""Between two JSON texts; within one a line break is spelled as an escape."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One live datapoint.

    Attributes:
        key: `updated_at`, and the id as text: what lists are ordered by.
        id: The id.
        type: `chat` or `json`.
        function_name: The function it is for.
        tags: Text to text; never handed out.
        extras: Packed object of the rarer fields; empty where all are at their default.
        texts: Compact text of the wire form of `input` and, after a line break, of `output` if there is one; None where
            there was no room for it.
        schema: The digest of the output schema in `schemas/`, or None where `extras` holds it.
    """

    key: tuple[datetime, str]
    id: uuid.UUID
    type: str
    function_name: str
    tags: dict[str, str]
    extras: bytes
    texts: bytes | None
    schema: str | None

    @classmethod
    def of(cls, datapoint: Datapoint, schema: str | None = None) -> Row:
        """Return the row of a datapoint.

        Args:
            datapoint: Chat or JSON.
            schema: The digest under which its output schema was loaded, if it was.
        """
        extras: dict[str, JSONValue] = {
            name: str(value) for name in _UUID_EXTRAS if (value := getattr(datapoint, name)) is not None
        }
        output: JSONValue
        if isinstance(datapoint, ChatDatapoint):
            extras.update(
                (name, value) for name in _CHAT_EXTRAS if (value := getattr(datapoint, name)) not in (None, [])
            )
            if datapoint.allowed_tools == []:
                extras["allowed_tools"] = []
            output = None if datapoint.output is None else list[JSONValue](datapoint.output)
        else:
            if schema is None:
                extras["output_schema"] = datapoint.output_schema
            output = datapoint.output
        if not datapoint.is_custom:
            extras["is_custom"] = False
        for name in ("name", "schema_ref"):
            if (text := getattr(datapoint, name)) is not None:
                extras[name] = text
        texts = compact(datapoint.input)
        if output is not None:
            texts = f"{texts}\n{compact(output)}"
        return cls(
            (datapoint.updated_at, str(datapoint.id)),
            datapoint.id,
            datapoint.type,
            intern(datapoint.function_name),
            {intern(key): intern(value) for key, value in datapoint.tags.items()},
            pack(extras) if extras else b"",
            texts.encode(),
            schema,
        )

    @property
    def updated_at(self) -> datetime:
        """When it last changed, UTC."""
        return self.key[0]

    def datapoint(self, dataset_name: str, load_schema: Callable[[str], JSONValue]) -> Datapoint:
        """Return the datapoint, with values of its own.

        Args:
            dataset_name: How the caller spelled the dataset.
            load_schema: Returns the schema with a digest; raises where it is missing or altered.
        """
        assert self.texts is not None
        input_text, has_output, output_text = self.texts.partition(_APART)
        fields: dict[str, Any] = unpack(self.extras) if self.extras else {}  # type: ignore[assignment]  # an object
        for name in _UUID_EXTRAS:
            if name in fields:
                fields[name] = uuid.UUID(fields[name])
        parsed_input: JSONObject = unpack(input_text)  # type: ignore[assignment]  # an object
        output: Any = unpack(output_text) if has_output else None
        kind: Any = ChatDatapoint if self.type == "chat" else JsonDatapoint
        if self.schema is not None:
            fields["output_schema"] = load_schema(self.schema)
        result: Datapoint = kind(
            dataset_name=dataset_name,
            function_name=self.function_name,
            id=self.id,
            input=parsed_input,
            updated_at=self.key[0],
            tags=self.tags.copy(),
            output=output,
            **fields,
        )
        return result

    def occurrences(self, search: SearchText) -> int:
        """Count a search text in input and output."""
        assert self.texts is not None
        return search.count(self.texts)
