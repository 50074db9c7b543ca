"""A program of many HTTP clients, that tells how long a request took from each server in turns.

It reads a JSON object of the fields of `Plan` and prints a JSON object: name of a contender to seconds, by round.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import cycle
from urllib.parse import urlsplit

from filestore import FileStore
from tests.benchmarks.contest import Times

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to call.

    Attributes:
        targets: Name to URL of a server.
        paths: What to get, one after the other.
        clients: Name of a contender to the name of its target and how many clients call at once.
        rounds: How often.
        seconds: How long each time.
        store: Empty, or the root of a store to list 100 datapoints from, in this process, as the contender `Python`.
        dataset: Which dataset.
    """

    targets: dict[str, str]
    paths: list[str]
    clients: dict[str, tuple[str, int]]
    rounds: int
    seconds: float
    store: str = ""
    dataset: str = ""


class Client:
    """One connection, kept alive."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self._wanted = 0

    def send(self, request: bytes) -> None:
        """Send a request."""
        self._received, self._wanted = b"", 0
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Take what has arrived; tell whether the answer is whole."""
        data = self.socket.recv(1 << 20)
        assert data, "the server has closed the connection"
        self._received += data
        if not self._wanted:
            head, separator, _ = self._received.partition(b"\r\n\r\n")
            if not separator:
                return False
            length = _LENGTH.search(head + b"\r\n")
            assert head.startswith(b"HTTP/1.1 200") and length, head
            self._wanted = len(head) + len(separator) + int(length[1])
        return len(self._received) >= self._wanted


@contextmanager
def _connected(url: str, number: int) -> Iterator[list[Client]]:
    place = urlsplit(url)
    assert place.hostname and place.port
    with ExitStack() as stack:
        clients = [Client((place.hostname, place.port)) for _ in range(number)]
        for client in clients:
            stack.enter_context(closing(client.socket))
        yield clients


def _call(clients: Sequence[Client], requests: Iterator[bytes], seconds: float) -> float:
    """Keep every client busy for some time, and at least once; return seconds per request."""
    done = 0
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
        began = time.perf_counter()
        for client in clients:
            client.send(next(requests))
        waiting = len(clients)
        while waiting:
            for key, _ in selector.select():
                if key.data.receive():
                    done += 1
                    if time.perf_counter() - began < seconds:
                        key.data.send(next(requests))
                    else:
                        waiting -= 1
        return (time.perf_counter() - began) / done


def _list_in_python(store: FileStore, dataset: str, seconds: float) -> float:
    done = 0
    began = time.perf_counter()
    while not done or time.perf_counter() - began < seconds:
        store.list_datapoints(dataset_name=dataset, limit=100)
        done += 1
    return (time.perf_counter() - began) / done


def main(plan: Plan) -> Times:
    """Carry out a plan."""
    requests = cycle(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: TensorZero/2026.1.8\r\n\r\n".encode()
        for path in plan.paths
    )
    store = FileStore(plan.store) if plan.store else None
    times: Times = {name: [] for name in [*plan.clients, *(["Python"] if store else [])]}
    for number in range(-1, plan.rounds):
        seconds = plan.seconds if number >= 0 else 0  # the first round only warms up
        for name, (target, clients) in plan.clients.items():
            with _connected(plan.targets[target], clients) as connected:
                _call(connected, requests, 0)
                times[name].append(_call(connected, requests, seconds))
        if store:
            times["Python"].append(_list_in_python(store, plan.dataset, seconds))
    return {name: values[1:] for name, values in times.items()}


if __name__ == "__main__":
    print(json.dumps(main(Plan(**json.load(sys.stdin)))))
