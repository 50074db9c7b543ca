"""Laws of size and time: large requests work, pages keep their order while others delete, times are exact."""

from __future__ import annotations

import json
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from filestore import FileStore
from filestore.gateway import serve
from tests.conftest import Call
from tests.proofs.processes import Mailbox, running
from tests.test_v1_api import CHAT, JSON, TOOL, WEATHER, listed

CREATED = 10_000
UPDATED = 5_000
MIXTURE: Sequence[dict[str, Any]] = (
    CHAT,
    {**JSON, "output": {"raw": '{"answer":"yes"}'}},
    {**WEATHER, "output": [{"type": "text", "text": "Warm."}], "additional_tools": [TOOL]},
    {**JSON, "output": {"raw": "no"}, "output_schema": {"type": "string"}},
)
FAR = 10**6


# --- large requests

Door = Callable[[str, list[dict[str, Any]]], list[uuid.UUID]]
"""Sends a create ("POST") or an update ("PATCH") of many items; returns the ids of the answer."""


@contextmanager
def python_door(store: FileStore) -> Iterator[Door]:
    methods = {"POST": store.create_datapoints, "PATCH": store.update_datapoints}
    yield lambda verb, items: methods[verb](dataset_name="demo", requests=items)


@contextmanager
def http_door(store: FileStore) -> Iterator[Door]:
    with serve(store) as url:

        def send(verb: str, items: list[dict[str, Any]]) -> list[uuid.UUID]:
            body = json.dumps({"datapoints": items}).encode()
            request = urllib.request.Request(f"{url}/v1/datasets/demo/datapoints", body, method=verb)
            with urllib.request.urlopen(request) as answer:
                return list(map(uuid.UUID, json.load(answer)["ids"]))

        yield send


@pytest.mark.parametrize("open_door", [python_door, http_door], ids=["python", "http"])
def test_ten_thousand_are_created_in_one_request_and_half_of_them_updated_in_another(
    store: FileStore, open_door: Callable[[FileStore], Any]
) -> None:
    items = [{**MIXTURE[number % len(MIXTURE)], "name": f"item {number}"} for number in range(CREATED)]
    with open_door(store) as send:
        ids: list[uuid.UUID] = send("POST", items)
        assert ids == sorted(set(ids))
        assert names(store) == dict(zip(ids, (item["name"] for item in items), strict=True))

        # Every second one, the last first: the answer follows the request, not the ids.
        old = ids[::-2]
        updates = [{"type": item["type"], "id": str(one)} for one, item in zip(old, items[::-2], strict=True)]
        new: list[uuid.UUID] = send("PATCH", [{**one, "tags": {"was": one["id"]}} for one in updates])
    assert len(new) == UPDATED
    assert new == sorted(set(new))
    assert new[0] > ids[-1]

    live = store.list_datapoints(dataset_name="demo", limit=FAR)
    assert [one.id for one in live] == [*new[::-1], *ids[-2::-2]]
    assert [one.replaces for one in live[:UPDATED]] == old[::-1]
    assert [one.tags["was"] for one in live[:UPDATED]] == [str(one) for one in old[::-1]]
    assert [one.name for one in live[:UPDATED]] == [item["name"] for item in items[1::2]]
    stale = store.get_datapoints(dataset_name="demo", ids=old)
    assert {one.id for one in stale} == set(old)
    assert len({one.staled_at for one in stale}) == 1
    assert stale[0].staled_at is not None


def names(store: FileStore) -> dict[uuid.UUID, str | None]:
    return {one.id: one.name for one in store.list_datapoints(dataset_name="demo", limit=FAR)}


# --- times


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 5, 4, 3, 2, 1, 999_000, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


MICROSECOND = timedelta(microseconds=1)


def message(text: str) -> dict[str, Any]:
    return {**CHAT, "input": {"messages": [{"role": "user", "content": text}]}}


def touch(store: FileStore, *ids: uuid.UUID) -> None:
    """Let datapoints have changed just now."""
    store.update_datapoints_metadata(dataset_name="demo", requests=[{"id": str(one), "name": "touched"} for one in ids])


def time_filter(operator: str, time: str) -> dict[str, Any]:
    return {"type": "time", "time": time, "comparison_operator": operator}


def spell(datapoints: Sequence[Any], ids: Sequence[uuid.UUID]) -> str:
    """Call datapoints by letters, "a" the one with the first of the ids."""
    return "".join(chr(ord("a") + ids.index(one.id)) for one in datapoints)


EARLIEST, LATEST = ("timestamp", "ascending"), ("timestamp", "descending")
LEAST, MOST = ("search_relevance", "ascending"), ("search_relevance", "descending")


class TestTimes:
    """Filters and orders, in a store that stands still in time."""

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def store(self, tmp_path: Path, config_file: Path, clock: Clock) -> FileStore:
        """An empty store that stands still in time."""
        return FileStore(tmp_path / "store", config_file, durable=False, clock=clock)

    @pytest.fixture
    def within_a_second(self, store: FileStore, clock: Clock) -> list[uuid.UUID]:
        """Five datapoints, each changed a microsecond after the one before it, across the end of a millisecond."""
        ids = store.create_datapoints(dataset_name="demo", requests=[CHAT] * 5)
        clock.now += 998 * MICROSECOND - timedelta(milliseconds=1)
        for one in ids:
            clock.now += MICROSECOND
            touch(store, one)
        return ids

    def test_a_time_is_matched_at_full_precision_where_the_wire_shows_whole_seconds(
        self, store: FileStore, call: Call, within_a_second: list[uuid.UUID]
    ) -> None:
        assert {one["updated_at"] for one in listed(call)} == {"2026-05-04T03:02:01Z"}
        assert listed(call, filter=time_filter("=", "2026-05-04T03:02:01Z")) == []
        for one in within_a_second:
            found = store.get_datapoint(dataset_name="demo", datapoint_id=one)
            equal = time_filter("=", found.updated_at.isoformat())
            assert store.list_datapoints(dataset_name="demo", filter=equal) == [found]
            assert [each["id"] for each in listed(call, filter=equal)] == [str(one)]

    @pytest.mark.parametrize(
        "time",
        [
            pytest.param("2026-05-04T03:02:01.999Z", id="milliseconds"),
            pytest.param("2026-05-04 05:02:01.9990000000+0200", id="nanoseconds-elsewhere"),
        ],
    )
    @pytest.mark.parametrize(
        ("operator", "found"),
        [("<", "a"), ("<=", "ab"), ("=", "b"), (">=", "bcde"), (">", "cde"), ("!=", "acde")],
        ids=["before", "until", "at", "since", "after", "not-at"],
    )
    def test_each_comparison_of_times_cuts_between_two_microseconds(
        self, store: FileStore, within_a_second: list[uuid.UUID], operator: str, found: str, time: str
    ) -> None:
        answer = store.list_datapoints(dataset_name="demo", filter=time_filter(operator, time))
        assert spell(answer, within_a_second) == found[::-1]

    def test_a_time_between_two_microseconds_is_no_ones(
        self, store: FileStore, within_a_second: list[uuid.UUID]
    ) -> None:
        between = "2026-05-04T03:02:01.9990000001Z"
        assert store.list_datapoints(dataset_name="demo", filter=time_filter("=", between)) == []
        answer = store.list_datapoints(dataset_name="demo", filter=time_filter(">", between))
        assert spell(answer, within_a_second) == "edc"

    @pytest.mark.parametrize(
        ("terms", "found"),
        [
            ([], "edcba"),
            ([EARLIEST], "baedc"),
            ([LATEST], "edcba"),
            ([LEAST], "caedb"),
            ([MOST], "edbca"),
            ([LATEST, MOST], "edcba"),
            ([LATEST, LEAST], "cedab"),
            ([EARLIEST, MOST], "baedc"),
            ([EARLIEST, LEAST], "abced"),
            ([MOST, LATEST], "edbca"),
            ([MOST, EARLIEST], "bedac"),
            ([LEAST, LATEST], "caedb"),
            ([LEAST, EARLIEST], "acbed"),
            ([MOST, EARLIEST, LATEST, LEAST], "bedac"),
        ],
        ids=lambda value: (
            value if isinstance(value, str) else "-".join(f"{by[:4]}_{how[:3]}" for by, how in value) or "no"
        ),
    )
    def test_each_term_of_an_order_decides_what_those_before_it_leave_and_the_newest_id_decides_last(
        self, store: FileStore, call: Call, clock: Clock, terms: list[tuple[str, str]], found: str
    ) -> None:
        texts = ["word", "word, word", "word", "words and words", "a word for a word"]
        ids = store.create_datapoints(dataset_name="demo", requests=list(map(message, texts)))
        touch(store, *ids[:2])
        clock.now += MICROSECOND
        touch(store, *ids[2:])
        order = [{"by": by, "direction": direction} for by, direction in terms]
        answer = store.list_datapoints(dataset_name="demo", search_query="word", order_by=order)
        assert spell(answer, ids) == found
        body = {"search_query_experimental": "word", "order_by": order}
        assert [one["id"] for one in listed(call, **body)] == [str(one.id) for one in answer]
        pages = [listed(call, **body, limit=2, offset=offset) for offset in (0, 2, 4)]
        assert [one["id"] for page in pages for one in page] == [str(one.id) for one in answer]


# --- pages

PAGED = 500
PAGE = 20


def delete_some(root: Path, ids: list[uuid.UUID], mailbox: Mailbox) -> None:
    """Delete datapoints one by one, then say so."""
    store = FileStore(root, durable=False)
    mailbox.send("ready")
    for one in ids:
        assert store.delete_datapoint(dataset_name="demo", datapoint_id=one) == 1
    mailbox.send("done")


def iter_pages(url: str, generation: str) -> Iterator[list[dict[str, Any]]]:
    """Fetch page after page until one is empty."""
    for offset in count(0, PAGE):
        if generation == "legacy":
            request = urllib.request.Request(f"{url}/datasets/demo/datapoints?limit={PAGE}&offset={offset}")
        else:
            body = json.dumps({"limit": PAGE, "offset": offset}).encode()
            request = urllib.request.Request(f"{url}/v1/datasets/demo/list_datapoints", body)
        with urllib.request.urlopen(request) as answer:
            found = json.load(answer)
        page = found if generation == "legacy" else found["datapoints"]
        if not page:
            return
        yield page


def assert_paged(seen: list[str], before: set[str], after: set[str]) -> None:
    """Assert what pages by offset can promise while some are deleted.

    A delete moves later datapoints up, so one may slip past a page for each that was deleted; none comes twice.
    """
    assert seen == sorted(set(seen), reverse=True)
    assert set(seen) <= before
    assert len(after - set(seen)) <= len(before - after)


@pytest.mark.parametrize("generation", ["legacy", "v1"])
def test_pages_never_repeat_a_datapoint_while_another_process_deletes_some(store: FileStore, generation: str) -> None:
    ids = store.create_datapoints(dataset_name="demo", requests=[CHAT] * PAGED)
    doomed = [*ids[1::4], *ids[-2::-4]]  # from either end, so that the pages meet them
    with running(delete_some, store.root, doomed) as deleter, serve(store) as url:
        assert deleter.recv() == "ready"
        is_over = False
        while not is_over:
            is_over = deleter.poll()
            before = set(map(str, names(store)))
            seen = [one["id"] for page in iter_pages(url, generation) for one in page]
            assert_paged(seen, before, set(map(str, names(store))))
        assert deleter.recv() == "done"
    assert set(seen) == {str(one) for one in set(ids) - set(doomed)}


@pytest.mark.parametrize("generation", ["legacy", "v1"])
def test_pages_never_repeat_a_datapoint_although_one_is_deleted_between_any_two(
    store: FileStore, generation: str
) -> None:
    ids = [str(one) for one in store.create_datapoints(dataset_name="demo", requests=[CHAT] * 100)]
    seen: list[str] = []
    with serve(store) as url:
        for page in iter_pages(url, generation):
            seen += [one["id"] for one in page]
            assert store.delete_datapoint(dataset_name="demo", datapoint_id=page[3]["id"]) == 1
    assert_paged(seen, set(ids), set(map(str, names(store))))
    newest_first = ids[::-1]
    expected = [newest_first[first : first + 20] for first in (0, 21, 42, 63, 84)]
    assert seen == [one for page in expected for one in page]
