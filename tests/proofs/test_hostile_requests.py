"""The law of hostile requests: each is refused or means only what it says.

Proven is, against a gateway started by `filestore serve` and over raw sockets, and at the other doors: that no name,
however spelled, leads out of the root; and that nothing is smuggled behind a request that two readers could cut in two
ways.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest

from filestore import FileStore
from filestore.errors import FilestoreError
from tests.proofs.effort import choose, count
from tests.proofs.gateways import gateway
from tests.proofs.wire import ID, ITEM, PUT, SECONDS, guarded, request, send, status_of

NAMES = [
    *("..", "../secret", "..%2fsecret", "%2e%2e", "%2e%2e%2fsecret", "%252e%252e%252fsecret", ".%2e", "%2e.", "....//"),
    *(
        "%2fetc%2fpasswd",
        "..%5csecret",
        "C:",
        "C:%5csecret",
        "%5c%5chost%5cshare",
        "a%2f..%2f..%2fsecret",
        "~",
        "$HOME",
    ),
    *("a%00b", "%00", "%0a", "%0d%0a", "%7f", "NUL", "con.json", "COM1", "x.", "x%20", "a:b", "a::$DATA", "-rf", "*"),
    *(
        "%c0%ae%c0%ae",
        "%c0%2e",
        "%e0%80%ae",
        "%u002e%u002e",
        "%uff0e",
        "%ef%bc%8e%ef%bc%8e",
        "%e2%80%ae",
        "%ff",
        "%ed%a0%80",
    ),
    *(".", "...", ".filestore", "%2efilestore", ".git", "%2egit", "schemas", "files", "tombstones", "tensorzero.toml"),
    *("a" * 10000, "%61" * 5000, "%f0%9f%98%80" * 100, "%", "%2", "%zz", "e%cc%81", "secret.json", "builder", "@"),
]


def storage_path(kind: str, path: str) -> str:
    return quote(json.dumps({"kind": {"type": "filesystem", "path": kind}, "path": path}), safe="")


def requests_with(name: str) -> Iterator[bytes]:
    """Yield a request for each place in which a name may stand."""
    for target in (
        f"/datasets/{name}/datapoints",
        f"/datasets/{name}/datapoints/{ID}",
        f"/datasets/d/datapoints/{name}",
        f"/datasets/d/datapoints?function_name={name}",
        f"/internal/datasets/{name}/datapoints/count",
        f"/internal/object_storage?storage_path={storage_path(name, 'secret.json')}",
        f"/internal/object_storage?storage_path={storage_path('d/files', f'../../../outside/{name}')}",
        f"/internal/object_storage?storage_path={name}",
        f"/{name}",
    ):
        yield request("GET", target)
    for method, target, body in (
        ("POST", f"/v1/datasets/{name}/datapoints", {"datapoints": [ITEM]}),
        ("POST", f"/datasets/{name}/datapoints/bulk", {"datapoints": [{**ITEM, "output": None}]}),
        ("PUT", f"/internal/datasets/{name}/datapoints/{ID}", PUT),
        ("PUT", f"/internal/datasets/d/datapoints/{name}", PUT),
        ("POST", f"/v1/datasets/{name}/list_datapoints", {}),
        ("POST", f"/internal/datasets/{name}/datapoints/clone", {"datapoint_ids": [ID]}),
        ("PATCH", f"/v1/datasets/{name}/datapoints", {"datapoints": [{"type": "chat", "id": ID}]}),
        ("DELETE", f"/datasets/d/datapoints/{name}", {}),
        ("DELETE", f"/v1/datasets/{name}", {}),
    ):
        yield request(method, target, json.dumps(body).encode())


def test_no_name_in_a_request_leads_out_of_the_root(tmp_path: Path) -> None:
    with guarded(tmp_path) as root, gateway(root) as url:
        for name in NAMES[:: choose(4, 1)]:
            for data in requests_with(name):
                answer = send(url, data)
                assert status_of(answer) in (200, 400, 404, 405), (data[:200], answer)
                assert b"from outside" not in answer
                assert b"ZnJvbSBvdXRzaWRl" not in answer  # the same in base64
        assert status_of(send(url, request("GET", "/health"))) == 200


ARGUMENTS = [*("..", "../outside", "/etc", "\\\\host\\share", "C:", "a\nb", "x.", "NUL", "", " ", "-", "a" * 10000)]
ARGUMENTS += [
    "\udcff",
    "\udce2\udc80",
    "..\udcff",
    "\uff0e\uff0e",
    "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
]


@pytest.mark.parametrize("name", ARGUMENTS, ids=range(len(ARGUMENTS)))
def test_no_name_given_to_a_method_leads_out_of_the_root(tmp_path: Path, name: str) -> None:
    with guarded(tmp_path) as root:
        store = FileStore(root, durable=False)
        calls: list[Callable[[], object]] = [
            lambda: store.list_datapoints(dataset_name=name),
            lambda: store.create_datapoints(dataset_name=name, requests=[ITEM]),
            lambda: store.get_datapoint(dataset_name="d", datapoint_id=name),
            lambda: store.put_datapoint(dataset_name="d", datapoint_id=name, datapoint=PUT),
            lambda: store.delete_dataset(dataset_name=name),
            lambda: store.clone_datapoints(dataset_name=name, ids=[ID]),
            lambda: store.read_attachment(name, "secret.json"),
            lambda: store.read_attachment("d/files", f"../../../outside/{name}"),
        ]
        for call in calls:
            count("hostile names given to methods")
            with suppress(FilestoreError):
                assert call() != b"from outside"


@pytest.mark.parametrize("name", ARGUMENTS[:: choose(7, 1)], ids=lambda name: ascii(name)[:20])
def test_no_name_given_to_the_command_line_leads_out_of_the_root(tmp_path: Path, name: str) -> None:
    item = json.dumps(ITEM).encode()
    with guarded(tmp_path) as root:
        program = [sys.executable, "-m", "filestore", "--root", str(root)]
        for arguments in (["insert", "--v1", name], ["list", name], ["get", "d", name], ["delete", "d", name]):
            done = subprocess.run([*program, *arguments], input=item, capture_output=True, timeout=SECONDS)
            count("hostile names given to commands")
            assert done.returncode in (0, 1, 2), done.stderr
            assert b"Traceback" not in done.stderr
            assert b"from outside" not in done.stdout


SMUGGLED = request("POST", "/v1/datasets/smuggled/datapoints", json.dumps({"datapoints": [ITEM]}).encode())
FRAMINGS = {
    "length and chunks": ["Content-Length: 5", "Transfer-Encoding: chunked"],
    "chunks and length": ["Transfer-Encoding: chunked", "Content-Length: 5"],
    "two lengths": ["Content-Length: 5", "Content-Length: 6"],
    "two equal lengths": ["Content-Length: 5", "Content-Length: 5"],
    "list of lengths": ["Content-Length: 5, 5"],
    "signed": ["Content-Length: +5"],
    "negative": ["Content-Length: -1"],
    "hexadecimal": ["Content-Length: 0x5"],
    "exponent": ["Content-Length: 5e0"],
    "space inside": ["Content-Length: 5 5"],
    "underscore": ["Content-Length: 5_0"],
    "too many digits": ["Content-Length: " + "9" * 5000],
    "space before the colon": ["Content-Length : 5"],
    "tab before the colon": ["Transfer-Encoding\t: chunked"],
    "folded": ["Transfer-Encoding:", " chunked"],
    "vertical tab": ["Transfer-Encoding: \x0bchunked"],
    "quoted": ['Transfer-Encoding: "chunked"'],
    "with a parameter": ["Transfer-Encoding: chunked;q=1"],
    "after identity": ["Transfer-Encoding: identity, chunked"],
    "before identity": ["Transfer-Encoding: chunked, identity"],
    "twice": ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    "unknown": ["Transfer-Encoding: xchunked"],
    "NUL": ["Content-Length: 5", "A: \x00"],
    "bare carriage return": ["A: b\rContent-Length: 5"],
    "bare line feed": ["A: b\nContent-Length: 5"],
    "no name": [": 5"],
    "gzip in gzip": ["Content-Length: 5", "Content-Encoding: gzip, gzip"],
    "unknown coding": ["Content-Length: 5", "Content-Encoding: br"],
}
CHUNKS = {
    "huge size": b"FFFFFFFFFFFFFFFF\r\n",
    "size beyond 64 bits": b"F" * 40 + b"\r\n",
    "negative size": b"-1\r\n\r\n",
    "size with a prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "size and space": b"5 \r\nhello\r\n0\r\n\r\n",
    "line feeds": b"5\nhello\n0\n\n",
    "line feed in an extension": b"5;a\n\r\nhello\r\n0\r\n\r\n",
    "endless extension": b"5;" + b"a" * 100_000,
    "longer than its size": b"5\r\nhello!\r\n0\r\n\r\n",
    "trailer that is no field": b"0\r\nGET / HTTP/1.1\r\n\r\n",
    "line feed before a trailer": b"0\r\n\n",
    "endless trailers": b"0\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
}


def test_nothing_is_smuggled_behind_an_ambiguous_request(tmp_path: Path) -> None:
    with guarded(tmp_path) as root, gateway(root) as url:
        head = "POST /v1/datasets/d/datapoints HTTP/1.1\r\nHost: localhost\r\n"
        heads = [
            "\r\n".join([head + fields[0], *fields[1:], "", "hello"]).encode("latin-1") for fields in FRAMINGS.values()
        ]
        heads += [f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks for chunks in CHUNKS.values()]
        for data in heads:
            answer = send(url, data + SMUGGLED)
            assert 400 <= status_of(answer) < 600, data[:200]
            assert answer.count(b"HTTP/1.1 ") == 1, data[:200]
        assert not (root / "smuggled").exists()
