"""Laws of bytes that become JSON values, names and the heads of requests."""

from __future__ import annotations

import json
import math
import os
import re
import socket
import unicodedata
import uuid
from contextlib import suppress
from functools import cache
from typing import Any, NoReturn
from urllib.parse import quote, unquote

import h11

from filestore.codec import FILE_DEPTH, MAX_DEPTH, RAW_DEPTH, JSONValue, compact, dumps, loads, loads_file, parse_raw
from filestore.codec.positions import map_source
from filestore.errors import DatasetNameError, InvalidIdError, JSONTextError
from filestore.gateway.http import ProtocolError
from filestore.gateway.incoming import Incoming
from filestore.gateway.limits import Limits
from filestore.gateway.request_body import check_body, read_body
from filestore.gateway.request_head import find_head_end, parse_head
from filestore.gateway.routing import PathError, RouteNotFoundError, Router
from filestore.ids import (
    MAX_DIRECTORY_BYTES,
    is_file_name,
    parse_directory_name,
    parse_file_name,
    parse_file_names,
    parse_uuid,
    spell_dataset_name,
)
from filestore.storage.layout import DatasetLayout, parse_tombstone_name, tombstone_names

__all__ = ["assert_place", "json_reader", "names", "raw_reader", "request_wire"]

LIMITS = Limits(request_line_bytes=512, header_bytes=1024, headers=8, body_bytes=4096)
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(10))}
_ROUTER = Router({"GET /datasets/{dataset_name}/datapoints": lambda: None})
_NO_STATUS_OF_OURS = frozenset({500, 502, 503, 504})


# --- JSON, with the standard library as the oracle


class _Pairs(list[tuple[str, Any]]):
    """The members of an object as they stand in a text, repeated keys included."""


def _parse_all(text: str) -> Any:
    """Return what a text holds by RFC 8259, objects as `_Pairs`, integers as `_Digits`.

    Raises:
        ValueError: It is no JSON, or has a number beyond a double or half a surrogate pair.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_Pairs, parse_int=_Digits, parse_float=_finite, parse_constant=_refuse_constant
        )
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


class _Digits(str):
    """An integer as it is spelled."""


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError("number beyond a double")
    return number


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _levels(value: Any) -> int:
    levels, containers = 0, [value] if isinstance(value, list) else []
    while containers:
        levels += 1
        members = (item[1] if isinstance(one, _Pairs) else item for one in containers for item in one)
        containers = [item for item in members if isinstance(item, list)]
    return levels


def _collapse(value: Any, *, is_strict: bool) -> JSONValue:
    """Return the value that `_parse_all` has read.

    Raises:
        ValueError: A key stands twice, or an integer has more than 64 bits, where that counts.
    """
    if isinstance(value, _Pairs):
        if is_strict and len(dict(value)) < len(value):
            raise ValueError("duplicate key")
        return {key: _collapse(item, is_strict=is_strict) for key, item in value}
    if isinstance(value, list):
        return [_collapse(item, is_strict=is_strict) for item in value]
    return _integer(value, is_strict=is_strict) if isinstance(value, _Digits) else value


def _integer(digits: str, *, is_strict: bool) -> int | float:
    if digits == "-0":
        return -0.0
    if len(digits) <= 20 and -(2**63) <= int(digits) < 2**64:
        return int(digits)
    if is_strict:
        raise ValueError("integer beyond 64 bits")
    return _finite(digits)


def _oracle(text: str, max_depth: int, *, is_strict: bool) -> JSONValue:
    value = _parse_all(text)
    if _levels(value) > max_depth:
        raise ValueError("nested too deeply")
    return _collapse(value, is_strict=is_strict)


def assert_place(data: bytes, line: int, column: int) -> None:
    """Assert that a place lies in a text, or right behind a line or the text."""
    lines = data.split(b"\n")
    assert 1 <= line <= len(lines), (line, data)
    assert 1 <= column <= len(lines[line - 1]) + 1 or not data, (line, column, data)


def json_reader(data: bytes) -> None:
    """The strict reader takes what a strict reading by the standard library takes, and loses nothing."""
    body = data.removeprefix(b"\xef\xbb\xbf")
    _assert_strict(data, lambda: loads(data), MAX_DEPTH, has_mark=body != data)
    _assert_strict(body, lambda: loads_file(data), FILE_DEPTH, has_mark=body.startswith(b"\xef\xbb\xbf"))


def _assert_strict(text: bytes, read: Any, max_depth: int, *, has_mark: bool) -> None:
    try:
        value = read()
    except JSONTextError as error:
        assert_place(text, error.line, error.column)
        if has_mark:
            return
        try:
            wrong = _oracle(text.decode(), max_depth, is_strict=True)
        except ValueError:
            return
        raise AssertionError(f"{text!r} was refused ({error}), and says {wrong!r}") from error
    # Representations tell 1 from 1.0 and `true`, and 0.0 from -0.0; and they show the order of keys.
    assert repr(value) == repr(_oracle(text.decode(), max_depth, is_strict=True)), text
    for written in (dumps(value), compact(value).encode()):
        again = loads(written, max_depth=max_depth)
        assert repr(again) == repr(value), text
    assert dumps(loads(dumps(value), max_depth=max_depth)) == dumps(value), text
    _assert_positions(text, value)


def _assert_positions(data: bytes, value: JSONValue) -> None:
    lines = [line + "\n" for line in data.decode().split("\n")]
    for pointer, (line, column) in map_source(data).values.items():
        part: Any = value
        for step in pointer:
            part = part[step]
        found = "".join([lines[line - 1][column - 1 :], *lines[line:]])
        read, _ = json.JSONDecoder(parse_int=lambda digits: _integer(digits, is_strict=True)).raw_decode(found)
        assert repr(read) == repr(part), (data, pointer)


def raw_reader(data: bytes) -> None:
    """The lenient reader takes what RFC 8259 allows, up to its depth, and a later key in place of an earlier one."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        wanted = repr(_oracle(text, RAW_DEPTH, is_strict=False)) if not text.startswith("\ufeff") else None
        text.encode()
    except ValueError:
        wanted = None
    try:
        found = repr(parse_raw(text))
    except ValueError:
        found = None
    assert found == wanted, text


# --- names


def names(data: bytes) -> None:
    """A name is one path component and comes back as it was; whatever is spelled otherwise is no name of ours."""
    text = data.decode("utf-8", "surrogateescape")
    _assert_dataset_name(text)
    _assert_path_of_url(text)
    _assert_id(text)
    directory = parse_directory_name(text)
    assert directory is None or spell_dataset_name(directory) == text, text


def _assert_dataset_name(name: str) -> None:
    try:
        directory = spell_dataset_name(name)
    except DatasetNameError:
        return
    assert parse_directory_name(directory) == unicodedata.normalize("NFC", name), name
    assert_directory(directory)


def assert_directory(directory: str) -> None:
    """Assert that every file system takes a name for one and the same component of a path."""
    assert directory
    assert len(directory.encode()) <= MAX_DIRECTORY_BYTES
    assert not directory.startswith(".")
    assert not directory.endswith((".", " "))
    assert not re.search(r'[\x00-\x1f\x7f/\\:*?"<>|@]', directory), directory
    assert directory.partition(".")[0].rstrip(" ").upper() not in _DEVICES, directory
    assert unicodedata.is_normalized("NFC", directory), ascii(directory)
    layout = DatasetLayout("/root", directory, directory)
    assert layout.path == os.path.normpath(layout.path) == f"/root/{directory}"


def _assert_path_of_url(segment: str) -> None:
    quoted = quote(segment, safe="%/.", errors="surrogateescape")
    try:
        _, params = _ROUTER.find("GET", f"/datasets/{quoted}/datapoints")
        layout = DatasetLayout.of("/root", params["dataset_name"])
    except (RouteNotFoundError, PathError, DatasetNameError):
        return
    assert params["dataset_name"] == unquote(quoted, errors="strict")
    assert_directory(layout.directory)


def _assert_id(text: str) -> None:
    try:
        expected = uuid.UUID(re.sub(r"\A(urn:uuid:|\{)|\}\Z", "", text))
    except ValueError:
        expected = None
    with suppress(InvalidIdError):
        assert parse_uuid(text) == expected
    for name in (text, f"{text}.json"):
        found = parse_file_name(name)
        assert is_file_name(name) == (found is not None) == bool(parse_file_names([name]))
        if found is not None:
            assert found.version == 7
            assert found.variant == uuid.RFC_4122
            assert name == f"{found}.json"
    tombstone = parse_tombstone_name(text)
    assert tombstone is None or tombstone_names([tombstone[0]], tombstone[1]) == [text]


# --- requests on the wire


@cache
def _silent_client() -> socket.socket:
    """Return a socket whose other end has left."""
    ours, theirs = socket.socketpair()
    theirs.close()
    return ours


def request_wire(data: bytes) -> None:
    """A request's bytes are refused with a status that says why, or say one thing, with no more than its body taken."""
    try:
        end = find_head_end(bytearray(data), LIMITS)
        if end is None:
            return
        head = parse_head(data[:end], LIMITS)
        incoming = Incoming(_silent_client(), LIMITS)
        incoming.buffer += data[end:]
        incoming.start_request()
        check_body(head, LIMITS)
        body = read_body(incoming, head, LIMITS)
    except ProtocolError as error:
        assert 400 <= error.status < 600
        assert error.status not in _NO_STATUS_OF_OURS
        return
    except ConnectionError:
        return
    request = head.request
    assert request.path.startswith("/")
    assert re.fullmatch(r"[\x21-\x7e]*", request.path + request.query)
    assert all("\r" not in value and "\n" not in value for field in request.headers for value in field)
    assert len(body) <= LIMITS.body_bytes
    assert data.endswith(bytes(incoming.buffer))
    _assert_as_h11_reads(data, request.method, body, bytes(incoming.buffer))


def _assert_as_h11_reads(data: bytes, method: str, body: bytes, rest: bytes) -> None:
    """Assert that another strict reader finds the same request, where it finds one: two readings are a way in."""
    connection = h11.Connection(h11.SERVER)
    read = b""
    try:
        connection.receive_data(data)
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if event in (h11.NEED_DATA, h11.PAUSED):
                raise AssertionError(f"{data!r} is not complete")
            if isinstance(event, h11.Request):
                assert event.method == method.encode()
                coded = any(name == b"content-encoding" for name, _ in event.headers)
            elif isinstance(event, h11.Data):
                read += bytes(event.data)
    except h11.RemoteProtocolError:
        return
    assert coded or read == body, data
    assert connection.trailing_data[0] == rest, data
