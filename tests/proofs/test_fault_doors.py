"""Laws of faults as those meet them who ask: a read leaves nothing out, and each door says in words what is wrong.

The n-th system call of a read, of a request to the gateway or of `filestore init` is refused, as in those of writes.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from filestore import FileStore
from filestore.cli import main
from filestore.errors import FilestoreError
from filestore.gateway.app import Application
from filestore.gateway.http import Headers, Request, Response
from filestore.storage.initialize import GIT_ATTRIBUTES
from tests.conftest import snapshot
from tests.proofs.effort import IS_LONG, choose, count
from tests.proofs.faults import NEVER, Stopped
from tests.proofs.scenes import (
    DATASET,
    Scene,
    assert_next_write_works,
    everything,
    existing,
    make_scene,
    observe,
    open_read_only,
    open_store,
)
from tests.proofs.system import NOTHING, Blow, System
from tests.proofs.trial import FAULTS, assert_told, attempt, copied, open_durable, spread

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the calls are those of Linux")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene("insert-one", tmp_path_factory.mktemp("scene"))


# --- reads

READS: dict[str, Callable[[FileStore], object]] = {
    "list": everything,
    "list-by-time": lambda store: store.list_datapoints(
        dataset_name=DATASET, order_by=[{"by": "timestamp", "direction": "ascending"}]
    ),
    "list-of-a-function": lambda store: store.list_datapoints(dataset_name=DATASET, function_name="draft_email"),
    "search": lambda store: store.list_datapoints(dataset_name=DATASET, search_query="B", limit=10),
    "scan": lambda store: store.scan_datapoints(dataset_name=DATASET, consume=list),
    "get": lambda store: store.get_datapoint(dataset_name=DATASET, datapoint_id=existing(store.root)[1]),
    "get-many": lambda store: observe(store, existing(store.root)),
    "get-of-any-dataset": lambda store: store.get_datapoints(ids=existing(store.root)),
    "find": lambda store: store.find_datapoints(dataset_name=DATASET, ids=existing(store.root)),
    "count": lambda store: store.count_datapoints(dataset_name=DATASET),
    "datasets": lambda store: (store.list_datasets(), store.dataset_names()),
}
"""What asks, of a store that holds what the scenes begin with."""
READ_FAULTS = ["io-error", "no-descriptor"]
REQUEST_FAULTS = ["io-error", "done-and-refused"]
INIT_FAULTS = ["stopped", "io-error", "disk-full"]
if IS_LONG:
    READ_FAULTS += ["device-gone", "no-permission", "no-permission-any-more", "no-descriptors"]
    REQUEST_FAULTS += ["device-gone", "disk-full", "no-descriptor", "read-only"]
    INIT_FAULTS = list(FAULTS)


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("asked_before", [0, 1, 3])
@pytest.mark.parametrize("fault", READ_FAULTS)
def test_a_read_that_is_refused_a_look_fails_in_words_and_leaves_nothing_out(
    read: str, asked_before: int, fault: str, scene: Scene
) -> None:
    root = scene.template
    before = snapshot(root)
    expected = READS[read](open_store(root))
    for number in spread_over_reads(read, asked_before, fault, root):
        store = open_durable(root, watch=asked_before != 1)
        for _ in range(asked_before):
            assert READS[read](store) == expected
        answers: list[object] = []
        outcome = attempt(
            lambda store, answers=answers: answers.append(READS[read](store)),  # type: ignore[misc]
            store,
            FAULTS[fault]._replace(at=number),
        )
        assert answers in ([expected], []), f"call {number}, {outcome.system.struck}: a wrong answer"
        assert READS[read](store) == expected, f"call {number}, {outcome.system.struck}: a wrong answer afterwards"
        if outcome.system.struck is not None:
            count(f"faults injected into reads: {fault}")
    assert snapshot(root) == before


def spread_over_reads(read: str, asked_before: int, fault: str, root: Path) -> range:
    store = open_durable(root, watch=asked_before != 1)
    for _ in range(asked_before):
        READS[read](store)
    total = attempt(READS[read], store, FAULTS[fault]._replace(at=NEVER)).system.count
    return spread(total, f"{read}{asked_before}{fault}", choose(2, NEVER))


# --- the gateway

Asked = Callable[[list[str]], tuple[str, str, Any]]
ITEM = {"function_name": "draft_email", "type": "chat", "input": {"messages": []}, "output": "Hello"}
ITEM_V1 = {**ITEM, "output": [{"type": "text", "text": "Hello"}]}
V1 = f"/v1/datasets/{DATASET}"
REQUESTS: dict[str, Asked] = {
    "list": lambda ids: ("GET", f"/datasets/{DATASET}/datapoints", None),
    "get": lambda ids: ("GET", f"/datasets/{DATASET}/datapoints/{ids[1]}", None),
    "v1-list": lambda ids: ("POST", f"{V1}/list_datapoints", {}),
    "v1-get": lambda ids: ("POST", f"{V1}/get_datapoints", {"ids": ids}),
    "v1-get-any": lambda ids: ("POST", "/v1/datasets/get_datapoints", {"ids": ids}),
    "count": lambda ids: ("GET", f"/internal/datasets/{DATASET}/datapoints/count", None),
    "datasets": lambda ids: ("GET", "/internal/datasets", None),
    "health": lambda ids: ("GET", "/health", None),
    "insert": lambda ids: ("POST", f"/datasets/{DATASET}/datapoints/bulk", {"datapoints": [ITEM]}),
    "create": lambda ids: ("POST", f"{V1}/datapoints", {"datapoints": [ITEM_V1, ITEM_V1]}),
    "update": lambda ids: ("PATCH", f"{V1}/datapoints", {"datapoints": [{"type": "chat", "id": ids[1], "tags": {}}]}),
    "rename": lambda ids: ("PATCH", f"{V1}/datapoints/metadata", {"datapoints": [{"id": ids[1], "name": "new"}]}),
    "delete": lambda ids: ("DELETE", f"{V1}/datapoints", {"ids": ids[1:3]}),
    "legacy-delete": lambda ids: ("DELETE", f"/datasets/{DATASET}/datapoints/{ids[1]}", None),
    "drop": lambda ids: ("DELETE", V1, None),
    "restore": lambda ids: ("POST", f"{V1}/restore_datapoints", {"ids": ids[:1]}),
    "clone": lambda ids: ("POST", "/internal/datasets/copies/datapoints/clone", {"datapoint_ids": ids[1:]}),
}


def answer(store: FileStore, asked: tuple[str, str, Any]) -> Response:
    method, path, value = asked
    body = b"" if value is None else json.dumps(value).encode()
    return Application(store)(Request(method, path, "", Headers((("user-agent", "t"),)), body))


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("fault", REQUEST_FAULTS)
def test_a_fault_in_a_request_is_answered_by_what_was_done_or_by_5xx_in_words(
    name: str, fault: str, scene: Scene, tmp_path: Path
) -> None:
    asked = REQUESTS[name]([str(one) for one in existing(scene.template)])
    with copied(scene.template, tmp_path / "copy") as root:
        store = open_durable(root)
        with System(root, FAULTS[fault]._replace(at=NEVER)).installed() as system:
            expected = answer(store, asked)
        assert expected.status == 200
        after = scene.observe(store)
    for number in spread(system.count, f"{name}{fault}"):
        blow = FAULTS[fault]._replace(at=number)
        with copied(scene.template, tmp_path / "copy") as root:
            store = open_durable(root)
            with System(root, blow).installed() as system:
                response = answer(store, asked)
            text = (response.body or b"").decode()
            if response.status == 200:
                assert (response.body, scene.observe(store)) == (expected.body, after)
            else:
                assert response.status >= 500, f"{system.struck}: {text}"
                assert_told(json.loads(text)["error"], system, blow)
                seen = after if "is committed but" in text else scene.before
                assert scene.observe(store) == seen, f"{system.struck}: {text}"
                assert scene.observe(open_read_only(root)) == seen
                assert_next_write_works(scene, root, seen)
        if system.struck is not None:
            count(f"faults injected into requests: {fault}")


# --- the command that makes a store


def prepare_nothing(root: Path) -> None:
    """Leave everything to the command."""


def prepare_repository(root: Path) -> None:
    root.mkdir()
    (root / ".gitattributes").write_bytes(b"*.png binary")


def prepare_half(root: Path) -> None:
    (root / ".filestore").mkdir(parents=True)
    (root / ".filestore" / ".gitignore").touch()


PLACES = {"nothing": prepare_nothing, "repository": prepare_repository, "half": prepare_half}


def initialize(root: Path, blow: Blow) -> tuple[System, int | None]:
    """Run `filestore init`; return its exit code, None where it was stopped."""
    system = System(root, blow)
    try:
        with system.installed():
            result = CliRunner().invoke(main, ["--root", str(root), "init"])
    except Stopped:
        return system, None
    if result.exit_code == 0:
        return system, 0
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert_told(line, system, blow)
    return system, result.exit_code


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fault", INIT_FAULTS)
def test_init_is_refused_in_one_line_and_completed_by_the_next(place: str, fault: str, tmp_path: Path) -> None:
    root = tmp_path / "deep" / "store"
    root.parent.mkdir()
    for number in range(1, 100, choose(3, 1)):
        PLACES[place](root)
        old = snapshot(root) if root.exists() else {}
        system, code = initialize(root, FAULTS[fault]._replace(at=number))
        assert code in ((None,) if fault == "stopped" and system.struck is not None else (0, 1))
        if code is not None:
            for name, data in old.items():
                assert (root / name).read_bytes().startswith(data), "what was there is gone"
        assert code == 0 or system.struck is not None
        assert initialize(root, NOTHING)[1] == 0
        assert {line.encode() for line in GIT_ATTRIBUTES} <= {*(root / ".gitattributes").read_bytes().splitlines()}
        assert (root / ".filestore" / ".gitignore").read_bytes() == b"*\n"
        FileStore(root, durable=False).bulk_insert_datapoints(dataset_name=DATASET, datapoints=[ITEM])
        shutil.rmtree(root)
        if system.struck is None:
            return
        count(f"faults injected into init: {fault}")


def test_a_fault_is_not_taken_for_an_empty_answer(scene: Scene) -> None:
    """What is proven here could be false: a store that is refused everything answers nothing."""
    store = open_durable(scene.template)
    with System(scene.template, Blow(1, is_lasting=True)).installed(), pytest.raises(FilestoreError):
        everything(store)
