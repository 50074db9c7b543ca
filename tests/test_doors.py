"""One contract through three doors: Python, the command line and HTTP give the same answers to the same calls."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from click.testing import CliRunner

from filestore import FileStore, FilestoreError
from filestore.cli import main
from filestore.gateway import serve
from tests.conftest import snapshot
from tests.test_legacy_api import CHAT, JSON, UNKNOWN_ID, WEATHER

Datapoint = dict[str, Any]


class RefusedError(Exception):
    """What a door says of a call that it refuses."""


class Door(Protocol):
    """The four methods, and dropping a dataset, through one door; datapoints are in the v1 wire form."""

    def insert(self, items: list[Any]) -> list[str]: ...
    def list(self, **query: Any) -> list[Datapoint]: ...
    def get(self, datapoint_id: str) -> Datapoint: ...
    def delete(self, datapoint_id: str) -> None: ...
    def drop(self) -> int: ...


class PythonDoor:
    """The methods of `FileStore`."""

    def __init__(self, store: FileStore) -> None:
        self.store = store

    def insert(self, items: list[Any]) -> list[str]:
        return [str(one) for one in self._call("bulk_insert_datapoints", datapoints=items)]

    def list(self, **query: Any) -> list[Datapoint]:
        return [one.to_dict() for one in self._call("list_datapoints", **query)]

    def get(self, datapoint_id: str) -> Datapoint:
        found: Datapoint = self._call("get_datapoint", datapoint_id=datapoint_id).to_dict()
        return found

    def delete(self, datapoint_id: str) -> None:
        self._call("delete_datapoint", datapoint_id=datapoint_id)

    def drop(self) -> int:
        count: int = self._call("delete_dataset")
        return count

    def _call(self, method: str, **arguments: Any) -> Any:
        try:
            return getattr(self.store, method)(dataset_name="demo", **arguments)
        except FilestoreError as error:
            raise RefusedError(str(error)) from error


class CommandLineDoor:
    """The commands, with their results on stdout and their refusals on stderr."""

    def __init__(self, root: Path, config_file: Path) -> None:
        root.mkdir()
        self.options = ["--root", str(root), "--config-file", str(config_file)]

    def insert(self, items: list[Any]) -> list[str]:
        return self._run("insert", "demo", stdin=json.dumps(items)).split()

    def list(self, **query: Any) -> list[Datapoint]:
        options = [word for name, value in query.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        found: list[Datapoint] = json.loads(self._run("list", "demo", "--format", "json", *options))
        return found

    def get(self, datapoint_id: str) -> Datapoint:
        found: Datapoint = json.loads(self._run("get", "demo", datapoint_id))
        return found

    def delete(self, datapoint_id: str) -> None:
        self._run("delete", "demo", datapoint_id)

    def drop(self) -> int:
        return int(self._run("drop", "demo", "--yes"))

    def _run(self, *arguments: str, stdin: str = "") -> str:
        done = CliRunner().invoke(main, [*self.options, *arguments], input=stdin)
        if done.exit_code:
            place, _, reason = done.stderr.strip().removeprefix("Error: ").partition(": ")
            raise RefusedError(reason.partition(": ")[2] if place == "stdin" else f"{place}: {reason}")
        return done.stdout


class HttpDoor:
    """The legacy routes over a real socket, as a client of today calls them."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/datasets/demo"

    def insert(self, items: list[Any]) -> list[str]:
        ids: list[str] = json.loads(self._send("POST", "/datapoints/bulk", {"datapoints": items}))
        return ids

    def list(self, **query: Any) -> list[Datapoint]:
        text = "&".join(f"{name}={value}" for name, value in query.items())
        found: list[Datapoint] = json.loads(self._send("GET", f"/datapoints?{text}"))
        return found

    def get(self, datapoint_id: str) -> Datapoint:
        found: Datapoint = json.loads(self._send("GET", f"/datapoints/{datapoint_id}"))
        return found

    def delete(self, datapoint_id: str) -> None:
        self._send("DELETE", f"/datapoints/{datapoint_id}")

    def drop(self) -> int:
        count: int = json.loads(self._send("DELETE", ""))["num_staled_datapoints"]
        return count

    def _send(self, method: str, path: str, body: Any = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            with error:
                raise RefusedError(json.loads(error.read())["error"]) from error


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture(params=["python", "command line", "http"])
def door(request: pytest.FixtureRequest, root: Path, config_file: Path) -> Iterator[Door]:
    if request.param == "command line":
        yield CommandLineDoor(root, config_file)
        return
    store = FileStore(root, config_file, durable=False)
    if request.param == "python":
        yield PythonDoor(store)
        return
    with serve(store) as url:
        yield HttpDoor(url)


def test_what_goes_in_comes_back(door: Door) -> None:
    tool_call = {"type": "tool_call", "name": "get_temperature", "arguments": {"location": "Ō 😀"}}
    items = [CHAT, {**JSON, "tags": {"a": "b"}}, {**WEATHER, "output": [tool_call], "name": "n"}]
    ids = door.insert(items)
    assert ids == sorted(ids)
    found = door.list()
    assert [one["id"] for one in found] == ids[::-1]
    assert found == [door.get(one) for one in ids[::-1]]
    weather, answer, chat = found
    assert chat["output"] == [{"type": "text", "text": "My synthetic output"}]
    assert (answer["output"]["parsed"], answer["tags"]) == ({"answer": "Hello"}, {"a": "b"})
    assert (weather["output"][0]["arguments"], weather["name"]) == ({"location": "Ō 😀"}, "n")


def test_lists_are_filtered_and_paged(door: Door) -> None:
    ids = door.insert([CHAT, JSON, CHAT, JSON])
    assert [one["id"] for one in door.list(function_name="json_success")] == [ids[3], ids[1]]
    assert [one["id"] for one in door.list(limit=2, offset=1)] == [ids[2], ids[1]]
    assert door.list(function_name="nope") == []


def test_what_is_deleted_is_gone_and_its_file_stays(door: Door, root: Path) -> None:
    one, other = door.insert([CHAT, JSON])
    door.delete(one)
    door.delete(one)
    assert [found["id"] for found in door.list()] == [other]
    with pytest.raises(RefusedError, match=f"^Datapoint not found for dataset: demo and id: {one}$"):
        door.get(one)
    assert f"demo/{one}.json" in snapshot(root)
    assert (door.drop(), door.drop()) == (1, 0)
    assert door.list() == []


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([CHAT, {**CHAT, "input": {"mesages": []}}], "Failed to deserialize chat datapoint 1: input.mesages: "),
        ([{**CHAT, "function_name": "nope"}], "Failed to get function config for datapoint 0: Unknown function: nope"),
        ([{**WEATHER, "allowed_tools": ["nope"]}], "Tool not found: nope"),
    ],
    ids=["shape", "function", "tool"],
)
def test_what_is_refused_changes_nothing_and_says_the_same(
    door: Door, root: Path, items: list[Any], message: str
) -> None:
    door.insert([CHAT])
    before = snapshot(root)
    with pytest.raises(RefusedError) as caught:
        door.insert(items)
    assert str(caught.value).startswith(message)
    assert snapshot(root) == before


def test_an_unknown_id_is_told(door: Door) -> None:
    door.insert([CHAT])
    with pytest.raises(RefusedError, match=f"^Datapoint not found for dataset: demo and id: {UNKNOWN_ID}$"):
        door.get(UNKNOWN_ID)
