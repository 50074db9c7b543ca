"""What a client of a gateway has in the store, as a plain model of what each of its calls does."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from tests.proofs.kills import State, spell

__all__ = ["CASES", "Items", "Own", "chat", "extraction", "without"]

CASES = "cases"
"""The dataset that all clients share."""
Item = dict[str, Any]
Items = dict[str, Item]
"""Id to datapoint. Ids that nobody has told yet are made up."""


def chat(text: str, version: int = 0) -> Item:
    """Return a datapoint as it is asked for and as it is answered."""
    return {
        "type": "chat",
        "function_name": "draft",
        "input": {"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]},
        "output": [{"type": "text", "text": f"version {version}"}],
        "tags": {"text": text},
    }


def extraction(text: str) -> Item:
    """Return one of a JSON function, with a schema that no other has."""
    schema = {"type": "object", "properties": {text: {"type": "string"}}}
    output = {"raw": "{}", "parsed": {}}
    return {**chat(text), "type": "json", "function_name": "extract", "output": output, "output_schema": schema}


def without(items: Items, ids: Iterable[str]) -> Items:
    """Return all items but some."""
    gone = set(ids)
    return {one: value for one, value in items.items() if one not in gone}


def _anonymous(items: Iterable[Item]) -> Items:
    return {str(uuid.uuid4()): one for one in items}


@dataclass(frozen=True)
class Own:
    """The datapoints that no other client touches; each method returns what is there after a call.

    Attributes:
        copies: The name of a dataset of the client's own, into which it copies.
        live: Live datapoints of the shared dataset.
        stale: Deleted ones, which can be had back.
        replaced: Those whose places others took.
        copied: Live datapoints of its own dataset.
        dropped: Stale ones of its own dataset.
    """

    copies: str
    live: Items = field(default_factory=dict)
    stale: Items = field(default_factory=dict)
    replaced: tuple[Item, ...] = ()
    copied: Items = field(default_factory=dict)
    dropped: tuple[Item, ...] = ()

    def created(self, items: Sequence[Item], ids: Iterable[str] | None = None) -> Self:
        """Insert items, under ids where these are known."""
        return replace(self, live=self.live | _named(items, ids))

    def updated(self, changed: Items, ids: Iterable[str] | None = None) -> Self:
        """Give datapoints successors."""
        left = without(self.live, changed)
        replaced = (*self.replaced, *(self.live[one] for one in changed))
        return replace(self, live=left | _named(list(changed.values()), ids), replaced=replaced)

    def edited(self, changed: Items) -> Self:
        """Change datapoints in place, or put them under ids of the client's choice; stale ones become live."""
        return replace(self, live=self.live | changed, stale=without(self.stale, changed))

    def deleted(self, ids: Iterable[str]) -> Self:
        """Delete datapoints."""
        gone = {one: self.live[one] for one in ids}
        return replace(self, live=without(self.live, gone), stale=self.stale | gone)

    def restored(self, ids: Iterable[str]) -> Self:
        """Undo deletions."""
        return self.edited({one: self.stale[one] for one in ids})

    def cloned(self, ids: Iterable[str], copies: Iterable[str] | None = None) -> Self:
        """Copy datapoints into the own dataset."""
        return replace(self, copied=self.copied | _named([self.live[one] for one in ids], copies))

    def dropped_all(self) -> Self:
        """Drop the own dataset."""
        return replace(self, copied={}, dropped=(*self.dropped, *self.copied.values()))

    def state(self) -> State:
        """Return what a reader must see of it."""
        groups = [
            (CASES, True, self.live.values()),
            (CASES, False, self.stale.values()),
            (CASES, False, self.replaced),
            (self.copies, True, self.copied.values()),
            (self.copies, False, self.dropped),
        ]
        return State(_spell(dataset, is_live, one) for dataset, is_live, items in groups for one in items)


def _named(items: Sequence[Item], ids: Iterable[str] | None) -> Items:
    return _anonymous(items) if ids is None else dict(zip(ids, items, strict=True))


def _spell(dataset: str, is_live: bool, one: Item) -> tuple[str, ...]:
    output = one["output"]
    if one["type"] == "json":
        output = {"output": output, "schema": one["output_schema"]}
    return spell(dataset, is_live, one["input"], output, one.get("name"), one["tags"])
