"""Raw bytes to a gateway and back, and a store around which nothing may change."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filestore import FileStore
from tests.proofs.effort import count

__all__ = ["ID", "ITEM", "PUT", "SECONDS", "everything", "guarded", "request", "send", "status_of"]

ID = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
ITEM: dict[str, Any] = {"type": "chat", "function_name": "f", "input": {"messages": []}}
PUT: dict[str, Any] = {"function_name": "tensorzero::default", "input": {"messages": []}, "is_custom": True}
SECONDS = 120


def send(url: str, data: bytes) -> bytes:
    """Send bytes, and return all that comes back until the server closes or resets the connection."""
    address = urlsplit(url)
    answer = bytearray()
    with socket.create_connection((address.hostname, address.port), timeout=SECONDS) as client:
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            while part := client.recv(65536):
                answer += part
        except ConnectionError:  # it had seen enough
            pass
    count("hostile requests sent")
    return bytes(answer)


def request(method: str, target: str, body: bytes = b"", *fields: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def status_of(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer[:100]
    return int(answer[9:12])


def everything(directory: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(directory.rglob("*"))}


@contextmanager
def guarded(directory: Path) -> Iterator[Path]:
    """Yield the root of a store around which nothing may change, and nothing but directories for datasets in it."""
    outside = directory / "outside"
    outside.mkdir()
    for name in ("secret.json", "passwd", "a"):
        (outside / name).write_text("from outside", encoding="utf-8")
    (directory / "secret").mkdir()
    root = directory / "store"
    FileStore(root, durable=False).create_datapoints(dataset_name="d", requests=[ITEM])
    before = everything(directory / "secret"), everything(outside), sorted(directory.iterdir())
    yield root
    assert (everything(directory / "secret"), everything(outside), sorted(directory.iterdir())) == before
    assert not (root / ".git").exists()
    assert {path.name for path in root.iterdir() if path.is_file()} == set()
