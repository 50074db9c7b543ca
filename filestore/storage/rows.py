"""A datapoint as a process remembers it: what lists decide by as values, all else as compact JSON text.

What is handed out is decoded anew each time, so that a caller may change what it got.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from filestore.codec import JSONValue, compact, pack, unpack
from filestore.datapoint import ChatDatapoint, Datapoint, JsonDatapoint
from filestore.texts import shared

if TYPE_CHECKING:
    from filestore.query import SearchText

__all__ = ["Row"]

_NO_EXTRAS = frozenset({"dataset_name", "function_name", "id", "input", "output", "updated_at", "tags", "staled_at"})
_UUID_EXTRAS = ("episode_id", "source_inference_id", "replaces")
_DEFAULTS: dict[str, object] = {"additional_tools": [], "provider_tools": [], "is_custom": True}
_APART = b"\n"
"""Between two JSON texts; within one a line break is spelled as an escape."""


class Row(NamedTuple):
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
        extras = dict(_iter_extras(datapoint))
        if schema is not None:
            del extras["output_schema"]
        texts = compact(datapoint.input)
        if datapoint.output is not None:
            texts = f"{texts}\n{compact(datapoint.output)}"  # type: ignore[arg-type]  # a list of objects is a value
        return cls(
            (datapoint.updated_at, str(datapoint.id)),
            datapoint.id,
            datapoint.type,
            shared(datapoint.function_name),
            {shared(key): shared(value) for key, value in datapoint.tags.items()},
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
        fields: dict[str, Any] = {
            "dataset_name": dataset_name,
            "function_name": self.function_name,
            "id": self.id,
            "input": unpack(input_text),
            "output": unpack(output_text) if has_output else None,
            "updated_at": self.key[0],
            "tags": self.tags.copy(),
        }
        if self.extras:
            fields.update(unpack(self.extras))  # type: ignore[arg-type]  # an object
            fields.update((name, uuid.UUID(fields[name])) for name in _UUID_EXTRAS if name in fields)
        if self.type == "chat":
            return ChatDatapoint.from_fields(fields)
        if self.schema is not None:
            fields["output_schema"] = load_schema(self.schema)
        return JsonDatapoint.from_fields(fields)

    def occurrences(self, search: SearchText) -> int:
        """Count a search text in input and output."""
        assert self.texts is not None
        return search.count(self.texts)


def _iter_extras(datapoint: Datapoint) -> Iterator[tuple[str, JSONValue]]:
    """Iterate over the rarer fields that are not at their default."""
    for name, value in vars(datapoint).items():
        if value is None or name in _NO_EXTRAS:
            continue
        if name in _UUID_EXTRAS:
            yield name, str(value)
        elif value != _DEFAULTS.get(name):
            yield name, value
