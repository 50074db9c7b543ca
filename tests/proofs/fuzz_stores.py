"""Laws of bytes that reach a whole store: from a stranger's directory, in requests, and over a socket."""

from __future__ import annotations

import atexit
import errno
import itertools
import json
import shutil
import socket
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from filestore import FileStore
from filestore.errors import FilestoreError
from filestore.gateway.app import Application
from filestore.gateway.http import Headers, Request, Response
from filestore.gateway.server import Server, running
from filestore.storage.files import Disk
from filestore.storage.repository import read_head
from tests.proofs.fuzz_datapoints import SAMPLES
from tests.proofs.fuzz_texts import assert_directory

__all__ = ["BETWEEN_REQUESTS", "application", "server", "stranger"]

ANSWER_SECONDS = 60.0
BETWEEN_REQUESTS = b"\xff\n"
"""What no text holds, between the requests of one input."""
ITEM: dict[str, Any] = {"type": "chat", "function_name": "tensorzero::default", "input": {}}


class Grounds:
    """A directory with a store in it, and beside the store files that nobody may touch."""

    def __init__(self) -> None:
        self._place = Path(tempfile.mkdtemp(prefix="filestore-fuzz-"))
        atexit.register(shutil.rmtree, self._place, ignore_errors=True)
        self._sentinels = {"secret.json": b'{"secret": true}\n', "tensorzero.toml": b"precious"}
        for name, data in self._sentinels.items():
            (self._place / name).write_bytes(data)
        self.root = self._place / "store"

    def renew(self) -> FileStore:
        """Begin again with an empty store."""
        shutil.rmtree(self.root, ignore_errors=True)
        return FileStore(self.root, SAMPLES / "tensorzero.toml", durable=False, watch=False)

    def check(self) -> None:
        """Assert that nothing has changed but the store, in which there are datasets alone."""
        assert sorted(path.name for path in self._place.iterdir()) == sorted([*self._sentinels, "store"])
        for name, data in self._sentinels.items():
            assert (self._place / name).read_bytes() == data
        for path in self.root.iterdir():
            if path.name not in {".filestore", ".git"}:
                assert_directory(path.name)


# --- a store from a stranger


@cache
def _grounds() -> Grounds:
    return Grounds()


def stranger(data: bytes) -> None:
    """Whatever lies where a store keeps what is its own, calls do their work or refuse it, and touch nothing else."""
    grounds = _grounds()
    store = grounds.renew()
    [one] = store.bulk_insert_datapoints(dataset_name="d", datapoints=[ITEM])
    parts = data.split(b"\xff")
    places = [".filestore/d/pending/manifest.json", ".filestore/d/seq", ".git/HEAD", ".git/packed-refs", ".git/ref"]
    if data[:1] == b"g":
        places[2:] = [".git"]
    for name, part in zip(places, parts, strict=False):
        if part:
            path = grounds.root / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(part)
    assert isinstance(read_head(Disk(durable=False), str(grounds.root)), str | None)
    calls: list[Callable[[], object]] = [
        lambda: store.list_datapoints(dataset_name="d"),
        lambda: store.get_datapoint(dataset_name="d", datapoint_id=one),
        lambda: store.bulk_insert_datapoints(dataset_name="d", datapoints=[ITEM, ITEM]),
        store.recover,
        lambda: store.recover("discard"),
        lambda: store.bulk_insert_datapoints(dataset_name="d", datapoints=[ITEM]),
    ]
    for call in calls:
        with suppress(FilestoreError):
            call()
    grounds.check()


# --- requests to an application


class _Site:
    """An application over a store with a few of the samples, which come back when they were changed."""

    def __init__(self) -> None:
        self.grounds = Grounds()
        self._is_changed = True

    def prepare(self) -> None:
        """Bring the store into the state in which every input finds it."""
        if self._is_changed:
            self._app = Application(self.grounds.renew())
            for name in _SAMPLES:
                target = self.grounds.root / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(SAMPLES / name, target)
        self._is_changed = False

    def __call__(self, request: Request) -> Response:
        self._is_changed = self._is_changed or request.method not in ("GET", "HEAD")
        return self._app(request)


def _choose_samples() -> list[str]:
    dataset = SAMPLES / "email_application"
    paths = [*sorted(dataset.glob("*.json"))[:4], *dataset.glob("schemas/*"), *dataset.glob("tombstones/*/*")]
    return [path.relative_to(SAMPLES).as_posix() for path in paths]


_SAMPLES = _choose_samples()


@cache
def _site() -> _Site:
    return _Site()


def application(data: bytes) -> None:
    """Requests of any form are answered or refused as documented, and change nothing outside of the store."""
    site = _site()
    site.prepare()
    for one in data.split(BETWEEN_REQUESTS):
        head, _, body = one.partition(b"\n")
        method, _, target = head.decode("latin-1").partition(" ")
        target, _, agent = target.partition(" ")
        path, _, query = target.partition("?")
        headers = Headers((("user-agent", agent),) if agent else (("accept", "*/*"),))
        _assert_answer(site(Request(method, path, query, headers, body)), data)
    site.grounds.check()


def _assert_answer(response: Response, data: bytes) -> None:
    assert response.status < 500, (response, data)
    if response.content_type is None:
        assert not response.body
    elif response.content_type == "application/json":
        answer = json.loads(response.body)
        assert response.status == 200 or (answer.keys() == {"error"} and isinstance(answer["error"], str)), answer
    else:
        assert (response.status, response.content_type) == (400, "text/plain; charset=utf-8")
        assert response.body.decode()


# --- bytes to a server


_servers = ExitStack()
atexit.register(_servers.close)


@cache
def _gateway() -> Server:
    gateway = Server(_site())
    _servers.enter_context(running(gateway))
    return gateway


def server(data: bytes) -> None:
    """Whatever bytes come in whatever pieces, each answer is whole and none is a failure, and the server goes on."""
    gateway = _gateway()
    _site().prepare()
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=ANSWER_SECONDS) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answers = _exchange(client, data)
    while answers:
        answers = _check_answer(answers)
    with urlopen(f"{gateway.url}/status", timeout=ANSWER_SECONDS) as answer:
        assert answer.status == 200
    _site().grounds.check()


def _exchange(client: socket.socket, data: bytes) -> bytes:
    """Send bytes in pieces, as the bytes themselves say, and return all that comes back."""
    cuts = sorted({len(data) * byte // 256 for byte in data[-3:]})
    try:
        for start, end in itertools.pairwise([0, *cuts, len(data)]):
            client.sendall(data[start:end])
        client.shutdown(socket.SHUT_WR)
    except OSError as error:  # it was refused, and the server has closed
        assert isinstance(error, ConnectionError) or error.errno == errno.ENOTCONN, error
    answers = b""
    try:
        while piece := client.recv(65536):
            answers += piece
    except ConnectionError:  # a reset throws away what was on its way
        return b""
    return answers


def _check_answer(data: bytes) -> bytes:
    """Assert that an answer is whole and no failure; return what follows it."""
    head, end, rest = data.partition(b"\r\n\r\n")
    assert end, data
    line, *fields = head.decode("latin-1").split("\r\n")
    protocol, status, _ = line.split(" ", 2)
    assert protocol == "HTTP/1.1"
    assert int(status) < 500 or int(status) in (501, 505), data
    headers = dict(field.split(": ", 1) for field in fields)
    length = int(headers.get("content-length", "0"))
    if len(rest) < length or (length and rest.startswith(b"HTTP/1.1 ")):
        return rest  # the answer to a HEAD, which has no body
    if headers.get("content-type") == "application/json":
        json.loads(rest[:length])
    return rest[length:]
