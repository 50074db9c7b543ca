"""One client's connection: requests in, responses out, one after the other."""

from __future__ import annotations

import dataclasses
import functools
import logging
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate

from filestore.gateway.access import AccessPolicy
from filestore.gateway.http import ProtocolError, Request, Response, error_response, render_head
from filestore.gateway.incoming import Incoming, limit_wait
from filestore.gateway.limits import MIB, Limits
from filestore.gateway.request_body import check_body, read_body
from filestore.gateway.request_head import Head, find_head_end, parse_head

__all__ = ["Connection", "ServerState"]

_SHORT_BYTES = 8 * 1024
"""An answer up to this size is sent at once, as long as the client takes its answers at all."""

logger = logging.getLogger("filestore.gateway")


@dataclasses.dataclass(slots=True)
class ServerState:
    """What a server tells its connections."""

    stopping: bool = False
    saturated: bool = False
    """Every connection is taken, and another client waits for one."""


class Connection:
    """An accepted socket, served by the thread that calls `serve`."""

    def __init__(
        self,
        client: socket.socket,
        app: Callable[[Request], Response],
        policy: AccessPolicy,
        limits: Limits,
        state: ServerState,
    ) -> None:
        self.idle_since: float | None = time.monotonic()
        """When the connection began to wait for a request (monotonic clock); None while it serves one."""
        self._socket = client
        self._app = app
        self._policy = policy
        self._limits = limits
        self._state = state
        self._incoming = Incoming(client, limits)

    def serve(self) -> None:
        """Answer requests until either side closes; a client that disconnects is no error."""
        try:
            # One write holds a whole response: waiting for more of it would only delay it.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            limit_wait(self._socket, socket.SO_SNDTIMEO, self._limits.request_seconds)
            while self._await_request() and self._serve_request():
                pass
        except OSError as error:
            logger.debug("connection lost: %s", error)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def end_input(self) -> None:
        """Make the client look gone, which ends a wait for its next request; callable from any thread.

        A request that has arrived by then is still read and answered.
        """
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)

    def abort(self) -> None:
        """End whatever is being received or sent; callable from any thread."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _await_request(self) -> bool:
        self.idle_since = time.monotonic()
        # Only now: a server that stops looks for idle connections after it said so.
        if self._state.stopping:
            return False
        has_request = self._incoming.wait(self._limits.idle_seconds)
        self.idle_since = None
        return has_request

    def _serve_request(self) -> bool:
        """Read and answer one request; False when it was the last."""
        self._incoming.start_request()
        head = None
        try:
            head = self._read_head()
            if head is None:
                return True
            refusal = self._policy.refusal(head.request)
            if refusal is not None:
                return self._send(refusal, head, close=head.has_body)
            request = self._read_body(head)
        except ProtocolError as error:
            return self._send(error_response(error.status, str(error)), head, close=True)
        return self._send(self._respond(request), head, close=False)

    def _read_head(self) -> Head | None:
        """Read a head; None if the client sent nothing but the empty lines some add after a body."""
        buffer = self._incoming.buffer
        while buffer.startswith(b"\r"):
            if self._incoming.take(2) != b"\r\n":
                raise ProtocolError(400, "Malformed request line")
        if not buffer:
            return None
        while (end := find_head_end(buffer, self._limits)) is None:
            self._incoming.receive()
        return parse_head(self._incoming.take(end), self._limits)

    def _read_body(self, head: Head) -> Request:
        if not head.has_body:
            return head.request
        check_body(head, self._limits)
        if head.expects_continue and not self._incoming.buffer:
            self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = read_body(self._incoming, head, self._limits)
        return dataclasses.replace(head.request, body=body)

    def _respond(self, request: Request) -> Response:
        try:
            return self._app(request)
        except Exception as error:  # a mistake met by one request is no reason to drop the others
            logger.exception("%s %s failed", request.method, request.path)
            return error_response(500, f"Internal error: {error}")

    def _send(self, response: Response, head: Head | None, *, close: bool) -> bool:
        """Send a response; return whether the connection goes on.

        Args:
            response: What to send.
            head: The request that it answers, if its head could be read.
            close: Whether the rest of the request is left unread, so that no further one can follow.
        """
        goes_on = head is not None and head.keep_alive and not (close or self._state.stopping or self._state.saturated)
        data = render_head(response, date=_http_date(int(time.time())), close=not goes_on)
        if head is None or head.request.method != "HEAD":
            data += response.body
        if len(data) > _SHORT_BYTES:
            self._socket.settimeout(self._limits.request_seconds + self._limits.seconds_per_mib * len(data) / MIB)
            self._socket.sendall(data)
            self._socket.settimeout(None)
        else:
            self._socket.sendall(data)
        if head is not None:
            logger.debug("%s %s %d", head.request.method, head.request.path, response.status)
        if close or (not goes_on and self._incoming.buffer):
            self._linger()
        return goes_on

    def _linger(self) -> None:
        """Read and drop what the client still sends.

        Closing a socket with unread bytes resets the connection, and the client might never see the answer.
        """
        self._socket.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + self._limits.linger_seconds
        scrap = bytearray(64 * 1024)
        left = self._limits.linger_bytes
        while left > 0 and (remaining := deadline - time.monotonic()) > 0:
            self._socket.settimeout(remaining)
            count = self._socket.recv_into(scrap)
            if count == 0:
                return
            left -= count


@functools.lru_cache(maxsize=2)
def _http_date(second: int) -> str:
    return formatdate(second, usegmt=True)
