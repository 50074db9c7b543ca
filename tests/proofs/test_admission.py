"""The law of admission: nobody gets in whom the rules keep out, by the command that people start.

Proven is, against `filestore serve` and over raw sockets, that pages elsewhere are refused by name and by origin, that
a key is asked of everything but the state of the gateway, and that others are not listened to without one.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.proofs.gateways import gateway
from tests.proofs.wire import SECONDS, guarded, request, send, status_of

KEY = "schlüssel"


def send_raw_fields(url: str, fields: list[bytes], body: bytes = b"{}") -> int:
    lines = [
        b"POST /v1/datasets/d/list_datapoints HTTP/1.1",
        *fields,
        b"Content-Length: %d" % len(body),
        b"Connection: close",
    ]
    return status_of(send(url, b"\r\n".join([*lines, b"", body])))


def test_a_page_elsewhere_gets_in_neither_by_name_nor_by_origin(tmp_path: Path) -> None:
    with guarded(tmp_path) as root, gateway(root) as url:
        for host in (
            b"evil.example",
            b"127.0.0.1.evil.example",
            b"localhost.evil.example",
            b"evil.example:80",
            b"",
            b"0",
        ):
            assert send_raw_fields(url, [b"Host: " + host]) == 403
        for origin in (b"http://evil.example", b"null", b"https://localhost", b"http://localhost:1", b"file://", b""):
            fields = [b"Host: localhost", b"Origin: " + origin, b"Content-Type: text/plain"]
            assert send_raw_fields(url, fields) == 403
        assert send_raw_fields(url, [b"Host: localhost", b"Content-Type: text/plain"]) == 200


def test_with_a_key_nobody_gets_in_without_it(tmp_path: Path) -> None:
    right = b"Authorization: Bearer " + KEY.encode()
    with guarded(tmp_path) as root, gateway(root, "--api-key", KEY) as url:
        for field in (
            *(b"", b"Authorization:", b"Authorization: Bearer", b"Authorization: Bearer ", right[:-1], right + b"x"),
            *(b"Authorization: " + KEY.encode(), b"Authorization: Bearer " + KEY.encode("latin-1"), b"X-Api-Key: x"),
            *(
                b"Authorization: Basic",
                b"Authorization: Basic !",
                b"Authorization: Basic Og==",
                right + b"\r\n" + right,
            ),
            b"Authorization: Digest " + KEY.encode(),
        ):
            assert send_raw_fields(url, [b"Host: x", *([field] if field else [])]) == 401, field
        assert send_raw_fields(url, [b"Host: x", right]) == 200
        assert status_of(send(url, request("GET", "/status"))) == 200
        assert status_of(send(url, request("GET", "/%73tatus"))) == 401
        assert status_of(send(url, request("GET", "/status/../datasets/d/datapoints"))) == 401


@pytest.mark.parametrize(
    "options", [["--host", "0.0.0.0"], ["--host", "::"], ["--host", ""], ["--host", "0.0.0.0", "--api-key", ""]]
)
def test_nobody_listens_to_others_without_a_key(tmp_path: Path, options: list[str]) -> None:
    command = [sys.executable, "-m", "filestore", "--root", str(tmp_path), "serve", "--port", "0", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert (done.returncode, done.stdout) == (2, "")
    assert "key" in done.stderr.lower()
