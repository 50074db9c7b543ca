"""Laws of v1 lists: a search counts what a plain comparison without letter case counts, and orders hide nothing."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from functools import cmp_to_key
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filestore.datapoint import ChatDatapoint
from filestore.query import ListQuery, SearchText, parse_list_query
from filestore.storage.orders import Orders
from filestore.storage.rows import Row

# --- search

LETTERS = (
    "aAkKiIsSéÉßẞ\N{KELVIN SIGN}\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}\N{LATIN SMALL LETTER LONG S}ΣσςΩ\N{OHM SIGN}"
)
MARKS = '"\\/\n\t\0\x7f nbu0\N{LINE SEPARATOR}\N{COMBINING DOT ABOVE}😀'
TEXTS = st.text(LETTERS + MARKS, max_size=12) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def fold(text: str) -> str:
    """Return a text without letter case."""
    return text.lower().replace("ς", "σ")


def spell(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def occurrences(query: str, *values: object) -> int:
    """Count a query in JSON values as a reader of their text would."""
    return fold("\n".join(map(spell, values))).count(fold(spell(query)[1:-1]))


@st.composite
def searches(draw: st.DrawFn) -> tuple[str, list[str]]:
    """Draw texts, and a query that often is a part of them in another letter case."""
    texts = draw(st.lists(TEXTS, max_size=3))
    together = "".join(texts)
    if together and draw(st.booleans()):
        start = draw(st.integers(0, len(together) - 1))
        part = together[start : start + draw(st.integers(1, 3))]
        return draw(st.sampled_from([part, part.upper(), part.lower(), part.swapcase()])), texts
    return draw(TEXTS.filter(bool)), texts


@settings(max_examples=500)
@given(searches(), st.none() | TEXTS)
def test_a_search_counts_what_a_comparison_without_letter_case_counts(
    search: tuple[str, list[str]], output: str | None
) -> None:
    query, texts = search
    value: Any = {"messages": [{"role": "user", "content": text} for text in texts]}
    blocks: Any = None if output is None else [{"type": "text", "text": output}]
    datapoint = ChatDatapoint(
        dataset_name="d", function_name="f", id=uuid.uuid4(), input=value, output=blocks, updated_at=datetime.now(UTC)
    )
    values = [value] if output is None else [value, blocks]
    assert Row.of(datapoint).occurrences(SearchText(query)) == occurrences(query, *values)


@pytest.mark.parametrize(
    ("query", "text", "count"),
    [
        ('say "hi"', 'He: Say "Hi", say "hi"!', 2),
        ("a\\b", "A\\B a/b", 1),
        ("line\nbreak", "Line\nBreak line\\nbreak", 1),
        ("kelvin", "\N{KELVIN SIGN}elvin", 1),
        ("\N{KELVIN SIGN}elvin", "kelvin Kelvin", 2),
        ("i", "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}", 1),
        ("ΟΔΟΣ", "οδος", 1),
        ("οδοσ", "ΟΔΟΣ", 1),
        ("aa", "aaaa", 2),
        ("é", "e", 0),
    ],
)
def test_a_search_finds(query: str, text: str, count: int) -> None:
    assert SearchText(query).count(spell(text).encode()) == count == occurrences(query, text)


def test_two_letters_alone_have_small_ones_in_ascii() -> None:
    """What the search of bytes relies on."""
    beyond = map(chr, range(128, 0x110000))
    letters = {letter for letter in beyond if any(small.isascii() for small in letter.lower())}
    assert letters == {"\N{KELVIN SIGN}", "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}"}


# --- orders

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
FUNCTIONS = ["f", "g"]
KEYS, WORDS = ["a", "b"], ["", "x", "y"]
OPERATORS = ["<", "<=", "=", ">=", ">", "!="]
TIMES = st.integers(0, 3).map(lambda step: NOW + step * timedelta(microseconds=1))
ROWS = st.builds(
    lambda number, function, tags, updated_at, words: Row.of(
        ChatDatapoint(
            dataset_name="d",
            function_name=function,
            id=uuid.UUID(int=number),
            input={"messages": [], "system": words},
            tags=tags,
            updated_at=updated_at,
        )
    ),
    st.integers(0, 30),
    st.sampled_from(FUNCTIONS),
    st.dictionaries(st.sampled_from(KEYS), st.sampled_from(WORDS)),
    TIMES,
    st.lists(st.sampled_from(["cat", "dog"]), max_size=3).map(" ".join),
)
FILTERS: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.fixed_dictionaries(
        {
            "type": st.just("tag"),
            "key": st.sampled_from(KEYS),
            "value": st.sampled_from(WORDS),
            "comparison_operator": st.sampled_from(["=", "!="]),
        }
    )
    | st.fixed_dictionaries(
        {
            "type": st.just("time"),
            "time": TIMES.map(datetime.isoformat),
            "comparison_operator": st.sampled_from(OPERATORS),
        }
    ),
    lambda trees: (
        st.fixed_dictionaries({"type": st.sampled_from(["and", "or"]), "children": st.lists(trees, max_size=3)})
        | st.fixed_dictionaries({"type": st.just("not"), "child": trees})
    ),
    max_leaves=4,
)
TERMS = st.fixed_dictionaries(
    {
        "by": st.sampled_from(["timestamp", "search_relevance"]),
        "direction": st.sampled_from(["ascending", "descending"]),
    }
)
REQUESTS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"limit": st.integers(0, 5), "offset": st.integers(0, 5)},
    optional={
        "function_name": st.sampled_from([*FUNCTIONS, "h"]),
        "filter": FILTERS,
        "order_by": st.lists(TERMS, max_size=2),
        "search_query_experimental": st.sampled_from(["cat", "DOG", "none"]),
    },
)


def is_sound(request: dict[str, Any]) -> bool:
    """Tell whether a request asks for the relevance of a search alone."""
    terms = request.get("order_by", ())
    return "search_query_experimental" in request or all(term["by"] == "timestamp" for term in terms)


def accepts(tree: dict[str, Any], row: Row) -> bool:
    match tree["type"]:
        case "tag":
            value = row.tags.get(tree["key"])
            return value is not None and (value == tree["value"]) == (tree["comparison_operator"] == "=")
        case "time":
            difference = row.updated_at - datetime.fromisoformat(tree["time"])
            return {
                "<": difference < timedelta(0),
                "<=": difference <= timedelta(0),
                "=": difference == timedelta(0),
                ">=": difference >= timedelta(0),
                ">": difference > timedelta(0),
                "!=": difference != timedelta(0),
            }[tree["comparison_operator"]]
        case "and":
            return all(accepts(child, row) for child in tree["children"])
        case "or":
            return any(accepts(child, row) for child in tree["children"])
        case _:
            return not accepts(tree["child"], row)


def relevance(request: dict[str, Any], row: Row) -> int:
    assert row.texts is not None
    return occurrences(request["search_query_experimental"], *map(json.loads, row.texts.split(b"\n")))


def answer(request: dict[str, Any], rows: list[Row]) -> list[Row]:
    """Return what a request asks for, by looking at everything."""

    def compare(first: Row, second: Row) -> int:
        terms = [*request.get("order_by", ())] or [{"by": "timestamp", "direction": "descending"}]
        for term in terms:
            sides: list[Any] = [
                one.updated_at if term["by"] == "timestamp" else relevance(request, one) for one in (first, second)
            ]
            if sides[0] != sides[1]:
                return -1 if (sides[0] < sides[1]) == (term["direction"] == "ascending") else 1
        return -1 if first.key[1] > second.key[1] else 1

    found = [
        row
        for row in rows
        if request.get("function_name") in (None, row.function_name)
        and ("filter" not in request or accepts(request["filter"], row))
        and ("search_query_experimental" not in request or relevance(request, row))
    ]
    found.sort(key=cmp_to_key(compare))
    return found[request["offset"] : request["offset"] + request["limit"]]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.lists(ROWS, max_size=12, unique_by=lambda row: row.id), st.sets(st.integers(0, 30)))),
    st.lists(REQUESTS.filter(is_sound), min_size=1, max_size=5),
)
def test_orders_hide_nothing_that_a_look_at_everything_finds(
    batches: list[tuple[list[Row], set[int]]], requests: list[dict[str, Any]]
) -> None:
    """Each batch puts rows, in place of those with the same id, and then takes some away."""
    orders = Orders()
    rows: dict[uuid.UUID, Row] = {}
    for put, taken in batches:
        orders.update([rows[row.id] for row in put if row.id in rows], put)
        rows.update((row.id, row) for row in put)
        orders.update([rows.pop(one) for one in map(uuid_of, taken) if one in rows], ())
    by_text = {row.key[1]: row for row in rows.values()}
    for request in requests:
        query = parse_list_query(request)
        keys = orders.narrowest(query)
        assert keys == sorted(keys)
        expected = answer(request, list(rows.values()))
        assert query.select(by_text[one] for _, one in reversed(keys)) == expected
        if query.takes_all:
            page = keys[::-1][query.offset : query.offset + query.limit]
            assert [by_text[one] for _, one in page] == expected
    for name in (None, *FUNCTIONS):
        of_function = sorted(row.key for row in rows.values() if name in (None, row.function_name))
        assert orders.latest(name) == (of_function[-1] if of_function else None)
        assert name is None or orders.ids_of_function(name) == sorted(one for _, one in of_function)


@given(st.lists(ROWS, unique_by=lambda row: row.id), st.randoms())
def test_orders_keep_nothing_of_rows_that_are_gone(rows: list[Row], random: Random) -> None:
    orders = Orders()
    orders.update((), rows)
    random.shuffle(rows)
    while rows:
        orders.update([rows.pop() for _ in range(min(len(rows), random.randint(1, 3)))], ())
        assert len(orders._by_time) <= 1 + 3 * len(rows)
    assert (dict(orders._by_time), dict(orders._by_id)) == ({}, {})


def uuid_of(number: int) -> uuid.UUID:
    return uuid.UUID(int=number)


def test_a_search_for_nothing_is_no_search() -> None:
    assert ListQuery(search="").takes_all
