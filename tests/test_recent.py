"""The law of what is remembered of texts: the last results, as many as come to a number of characters."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from filestore.schema.recent import Recent


def make_recent(most_characters: int) -> tuple[Recent[str], list[str]]:
    """Return one that copies its texts, and the list of those that it was asked to make."""
    made: list[str] = []

    def make(text: str) -> str:
        made.append(text)
        return f"<{text}>"

    return Recent(make, most_characters), made


def test_the_texts_used_last_are_kept_up_to_a_number_of_characters() -> None:
    recent, made = make_recent(2 * 1100)
    a, b, c = ("a" * 1000, "b" * 1000, "c" * 1000)
    for text in (a, b, a, c):  # for which b is put out, as a was used since
        assert recent(text) == f"<{text}>"
    made.clear()
    for text in (a, c, b):
        recent(text)
    assert made == [b]


def test_the_last_one_is_kept_however_large_it_is() -> None:
    recent, made = make_recent(0)
    for text in ("a", "a", "b" * 1000, "b" * 1000, "a"):
        recent(text)
    assert made == ["a", "b" * 1000, "a"]


def test_many_short_texts_are_put_out_too() -> None:
    recent, made = make_recent(1000)
    for _ in range(2):
        for number in range(100):
            recent(str(number))
    assert len(made) == 200


def test_results_may_be_measured_by_what_they_are() -> None:
    made: list[str] = []

    def make(text: str) -> str:
        made.append(text)
        return text * 100

    recent = Recent(make, 1000, lambda text, result: len(result))
    for text in ("abc", "def", "ghi", "abc"):
        recent(text)
    assert made == ["abc", "def", "ghi", "abc"]


def test_a_failure_is_not_remembered_and_puts_nothing_out() -> None:
    calls: list[str] = []

    def make(text: str) -> int:
        calls.append(text)
        return int(text)

    recent = Recent(make, 0)
    recent("1")
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            recent("x")
    recent("1")
    assert calls == ["1", "x", "x"]


def test_threads_that_ask_at_once_leave_the_count_right() -> None:
    recent, made = make_recent(10 * 101)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: recent(str(number % 20 % 13 % 10)), range(20_000)))
    for text in "0123456789":
        recent(text)
    made.clear()
    for text in "0123456789":
        recent(text)
    assert made == []
