"""The bytes a client sends, under the deadline of the request they belong to."""

from __future__ import annotations

import socket
import time

from filestore.gateway.http import ProtocolError
from filestore.gateway.limits import MIB, Limits

__all__ = ["Incoming"]

_RECEIVE_BYTES = 64 * 1024


class Incoming:
    """A client's bytes: received into `buffer`, taken from its front.

    A deadline is for the request as a whole: a timeout per read would let a client that sends a byte a second
    hold its thread for hours.
    """

    def __init__(self, client: socket.socket, limits: Limits) -> None:
        self.buffer = bytearray()
        self._socket = client
        self._limits = limits
        self._deadline = 0.0

    def wait(self, seconds: float) -> bool:
        """Wait for a request to begin; False when the client left or stayed silent."""
        if self.buffer:
            return True
        self._socket.settimeout(seconds)
        try:
            self.buffer += self._socket.recv(_RECEIVE_BYTES)
        except TimeoutError:
            return False
        return bool(self.buffer)

    def start_request(self) -> None:
        """Start the clock of a request."""
        self._deadline = time.monotonic() + self._limits.request_seconds

    def receive(self) -> None:
        """Add what has arrived to the buffer, waiting for it if need be.

        Raises:
            ProtocolError: The request took too long (408).
            ConnectionError: The client left in the middle of it.
        """
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise ProtocolError(408, "The request did not arrive in time")
        self._socket.settimeout(remaining)
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except TimeoutError as error:
            raise ProtocolError(408, "The request did not arrive in time") from error
        if not data:
            raise ConnectionAbortedError("the client left in the middle of a request")
        self._deadline += len(data) * self._limits.seconds_per_mib / MIB
        self.buffer += data

    def take(self, count: int) -> bytes:
        """Take exactly `count` bytes."""
        while len(self.buffer) < count:
            self.receive()
        with memoryview(self.buffer) as view:
            data = bytes(view[:count])
        del self.buffer[:count]
        return data

    def take_line(self, longest: int) -> bytes:
        """Take a line and return it without its CRLF.

        Raises:
            ProtocolError: It is longer than `longest` bytes (400).
        """
        while (end := self.buffer.find(b"\r\n", 0, longest + 2)) < 0:
            if len(self.buffer) >= longest + 2:
                raise ProtocolError(400, f"A line of the request's body framing is longer than {longest} bytes")
            self.receive()
        return self.take(end + 2)[:-2]
