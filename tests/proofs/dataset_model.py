"""What a dataset is, one operation after the other: the specification that histories are held to.

For each id the state has two values: under the id itself what everybody sees, a `Content` where it is live and None
elsewhere; under `("file", id)` what its files say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.proofs.history import Call

__all__ = ["EVERYTHING", "UNCOUNTED", "Content", "File", "ModelOperation", "initial_state", "parse_row"]

UNCOUNTED = "done"
"""The answer to a deletion that does not say how many there were."""
EVERYTHING = 10**9
State = Mapping[Hashable, Any]
Changes = dict[Hashable, Any]


class Content(NamedTuple):
    """What a datapoint says."""

    text: str
    name: str | None
    split: str
    by: str
    """The mark of the call that made or patched it: no other datapoint ever has it."""


class File(NamedTuple):
    """A datapoint on the disk; no content where there is no file."""

    content: Content | None = None
    replaces: str | None = None
    is_stale: bool = False

    @property
    def visible(self) -> Content | None:
        """What everybody sees."""
        return None if self.is_stale else self.content


def parse_row(row: list[Any]) -> tuple[str, Content]:
    """Return the id and the content that a client wrote down."""
    return row[0], Content(*row[1:5])


def initial_state(ids: Collection[str]) -> Changes:
    """Return the state in which there is nothing under any of the ids."""
    return {**dict.fromkeys(ids), **{("file", one): File() for one in ids}}


def file_of(state: State, one: str) -> File:
    found: File = state["file", one]
    return found


def changed(files: Mapping[str, File]) -> Changes:
    return {**{one: file.visible for one, file in files.items()}, **{("file", one): files[one] for one in files}}


@dataclass(frozen=True)
class ModelOperation:
    """A call as the judge wants it; see `linearizability.Operation`.

    Attributes:
        call: What was asked and answered.
        end: When it ended, or when its client was dead.
        is_optional: Whether it may not have happened.
        new_ids: The ids that it makes, for an insert or a patch.
        universe: All ids there ever are: what a list of everything leaves out is not there.
        loose: The ids that a read of many says nothing of, as persons were at their files meanwhile.
    """

    call: Call
    end: int
    is_optional: bool = False
    new_ids: tuple[str, ...] = ()
    universe: Collection[str] = field(default=(), repr=False)
    loose: frozenset[str] = frozenset()
    touches: Collection[str] = field(init=False, default=())
    observed: Mapping[Hashable, Hashable] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        is_refused = self.call.is_answered and self.call.answer in (None, 0)
        if self.call.kind in CHANGES and not is_refused:
            object.__setattr__(self, "touches", frozenset(self.ids).union(self.new_ids))
        if self.call.kind in SEEN:
            seen = {one: value for one, value in SEEN[self.call.kind](self).items() if one not in self.loose}
            object.__setattr__(self, "observed", seen)

    def __str__(self) -> str:
        call = self.call
        answer = "no answer" if not call.is_answered else f"{call.answer}"
        return f"[{call.start}, {self.end}] {call.kind} {call.arguments} -> {answer}"[:2000]

    @property
    def start(self) -> int:
        """When it began."""
        return self.call.start

    @property
    def ids(self) -> list[str]:
        """The ids it was given."""
        found: list[str] = self.call.arguments.get("ids", [])
        return found

    @property
    def contents(self) -> list[Content]:
        """What it was told to write."""
        return [Content(*one) for one in self.call.arguments["contents"]]

    def may_produce(self, key: Hashable, value: Hashable) -> bool:
        """Tell whether it might give an id this content, or None."""
        arguments = self.call.arguments
        if not isinstance(value, Content):
            return self.call.kind in ("delete", "remove") or (self.call.kind == "patch" and key not in self.new_ids)
        match self.call.kind:
            case "insert" | "put" | "save":
                return value in self.contents
            case "patch" | "patch_in_place":
                return value.by in list(arguments["marks"])
            case "rename":
                return bool(value.name == arguments["name"])
        return self.call.kind == "restore"

    def apply(self, state: State) -> Changes | None:
        """Return what it changes in a state, None if its answer is wrong there."""
        if self.call.kind in READS:
            return {} if READS[self.call.kind](self, state) else None
        done = CHANGES[self.call.kind](self, state)
        if not self.call.is_answered:
            return changed(done or {})
        if done is None:
            return {} if self.call.answer is None else None
        if self.call.kind == "delete":
            if self.call.answer not in (len(done), UNCOUNTED):
                return None
        elif self.call.answer is None:
            return None
        return changed(done)


# --- what changes the state: the files after it, None where it is refused


def insert(operation: ModelOperation, _: State) -> dict[str, File] | None:
    return {one: File(content) for one, content in zip(operation.new_ids, operation.contents, strict=True)}


def put(operation: ModelOperation, _: State) -> dict[str, File] | None:
    return {one: File(content) for one, content in zip(operation.ids, operation.contents, strict=True)}


def save(operation: ModelOperation, state: State) -> dict[str, File] | None:
    [one], [content] = operation.ids, operation.contents
    return {one: File(content, operation.call.arguments["replaces"], file_of(state, one).is_stale)}


def remove(operation: ModelOperation, state: State) -> dict[str, File] | None:
    [one] = operation.ids
    if file_of(state, one).content is None:
        return None
    return {one: File(is_stale=file_of(state, one).is_stale)}


def live(operation: ModelOperation, state: State) -> dict[str, File]:
    found = {one: file_of(state, one) for one in operation.ids}
    return {one: file for one, file in found.items() if file.visible is not None}


def patch(operation: ModelOperation, state: State) -> dict[str, File] | None:
    found = live(operation, state)
    if len(found) < len(operation.ids):
        return None
    done = {one: file._replace(is_stale=True) for one, file in found.items()}
    if not operation.new_ids:  # it says that it was refused
        return done
    for old, new, content in zip(found, operation.new_ids, patched(operation, found), strict=True):
        done[new] = File(content, old)
    return done


def patch_in_place(operation: ModelOperation, state: State) -> dict[str, File] | None:
    found = live(operation, state)
    if len(found) < len(operation.ids):
        return None
    contents = patched(operation, found)
    return {one: file._replace(content=new) for (one, file), new in zip(found.items(), contents, strict=True)}


def patched(operation: ModelOperation, found: dict[str, File]) -> list[Content]:
    split, marks = operation.call.arguments["split"], operation.call.arguments["marks"]
    contents = [file.content for file in found.values() if file.content is not None]
    return [content._replace(split=split, by=mark) for content, mark in zip(contents, marks, strict=True)]


def rename(operation: ModelOperation, state: State) -> dict[str, File] | None:
    found = live(operation, state)
    if len(found) < len(operation.ids):
        return None
    name = operation.call.arguments["name"]
    return {
        one: file._replace(content=file.content and file.content._replace(name=name)) for one, file in found.items()
    }


def delete(operation: ModelOperation, state: State) -> dict[str, File] | None:
    return {one: file._replace(is_stale=True) for one, file in live(operation, state).items()}


def restore(operation: ModelOperation, state: State) -> dict[str, File] | None:
    found = {one: file_of(state, one) for one in operation.ids}
    if any(file.content is None or not file.is_stale for file in found.values()) or is_replaced(operation.ids, state):
        return None
    return {one: file._replace(is_stale=False) for one, file in found.items()}


def is_replaced(ids: list[str], state: State) -> bool:
    """Tell whether an update has replaced one of the ids by what is live, or is one of them itself."""
    files: dict[str, File] = {key[1]: value for key, value in state.items() if isinstance(key, tuple)}
    for one, file in files.items():
        ancestor = file.replaces if file.content is not None and (not file.is_stale or one in ids) else None
        while ancestor is not None:
            if ancestor in ids:
                return True
            above = files.get(ancestor, File())
            ancestor = above.replaces if above.content is not None else None
    return False


CHANGES: dict[str, Callable[[ModelOperation, State], dict[str, File] | None]] = {
    "insert": insert,
    "put": put,
    "save": save,
    "remove": remove,
    "patch": patch,
    "patch_in_place": patch_in_place,
    "rename": rename,
    "delete": delete,
    "restore": restore,
}


# --- what reads it: whether the answer is right


def everything(state: State) -> dict[str, Content]:
    return {key: value for key, value in state.items() if isinstance(key, str) and value is not None}


def firm(operation: ModelOperation, state: State) -> dict[str, Content]:
    """Return the live ones, but for those that persons were at."""
    return {one: content for one, content in everything(state).items() if one not in operation.loose}


def told(operation: ModelOperation) -> list[tuple[str, Content]]:
    """Return what a read told, but for those that persons were at."""
    return [(one, content) for one, content in map(parse_row, operation.call.answer) if one not in operation.loose]


def is_list(operation: ModelOperation, state: State) -> bool:
    """A page of the live ones, newest id first; one of which a person took or added something begins anywhere."""
    offset, limit = operation.call.arguments["offset"], operation.call.arguments.get("limit", EVERYTHING)
    rows, seen = sorted(firm(operation, state).items(), reverse=True), told(operation)
    if not operation.loose or limit == EVERYTHING:
        return rows[offset : offset + limit] == seen
    first = rows.index(seen[0]) if seen and seen[0] in rows else 0
    return rows[first : first + len(seen)] == seen


def is_query(operation: ModelOperation, state: State) -> bool:
    """All live ones of a split, or of any."""
    split = operation.call.arguments["split"]
    rows = {one: content for one, content in firm(operation, state).items() if split in (None, content.split)}
    return rows == dict(told(operation))


def is_glimpse(operation: ModelOperation, state: State) -> bool:
    """What a read of many said of one that a person was at."""
    [one], split = operation.ids, operation.call.arguments["split"]
    visible, answer = state[one], operation.call.answer
    if answer is None:
        return visible is None or split not in (None, visible.split)
    return bool(visible == parse_row(answer)[1])


def is_get(operation: ModelOperation, state: State) -> bool:
    [one], answer = operation.ids, operation.call.answer
    return bool(state[one] == (None if answer is None else parse_row(answer)[1]))


def is_find(operation: ModelOperation, state: State) -> bool:
    """Those of the ids that there are, live and stale."""
    files = {one: file_of(state, one) for one in operation.ids if one not in operation.loose}
    expected = {one: (file.content, file.is_stale) for one, file in files.items() if file.content is not None}
    seen = {row[0]: (parse_row(row)[1], row[5]) for row in operation.call.answer if row[0] not in operation.loose}
    return expected == seen


def is_count(operation: ModelOperation, state: State) -> bool:
    """How many live ones there are; those that persons were at may count or not."""
    number: int = operation.call.answer
    fewest = len(firm(operation, state))
    return fewest <= number <= fewest + len(operation.loose)


READS: dict[str, Callable[[ModelOperation, State], bool]] = {
    "list": is_list,
    "query": is_query,
    "get": is_get,
    "glimpse": is_glimpse,
    "find": is_find,
    "count": is_count,
}


def seen_in_list(operation: ModelOperation) -> dict[Hashable, Hashable]:
    arguments = operation.call.arguments
    is_complete = arguments.get("split") is None and not arguments.get("offset") and "limit" not in arguments
    seen: dict[Hashable, Hashable] = dict.fromkeys(operation.universe if is_complete else ())
    seen.update(map(parse_row, operation.call.answer))
    return seen


def seen_in_get(operation: ModelOperation) -> dict[Hashable, Hashable]:
    answer = operation.call.answer
    if answer is None:
        return {} if operation.call.arguments.get("split") else {operation.ids[0]: None}
    return {operation.ids[0]: parse_row(answer)[1]}


def seen_in_find(operation: ModelOperation) -> dict[Hashable, Hashable]:
    seen: dict[Hashable, Hashable] = dict.fromkeys(operation.ids)
    seen.update({row[0]: parse_row(row)[1] for row in operation.call.answer if not row[5]})
    return seen


SEEN: dict[str, Callable[[ModelOperation], dict[Hashable, Hashable]]] = {
    "list": seen_in_list,
    "query": seen_in_list,
    "get": seen_in_get,
    "glimpse": seen_in_get,
    "find": seen_in_find,
}
