"""Laws of a gateway with 200 clients at once: nobody is cut off, all answers are right, and waiting stops no reader."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from tensorzero import AsyncTensorZeroGateway, ListDatapointsRequest, TensorZeroError

from filestore import FileStore
from filestore.gateway import serve
from filestore.storage.locks import writer_lock
from tests.proofs.doors import DATASET, GatewayDoor, Row, render
from tests.proofs.effort import choose, count
from tests.proofs.gateways import gateway
from tests.proofs.processes import ANSWER_SECONDS, Mailbox, receive, running

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGTERM")

Scene = tuple[list[GatewayDoor], list[str], Mailbox]
CLIENTS = 200
WRITERS = 50
READS = choose(3, 30)
ROUNDS = choose(1, 12)
PLACE = f"/datasets/{DATASET}/datapoints"
BULK = f"{PLACE}/bulk"


@pytest.mark.filterwarnings("ignore:Please use:DeprecationWarning")
def test_200_clients_at_once_are_answered_rightly_on_the_connections_they_came_by(tmp_path: Path) -> None:
    with gateway(tmp_path) as url, ThreadPoolExecutor(CLIENTS) as threads, ExitStack() as stack:
        doors = [stack.enter_context(connected(url)) for _ in range(CLIENTS - 1)]
        together = Barrier(CLIENTS)

        def use() -> list[Row]:
            together.wait(ANSWER_SECONDS)
            asyncio.run(use_tensorzero(url))
            return []

        def call(number: int) -> list[Row]:
            together.wait(ANSWER_SECONDS)
            return look_after_ones_own(doors[number], f"client {number}")

        futures = [threads.submit(use), *(threads.submit(call, number) for number in range(CLIENTS - 1))]
        left = sorted((row for future in futures for row in future.result()), reverse=True)
        assert doors[0].list_page(0) == left
    count("clients held at once", CLIENTS)
    count("rounds of clients held at once", (CLIENTS - 1) * ROUNDS)


def look_after_ones_own(door: GatewayDoor, name: str) -> list[Row]:
    """Write datapoints with a tag of one's own, which nobody else touches, and read them back; return what is left."""
    mine: dict[str, Row] = {}
    for number in range(ROUNDS):
        contents = [[f"{name} {number} {one}", None, name, f"{name} {number} {one}"] for one in range(3)]
        first, second, third = ids = door.insert(contents)
        mine |= {one: [one, *content] for one, content in zip(ids, contents, strict=True)}
        assert {row[0]: row for row in door.query(name)} == mine
        assert door.rename([first], f"{name} {number}")
        mine[first][2] = f"{name} {number}"
        assert door.get(first) == mine[first]
        patched = door.patch([second], name, [f"{name} {number} patched"])
        assert patched is not None
        mine[patched[0]] = [patched[0], *mine.pop(second)[1:4], f"{name} {number} patched"]
        assert door.patch([second], name, ["too late"]) is None
        assert door.delete([second, third]) == 1
        del mine[third]
        assert {row[0]: row for row in door.query(name)} == mine
        page = [row[0] for row in door.list_page(0, 20)]
        assert page == sorted(set(page), reverse=True)
        assert door.count() >= len(mine)
    return list(mine.values())


@contextmanager
def connected(url: str) -> Iterator[GatewayDoor]:
    """Connect to a gateway once; a connection that is lost is not made again."""
    door = GatewayDoor(url)
    door.connect_once()
    try:
        yield door
    finally:
        door.close()


async def use_tensorzero(url: str) -> None:
    """Do with the TensorZero client what it is for, in a dataset of its own."""
    setup = AsyncTensorZeroGateway.build_http(gateway_url=url)
    opened = setup if isinstance(setup, AsyncTensorZeroGateway) else await setup
    names: dict[str, Any] = {"dataset_name": "theirs"}
    expected: list[str] = []
    async with opened as client:
        for number in range(ROUNDS):
            items: list[Any] = [render([f"{number} {one}", None, "train", f"{number}"]) for one in range(3)]
            ids = [uuid.UUID(str(one)) for one in await client.bulk_insert_datapoints(**names, datapoints=items)]
            await client.delete_datapoint(**names, datapoint_id=ids[0])
            expected = [*map(str, reversed(ids[1:])), *expected]
            listed = await client.list_datapoints(**names, request=ListDatapointsRequest(limit=1000))
            assert [one.id for one in listed.datapoints] == expected
            with pytest.raises(TensorZeroError, match="Datapoint not found") as error:
                await client.get_datapoint(**names, datapoint_id=ids[0])
            assert error.value.status_code == 404
    count("rounds of the TensorZero client in a crowd", ROUNDS)


# --- while another process holds the dataset's lock


def hold(root: Path, mailbox: Mailbox) -> None:
    with writer_lock(f"{root}/.filestore/{DATASET}/lock").hold(ANSWER_SECONDS):
        mailbox.send("held")
        mailbox.recv()
    mailbox.send("freed")


def serve_store(root: Path, lock_timeout: float, mailbox: Mailbox) -> None:
    with serve(FileStore(root, lock_timeout=lock_timeout)) as url:
        mailbox.send(url)
        mailbox.recv()


@contextmanager
def crowd_before_a_held_lock(
    tmp_path: Path, lock_timeout: float
) -> Iterator[tuple[list[GatewayDoor], list[str], Mailbox]]:
    """Yield 200 connected clients, the ids that are there, and the mailbox of who holds the lock."""
    found = FileStore(tmp_path).bulk_insert_datapoints(dataset_name=DATASET, datapoints=[item(n) for n in range(20)])
    with (
        running(serve_store, tmp_path, lock_timeout) as server,
        running(hold, tmp_path) as holder,
        ExitStack() as stack,
    ):
        url = receive(server)
        doors = [stack.enter_context(connected(url)) for _ in range(CLIENTS)]
        assert receive(holder) == "held"
        yield doors, [str(one) for one in reversed(found)], holder
        server.send("stop")


def item(number: int) -> dict[str, Any]:
    return render([f"text {number}", None, "train", f"{number}"])


def in_threads(calls: list[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(len(calls)) as threads:
        for future in [threads.submit(call) for call in calls]:
            future.result()


def read_all(doors: list[GatewayDoor], ids: list[str]) -> None:
    """Let each of the clients get and list over and over; all answers must be right."""

    def read(door: GatewayDoor, number: int) -> None:
        for at in range(READS):
            one = ids[(number + at) % len(ids)]
            answer = door.get(one)
            assert answer is not None
            assert answer[0] == one
            assert [row[0] for row in door.list_page(0)] == ids
            assert door.count() == len(ids)

    in_threads([lambda door=door, number=number: read(door, number) for number, door in enumerate(doors)])  # type: ignore[misc]
    count("reads answered while writers waited for a lock", 3 * READS * len(doors))


def test_readers_are_answered_while_writers_wait_and_then_all_writes_happen(tmp_path: Path) -> None:
    with crowd_before_a_held_lock(tmp_path, ANSWER_SECONDS) as (doors, ids, holder):
        writers, readers = doors[:WRITERS], doors[WRITERS:]
        for number, door in enumerate(writers):
            door.send("POST", BULK, {"datapoints": [item(number)]})
        read_all(readers, ids)
        holder.send("free")
        assert receive(holder) == "freed"
        answers = [door.receive() for door in writers]
        assert [status for status, _, _ in answers] == [200] * WRITERS
        made = {one for _, _, ids in answers for one in ids}
        assert {row[0] for row in readers[0].list_page(0)} == made.union(ids)
        assert len(made) == WRITERS


def test_writers_that_waited_too_long_are_told_to_come_back_and_can(tmp_path: Path) -> None:
    with crowd_before_a_held_lock(tmp_path, 0.5) as (doors, ids, holder):
        writers, readers = doors[:WRITERS], doors[WRITERS:]
        for number, door in enumerate(writers):
            door.send("POST", BULK, {"datapoints": [item(number)]})
        read_all(readers, ids)
        for status, headers, _ in [door.receive() for door in writers]:
            assert (status, int(headers["Retry-After"]) > 0) == (503, True)
        assert [row[0] for row in readers[0].list_page(0)] == ids, "what was refused has happened"
        holder.send("free")
        assert receive(holder) == "freed"
        for number, door in enumerate(writers):
            door.insert([[f"again {number}", None, "train", f"again {number}"]])
        assert readers[0].count() == len(ids) + WRITERS
    count("writers told to come back", WRITERS)
