"""Stores that live long against files that are read anew: whatever is done, by calls or by hand, they say the same."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from filestore import FileStore
from filestore.codec import JSONValue
from filestore.datapoint import Datapoint
from filestore.datapoint_file import FileContext, read_datapoint, read_schema
from filestore.errors import FileContentError, ShapeError
from filestore.ids import parse_file_name
from filestore.storage.index import TextBudget
from filestore.storage.layout import parse_tombstone_name
from filestore.storage.rows import Row
from tests.proofs.effort import choose
from tests.test_query import KEYS, REQUESTS, WORDS, answer, is_sound

DATASET = "demo"
EVERYTHING: dict[str, Any] = {"limit": 1000, "offset": 0}
TAGS = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(WORDS))
PHRASES = st.lists(st.sampled_from(["cat", "dog"]), max_size=3).map(" ".join)
ITEMS = st.builds(
    lambda name, phrase, tags: {"type": "chat", "function_name": name, "input": {"system": phrase}, "tags": tags},
    st.sampled_from(["f", "g"]),
    PHRASES,
    TAGS,
) | st.builds(
    lambda title, tags: {
        "type": "json",
        "function_name": "j",
        "input": {},
        "output_schema": {"title": title},
        "tags": tags,
    },
    st.sampled_from(["a", "b"]),
    TAGS,
)
TEXT_BYTES = 150
"""Room for the texts of a few datapoints, not of all."""
NUMBERS = st.integers(0, 10**6 - 1)
"""Choose one of what there is, whatever that will be."""


def config(kind: str) -> str:
    """Return a function config in which the function `u` is of a kind."""
    variant = 'type = "chat_completion"\nmodel = "m"\njson_mode = "off"\n'
    kinds = {"f": "chat", "g": "chat", "j": "json", "u": kind}
    return "".join(
        f'[functions.{name}]\ntype = "{one}"\n[functions.{name}.variants.v]\n'
        + (variant if one == "json" else variant.replace('json_mode = "off"\n', ""))
        for name, one in kinds.items()
    )


class Files:
    """A dataset as its files say, read one by one without a memory."""

    def __init__(self, root: Path) -> None:
        self._directory = root / DATASET
        self._context = FileContext(DATASET, lambda: FileStore(root, watch=False).config, self._load_schema)
        self.stale: dict[uuid.UUID, datetime] = {}
        for path in self._directory.glob("tombstones/??/*"):
            parsed = parse_tombstone_name(path.name)
            assert parsed is not None
            self.stale[parsed[0]] = min(parsed[1], self.stale.get(parsed[0], parsed[1]))
        found = (parse_file_name(path.name) for path in self._directory.glob("*.json"))
        self.ids = sorted(one for one in found if one is not None)
        self.live = [one for one in self.ids if one not in self.stale]

    def path(self, one: uuid.UUID) -> Path:
        return self._directory / f"{one}.json"

    def read(self, one: uuid.UUID) -> Datapoint:
        return read_datapoint(self.path(one).read_bytes(), self.path(one).name, one, self._context)

    def scan(self, request: dict[str, Any]) -> list[Datapoint]:
        """Return what a scan finds; it reads no further than it must."""
        end = request["offset"] + request["limit"] if request["limit"] else 0
        if "function_name" not in request:
            return self.page(request)
        read = (self.read(one) for one in self.live[::-1])
        found = islice((one for one in read if one.function_name == request["function_name"]), end)
        return list(found)[request["offset"] :]

    def get(self, one: uuid.UUID) -> Datapoint:
        """Return a datapoint, live or stale."""
        staled_at = self.stale.get(one)
        found = self.read(one)
        return found if staled_at is None else replace(found, staled_at=staled_at, updated_at=staled_at)

    def _load_schema(self, digest: str) -> JSONValue:
        path = self._directory / "schemas" / f"{digest}.json"
        if not path.exists():
            raise ShapeError("there is none")
        return read_schema(path.read_bytes(), path.name, digest)

    def answer(self, request: dict[str, Any]) -> list[Datapoint]:
        """Return what a v1 list finds."""
        if not request["limit"]:
            return []
        datapoints = {one: self.read(one) for one in self.live}
        return [datapoints[row.id] for row in answer(request, [Row.of(one) for one in datapoints.values()])]

    def page(self, request: dict[str, Any]) -> list[Datapoint]:
        """Return what a legacy list finds; the files of others are left alone unless a function is asked for."""
        ids = self.live if request["limit"] else []
        if "function_name" in request:
            ids = [one for one in ids if self.read(one).function_name == request["function_name"]]
        return [self.read(one) for one in ids[::-1][request["offset"] : request["offset"] + request["limit"]]]


def outcome(read: Callable[[], object]) -> object:
    try:
        return read()
    except FileContentError:
        return FileContentError


class StoresAndFiles(RuleBasedStateMachine):
    """Three stores that remember, and the files: one is told of changes, one is not, and one has little room."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.dataset = self.root / DATASET
        self.copy = self.root / "copy"

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    @initialize(items=st.lists(ITEMS, min_size=2, max_size=6))
    def begin(self, items: list[Any]) -> None:
        self.configure("chat")
        self.stores = [FileStore(self.root, durable=False, watch=watch) for watch in (True, False, True)]
        self.stores[2]._datasets._shared.budget = TextBudget(TEXT_BYTES)
        [one, *_] = self.stores[0].bulk_insert_datapoints(dataset_name=DATASET, datapoints=items)
        untyped = {"function_name": "u", "input": {"system": "cat"}, "output": "dog", "tags": {"a": "x"}}
        self.path(uuid.UUID(int=one.int - 1)).write_text(json.dumps(untyped), encoding="utf-8")
        for _ in range(3):
            self.agree(EVERYTHING)

    def configure(self, kind: str) -> None:
        self.kind = kind
        (self.root / "tensorzero.toml").write_text(config(kind), encoding="utf-8")

    def path(self, one: uuid.UUID) -> Path:
        return self.dataset / f"{one}.json"

    # --- asking

    def agree(self, request: dict[str, Any], stores: list[FileStore] | None = None) -> None:
        """Assert that all stores answer what the files say."""
        files = Files(self.root)
        legacy: dict[str, Any] = {key: request[key] for key in ("limit", "offset", "function_name") if key in request}
        v1 = {
            **legacy,
            "filter": request.get("filter"),
            "order_by": request.get("order_by", []),
            "search_query": request.get("search_query_experimental"),
        }
        expected = (
            outcome(lambda: files.answer(request)),
            outcome(lambda: files.page(legacy)),
            outcome(lambda: files.scan(legacy)),
            len(files.live),
        )
        for store in stores or self.stores:
            assert expected == (
                outcome(lambda store=store: store.list_datapoints(dataset_name=DATASET, **v1)),  # type: ignore[misc]
                outcome(lambda store=store: store.list_datapoints(dataset_name=DATASET, **legacy)),  # type: ignore[misc]
                outcome(lambda store=store: store.scan_datapoints(dataset_name=DATASET, consume=list, **legacy)),  # type: ignore[misc]
                store.count_datapoints(dataset_name=DATASET),
            )
            for one in (*files.ids[:1], *files.ids[-2:]):
                found = outcome(
                    lambda one=one, store=store: store.get_datapoints(dataset_name=DATASET, ids=[one])  # type: ignore[misc]
                )
                assert found == outcome(lambda one=one: [files.get(one)])  # type: ignore[misc]

    @invariant()
    def room_for_texts_is_used_and_given_back(self) -> None:
        if hasattr(self, "stores"):
            rows = self.stores[2]._datasets.get(DATASET)._index._rows.values()
            used = sum(len(row.texts) for row in rows if row.texts is not None)
            assert self.stores[2]._datasets._shared.budget._left == TEXT_BYTES - used

    @rule(request=REQUESTS.filter(is_sound))
    def ask(self, request: dict[str, Any]) -> None:
        self.agree(request)

    @rule(request=REQUESTS.filter(is_sound), watch=st.booleans())
    def ask_a_new_store(self, request: dict[str, Any], watch: bool) -> None:
        self.agree(request, [FileStore(self.root, watch=watch)])

    # --- calls

    def choose(self, number: int, *, live: bool = True) -> uuid.UUID | None:
        """Return one of the datapoints, None where there is none."""
        files = Files(self.root)
        ids = files.live if live else sorted(files.stale.keys() & set(files.ids))
        return ids[number % len(ids)] if ids else None

    def store(self, number: int) -> FileStore:
        """Return one of the stores, or one that does nothing but this."""
        return [*self.stores, FileStore(self.root, durable=False)][number % 4]

    @rule(items=st.lists(ITEMS, max_size=4), number=NUMBERS, request=REQUESTS.filter(is_sound))
    def insert(self, items: list[Any], number: int, request: dict[str, Any]) -> None:
        self.store(number).bulk_insert_datapoints(dataset_name=DATASET, datapoints=items)
        self.agree(request)

    @rule(tags=TAGS, number=NUMBERS, new_ids=st.booleans(), request=REQUESTS.filter(is_sound))
    def update(self, tags: dict[str, str], number: int, new_ids: bool, request: dict[str, Any]) -> None:
        if (one := self.choose(number)) is not None:
            change = {"type": Files(self.root).read(one).type, "id": str(one), "tags": tags}
            self.store(number).update_datapoints(dataset_name=DATASET, requests=[change], new_ids=new_ids)
        self.agree(request)

    @rule(numbers=st.lists(NUMBERS, min_size=1, max_size=3), request=REQUESTS.filter(is_sound))
    def delete(self, numbers: list[int], request: dict[str, Any]) -> None:
        ids = {one for one in map(self.choose, numbers) if one is not None}
        if ids:
            self.store(numbers[0]).delete_datapoints(dataset_name=DATASET, ids=ids)
        self.agree(request)

    @rule(number=NUMBERS, request=REQUESTS.filter(is_sound))
    def restore(self, number: int, request: dict[str, Any]) -> None:
        if (one := self.choose(number, live=False)) is not None:
            for path in self.dataset.glob(f"tombstones/*/{one}@*"):
                path.unlink()
        self.agree(request)

    @rule(number=NUMBERS, request=REQUESTS.filter(is_sound))
    def purge(self, number: int, request: dict[str, Any]) -> None:
        with self.times_kept():
            self.store(number).purge_dataset(dataset_name=DATASET)
        self.agree(request)

    # --- hands

    @contextmanager
    def times_kept(self) -> Iterator[None]:
        """Put the times of directories back: otherwise every store waits for what is missing to come back."""
        yield
        for path in (self.dataset, *self.dataset.glob("tombstones"), *self.dataset.glob("schemas")):
            os.utime(path, (1e9, 1e9))

    @rule(number=NUMBERS, tags=TAGS, is_renamed=st.booleans(), request=REQUESTS.filter(is_sound))
    def edit(self, number: int, tags: dict[str, str], is_renamed: bool, request: dict[str, Any]) -> None:
        if (one := self.choose(number)) is not None:
            path = self.path(one)
            text = json.dumps({**json.loads(path.read_text(encoding="utf-8")), "tags": tags})
            target = self.root / "new.tmp" if is_renamed else path
            target.write_text(text, encoding="utf-8")
            target.rename(path)
        self.agree(request)

    @rule(number=NUMBERS, are_times_kept=st.booleans(), request=REQUESTS.filter(is_sound))
    def copy_file(self, number: int, are_times_kept: bool, request: dict[str, Any]) -> None:
        if (one := self.choose(number)) is not None:
            self.path(uuid.UUID(int=one.int + 1)).write_bytes(self.path(one).read_bytes())
        if are_times_kept:
            with self.times_kept():
                pass
        self.agree(request)

    @rule(number=NUMBERS, request=REQUESTS.filter(is_sound))
    def link_file(self, number: int, request: dict[str, Any]) -> None:
        """Give a second name to a file that is then written under both."""
        if (one := self.choose(number)) is not None:
            other = self.path(uuid.UUID(int=one.int + 1))
            other.unlink(missing_ok=True)
            with self.times_kept():
                os.link(self.path(one), other)
        self.agree(request)

    @rule(number=NUMBERS, request=REQUESTS.filter(is_sound))
    def remove_file(self, number: int, request: dict[str, Any]) -> None:
        if (one := self.choose(number)) is not None:
            with self.times_kept():
                self.path(one).unlink()
        self.agree(request)

    @rule(number=NUMBERS, request=REQUESTS.filter(is_sound))
    def bury_file(self, number: int, request: dict[str, Any]) -> None:
        if (one := self.choose(number)) is not None:
            shard = self.dataset / "tombstones" / str(one)[-2:]
            shard.mkdir(parents=True, exist_ok=True)
            (shard / f"{one}@20260102T030405.{number:06}Z").touch()
        self.agree(request)

    @rule(request=REQUESTS.filter(is_sound))
    def let_schemas_go_and_come_back(self, request: dict[str, Any]) -> None:
        away = self.root / "away"
        if (self.dataset / "schemas").exists():
            (self.dataset / "schemas").rename(away)
            with self.times_kept():
                pass
            for path in self.dataset.glob("*.json"):
                os.utime(path, (1e9, 1e9))
            self.agree(request)
            away.rename(self.dataset / "schemas")
        self.agree(request)

    @rule(request=REQUESTS.filter(is_sound))
    def change_config(self, request: dict[str, Any]) -> None:
        self.configure("json" if self.kind == "chat" else "chat")
        self.agree(request)

    @precondition(lambda self: not self.copy.exists())
    @rule()
    def keep_copy(self) -> None:
        shutil.copytree(self.dataset, self.copy)

    @precondition(lambda self: self.copy.exists())
    @rule(request=REQUESTS.filter(is_sound), is_file_by_file=st.booleans())
    def go_back_to_copy(self, request: dict[str, Any], is_file_by_file: bool) -> None:
        """Bring back an earlier state, as git does or by another directory."""
        if is_file_by_file:
            with self.times_kept():
                for path in [path for path in self.dataset.rglob("*") if path.is_file()]:
                    path.unlink()
                shutil.copytree(self.copy, self.dataset, dirs_exist_ok=True)
            shutil.rmtree(self.copy)
        else:
            self.dataset.rename(self.root / "old")
            self.copy.rename(self.dataset)
            shutil.rmtree(self.root / "old")
            with self.times_kept():
                pass
        self.agree(request)


TestStoresAndFiles = StoresAndFiles.TestCase
TestStoresAndFiles.settings = settings(max_examples=choose(6, 200), stateful_step_count=20, deadline=None)
