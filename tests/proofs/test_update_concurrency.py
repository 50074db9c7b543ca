"""Laws of updates that meet: of all that want to replace one datapoint, exactly one does, and the others are told."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from filestore import FileStore
from filestore.datapoint import Datapoint
from filestore.errors import DatapointNotFoundError
from filestore.gateway import serve
from tests.proofs.cases import DATASET, chat, everything, insert
from tests.proofs.processes import Mailbox, receive, running

PROCESSES = 4
ROUNDS = 12
CLIENTS = 8


def change(datapoint_id: uuid.UUID, tag: str) -> dict[str, Any]:
    return {"type": "chat", "id": str(datapoint_id), "tags": {"by": tag}}


def obey(root: Path, mailbox: Mailbox) -> None:
    """Call methods of a store of one's own; answer with the result, or with the word "gone"."""
    store = FileStore(root, durable=False)
    mailbox.send("ready")
    while (order := mailbox.recv()) is not None:
        method, arguments = order
        try:
            mailbox.send(getattr(store, method)(dataset_name=DATASET, **arguments))
        except DatapointNotFoundError as error:
            assert error.status == 404
            mailbox.send("gone")


@contextmanager
def crew(root: Path, size: int) -> Iterator[list[Mailbox]]:
    """Run so many processes that obey, each with a store of its own."""
    with ExitStack() as stack:
        mailboxes = [stack.enter_context(running(obey, root)) for _ in range(size)]
        for mailbox in mailboxes:
            assert receive(mailbox) == "ready"
        yield mailboxes
        for mailbox in mailboxes:
            mailbox.send(None)


def at_once(mailboxes: list[Mailbox], orders: list[tuple[str, dict[str, Any]]]) -> list[Any]:
    """Give each process one order before any has answered; return the answers."""
    for mailbox, order in zip(mailboxes, orders, strict=True):
        mailbox.send(order)
    return [receive(mailbox) for mailbox in mailboxes]


def history(store: FileStore) -> list[Datapoint]:
    """Every datapoint that was ever there, live and stale, oldest first."""
    ids = [uuid.UUID(path.stem) for path in (store.root / DATASET).glob("*.json")]
    return sorted(store.get_datapoints(dataset_name=DATASET, ids=ids), key=lambda datapoint: datapoint.id)


def assert_chain(store: FileStore, links: list[uuid.UUID]) -> None:
    """Assert that each of these datapoints was replaced by the next, there are no others, and the last one is live."""
    found = history(store)
    assert [datapoint.id for datapoint in found] == links
    assert [datapoint.replaces for datapoint in found] == [None, *links[:-1]]
    assert [datapoint.id for datapoint in everything(store)] == links[-1:]
    assert all(datapoint.staled_at is not None for datapoint in found[:-1])


def test_of_processes_that_update_one_datapoint_exactly_one_wins(tmp_path: Path) -> None:
    store = FileStore(tmp_path, durable=False)
    links = insert(store, [chat("first")])
    with crew(tmp_path, PROCESSES) as mailboxes:
        for number in range(ROUNDS):
            requests = [[change(links[-1], f"{number} {name}")] for name in range(PROCESSES)]
            answers = at_once(mailboxes, [("update_datapoints", {"requests": one}) for one in requests])
            [winner] = [name for name, answer in enumerate(answers) if answer != "gone"]
            links += answers[winner]
            [live] = everything(store)
            assert (live.id, live.tags) == (links[-1], {"by": f"{number} {winner}"})
    assert_chain(store, links)


def test_of_clients_that_patch_one_datapoint_exactly_one_wins(tmp_path: Path) -> None:
    store = FileStore(tmp_path, durable=False)
    links = insert(store, [chat("first")])
    with serve(store) as url, ThreadPoolExecutor(CLIENTS) as threads:
        for _ in range(ROUNDS):
            message = f"Datapoint not found for dataset: {DATASET} and id: {links[-1]}"
            answers = list(threads.map(lambda tag: patch(url, change(links[-1], tag)), map(str, range(CLIENTS))))
            assert Counter(status for status, _ in answers) == {200: 1, 404: CLIENTS - 1}
            assert all(body["error"] == message for status, body in answers if status == 404)
            [body] = [body for status, body in answers if status == 200]
            links.append(uuid.UUID(body["ids"][0]))
    assert_chain(store, links)


def patch(url: str, item: dict[str, Any]) -> tuple[int, Any]:
    body = json.dumps({"datapoints": [item]}).encode()
    request = urllib.request.Request(f"{url}/v1/datasets/{DATASET}/datapoints", body, method="PATCH")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_of_batches_that_share_a_datapoint_one_happens_completely_and_the_others_not_at_all(tmp_path: Path) -> None:
    store = FileStore(tmp_path, durable=False)
    with crew(tmp_path, PROCESSES) as mailboxes:
        for _ in range(ROUNDS):
            shared, *others = ids = insert(store, [chat(str(number)) for number in range(PROCESSES + 1)])
            batches = [[other, shared][:: (-1) ** name] for name, other in enumerate(others)]
            requests = [[change(one, str(name)) for one in batch] for name, batch in enumerate(batches)]
            answers = at_once(mailboxes, [("update_datapoints", {"requests": one}) for one in requests])
            [winner] = [name for name, answer in enumerate(answers) if answer != "gone"]
            live = {datapoint.id: datapoint.replaces for datapoint in everything(store)}
            expected: dict[uuid.UUID, uuid.UUID | None] = {one: None for one in ids if one not in batches[winner]}
            assert live == {**expected, **dict(zip(answers[winner], batches[winner], strict=True))}
            assert store.delete_dataset(dataset_name=DATASET) == len(live)


def iter_races(
    store: FileStore, method: str, arguments: Callable[[uuid.UUID], dict[str, Any]]
) -> Iterator[tuple[uuid.UUID, Any, Any]]:
    """Have a datapoint updated and, at once, something else done to it; yield it, and what both answered."""
    with crew(store.root, 2) as mailboxes:
        for number in range(ROUNDS):
            [target] = insert(store, [chat("text")])
            update = {"requests": [change(target, "update")]}
            orders = [("update_datapoints", update), (method, arguments(target))]
            turn = 1 if number % 2 else -1
            updated, other = at_once(mailboxes, orders[::turn])[::turn]
            yield target, updated, other
            store.delete_dataset(dataset_name=DATASET)


def test_an_update_and_a_delete_of_one_datapoint_never_both_happen(tmp_path: Path) -> None:
    store = FileStore(tmp_path, durable=False)
    for _, updated, deleted in iter_races(store, "delete_datapoint", lambda target: {"datapoint_id": target}):
        assert (updated == "gone") == (deleted == 1)
        live = [datapoint.id for datapoint in everything(store)]
        assert live == ([] if updated == "gone" else updated)


def test_a_rename_that_succeeds_beside_an_update_is_kept_by_the_successor(tmp_path: Path) -> None:
    store = FileStore(tmp_path, durable=False)
    rename = lambda target: {"requests": [{"id": str(target), "name": "renamed"}]}  # noqa: E731
    for target, updated, renamed in iter_races(store, "update_datapoints_metadata", rename):
        [live] = everything(store)
        assert ([live.id], live.replaces) == (updated, target)
        assert live.name == (None if renamed == "gone" else "renamed")


@pytest.mark.parametrize("method", ["update_datapoints", "update_datapoints_metadata"])
def test_an_update_of_a_stale_datapoint_is_refused_and_writes_nothing(tmp_path: Path, method: str) -> None:
    store = FileStore(tmp_path, durable=False)
    [target] = insert(store, [chat("text")])
    assert store.delete_datapoint(dataset_name=DATASET, datapoint_id=target) == 1
    with pytest.raises(DatapointNotFoundError):
        getattr(store, method)(dataset_name=DATASET, requests=[{**change(target, "late"), "name": "late"}])
    assert [datapoint.id for datapoint in history(store)] == [target]
