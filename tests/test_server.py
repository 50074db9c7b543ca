"""Laws of the gateway's server, over real sockets and raw bytes."""

from __future__ import annotations

import gzip
import http.client
import logging
import select
import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import orjson
import pytest

from filestore import __version__
from filestore.errors import RequestError
from filestore.gateway.access import make_policy
from filestore.gateway.http import Request, Response, json_response
from filestore.gateway.limits import MIB, Limits
from filestore.gateway.server import Server, running

SMALL = Limits(
    request_line_bytes=200,
    header_bytes=300,
    headers=5,
    body_bytes=1000,
    request_seconds=0.3,
    linger_seconds=0.3,
)
TOO_LARGE = "Failed to buffer the request body: length limit exceeded (413 Payload Too Large)"


def echo(request: Request) -> Response:
    """Answer with what arrived."""
    if request.path == "/fail":
        raise ZeroDivisionError("as asked")
    return json_response(
        {
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "host": request.headers.get("host"),
            "body": request.body.decode("latin-1"),
        }
    )


class Client:
    """A socket that speaks bytes and reads responses."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=10)
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self, *, without_body: bool = False) -> tuple[int, dict[str, str], bytes]:
        status_line = self.file.readline()
        assert status_line.startswith(b"HTTP/1.1 "), status_line
        headers = {}
        while (line := self.file.readline()) != b"\r\n":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name] = value.strip()
        length = 0 if without_body else int(headers.get("content-length", 0))
        return int(status_line.split()[1]), headers, self.file.read(length)

    def is_closed(self) -> bool:
        """Wait until the server closes; False if it sends something instead."""
        return self.file.read(1) == b""


def ask(url: str, data: bytes) -> tuple[int, dict[str, str], bytes]:
    with Client(url) as client:
        client.send(data)
        return client.receive()


def error_text(body: bytes) -> str:
    text = orjson.loads(body)["error"]
    assert isinstance(text, str)
    return text


def post(body: bytes, *fields: str) -> bytes:
    head = "\r\n".join(["POST /p HTTP/1.1", "Host: localhost", *fields])
    return f"{head}\r\n\r\n".encode() + body


def post_with_length(body: bytes, *fields: str) -> bytes:
    return post(body, f"Content-Length: {len(body)}", *fields)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running(Server(echo, limits=SMALL)) as url:
        yield url


GET = b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_a_response_carries_the_standing_headers(url: str) -> None:
    status, headers, body = ask(url, GET)
    assert status == 200
    assert headers.pop("date").endswith(" GMT")
    assert headers == {
        "server": f"filestore/{__version__}",
        "x-tensorzero-gateway-version": "2026.4.1",
        "content-type": "application/json",
        "content-length": str(len(body)),
    }


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        pytest.param(b"/a%2Fb/../%25?x=%41&y", "/a%2Fb/../%25", "x=%41&y", id="kept percent-encoded"),
        pytest.param(b"/a?b?c", "/a", "b?c", id="question mark in the query"),
        pytest.param("/dü?ü".encode(), "/d%C3%BC", "%C3%BC", id="raw UTF-8"),
        pytest.param(b"/\xff", "/%FF", "", id="raw bytes"),
        pytest.param(b"//evil/a", "//evil/a", "", id="two slashes"),
        pytest.param(b"http://LOCALHOST:1/a?b", "/a", "b", id="absolute form"),
        pytest.param(b"HTTP://localhost", "/", "", id="absolute form without a path"),
        pytest.param(b"http://localhost?b", "/", "b", id="absolute form with a query alone"),
    ],
)
def test_a_target_is_split_and_not_decoded(url: str, target: bytes, path: str, query: str) -> None:
    status, _, body = ask(url, b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % target)
    assert status == 200
    assert (orjson.loads(body)["path"], orjson.loads(body)["query"]) == (path, query)


def test_an_absolute_target_replaces_the_host(url: str) -> None:
    status, _, body = ask(url, b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert status == 403
    assert "evil.example" in error_text(body)


REFUSED_HEADS = {
    "asterisk form": (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "authority form": (b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "path without a slash": (b"GET a HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "other scheme": (b"GET ftp://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "user in the target": (b"GET http://u@localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "fragment": (b"GET /a#b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "space in the target": (b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "two spaces": (b"GET  /a HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "no version": (b"GET /a\r\n\r\n", 400),
    "lower-case version": (b"GET /a http/1.1\r\nHost: localhost\r\n\r\n", 400),
    "HTTP/2": (b"PRI / HTTP/2.0\r\n\r\n", 505),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00", 400),
    "leading space": (b" GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "bare line feeds": (b"GET /a HTTP/1.1\nHost: localhost\n\n", 400),
    "bare line feed among good lines": (b"GET /a HTTP/1.1\r\nHost: localhost\nA: b\r\n\r\n", 400),
    "bare carriage return": (b"GET /a HTTP/1.1\r\nHost: localhost\r\nA: b\rc\r\n\r\n", 400),
    "NUL in a value": (b"GET /a HTTP/1.1\r\nHost: localhost\r\nA: b\0c\r\n\r\n", 400),
    "NUL in the target": (b"GET /a\0 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "folded line": (b"GET /a HTTP/1.1\r\nHost: localhost\r\nA: b\r\n c\r\n\r\n", 400),
    "space before the colon": (b"GET /a HTTP/1.1\r\nHost: localhost\r\nA : b\r\n\r\n", 400),
    "no colon": (b"GET /a HTTP/1.1\r\nHost: localhost\r\nA\r\n\r\n", 400),
    "empty name": (b"GET /a HTTP/1.1\r\nHost: localhost\r\n: b\r\n\r\n", 400),
    "bad name": (b"GET /a HTTP/1.1\r\nHost: localhost\r\nA(b): c\r\n\r\n", 400),
    "no host": (b"GET /a HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET /a HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
    "long request line": (b"GET /" + b"a" * 300, 414),
    "long header": (b"GET / HTTP/1.1\r\nA: " + b"a" * 400, 431),
    "long complete header": (b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"a" * 400 + b"\r\n\r\n", 431),
    "many headers": (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 5 + b"\r\n", 431),
    "length and chunks": (post(b"0\r\n\r\n", "Content-Length: 5", "Transfer-Encoding: chunked"), 400),
    "differing lengths": (post(b"abcde", "Content-Length: 5", "Content-Length: 4"), 400),
    "equal lengths": (post(b"abcde", "Content-Length: 5", "Content-Length: 5"), 400),
    "list of lengths": (post(b"abcde", "Content-Length: 5, 5"), 400),
    "signed length": (post(b"abcde", "Content-Length: +5"), 400),
    "negative length": (post(b"abcde", "Content-Length: -5"), 400),
    "length with an underscore": (post(b"abcde", "Content-Length:  5_0"), 400),
    "length in other digits": (
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ²\r\n\r\n".encode("latin-1"),
        400,
    ),
    "hexadecimal length": (post(b"abcde", "Content-Length: 0x5"), 400),
    "empty length": (post(b"abcde", "Content-Length:"), 400),
    "other transfer coding": (post(b"abcde", "Transfer-Encoding: gzip"), 501),
    "two transfer codings": (post(b"0\r\n\r\n", "Transfer-Encoding: gzip, chunked"), 501),
    "chunked twice": (post(b"0\r\n\r\n", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), 501),
    "obscured chunked": (post(b"0\r\n\r\n", "Transfer-Encoding: xchunked"), 501),
    "chunks in HTTP/1.0": (b"POST / HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "other expectation": (post_with_length(b"abcde", "Expect: a-miracle"), 417),
    "other content coding": (post_with_length(b"abcde", "Content-Encoding: br"), 415),
    "two content codings": (post_with_length(b"abcde", "Content-Encoding: gzip, gzip"), 415),
}


@pytest.mark.parametrize(("data", "status"), REFUSED_HEADS.values(), ids=REFUSED_HEADS)
def test_a_malformed_or_ambiguous_request_is_refused_and_the_connection_closed(
    url: str, data: bytes, status: int
) -> None:
    with Client(url) as client:
        # What follows might be smuggled in: it must never be answered.
        client.send(data + GET if data.endswith(b"\r\n\r\n") else data)
        found, headers, body = client.receive()
        assert (found, headers["connection"]) == (status, "close")
        assert error_text(body)
        assert client.is_closed()


REFUSED_CHUNKS = {
    "no size": b"\r\nabc\r\n0\r\n\r\n",
    "signed size": b"+3\r\nabc\r\n0\r\n\r\n",
    "prefixed size": b"0x3\r\nabc\r\n0\r\n\r\n",
    "underscore in the size": b"0_3\r\nabc\r\n0\r\n\r\n",
    "space after the size": b"3 \r\nabc\r\n0\r\n\r\n",
    "space before the size": b" 3\r\nabc\r\n0\r\n\r\n",
    "size of 17 digits": b"00000000000000003\r\nabc\r\n0\r\n\r\n",
    "line feed after the size": b"3\nabc\r\n0\r\n\r\n",
    "line feed in an extension": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "chunk longer than its size": b"3\r\nabcd\r\n0\r\n\r\n",
    "no CRLF after a chunk": b"3\r\nabc0\r\n\r\n\r\n",
    "endless extension": b"3;" + b"a" * 2000,
    "line feed before a trailer": b"0\r\n\nGET /datasets HTTP/1.1\r\n\r\n",
    "trailer without a colon": b"0\r\nGET / HTTP/1.1\r\n\r\n",
    "folded trailer": b"0\r\nA: b\r\n c\r\n\r\n",
}


@pytest.mark.parametrize("chunks", REFUSED_CHUNKS.values(), ids=REFUSED_CHUNKS)
def test_malformed_chunks_are_refused(url: str, chunks: bytes) -> None:
    with Client(url) as client:
        client.send(post(chunks, "Transfer-Encoding: chunked"))
        status, headers, body = client.receive()
        assert (status, headers["connection"]) == (400, "close")
        assert error_text(body)
        assert client.is_closed()


def test_endless_trailers_are_refused(url: str) -> None:
    assert ask(url, post(b"0\r\n" + b"A: b\r\n" * 10, "Transfer-Encoding: chunked"))[0] == 431


BODIES = {
    "by length": post_with_length(b"a text"),
    "by length with leading zeros": post(b"a text", "Content-Length: 0006"),
    "chunked": post(b"2\r\na \r\n4\r\ntext\r\n0\r\n\r\n", "Transfer-Encoding: Chunked"),
    "chunked with extensions and trailers": post(
        b'02;a=b\r\na \r\n4;c="d"\r\ntext\r\n000\r\nA: b\r\n\r\n', "Transfer-Encoding: chunked"
    ),
    "identity": post_with_length(b"a text", "Content-Encoding: identity"),
    "gzip": post_with_length(gzip.compress(b"a text"), "Content-Encoding: GZIP"),
    "x-gzip": post_with_length(gzip.compress(b"a text"), "Content-Encoding: x-gzip"),
    "deflate": post_with_length(zlib.compress(b"a text"), "Content-Encoding: deflate"),
    "after empty lines": b"\r\n\r\n" + post_with_length(b"a text"),
}


@pytest.mark.parametrize("data", BODIES.values(), ids=BODIES)
def test_a_body_arrives_however_it_is_framed(url: str, data: bytes) -> None:
    with Client(url) as client:
        client.send(data)
        status, _, body = client.receive()
        assert (status, orjson.loads(body)["body"]) == (200, "a text")
        client.send(GET)
        assert client.receive()[0] == 200


@pytest.mark.parametrize("data", BODIES.values(), ids=BODIES)
def test_a_request_arrives_however_it_is_cut(url: str, data: bytes) -> None:
    with Client(url) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            client.send(bytes([byte]))
        status, _, body = client.receive()
        assert (status, orjson.loads(body)["body"]) == (200, "a text")


BROKEN_CODINGS = {
    "not gzip": (b"a text", "not gzip"),
    "cut off": (gzip.compress(b"a text")[:-1], "cut off"),
    "bytes behind": (gzip.compress(b"a text") + b"x", "after its end"),
}


@pytest.mark.parametrize("body", [case[0] for case in BROKEN_CODINGS.values()], ids=BROKEN_CODINGS)
def test_a_broken_content_coding_is_refused(url: str, body: bytes) -> None:
    status, _, answer = ask(url, post_with_length(body, "Content-Encoding: gzip"))
    assert status == 400
    assert error_text(answer).startswith("Failed to decompress the request body: ")


TOO_LARGE_BODIES = {
    "by length": post_with_length(b"x" * 1001),
    "by an absurd length": post(b"", f"Content-Length: {'9' * 200}"),
    "chunked": post(b"3E8\r\n" + b"x" * 1000 + b"\r\n1\r\nx\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
    "by one chunk's size": post(b"FFFFFFFFFFFFFFFF\r\n", "Transfer-Encoding: chunked"),
    "gzip bomb": post_with_length(gzip.compress(b"x" * 1001), "Content-Encoding: gzip"),
    "deflate bomb": post_with_length(zlib.compress(bytes(500_000)), "Content-Encoding: deflate"),
}


@pytest.mark.parametrize("data", TOO_LARGE_BODIES.values(), ids=TOO_LARGE_BODIES)
def test_a_body_beyond_the_limit_is_refused(url: str, data: bytes) -> None:
    with Client(url) as client:
        client.send(data)
        status, headers, body = client.receive()
        assert (status, headers["connection"], error_text(body)) == (400, "close", TOO_LARGE)
        assert client.is_closed()


@pytest.mark.parametrize(
    "data",
    [post_with_length(b"x" * 1000), post_with_length(gzip.compress(b"x" * 1000), "Content-Encoding: gzip")],
    ids=["plain", "gzip"],
)
def test_a_body_at_the_limit_is_let_in(url: str, data: bytes) -> None:
    assert ask(url, data)[0] == 200


def test_a_client_that_sends_all_of_a_refused_body_first_still_gets_the_answer() -> None:
    with running(Server(echo, limits=Limits(body_bytes=MIB))) as url:
        status, _, body = ask(url, post_with_length(bytes(32 * MIB)))
        assert (status, error_text(body)) == (400, TOO_LARGE)


def test_the_standard_limit_is_100_mib() -> None:
    with running(Server(echo)) as url:
        assert error_text(ask(url, post(b"", "Content-Length: 104857601"))[2]) == TOO_LARGE


def test_a_waiting_body_is_called_for(url: str) -> None:
    with Client(url) as client:
        client.send(post(b"", "Content-Length: 6", "Expect: 100-Continue"))
        assert client.receive()[0] == 100
        client.send(b"a text")
        status, _, body = client.receive()
        assert (status, orjson.loads(body)["body"]) == (200, "a text")


def test_a_body_that_will_be_refused_is_not_called_for(url: str) -> None:
    assert ask(url, post(b"", "Content-Length: 1001", "Expect: 100-continue"))[0] == 400


def test_a_foreign_request_is_refused_before_its_body_arrives(url: str) -> None:
    with Client(url) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 900\r\n\r\n")
        status, headers, _ = client.receive()
        assert (status, headers["connection"]) == (403, "close")


def test_a_refusal_without_a_body_keeps_the_connection(url: str) -> None:
    with Client(url) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert client.receive()[0] == 403
        client.send(GET)
        assert client.receive()[0] == 200


def test_the_server_knows_its_own_origin(url: str) -> None:
    head = "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: {}\r\n\r\n"
    assert ask(url, head.format(url).encode())[0] == 200
    assert ask(url, head.format("http://127.0.0.1:1").encode())[0] == 403


def test_the_policy_is_asked() -> None:
    with running(Server(echo, policy=make_policy("127.0.0.1", 0, api_key="k"))) as url:
        assert ask(url, GET)[0] == 401
        assert ask(url, b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n\r\n")[0] == 200


def test_head_is_answered_without_a_body(url: str) -> None:
    with Client(url) as client:
        client.send(GET.replace(b"GET", b"HEAD") + GET)
        status, headers, _ = client.receive(without_body=True)
        assert (status, int(headers["content-length"]) > 0) == (200, True)
        assert orjson.loads(client.receive()[2])["method"] == "GET"


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_has_no_length(status: int) -> None:
    with running(Server(lambda _: Response(status, content_type=None))) as url, Client(url) as client:
        client.send(GET + GET)
        for _ in range(2):
            found, headers, _ = client.receive()
            assert found == status
            assert "content-length" not in headers


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, Close\r\n\r\n",
    ],
    ids=["HTTP/1.0", "HTTP/1.0 keep-alive", "close"],
)
def test_a_connection_ends_where_the_client_says_so(url: str, data: bytes) -> None:
    with Client(url) as client:
        client.send(data)
        status, headers, _ = client.receive()
        assert (status, headers["connection"]) == (200, "close")
        assert client.is_closed()


def test_pipelined_requests_are_answered_in_order(url: str) -> None:
    with Client(url) as client:
        client.send(b"".join(post_with_length(b"%d" % number) for number in range(50)))
        answers = [orjson.loads(client.receive()[2])["body"] for _ in range(50)]
    assert answers == [str(number) for number in range(50)]


def test_requests_after_the_last_are_not_answered(url: str) -> None:
    with Client(url) as client:
        client.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + GET)
        assert client.receive()[0] == 200
        assert client.is_closed()


def test_a_client_may_end_its_side_before_the_answer(url: str) -> None:
    with Client(url) as client:
        client.send(GET)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.receive()[0] == 200
        assert client.is_closed()


def test_a_mistake_of_the_application_is_logged_and_the_connection_goes_on(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Client(url) as client:
        client.send(GET.replace(b"/a", b"/fail"))
        status, _, body = client.receive()
        assert (status, error_text(body)) == (500, "Internal error: as asked")
        client.send(GET)
        assert client.receive()[0] == 200
    assert "ZeroDivisionError" in caplog.text


def test_a_response_cannot_carry_headers_of_its_texts() -> None:
    with pytest.raises(ValueError, match="control character"):
        Response(200, headers=(("allow", "GET\r\nset-cookie: a=b"),))


def test_a_client_that_disconnects_is_silent(url: str, caplog: pytest.LogCaptureFixture) -> None:
    for data in (b"", b"GET", GET, post(b"a", "Content-Length: 5")):
        with Client(url) as client:
            client.send(data)
            # A reset, the rudest way to leave.
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert ask(url, GET)[0] == 200
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


@pytest.mark.parametrize(
    "data",
    [GET, post_with_length(b"x" * 200), post(b"1\r\nx\r\n" * 50, "Transfer-Encoding: chunked")],
    ids=["head", "body", "chunks"],
)
def test_a_client_of_a_byte_at_a_time_is_dropped_without_harm_to_others(url: str, data: bytes) -> None:
    with Client(url) as slow:
        slow.send(data[:20])
        sent = 20
        # Each wait for an answer is the pause before the next byte.
        while not select.select([slow.socket], [], [], 0.05)[0]:
            slow.send(data[sent : sent + 1])
            sent += 1
            assert sent < len(data)
            assert ask(url, GET)[0] == 200
        status, headers, body = slow.receive()
        assert (status, headers["connection"]) == (408, "close")
        assert "in time" in error_text(body)


def test_a_client_that_never_reads_is_dropped() -> None:
    entered = threading.Event()

    def big(_: Request) -> Response:
        entered.set()
        return Response(200, bytes(64 * MIB))

    limits = Limits(request_seconds=0.2, seconds_per_mib=0.0, connections=1, saturated_idle_seconds=0.01)
    with running(Server(big, limits=limits)) as url, Client(url) as deaf, Client(url) as other:
        deaf.send(GET)
        assert entered.wait(10)
        other.send(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert other.receive(without_body=True)[0] == 200


def test_the_time_limits_are_the_gateways_own_whatever_the_program_has_for_its_sockets() -> None:
    socket.setdefaulttimeout(0.01)
    try:
        with running(Server(echo)) as url, Client(url) as client:
            assert select.select([client.socket], [], [], 0.2)[0] == []
            client.send(GET)
            assert client.receive()[0] == 200
    finally:
        socket.setdefaulttimeout(None)


def test_an_idle_connection_is_closed_in_the_end() -> None:
    with running(Server(echo, limits=Limits(idle_seconds=0.05))) as url, Client(url) as client:
        client.send(GET)
        assert "connection" not in client.receive()[1]
        assert client.is_closed()


def test_200_clients_are_served_at_once() -> None:
    with running(Server(echo)) as url, ExitStack() as stack:
        clients = [stack.enter_context(Client(url)) for _ in range(200)]
        for round_ in range(3):
            for number, client in enumerate(clients):
                client.send(post_with_length(b"%d" % (number + round_)))
            for number, client in enumerate(clients):
                status, headers, body = client.receive()
                assert (status, orjson.loads(body)["body"]) == (200, str(number + round_))
                assert "connection" not in headers


def test_more_clients_than_connections_take_turns() -> None:
    limits = Limits(connections=4, saturated_idle_seconds=0.01)
    with running(Server(echo, limits=limits)) as url, ExitStack() as stack:
        clients = [stack.enter_context(Client(url)) for _ in range(40)]
        for client in reversed(clients):
            client.send(GET)
        assert [client.receive()[0] for client in clients] == [200] * 40


def test_a_busy_connection_makes_room_after_a_response() -> None:
    """A client that never pauses is told to leave as soon as another is seen to wait."""
    limits = Limits(connections=1, saturated_idle_seconds=60)
    with running(Server(echo, limits=limits)) as url, Client(url) as busy:
        busy.send(GET)
        assert "connection" not in busy.receive()[1]
        with Client(url) as waiting:
            waiting.send(GET)
            headers: dict[str, str] = {}
            while "connection" not in headers:
                busy.send(GET)
                status, headers, _ = busy.receive()
                assert status == 200
            assert waiting.receive()[0] == 200


def test_a_shutdown_lets_running_requests_finish_and_closes_idle_connections() -> None:
    entered, release = threading.Event(), threading.Event()

    def slow(request: Request) -> Response:
        if request.path == "/slow":
            entered.set()
            assert release.wait(10)
        return echo(request)

    server = Server(slow)
    with ExitStack() as stack:
        url = stack.enter_context(running(server))
        busy, idle = stack.enter_context(Client(url)), stack.enter_context(Client(url))
        idle.send(GET)
        assert idle.receive()[0] == 200
        busy.send(GET.replace(b"/a", b"/slow"))
        assert entered.wait(10)
        stopper = threading.Thread(target=server.shutdown)
        stopper.start()
        assert idle.is_closed()
        release.set()
        status, headers, _ = busy.receive()
        assert (status, headers["connection"]) == (200, "close")
        stopper.join()
        with pytest.raises(ConnectionRefusedError):
            Client(url)


def test_a_shutdown_cuts_off_what_does_not_finish() -> None:
    limits = Limits(shutdown_seconds=0.05)
    server = Server(echo, limits=limits)
    with running(server) as url, Client(url) as client:
        client.send(post(b"", "Content-Length: 900", "Expect: 100-continue"))
        assert client.receive()[0] == 100
        server.shutdown()
        assert client.is_closed()


def test_a_stop_may_be_requested_before_serving_begins_and_a_shutdown_repeated() -> None:
    server = Server(echo)
    server.request_stop()
    server.serve_forever()
    server.shutdown()
    server.shutdown()


def test_a_port_that_is_taken_is_an_error_in_words() -> None:
    server = Server(echo)
    try:
        with pytest.raises(
            RequestError, match=f"Cannot listen on 127.0.0.1, port {server.port}: Address already in use"
        ):
            Server(echo, port=server.port)
    finally:
        server.shutdown()


@pytest.mark.parametrize(
    ("host", "port"),
    [("host.invalid", 0), ("192.0.2.1", 0), ("a" * 300, 0), ("127.0.0.1", 70000)],
    ids=["unknown", "not ours", "too long", "no such port"],
)
def test_an_address_that_cannot_be_listened_on_is_an_error_in_words(host: str, port: int) -> None:
    with pytest.raises(RequestError, match="Cannot listen on "):
        Server(echo, host=host, port=port, policy=make_policy(host, port, no_auth=True))


def test_an_address_of_others_needs_a_policy() -> None:
    with pytest.raises(RequestError, match="lets other machines in"):
        Server(echo, host="0.0.0.0")


def test_ipv6_is_served_under_a_bracketed_url() -> None:
    try:
        server = Server(echo, host="::1")
    except RequestError:
        pytest.skip("no IPv6 here")
    with running(server) as url:
        assert url == f"http://[::1]:{server.port}"
        assert ask(url, GET.replace(b"localhost", b"[::1]"))[0] == 200


def test_the_standard_client_is_served(url: str) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    for number in range(3):
        connection.request("PUT", "/x?y", body=iter([b"a", b" text"]), encode_chunked=True)
        response = connection.getresponse()
        assert (number, response.status, orjson.loads(response.read())["body"]) == (number, 200, "a text")
    connection.close()
