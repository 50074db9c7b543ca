"""Laws of remembered datapoints: a row gives back what went into it, to each caller for himself."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filestore import FileStore
from filestore.codec import JSONValue
from filestore.datapoint import ChatDatapoint, Datapoint, JsonDatapoint
from filestore.datapoint_file import schema_digest
from filestore.errors import FileContentError
from filestore.storage.files import Disk
from filestore.storage.rows import Row
from filestore.texts import shared
from tests.test_index import DATASET, QUESTIONS, WAYS, World, ask, config, outcome

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda items: st.lists(items, max_size=3) | st.dictionaries(TEXTS, items, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=3)
IDS = st.uuids()
COMMON: dict[str, st.SearchStrategy[Any]] = {
    "dataset_name": st.just("demo"),
    "function_name": TEXTS,
    "id": IDS,
    "input": OBJECTS,
    "updated_at": st.datetimes(timezones=st.just(UTC)),
    "episode_id": st.none() | IDS,
    "tags": st.dictionaries(TEXTS, TEXTS, max_size=3),
    "is_custom": st.booleans(),
    "source_inference_id": st.none() | IDS,
    "name": st.none() | TEXTS,
    "replaces": st.none() | IDS,
    "schema_ref": st.none() | TEXTS,
}
CHATS = st.builds(
    ChatDatapoint,
    **COMMON,
    output=st.none() | st.lists(OBJECTS, max_size=3),
    allowed_tools=st.none() | st.lists(TEXTS, max_size=3),
    additional_tools=st.lists(OBJECTS, max_size=2),
    tool_choice=st.sampled_from([None, "auto", "none", {"specific": "x"}]),
    parallel_tool_calls=st.sampled_from([None, True, False]),
    provider_tools=st.lists(OBJECTS, max_size=2),
)
JSONS = st.builds(
    JsonDatapoint,
    **COMMON,
    output=st.none() | st.fixed_dictionaries({"raw": st.none() | TEXTS, "parsed": VALUES}),
    output_schema=OBJECTS | st.booleans(),
)


def refuse(digest: str) -> JSONValue:
    raise AssertionError(f"{digest} is not needed")


def assert_same(found: Datapoint, expected: Datapoint) -> None:
    """Assert that two datapoints are equal, numbers to their kind and sign and objects to the order of their keys."""
    assert found == expected
    assert vars(found).keys() <= vars(expected).keys()
    for name, value in vars(expected).items():
        assert orjson.dumps(getattr(found, name)) == orjson.dumps(value), name


@given(CHATS | JSONS)
def test_a_row_gives_back_the_datapoint_that_it_was_made_of(datapoint: Datapoint) -> None:
    assert_same(Row.of(datapoint).datapoint("demo", refuse), datapoint)


@given(JSONS)
def test_a_row_leaves_a_schema_with_a_digest_to_its_file(datapoint: JsonDatapoint) -> None:
    row = Row.of(datapoint, "0123456789abcdef")
    assert_same(row.datapoint("demo", {"0123456789abcdef": datapoint.output_schema}.__getitem__), datapoint)


@given(CHATS | JSONS)
def test_what_a_row_gives_is_the_callers_own(datapoint: Datapoint) -> None:
    row = Row.of(datapoint)
    spoil(row.datapoint("demo", refuse))
    assert_same(row.datapoint("demo", refuse), datapoint)


def spoil(value: object) -> None:
    """Change all that can be changed in what a read returned."""
    if isinstance(value, ChatDatapoint | JsonDatapoint):
        for part in vars(value).values():
            spoil(part)
    elif isinstance(value, dict):
        for part in value.values():
            spoil(part)
        value["spoilt"] = "spoilt"
    elif isinstance(value, list):
        for part in value:
            spoil(part)
        value.append("spoilt")


# --- what a store hands out


@pytest.mark.parametrize("watch", WAYS)
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_caller_may_change_what_he_got(tmp_path: Path, question: str, watch: bool) -> None:
    world = World(tmp_path / "store")
    (world.root / "tensorzero.toml").write_text(config("json"), encoding="utf-8")
    world.age()
    store = FileStore(world.root, durable=False, watch=watch)
    expected = ask(FileStore(world.root, watch=False), world, question)
    assert not isinstance(expected, tuple), expected
    for _ in range(4):
        found = ask(store, world, question)
        assert found == expected
        spoil(found)


@dataclass(frozen=True)
class SwitchingDisk(Disk):
    """The door to the disk, beside git, which brings another state when the store looks at the schemas once more."""

    schemas: Path = Path()
    switches: list[Callable[[], object]] = field(default_factory=list)

    def check_directory(self, path: str) -> os.stat_result | None:
        if path == str(self.schemas) and self.switches:
            self.switches.pop()()
        return super().check_directory(path)


@pytest.mark.parametrize("watch", WAYS)
@pytest.mark.parametrize("question", ["get", "list", "list in order"])
@pytest.mark.parametrize("looks_before", [0, 1, 2])
def test_a_schema_that_git_takes_away_while_it_is_read_is_no_mistake(
    tmp_path: Path, question: str, looks_before: int, watch: bool
) -> None:
    world = World(tmp_path / "store")
    store = FileStore(world.root, durable=False, watch=watch)
    disk = store._datasets._disk = SwitchingDisk(durable=False, schemas=world.dataset / "schemas")
    before = [ask(store, world, one) for one in ("list", "list in order", question)][-1]

    def switch() -> None:
        world.path(4).write_bytes(world.path(5).read_bytes())
        for path in world.schemas:
            if path.stem not in world.path(5).read_text(encoding="utf-8"):
                path.unlink()

    disk.switches.extend([switch, *[lambda: None] * looks_before])
    found = ask(store, world, question)
    was_switched = not disk.switches
    disk.switches.clear()
    after = ask(store, world, question)
    assert after == ask(FileStore(world.root, watch=False), world, question)
    assert found in (before, after)
    assert was_switched == (after != before)
    assert was_switched or looks_before > 0


def test_a_schema_file_that_holds_no_schema_is_a_mistake_with_its_place(tmp_path: Path) -> None:
    world = World(tmp_path / "store")
    digest = schema_digest(b"null\n")
    (world.dataset / "schemas" / f"{digest}.json").write_bytes(b"null\n")
    text = world.path(4).read_text(encoding="utf-8")
    world.path(4).write_text(re.sub("schemas/[0-9a-f]*", f"schemas/{digest}", text), encoding="utf-8")
    world.age()
    mistake = f"{DATASET}/schemas/….json:1:1: invalid type: null, expected a JSON Schema"
    for question in ("list", "list in order", "get many"):
        assert ask(FileStore(world.root), world, question) == (FileContentError, mistake)


@pytest.fixture(scope="module")
def page_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("page") / "store")


@settings(deadline=None)
@given(st.data(), st.integers(0, 6))
def test_a_file_on_a_page_is_read_as_by_its_id(page_world: World, data: st.DataObject, number: int) -> None:
    """Pages have a short way of reading; whatever becomes of a file, both say the same of it."""
    world = page_world
    path = world.path(number)
    whole = path.read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(start + 3, len(whole))))
    inserted = data.draw(st.sampled_from([b"", b'"', b",", b"0", b"\xff", b"\\", b" ", b"\r\n", b"x" * (1 << 15)]))
    path.write_bytes(whole[:start] + inserted + whole[end:])
    os.utime(path, (1e9, 1e9))  # nobody is just writing it
    try:
        store, offset = FileStore(world.root, watch=False), len(world.ids) - 1 - number
        page = outcome(lambda: store.list_datapoints(dataset_name=DATASET, offset=offset, limit=1))
        found = outcome(lambda: [store.get_datapoint(dataset_name=DATASET, datapoint_id=world.ids[number])])
        assert page == found
    finally:
        path.write_bytes(whole)
        os.utime(path, (1e9, 1e9))


def test_texts_that_are_shared_are_freed_in_the_end() -> None:
    first = shared("a text of its own")
    assert shared("".join(["a text", " of its own"])) is first
    for number in range(50_000):
        shared(f"another text {number}")
    assert shared("".join(["a text", " of its own"])) is not first
    long = "a text that is too long to be one of those that recur, as tags are not"
    assert shared(long) is not shared("".join([long[:9], long[9:]]))
