"""Requests and responses as plain values; nothing here touches a socket."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus

import orjson

from filestore import __version__
from filestore.errors import RequestError

__all__ = [
    "GATEWAY_VERSION",
    "Headers",
    "ProtocolError",
    "Request",
    "Response",
    "error_response",
    "json_response",
    "render_head",
]

GATEWAY_VERSION = "2026.4.1"
"""The version of upstream's contract that the gateway speaks; clients read it from every response."""

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_BODILESS = frozenset({HTTPStatus.NO_CONTENT.value, HTTPStatus.NOT_MODIFIED.value})
_IDENTITY = f"server: filestore/{__version__}\r\nx-tensorzero-gateway-version: {GATEWAY_VERSION}\r\n"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class ProtocolError(RequestError):
    """A request that is refused for its form on the wire; its status says how."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Headers:
    """Header fields in the order they came, looked up without regard to case.

    >>> headers = Headers((("Host", "localhost"), ("Accept", "a"), ("accept", "b")))
    >>> headers.get("HOST"), headers.get_all("Accept"), "origin" in headers
    ('localhost', ('a', 'b'), False)
    """

    fields: tuple[tuple[str, str], ...] = ()
    _values: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", tuple((name.lower(), value) for name, value in self.fields))
        for name, value in self.fields:
            self._values[name] = (*self._values.get(name, ()), value)

    def get(self, name: str) -> str | None:
        """Return the first value of a field, or None."""
        values = self.get_all(name)
        return values[0] if values else None

    def get_all(self, name: str) -> tuple[str, ...]:
        """Return all values of a field."""
        return self._values.get(name.lower(), ())

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._values

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)


@dataclass(frozen=True, slots=True)
class Request:
    """One request: the path still percent-encoded and without the query, the body decoded."""

    method: str
    path: str
    query: str = ""
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """One response.

    Raises:
        ValueError: A header holds a control character, which would let its text write headers of its own.
    """

    status: int
    body: bytes = b""
    content_type: str | None = "application/json"
    headers: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for name, value in (*self.headers, ("content-type", self.content_type or "")):
            if _CONTROL.search(name) or _CONTROL.search(value):
                raise ValueError(f"control character in the header {name!r}: {value!r}")


def json_response(value: object, status: int = 200) -> Response:
    """Answer with a JSON value.

    >>> json_response({"status": "ok"}).body
    b'{"status":"ok"}'
    """
    return Response(status, orjson.dumps(value))


def error_response(status: int, message: str) -> Response:
    """Answer with an error, in upstream's form.

    >>> error_response(404, "Unknown function: f").body
    b'{"error":"Unknown function: f"}'
    """
    # A message may quote what a client sent, and a lone surrogate has no UTF-8.
    text = message.encode("utf-8", "backslashreplace").decode()
    return json_response({"error": text}, status)


def render_head(response: Response, *, date: str, close: bool) -> bytes:
    """Spell the status line and headers of a response, up to the blank line.

    >>> head = render_head(Response(200, b"{}"), date="Thu, 01 Jan 1970 00:00:00 GMT", close=True)
    >>> for line in head.splitlines()[3:-1]:
    ...     print(line.decode())
    date: Thu, 01 Jan 1970 00:00:00 GMT
    content-type: application/json
    content-length: 2
    connection: close
    """
    lines = [f"HTTP/1.1 {response.status} {_PHRASES.get(response.status, '')}\r\n{_IDENTITY}date: {date}\r\n"]
    if response.content_type is not None:
        lines.append(f"content-type: {response.content_type}\r\n")
    if response.status not in _BODILESS:
        lines.append(f"content-length: {len(response.body)}\r\n")
    lines.extend(f"{name}: {value}\r\n" for name, value in response.headers)
    if close:
        lines.append("connection: close\r\n")
    lines.append("\r\n")
    return "".join(lines).encode("latin-1", "replace")
