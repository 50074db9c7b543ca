"""The bytes a client sends, under the deadline of the request they belong to."""

from __future__ import annotations

import socket
import struct
import sys
import time

from filestore.gateway.http import ProtocolError
from filestore.gateway.limits import MIB, Limits

__all__ = ["Incoming", "limit_wait"]

_RECEIVE_BYTES = 64 * 1024


def limit_wait(client: socket.socket, option: int, seconds: float) -> None:
    """Let each call that receives or sends wait for so long at most; one that waited in vain raises an OSError.

    Python's own timeouts ask the system three times as often, and each time other threads come in between.

    Args:
        client: A blocking socket.
        option: `socket.SO_RCVTIMEO` or `socket.SO_SNDTIMEO`.
        seconds: More than 0.
    """
    if sys.platform == "win32":
        value = struct.pack("L", max(int(seconds * 1000), 1))
    else:
        value = struct.pack("ll", int(seconds), max(int(seconds % 1 * 1_000_000), 1))  # 0 would mean no limit
    client.setsockopt(socket.SOL_SOCKET, option, value)


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
        self._longest_wait: float | None = None

    def wait(self, seconds: float) -> bool:
        """Wait for a request to begin; False when the client left or stayed silent."""
        if self.buffer:
            return True
        try:
            self.buffer += self._receive(seconds)
        except (BlockingIOError, TimeoutError):
            return False
        return bool(self.buffer)

    def _receive(self, seconds: float) -> bytes:
        if seconds != self._longest_wait:
            limit_wait(self._socket, socket.SO_RCVTIMEO, seconds)
            self._longest_wait = seconds
        return self._socket.recv(_RECEIVE_BYTES)

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
        try:
            data = self._receive(remaining)
        except (BlockingIOError, TimeoutError) as error:
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
