"""The store against a plain dict: after any sequence of calls and hand edits both say the same."""

from __future__ import annotations

import json
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from filestore import FileStore
from filestore.codec import dumps, loads_file
from filestore.datapoint_file import FileContext, canonical_schema, read_datapoint, render_datapoint, schema_digest

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ITEMS = st.one_of(
    st.builds(
        lambda text, tags: {
            "type": "chat",
            "function_name": "c",
            "input": {"messages": [{"role": "user", "content": text}]},
            "output": text,
            "tags": tags,
        },
        TEXTS,
        st.dictionaries(TEXTS, TEXTS, max_size=2),
    ),
    st.builds(
        lambda value, title: {
            "type": "json",
            "function_name": "j",
            "input": {},
            "output": value,
            "output_schema": {"title": title},
        },
        st.dictionaries(TEXTS, st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)),
        st.sampled_from(["a", "b"]),
    ),
)


class StoreAndDict(RuleBasedStateMachine):
    """A store, and a dict from id to what is expected of the datapoint: its item, and whether it is live."""

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.store = FileStore(self.root, durable=False)
        self.expected: dict[uuid.UUID, Any] = {}
        self.live: set[uuid.UUID] = set()

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    @rule(target=ids, items=st.lists(ITEMS, max_size=4))
    def insert(self, items: list[Any]) -> Any:
        new_ids = self.store.bulk_insert_datapoints(dataset_name="demo", datapoints=items)
        assert new_ids == sorted(new_ids)
        assert all(one > other for one in new_ids for other in self.expected)
        self.expected.update(zip(new_ids, items, strict=True))
        self.live.update(new_ids)
        return multiple(*new_ids)

    @rule(good=ITEMS)
    def insert_with_one_bad_item(self, good: Any) -> None:
        try:
            self.store.bulk_insert_datapoints(dataset_name="demo", datapoints=[good, {"function_name": "c"}])
        except ValueError:
            return
        raise AssertionError("a bad item was accepted")

    @rule(datapoint_id=ids)
    def delete(self, datapoint_id: uuid.UUID) -> None:
        count = self.store.delete_datapoint(dataset_name="demo", datapoint_id=datapoint_id)
        assert count == (datapoint_id in self.live)
        self.live.discard(datapoint_id)

    @rule()
    def drop(self) -> None:
        assert self.store.delete_dataset(dataset_name="demo") == len(self.live)
        self.live.clear()

    @rule(datapoint_id=ids, item=ITEMS)
    def put(self, datapoint_id: uuid.UUID, item: Any) -> None:
        body = {key: value for key, value in item.items() if key != "type"}
        self.store.put_datapoint(
            dataset_name="demo", datapoint_id=datapoint_id, datapoint={**body, "type": item["type"], "is_custom": True}
        )
        self.expected[datapoint_id] = item
        self.live.add(datapoint_id)

    @rule(datapoint_id=ids, text=TEXTS)
    def edit_by_hand(self, datapoint_id: uuid.UUID, text: str) -> None:
        path = self.root / "demo" / f"{datapoint_id}.json"
        value = json.loads(path.read_text(encoding="utf-8"))
        value["tags"] = {"edited": text}
        path.write_text(json.dumps(value), encoding="utf-8")
        self.expected[datapoint_id] = {**self.expected[datapoint_id], "tags": {"edited": text}}

    @rule(datapoint_id=consumes(ids))
    def restore(self, datapoint_id: uuid.UUID) -> None:
        if datapoint_id not in self.live:
            self.store.restore_datapoints(dataset_name="demo", ids=[datapoint_id])
            self.live.add(datapoint_id)

    @rule()
    def open_again(self) -> None:
        self.store = FileStore(self.root, durable=False)

    @invariant()
    def both_say_the_same(self) -> None:
        listed = self.store.list_datapoints(dataset_name="demo", limit=10**6)
        assert [one.id for one in listed] == sorted(self.live, reverse=True)
        for one in listed:
            item = self.expected[one.id]
            assert one.tags == item.get("tags", {})
            assert one.type == item["type"]
            if item["type"] == "chat":
                assert one.output == [{"type": "text", "text": item["output"]}]
            else:
                assert one.to_dict()["output"]["parsed"] == item["output"]  # type: ignore[index,call-overload]
            assert self.store.get_datapoint(dataset_name="demo", datapoint_id=one.id) == one

    @invariant()
    def the_files_are_in_order(self) -> None:
        dataset = self.root / "demo"
        for path in dataset.glob("*.json"):
            datapoint_id = uuid.UUID(path.stem)
            context = FileContext("demo", lambda: self.store.config, lambda digest: self._schema(dataset, digest))
            datapoint = read_datapoint(path.read_bytes(), path.name, datapoint_id, context)
            schema = getattr(datapoint, "output_schema", None)
            value = render_datapoint(datapoint, None if schema is None else schema_digest(dumps(schema)))
            assert dumps(loads_file(path.read_bytes())) == dumps(value) or "edited" in datapoint.tags
        assert {path.stem for path in dataset.glob("*.json")} == {str(one) for one in self.expected}
        assert not list((self.root / ".filestore").glob("*/stage-*"))

    @staticmethod
    def _schema(dataset: Path, digest: str) -> Any:
        data = (dataset / "schemas" / f"{digest}.json").read_bytes()
        assert canonical_schema(data) == data
        assert schema_digest(data) == digest
        return loads_file(data)


TestStoreAndDict = StoreAndDict.TestCase
TestStoreAndDict.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
