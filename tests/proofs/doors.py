"""The doors to one dataset for the clients of a crowd: a store of theirs, or a gateway over a socket of theirs.

What comes back is what a history holds: rows `[id, text, name, split, by]`, ids, numbers, and None for a refusal.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence
from datetime import datetime
from email.message import Message
from typing import Any, Protocol
from urllib.parse import urlsplit

from filestore import FileStore
from filestore.errors import DatapointNotFoundError, RequestError
from tests.proofs.dataset_model import EVERYTHING, UNCOUNTED

__all__ = ["DATASET", "Door", "GatewayDoor", "Row", "StoreDoor", "render"]

DATASET = "crowd"
FUNCTION = "f"
Content = Sequence[Any]
Row = list[Any]


def render(content: Content) -> dict[str, Any]:
    """Return the insert item, or the file, of a content."""
    text, name, split, by = content
    item = {"function_name": FUNCTION, "input": {"messages": []}, "output": text, "tags": {"split": split, "by": by}}
    return {"type": "chat", **item, **({} if name is None else {"name": name})}


def row(datapoint: dict[str, Any]) -> Row:
    """Return what a history holds of a datapoint on the wire."""
    [block] = datapoint["output"]
    tags = datapoint["tags"]
    return [str(datapoint["id"]), block["text"], datapoint.get("name"), tags["split"], tags["by"]]


def in_order(datapoints: list[dict[str, Any]]) -> list[Row]:
    """Return the rows of a v1 list, which must begin with what was updated last."""
    times = [datetime.fromisoformat(one["updated_at"]) for one in datapoints]
    assert times == sorted(times, reverse=True), "a list is out of order"
    return list(map(row, datapoints))


def query_body(split: str | None) -> dict[str, Any]:
    if split is None:
        return {"order_by": []}
    return {"filter": {"type": "tag", "key": "split", "value": split, "comparison_operator": "="}}


def patch_items(ids: list[str], split: str, marks: list[str]) -> list[dict[str, Any]]:
    return [
        {"type": "chat", "id": one, "tags": {"split": split, "by": mark}} for one, mark in zip(ids, marks, strict=True)
    ]


class Door(Protocol):
    """The calls of a client, but for the patch in place, which the gateway has not."""

    def insert(self, contents: Sequence[Content]) -> list[str]: ...
    def put(self, one: str, content: Content) -> bool: ...
    def patch(self, ids: list[str], split: str, marks: list[str]) -> list[str] | None: ...
    def rename(self, ids: list[str], name: str) -> bool | None: ...
    def delete(self, ids: list[str]) -> int | str: ...
    def restore(self, ids: list[str]) -> bool | None: ...
    def list_page(self, offset: int, limit: int = EVERYTHING) -> list[Row]: ...
    def query(self, split: str | None) -> list[Row]: ...
    def get(self, one: str) -> Row | None: ...
    def find(self, ids: list[str]) -> list[Row]: ...
    def count(self) -> int: ...


class StoreDoor:
    """A store in the client's own process."""

    def __init__(self, store: FileStore) -> None:
        self._store = store

    def insert(self, contents: Sequence[Content]) -> list[str]:
        ids = self._store.bulk_insert_datapoints(dataset_name=DATASET, datapoints=list(map(render, contents)))
        return list(map(str, ids))

    def put(self, one: str, content: Content) -> bool:
        self._store.put_datapoint(dataset_name=DATASET, datapoint_id=one, datapoint=_put_body(content))
        return True

    def patch(self, ids: list[str], split: str, marks: list[str], *, new_ids: bool = True) -> list[str] | None:
        try:
            found = self._store.update_datapoints(
                dataset_name=DATASET, requests=patch_items(ids, split, marks), new_ids=new_ids
            )
        except DatapointNotFoundError:
            return None
        return list(map(str, found))

    def rename(self, ids: list[str], name: str) -> bool | None:
        requests = [{"id": one, "name": name} for one in ids]
        try:
            self._store.update_datapoints_metadata(dataset_name=DATASET, requests=requests)
        except DatapointNotFoundError:
            return None
        return True

    def delete(self, ids: list[str]) -> int:
        if len(ids) == 1:
            return self._store.delete_datapoint(dataset_name=DATASET, datapoint_id=ids[0])
        return self._store.delete_datapoints(dataset_name=DATASET, ids=ids)

    def restore(self, ids: list[str]) -> bool | None:
        try:
            self._store.restore_datapoints(dataset_name=DATASET, ids=ids)
        except (DatapointNotFoundError, RequestError):
            return None
        return True

    def list_page(self, offset: int, limit: int = EVERYTHING) -> list[Row]:
        found = self._store.list_datapoints(dataset_name=DATASET, offset=offset, limit=limit)
        return [row(one.to_dict()) for one in found]

    def query(self, split: str | None) -> list[Row]:
        found = self._store.list_datapoints(dataset_name=DATASET, limit=EVERYTHING, **query_body(split))
        return in_order([one.to_dict() for one in found])

    def get(self, one: str) -> Row | None:
        try:
            return row(self._store.get_datapoint(dataset_name=DATASET, datapoint_id=one).to_dict())
        except DatapointNotFoundError:
            return None

    def find(self, ids: list[str]) -> list[Row]:
        found = self._store.get_datapoints(dataset_name=DATASET, ids=ids)
        return [[*row(one.to_dict()), one.staled_at is not None] for one in found]

    def count(self) -> int:
        return self._store.count_datapoints(dataset_name=DATASET)


class GatewayDoor:
    """A connection to a gateway that is kept alive."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)

    def connect_once(self) -> None:
        """Connect now; from now on a connection that is lost is an error."""
        self._connection.connect()
        self._connection.auto_open = 0

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def send(self, method: str, path: str, body: Any = None) -> None:
        """Send a request."""
        data = None if body is None else json.dumps(body).encode()
        self._connection.request(method, path, data, {"User-Agent": "TensorZero/2026.1.8"})

    def receive(self) -> tuple[int, Message, Any]:
        """Return status, headers and body of the answer to what was sent."""
        answer = self._connection.getresponse()
        text = answer.read()
        return answer.status, answer.headers, json.loads(text) if text else None

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Return status and body of an answer."""
        self.send(method, path, body)
        status, _, answer = self.receive()
        return status, answer

    def _expect(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = self.ask(method, path, body)
        assert status == 200, (status, answer)
        return answer

    def _expect_or_refusal(self, method: str, path: str, body: Any) -> Any:
        status, answer = self.ask(method, path, body)
        assert status in (200, 400, 404), (status, answer)
        return answer if status == 200 else None

    def insert(self, contents: Sequence[Content]) -> list[str]:
        body = {"datapoints": list(map(render, contents))}
        ids: list[str] = self._expect("POST", f"/datasets/{DATASET}/datapoints/bulk", body)
        return ids

    def put(self, one: str, content: Content) -> bool:
        self._expect("PUT", f"/internal/datasets/{DATASET}/datapoints/{one}", _put_body(content))
        return True

    def patch(self, ids: list[str], split: str, marks: list[str]) -> list[str] | None:
        body = {"datapoints": patch_items(ids, split, marks)}
        answer = self._expect_or_refusal("PATCH", f"/v1/datasets/{DATASET}/datapoints", body)
        found: list[str] | None = answer and answer["ids"]
        return found

    def rename(self, ids: list[str], name: str) -> bool | None:
        body = {"datapoints": [{"id": one, "name": name} for one in ids]}
        answer = self._expect_or_refusal("PATCH", f"/v1/datasets/{DATASET}/datapoints/metadata", body)
        return None if answer is None else True

    def delete(self, ids: list[str]) -> int | str:
        if len(ids) == 1:
            self._expect("DELETE", f"/datasets/{DATASET}/datapoints/{ids[0]}")
            return UNCOUNTED
        answer = self._expect("DELETE", f"/v1/datasets/{DATASET}/datapoints", {"ids": ids})
        number: int = answer["num_deleted_datapoints"]
        return number

    def restore(self, ids: list[str]) -> bool | None:
        answer = self._expect_or_refusal("POST", f"/v1/datasets/{DATASET}/restore_datapoints", {"ids": ids})
        return None if answer is None else True

    def list_page(self, offset: int, limit: int = 10**6) -> list[Row]:
        return list(map(row, self._expect("GET", f"/datasets/{DATASET}/datapoints?limit={limit}&offset={offset}")))

    def query(self, split: str | None) -> list[Row]:
        body = {"limit": 10**6, **query_body(split)}
        return in_order(self._expect("POST", f"/v1/datasets/{DATASET}/list_datapoints", body)["datapoints"])

    def get(self, one: str) -> Row | None:
        status, answer = self.ask("GET", f"/datasets/{DATASET}/datapoints/{one}")
        assert status in (200, 404), (status, answer)
        return row(answer) if status == 200 else None

    def find(self, ids: list[str]) -> list[Row]:
        answer = self._expect("POST", f"/v1/datasets/{DATASET}/get_datapoints", {"ids": ids})
        return [[*row(one), one.get("staled_at") is not None] for one in answer["datapoints"]]

    def count(self) -> int:
        number: int = self._expect("GET", f"/internal/datasets/{DATASET}/datapoints/count")["datapoint_count"]
        return number


def _put_body(content: Content) -> dict[str, Any]:
    return {**render(content), "output": [{"type": "text", "text": content[0]}], "is_custom": True}
