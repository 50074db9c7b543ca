"""A judge of histories: is there an order of all operations that explains every answer and respects real time?

The search is that of Wing and Gong, with Lowe's memory of what was tried: an operation may be the next one if no other
that is still missing ended before it began, and if its answer is right in the state that the chosen order led to.
It is exact: a history passes if and only if there is such an order. (It would take exponential time in general. What
keeps it short is a look ahead that never discards an order that leads on: a value may not be overwritten as long as
somebody has still to see it and nothing can bring it back in time.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["NotLinearizableError", "Operation", "UndecidedError", "linearize"]

Key = Hashable
Value = Hashable


class Operation(Protocol):
    """One operation of a history: when it was under way, and what would make its answer right."""

    @property
    def start(self) -> int:
        """When it began, on the one clock of all."""

    @property
    def end(self) -> int:
        """When it ended; later than it began."""

    @property
    def is_optional(self) -> bool:
        """Whether it may as well not have happened: nobody heard an answer."""

    @property
    def touches(self) -> Collection[Key]:
        """The keys whose values it may change; none if it certainly changed nothing."""

    @property
    def observed(self) -> Mapping[Key, Value]:
        """What its answer says of single keys: in any state that it fits, they have these values."""

    def may_produce(self, key: Key, value: Value) -> bool:
        """Tell whether it might give a key that it touches this value."""

    def apply(self, state: Mapping[Key, Value]) -> Mapping[Key, Value] | None:
        """Return the new values of the keys that it changes, or None if its answer is wrong in a state."""


class NotLinearizableError(AssertionError):
    """No order explains the answers."""


class UndecidedError(AssertionError):
    """The search was given up."""


@dataclass
class _Step:
    """A choice that was made, and what it takes to undo it."""

    index: int
    before: dict[Key, Value]
    choices: Iterator[tuple[int, bool]]


@dataclass
class _Search:
    operations: Sequence[Operation]
    state: dict[Key, Value]
    done: int = 0
    """One bit for each operation that has its place, or is left out."""
    first: int = 0
    """All before this one are done."""
    fingerprint: int = 0
    tried: set[tuple[int, int]] = field(default_factory=set)
    touching: dict[Key, list[int]] = field(default_factory=lambda: defaultdict(list))
    """The operations that may change a key, by their start."""
    observers: dict[tuple[Key, Value], list[int]] = field(default_factory=lambda: defaultdict(list))
    """The operations that saw a value, by their end."""
    producers: dict[tuple[Key, Value], list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for index, operation in enumerate(self.operations):
            for key in operation.touches:
                self.touching[key].append(index)
        for index in sorted(range(len(self.operations)), key=lambda index: self.operations[index].end):
            for item in self.operations[index].observed.items():
                self.observers[item].append(index)
        self.fingerprint = sum(map(hash, self.state.items()))

    def is_done(self, index: int) -> bool:
        return bool(self.done >> index & 1)

    def iter_next(self) -> Iterator[tuple[int, bool]]:
        """Yield what may come next, each with whether it happens; what had to happen first."""
        window: list[int] = []
        deadline = None
        for index in range(self.first, len(self.operations)):
            operation = self.operations[index]
            if deadline is not None and operation.start > deadline:
                break
            if not self.is_done(index):
                window.append(index)
                deadline = operation.end if deadline is None else min(deadline, operation.end)
        window = [index for index in window if deadline is not None and self.operations[index].start <= deadline]
        for index in window:
            operation = self.operations[index]
            if not operation.touches and operation.apply(self.state) is not None:
                yield index, True  # it changes nothing: if it can come at all, it may as well come now
                return
        optional = [index for index in window if self.operations[index].is_optional]
        certain = [index for index in window if self.operations[index].touches and index not in optional]
        yield from ((index, True) for index in certain)
        yield from ((index, True) for index in optional)
        yield from ((index, False) for index in optional)

    def changes(self, index: int) -> Mapping[Key, Value] | None:
        """Return what an operation changes now, or None if it cannot come now."""
        changed = self.operations[index].apply(self.state)
        if changed is None or any(
            self.state.get(key) != value and self._is_awaited(key, index) for key, value in changed.items()
        ):
            return None
        return changed

    def _is_awaited(self, key: Key, writer: int) -> bool:
        """Tell whether somebody has still to see the value of a key that nothing can bring back in time."""
        item = (key, self.state.get(key))
        waiting = [one for one in self.observers.get(item, ()) if one != writer and not self.is_done(one)]
        if not waiting:
            return False
        if item not in self.producers:
            makers = self.touching[key]
            self.producers[item] = [one for one in makers if self.operations[one].may_produce(*item)]
        returns = [one for one in self.producers[item] if one != writer and not self.is_done(one)]
        return not returns or self.operations[waiting[0]].end < self.operations[returns[0]].start

    def move(self, index: int, changed: Mapping[Key, Value]) -> dict[Key, Value]:
        """Give an operation its place; return the values that it changed."""
        before = {key: self.state.get(key) for key in changed}
        self._set(changed)
        self.done |= 1 << index
        while self.is_done(self.first):
            self.first += 1
        return before

    def undo(self, step: _Step) -> None:
        self._set(step.before)
        self.done &= ~(1 << step.index)
        self.first = min(self.first, step.index)

    def _set(self, values: Mapping[Key, Value]) -> None:
        for key, value in values.items():
            self.fingerprint += hash((key, value)) - hash((key, self.state.get(key)))
            self.state[key] = value


def linearize(
    operations: Sequence[Operation], initial: Mapping[Key, Value], *, most_steps: int = 2_000_000
) -> list[int]:
    """Return an order that explains a history: the indexes of the operations that happened.

    Args:
        operations: The history.
        initial: The values of all keys before it. All keys that occur must be there.
        most_steps: After so many the search is given up.

    Raises:
        NotLinearizableError: There is no such order; the text names the operations where the longest try ended.
        UndecidedError: The search took too long.
    """
    by_start = sorted(range(len(operations)), key=lambda index: operations[index].start)
    search = _Search([operations[index] for index in by_start], dict(initial))
    everything = (1 << len(operations)) - 1
    order: list[tuple[int, bool]] = []
    steps: list[_Step] = []
    choices = search.iter_next()
    furthest, stuck = -1, ""
    for _ in range(most_steps):
        if search.done == everything:
            return [by_start[index] for index, happens in order if happens]
        found = _choose(search, choices)
        if found is not None:
            index, happens, changed = found
            steps.append(_Step(index, search.move(index, changed), choices))
            order.append((index, happens))
            position = (search.done, search.fingerprint)
            choices = iter(()) if position in search.tried else search.iter_next()
            search.tried.add(position)
            continue
        if len(order) > furthest:
            furthest, stuck = len(order), _describe(search)
        if not steps:
            raise NotLinearizableError(f"after {furthest} of {len(operations)} operations no other fits:\n{stuck}")
        step = steps.pop()
        order.pop()
        search.undo(step)
        choices = step.choices
    raise UndecidedError(f"no order found within {most_steps} steps; the longest:\n{stuck}")


def _choose(search: _Search, choices: Iterator[tuple[int, bool]]) -> tuple[int, bool, Mapping[Key, Value]] | None:
    for index, happens in choices:
        changed = search.changes(index) if happens else {}
        if changed is not None:
            return index, happens, changed
    return None


def _describe(search: _Search) -> str:
    waiting = [one for one in range(search.first, len(search.operations)) if not search.is_done(one)]
    return "\n".join(f"  {search.operations[index]}" for index in waiting[:16])
