"""The body of a request: unframed, decompressed, never larger than allowed on the way."""

from __future__ import annotations

import re
import zlib

from filestore.gateway.http import Headers, ProtocolError
from filestore.gateway.incoming import Incoming
from filestore.gateway.limits import Limits
from filestore.gateway.request_head import FIELD, Head

__all__ = ["check_body", "decompress", "read_body"]

_TOO_LARGE = "Failed to buffer the request body: length limit exceeded (413 Payload Too Large)"
"""Upstream's text, and upstream's status 400 with it."""

_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t\x20-\x7e\x80-\xff]*)?")
_LONGEST_CHUNK_LINE = 1024

_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""Content codings and what zlib calls them; `deflate` is the zlib format (RFC 9110, 8.4.1.2)."""


def check_body(head: Head, limits: Limits) -> None:
    """Refuse a body that the head alone shows to be unwelcome.

    Raises:
        ProtocolError: It is too large, or in a content coding that is not spoken.
    """
    if head.content_length > limits.body_bytes:
        raise ProtocolError(400, _TOO_LARGE)
    _find_coding(head.request.headers)


def read_body(incoming: Incoming, head: Head, limits: Limits) -> bytes:
    """Read the body that follows a head.

    Raises:
        ProtocolError: It is malformed or too large.
    """
    if not head.has_body:
        return b""
    body = _read_chunked(incoming, limits) if head.chunked else incoming.take(head.content_length)
    coding = _find_coding(head.request.headers)
    return body if coding is None else decompress(body, coding, limits.body_bytes)


def decompress(body: bytes, coding: str, longest: int) -> bytes:
    """Decompress a body of one of the content codings spoken, stopping where it grows beyond `longest` bytes.

    >>> decompress(zlib.compress(b"text"), "deflate", 4)
    b'text'
    """
    inflator = zlib.decompressobj(_WINDOW_BITS[coding])
    try:
        data = inflator.decompress(body, longest + 1)
    except zlib.error as error:
        raise ProtocolError(400, f"Failed to decompress the request body: {error}") from error
    if len(data) > longest:
        raise ProtocolError(400, _TOO_LARGE)
    # Further gzip members are refused too: millions of empty ones cost minutes and say nothing.
    if not inflator.eof or inflator.unused_data:
        found = "bytes after its end" if inflator.eof else "it is cut off"
        raise ProtocolError(400, f"Failed to decompress the request body: {found}")
    return data


def _find_coding(headers: Headers) -> str | None:
    codings = [coding.strip().lower() for value in headers.get_all("content-encoding") for coding in value.split(",")]
    codings = [coding for coding in codings if coding not in {"", "identity"}]
    if not codings:
        return None
    if len(codings) > 1 or codings[0] not in _WINDOW_BITS:
        raise ProtocolError(415, f"Content-Encoding `{', '.join(codings)}` is not spoken; use gzip, deflate or none")
    return codings[0]


def _read_chunked(incoming: Incoming, limits: Limits) -> bytes:
    body = bytearray()
    while size := _take_chunk_size(incoming):
        if len(body) + size > limits.body_bytes:
            raise ProtocolError(400, _TOO_LARGE)
        body += incoming.take(size)
        if incoming.take(2) != b"\r\n":
            raise ProtocolError(400, "A chunk does not end where its size says")
    _skip_trailers(incoming, limits)
    return bytes(body)


def _take_chunk_size(incoming: Incoming) -> int:
    match = _CHUNK_LINE.fullmatch(incoming.take_line(_LONGEST_CHUNK_LINE))
    if match is None:
        raise ProtocolError(400, "Malformed chunk size")
    return int(match[1], 16)


def _skip_trailers(incoming: Incoming, limits: Limits) -> None:
    for _ in range(limits.headers + 1):
        line = incoming.take_line(limits.header_bytes)
        if not line:
            return
        if FIELD.fullmatch(line) is None:  # a reader that ends lines at a bare LF would see the body end elsewhere
            raise ProtocolError(400, "Malformed trailer line")
    raise ProtocolError(431, f"More than {limits.headers} trailers")
