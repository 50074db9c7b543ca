"""Laws of the judge: it accepts what some order explains, and nothing else, or its yes would prove nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import count as counter
from itertools import permutations
from typing import Any

import pytest

from tests.proofs.dataset_model import ModelOperation, initial_state
from tests.proofs.effort import choose, count
from tests.proofs.history import Call
from tests.proofs.linearizability import NotLinearizableError, linearize

IDS = ("1", "2", "3")
SMALL_HISTORIES = choose(400, 10_000)


def content(text: str, by: str, name: str | None = None) -> list[Any]:
    return [text, name, "train", by]


def row(one: str, text: str, by: str, name: str | None = None) -> list[Any]:
    return [one, *content(text, by, name)]


def call(
    times: tuple[int, int], kind: str, answer: Any, *, is_optional: bool = False, **arguments: Any
) -> ModelOperation:
    if kind == "list":
        arguments = {"offset": 0, **arguments}
    new_ids = tuple(answer) if kind in ("insert", "patch") and answer else ()
    made = Call(times[0], None if is_optional else times[1], kind, arguments, None if is_optional else answer)
    return ModelOperation(made, times[1], is_optional, new_ids, IDS)


def insert(start: int, end: int, ids: str, **options: bool) -> ModelOperation:
    contents = [content(f"t{one}", f"m{one}") for one in ids]
    return call((start, end), "insert", list(ids), contents=contents, **options)


def listing(start: int, end: int, ids: str) -> ModelOperation:
    rows = [row(one, f"t{one}", f"m{one}") for one in sorted(ids, reverse=True)]
    return call((start, end), "list", rows)


def is_explained(history: list[ModelOperation]) -> bool:
    try:
        linearize(history, initial_state(IDS))
    except NotLinearizableError:
        return False
    return True


def rename(start: int, end: int, name: str) -> ModelOperation:
    return call((start, end), "rename", True, ids=["1"], name=name)


def patch(start: int, end: int, mark: str) -> ModelOperation:
    return call((start, end), "patch_in_place", ["1"], ids=["1"], split="train", marks=[mark])


def save(start: int, end: int, text: str, *, is_optional: bool = False) -> ModelOperation:
    contents = [content(text, "m1")]
    return call((start, end), "save", True, is_optional=is_optional, ids=["1"], contents=contents, replaces=None)


def delete(start: int, end: int, ids: str, answer: Any) -> ModelOperation:
    return call((start, end), "delete", answer, ids=list(ids))


def get(start: int, end: int, *what: str | None) -> ModelOperation:
    return call((start, end), "get", row("1", *what) if what else None, ids=["1"])  # type: ignore[arg-type]


FINE = {
    "what overlaps may come in either order": [insert(0, 9, "1"), listing(1, 2, ""), listing(3, 4, "1")],
    "what was never answered may have happened": [insert(0, 3, "12", is_optional=True), listing(4, 5, "12")],
    "what was never answered may not have happened": [insert(0, 3, "12", is_optional=True), listing(4, 5, "")],
    "two updates of one add up": [
        insert(0, 1, "1"),
        rename(2, 5, "n"),
        patch(2, 5, "p"),
        get(6, 7, "t1", "p", "n"),
    ],
    "an edit that overlaps a call may overwrite it": [
        insert(0, 1, "1"),
        rename(2, 5, "n"),
        save(3, 6, "by hand"),
        get(7, 8, "by hand", "m1", None),
    ],
}
WRONG = {
    "a read misses a write that ended before": [insert(0, 1, "1"), listing(2, 3, "")],
    "a read sees a write that has not begun": [listing(0, 1, "1"), insert(2, 3, "1")],
    "half a batch": [insert(0, 9, "12"), listing(1, 2, "1")],
    "half of a batch that was cut off": [insert(0, 3, "12", is_optional=True), listing(4, 5, "2")],
    "a batch that was cut off comes after the death": [
        insert(0, 3, "12", is_optional=True),
        listing(4, 5, ""),
        listing(6, 7, "12"),
    ],
    "two lists see two batches in different orders": [
        insert(0, 9, "1"),
        insert(0, 9, "2"),
        listing(1, 8, "1"),
        listing(1, 8, "2"),
    ],
    "the second list sees less than the first": [insert(0, 9, "1"), listing(1, 2, "1"), listing(3, 4, "")],
    "a list misses what was there throughout": [insert(0, 1, "1"), insert(2, 9, "2"), listing(3, 8, "2")],
    "a lost update": [insert(0, 1, "1"), rename(2, 5, "n"), patch(2, 5, "p"), get(6, 7, "t1", "p", None)],
    "a lost edit": [insert(0, 1, "1"), save(2, 3, "by hand"), rename(4, 5, "n"), get(6, 7, "t1", "m1", "n")],
    "an edit that was seen is lost": [
        insert(0, 1, "1"),
        rename(2, 9, "n"),
        save(3, 4, "by hand", is_optional=True),
        get(5, 6, "by hand", "m1", None),
        get(10, 11, "t1", "m1", "n"),
    ],
    "one is deleted twice": [insert(0, 1, "1"), delete(2, 5, "1", 1), delete(3, 6, "1", 1)],
    "a deletion that counts too many": [insert(0, 1, "12"), delete(2, 3, "1", 1), delete(4, 5, "12", 2)],
    "a deletion that counts too few": [insert(0, 1, "12"), delete(2, 3, "12", 1)],
    "a patch of what is gone": [insert(0, 1, "1"), delete(2, 3, "1", 1), patch(4, 5, "p")],
    "a wrong number": [insert(0, 1, "12"), call((2, 3), "count", 1)],
    "a page out of order": [
        insert(0, 1, "12"),
        call((2, 3), "list", [row("1", "t1", "m1"), row("2", "t2", "m2")]),
    ],
    "a page from a wrong place": [
        insert(0, 1, "123"),
        call((2, 3), "list", [row("1", "t1", "m1")], offset=1, limit=1),
    ],
    "a list by tag that leaves one out": [
        insert(0, 1, "12"),
        call((2, 3), "query", [row("1", "t1", "m1")], split="train"),
    ],
    "a refusal without a reason": [insert(0, 1, "1"), call((2, 3), "rename", None, ids=["1"], name="n")],
    "a restored one that was replaced": [
        insert(0, 1, "1"),
        call((2, 3), "patch", ["2"], ids=["1"], split="train", marks=["p"]),
        call((4, 5), "restore", True, ids=["1"]),
    ],
    "a stale one taken for live": [
        insert(0, 1, "1"),
        delete(2, 3, "1", 1),
        call((4, 5), "find", [[*row("1", "t1", "m1"), False]], ids=["1"]),
    ],
}


@pytest.mark.parametrize("history", FINE.values(), ids=FINE)
def test_what_an_order_explains_is_accepted(history: list[ModelOperation]) -> None:
    assert is_explained(history)


@pytest.mark.parametrize("history", WRONG.values(), ids=WRONG)
def test_what_no_order_explains_is_rejected(history: list[ModelOperation]) -> None:
    assert not is_explained(history)


# --- against all orders, one by one


def is_explained_by_trying_all(history: list[ModelOperation]) -> bool:
    return any(is_right(list(order)) for order in permutations(history) if respects_time(order))


def respects_time(order: tuple[ModelOperation, ...]) -> bool:
    return not any(later.end < order[at].start for at in range(len(order)) for later in order[at + 1 :])


def is_right(order: list[ModelOperation], state: dict[Any, Any] | None = None) -> bool:
    state = initial_state(IDS) if state is None else state
    if not order:
        return True
    first, *rest = order
    if first.is_optional and is_right(rest, state):
        return True
    changed = first.apply(state)
    return changed is not None and is_right(rest, {**state, **changed})


def small_history(chance: random.Random) -> list[ModelOperation]:
    """Return a history of a few clients that is as likely right as wrong."""
    state: dict[Any, Any] = initial_state(IDS)
    free, serial, time = list(IDS), counter(), 0
    history: list[ModelOperation] = []
    for _ in range(chance.randint(3, 6)):
        start, end, time = time - chance.randint(0, 25), time + chance.randint(1, 25), time + 10
        mark, one = f"p{next(serial)}", chance.choice(IDS)
        kind = "insert" if free and chance.random() < 0.4 else chance.choice(list(RANDOM_CALLS))
        if kind == "insert":
            made = insert(start, end, "".join(free.pop(0) for _ in range(min(len(free), chance.randint(1, 2)))))
            fitting = [made]
        else:
            fitting = list(RANDOM_CALLS[kind](start, end, one, mark))
        right = [operation for operation in fitting if operation.apply(state) is not None]
        operation = chance.choice(right if right and chance.random() < 0.8 else fitting)
        if operation.touches and chance.random() < 0.2:
            unknown = replace(operation.call, end=None, answer=None)
            operation = replace(operation, call=unknown, is_optional=True)
        if chance.random() < 0.8:
            state.update(operation.apply(state) or {})
        history.append(operation)
    return history


def random_list(start: int, end: int, _one: str, _mark: str) -> Iterator[ModelOperation]:
    yield from (listing(start, end, ids) for ids in ("", "1", "2", "12", "3", "13", "23", "123"))


def random_get(start: int, end: int, one: str, _mark: str) -> Iterator[ModelOperation]:
    for answer in (None, row(one, f"t{one}", f"m{one}"), *(row(one, f"t{one}", f"p{number}") for number in range(6))):
        yield call((start, end), "get", answer, ids=[one])


def random_delete(start: int, end: int, one: str, _mark: str) -> Iterator[ModelOperation]:
    yield from (delete(start, end, one, answer) for answer in (0, 1))


def random_restore(start: int, end: int, one: str, _mark: str) -> Iterator[ModelOperation]:
    yield from (call((start, end), "restore", answer, ids=[one]) for answer in (True, None))


def random_patch(start: int, end: int, one: str, mark: str) -> Iterator[ModelOperation]:
    for answer in ([one], None):
        yield call((start, end), "patch_in_place", answer, ids=[one], split="train", marks=[mark])


RANDOM_CALLS = {
    "list": random_list,
    "get": random_get,
    "delete": random_delete,
    "restore": random_restore,
    "patch_in_place": random_patch,
}


def test_the_judge_says_of_small_histories_what_trying_all_orders_says() -> None:
    chance = random.Random(1)
    outcomes = []
    for _ in range(SMALL_HISTORIES):
        history = small_history(chance)
        expected = is_explained_by_trying_all(history)
        assert is_explained(history) == expected, "\n".join(map(str, history))
        outcomes.append(expected)
    assert 0.2 < sum(outcomes) / len(outcomes) < 0.8, "they are all of one kind"
    count("small histories judged as by trying all orders", len(outcomes))
