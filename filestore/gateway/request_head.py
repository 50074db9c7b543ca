"""The head of an HTTP/1.1 request: bytes to values, strictly (RFC 9112).

Whatever two parsers could read in two ways (two lengths, a folded line, a space before a colon) is refused:
that is what request smuggling lives on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from filestore.gateway.http import Headers, ProtocolError, Request
from filestore.gateway.limits import Limits

__all__ = ["FIELD", "Head", "find_head_end", "parse_head"]

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_METHOD_START = re.compile(_TOKEN)
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb"+) ([\x21-\x7e\x80-\xff]+) HTTP/([0-9])\.([0-9])")
FIELD = re.compile(rb"(" + _TOKEN + rb"+):([\t\x20-\x7e\x80-\xff]*)")
"""One field of a head, or of the trailers behind a chunked body, without its line break."""
"""One field of a head, or of the trailers behind a chunked body, without its line break."""
_ABSOLUTE_FORM = re.compile(rb"https?://([^/?#@]+)((?:[/?#].*)?)", re.IGNORECASE)
_NON_ASCII = re.compile(rb"[\x80-\xff]")

_LONGEST_LENGTH = 18
"""Digits of the longest Content-Length that is told from any larger one; all of them are too large."""


@dataclass(frozen=True, slots=True)
class Head:
    """Everything before the body, and how the body is framed."""

    request: Request
    """The request, its body still empty."""
    content_length: int
    chunked: bool
    keep_alive: bool
    expects_continue: bool

    @property
    def has_body(self) -> bool:
        """Whether bytes of a body follow the head."""
        return self.chunked or self.content_length > 0


def find_head_end(buffer: bytearray, limits: Limits) -> int | None:
    r"""Return where the head ends, after its blank line, or None if more bytes are needed.

    Raises:
        ProtocolError: These bytes cannot become a request, however they continue.

    >>> find_head_end(bytearray(b"GET / HTTP/1.1\r\n\r\nrest"), Limits())
    18
    >>> find_head_end(bytearray(b"GET / HTTP/1.1\r\n"), Limits()) is None
    True
    """
    if buffer and not _METHOD_START.match(buffer):
        raise ProtocolError(400, "This is not an HTTP request (the gateway speaks plain HTTP, not HTTPS)")
    end = buffer.find(b"\r\n\r\n")
    length = end if end >= 0 else len(buffer)
    line_end = buffer.find(b"\r\n", 0, limits.request_line_bytes + 2)
    if line_end < 0:
        if length > limits.request_line_bytes:
            raise ProtocolError(414, f"The request line is longer than {limits.request_line_bytes} bytes")
    elif length - (line_end + 2) > limits.header_bytes:
        raise ProtocolError(431, f"The headers are longer than {limits.header_bytes} bytes")
    if end >= 0:
        return end + 4
    if b"\n\n" in buffer:
        raise ProtocolError(400, "A line of the request's head ends without a carriage return")
    return None


def parse_head(head: bytes, limits: Limits) -> Head:
    r"""Read a complete head, blank line included.

    Raises:
        ProtocolError: It is malformed, ambiguous, or asks for what the gateway does not speak.

    >>> head = parse_head(b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n", Limits())
    >>> head.request.method, head.request.path, head.request.query, head.content_length, head.keep_alive
    ('POST', '/a', 'b=c', 2, True)
    """
    line, *field_lines = head[:-4].split(b"\r\n")
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise ProtocolError(400, "Malformed request line")
    method, target, major, minor = match.groups()
    if major != b"1":
        raise ProtocolError(505, "Only HTTP/1.0 and HTTP/1.1 are spoken")
    if len(field_lines) > limits.headers:
        raise ProtocolError(431, f"More than {limits.headers} headers")
    authority, path, query = _parse_target(target)
    headers = _parse_fields(field_lines)
    is_old = minor == b"0"
    hosts = len(headers.get_all("host"))
    if hosts > 1 or (hosts == 0 and not is_old):
        raise ProtocolError(400, "A request needs exactly one Host header")
    if authority is not None:
        # A Host beside an authority in the target is to be ignored (RFC 9112, 3.2.2).
        headers = Headers((("host", authority), *(field for field in headers if field[0] != "host")))
    content_length, chunked = _parse_framing(headers, is_old)
    return Head(
        Request(method.decode("ascii"), path, query, headers),
        content_length,
        chunked,
        keep_alive=not is_old and not _has_close(headers),
        expects_continue=not is_old and _expects_continue(headers),
    )


def _parse_target(target: bytes) -> tuple[str | None, str, str]:
    """Split a request target into authority (absolute form only), path and query."""
    authority = None
    if not target.startswith(b"/"):
        absolute = _ABSOLUTE_FORM.fullmatch(target)
        if absolute is None:
            raise ProtocolError(400, "The request target must be a path or an http URL")
        authority = absolute[1].decode("latin-1")
        target = absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]
    if b"#" in target:
        raise ProtocolError(400, "A request target has no fragment (`#`); write %23")
    # Raw bytes beyond ASCII are not allowed here, but common; encoded they mean the same for every reader.
    text = _NON_ASCII.sub(lambda byte: b"%%%02X" % ord(byte[0]), target).decode("ascii")
    path, _, query = text.partition("?")
    return authority, path, query


def _parse_fields(lines: list[bytes]) -> Headers:
    fields = []
    for line in lines:
        match = FIELD.fullmatch(line)
        if match is None:
            raise ProtocolError(400, "Malformed header line")
        fields.append((match[1].decode("ascii"), match[2].strip(b" \t").decode("latin-1")))
    return Headers(tuple(fields))


def _parse_framing(headers: Headers, is_old: bool) -> tuple[int, bool]:
    """Return the length of the body, and whether it is chunked instead."""
    lengths = headers.get_all("content-length")
    if "transfer-encoding" in headers:
        if lengths:
            raise ProtocolError(400, "Both Content-Length and Transfer-Encoding")
        if is_old:
            raise ProtocolError(400, "HTTP/1.0 has no Transfer-Encoding")
        if ",".join(headers.get_all("transfer-encoding")).lower() != "chunked":
            raise ProtocolError(501, "The only Transfer-Encoding spoken is `chunked`")
        return 0, True
    if not lengths:
        return 0, False
    if len(lengths) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
        raise ProtocolError(400, "Content-Length must be one decimal number")
    digits = lengths[0].lstrip("0")
    return (10**_LONGEST_LENGTH if len(digits) > _LONGEST_LENGTH else int(digits or "0")), False


def _has_close(headers: Headers) -> bool:
    options = ",".join(headers.get_all("connection")).lower()
    return "close" in (option.strip() for option in options.split(","))


def _expects_continue(headers: Headers) -> bool:
    expectation = headers.get("expect")
    if expectation is not None and expectation.lower() != "100-continue":
        raise ProtocolError(417, "The only expectation met is `100-continue`")
    return expectation is not None
