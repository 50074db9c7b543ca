"""What handlers read out of a request: ids from the path, numbers from the query, JSON from the body."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from urllib.parse import parse_qsl

from filestore.codec import JSONValue, loads
from filestore.errors import InvalidIdError, JSONTextError, RequestError
from filestore.garbage import collected_later
from filestore.gateway.http import Request
from filestore.gateway.routing import PathError
from filestore.ids import parse_uuid
from filestore.shapes import ObjectReader
from filestore.store import FileStore

__all__ = ["Call"]

_MOST_VALUES = 10_000_000
"""In a body: each takes far more memory than bytes, and all are read at once, while nobody else gets a turn."""
_MARKS = b",[{"
"""Outside of texts, there is one before each value but the first, and each list and object adds its own."""
_ALL_BUT_MARKS_AND_QUOTES = bytes(set(range(256)) - set(_MARKS) - set(b'"'))
_DIGITS = re.compile(r"\+?[0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class Call:
    """One request on its way to a handler.

    Attributes:
        store: The store to answer from.
        request: The request.
        params: The decoded names in its path.
        wants_old_form: Whether a legacy GET answers in the old form.
    """

    store: FileStore
    request: Request
    params: dict[str, str]
    wants_old_form: bool = False

    @property
    def is_early_client(self) -> bool:
        """Whether this is a TensorZero client up to 2025.11.4: no `User-Agent`, and the `Accept` that all of them send.

        What those releases cannot read is spelled in a way that they can, also where it takes a second spelling.
        """
        headers = self.request.headers
        return headers.get("user-agent") is None and headers.get("accept") == "*/*"

    @property
    def dataset_name(self) -> str:
        """The dataset in the path."""
        return self.params["dataset_name"]

    def path_id(self) -> uuid.UUID:
        """Return the datapoint id in the path.

        Raises:
            PathError: It is no UUID.
        """
        try:
            return parse_uuid(self.params["datapoint_id"])
        except InvalidIdError as error:
            raise PathError(f"Invalid URL: Cannot parse `datapoint_id`: {error}") from None

    def query(self, *names: str) -> dict[str, str]:
        """Return those of the query's parameters that have one of the names; all others are ignored.

        Raises:
            PathError: It is not UTF-8 once it is decoded, or gives one of them twice.
        """
        try:
            pairs = parse_qsl(self.request.query, keep_blank_values=True, errors="strict")
        except ValueError as error:
            raise PathError(f"Failed to deserialize query string: {error}") from None
        found: dict[str, str] = {}
        for name, value in pairs:
            if name not in names:
                continue
            if name in found:
                raise PathError(f"Failed to deserialize query string: duplicate field `{name}`")
            found[name] = value
        return found

    @staticmethod
    def number(query: dict[str, str], name: str, default: int) -> int:
        """Return a parameter that is an unsigned 32-bit number.

        Raises:
            PathError: It is none.
        """
        text = query.get(name)
        if text is None:
            return default
        if _DIGITS.fullmatch(text) is None:
            reason = "cannot parse integer from empty string" if text == "" else "invalid digit found in string"
            raise PathError(f"Failed to deserialize query string: {name}: {reason}")
        if int(text) >= 2**32:
            raise PathError(f"Failed to deserialize query string: {name}: number too large to fit in target type")
        return int(text)

    def json(self) -> JSONValue:
        """Return the JSON value of the body, whatever its content type says.

        Raises:
            RequestError: It is not the strict JSON that the store reads, or holds too many values.
        """
        body = self.request.body
        if holds_more_values(body, _MOST_VALUES):
            raise RequestError(
                f"The request body has more than {_MOST_VALUES:,} commas and opening brackets; send it in parts"
            )
        try:
            with collected_later():
                return loads(body)
        except JSONTextError as error:
            raise RequestError(f"Failed to parse the request body as JSON: {error} (400 Bad Request)") from None

    def json_object(self) -> ObjectReader:
        """Return the JSON object of the body."""
        return ObjectReader(self.json(), "struct Params")


def holds_more_values(body: bytes, most: int) -> bool:
    """Tell whether JSON text may hold more than so many values, before it is read and beside other threads.

    >>> holds_more_values(b'["a,b,c", {"d": 1}]', 3), holds_more_values(b"[[], [], []]", 3)
    (False, True)
    """
    if len(body) <= most or sum(body.count(mark) for mark in _MARKS) <= most:
        return False
    # They may be in texts, as nearly always. A text that was empty or holds no mark makes no difference.
    left = body.replace(rb"\\", b"").replace(rb"\"", b"").translate(None, _ALL_BUT_MARKS_AND_QUOTES).replace(b'""', b"")
    outside = position = 0
    while (opening := left.find(b'"', position)) >= 0:
        outside += opening - position
        closing = left.find(b'"', opening + 1)
        if outside > most or closing < 0:  # without its end, a text is no JSON
            return outside > most
        position = closing + 1
    return outside + len(left) - position > most
