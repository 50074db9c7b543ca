"""The gateway's server: accepts connections and serves each in a thread, on the standard library alone."""

from __future__ import annotations

import dataclasses
import errno
import logging
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from filestore.errors import RequestError
from filestore.gateway.access import AccessPolicy, make_policy
from filestore.gateway.connection import Connection, ServerState
from filestore.gateway.http import Request, Response
from filestore.gateway.limits import Limits

__all__ = ["Server", "running"]

logger = logging.getLogger("filestore.gateway")

_ACCEPT_RETRY_SECONDS = 0.1


class Server:
    """An HTTP/1.1 server for one application, listening from its construction on.

    Args:
        app: Turns requests into responses; called from many threads at once.
        host: The name or address to listen on; empty for all addresses.
        port: The port, 0 for any that is free.
        policy: Who is let in; by default only programs of this machine.
        limits: What one client may take.

    Raises:
        RequestError: The address cannot be listened on, or needs a policy.
    """

    def __init__(
        self,
        app: Callable[[Request], Response],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        policy: AccessPolicy | None = None,
        limits: Limits | None = None,
    ) -> None:
        policy = make_policy(host, port) if policy is None else policy
        self._app = app
        self._limits = limits or Limits()
        self._listener = _listen(host, port, self._limits.backlog)
        address, self.port, *_ = self._listener.getsockname()
        self.url = f"http://[{address}]:{self.port}" if ":" in address else f"http://{address}:{self.port}"
        """The address listened on, without a path."""
        self._policy = dataclasses.replace(policy, port=self.port)
        self._state = ServerState()
        self._threads: dict[Connection, threading.Thread] = {}
        self._lock = threading.Lock()
        self._accepting = threading.Lock()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_writer.setblocking(False)

    def serve_forever(self) -> None:
        """Accept connections until `request_stop` is called."""
        with self._accepting, selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._wake_reader, selectors.EVENT_READ)
            while not self._state.stopping:
                ready = [key.fileobj for key, _ in selector.select()]
                self._sleep(0)
                if self._listener in ready and self._wait_for_room():
                    self._accept()

    @property
    def wakeup_fd(self) -> int:
        """What `signal.set_wakeup_fd` takes, until `shutdown`: a signal just before a wait would be heard after it."""
        return self._wake_writer.fileno()

    def request_stop(self) -> None:
        """Make `serve_forever` return soon; takes no lock, so that a signal handler may call it."""
        self._state.stopping = True
        self._wake()

    def shutdown(self) -> None:
        """Stop accepting, let running requests finish for a while, close every connection.

        To be called from another thread than `serve_forever`, or after it returned.
        """
        self.request_stop()
        with self._accepting:
            self._listener.close()
        with self._lock:
            threads = dict(self._threads)
            for connection in threads:
                if connection.idle_since is not None:
                    connection.end_input()
        _join(threads.values(), self._limits.shutdown_seconds)
        with self._lock:
            for connection in self._threads:
                connection.abort()
        _join(threads.values(), 1.0)
        self._wake_reader.close()
        self._wake_writer.close()

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
            client.setblocking(True)  # whatever it has from the listener, or from the program's own default
        except (BlockingIOError, ConnectionError):
            return  # the client has left again
        except OSError as error:
            # Out of file descriptors, most likely: a connection that ends gives one back.
            logger.warning("cannot accept a connection: %s", error)
            self._close_longest_idle()
            self._sleep(_ACCEPT_RETRY_SECONDS)
            return
        connection = Connection(client, self._app, self._policy, self._limits, self._state)
        thread = threading.Thread(target=self._serve, args=(connection,), name="filestore-connection", daemon=True)
        with self._lock:
            self._threads[connection] = thread
        try:
            thread.start()
        except RuntimeError as error:
            logger.warning("cannot serve a connection: %s", error)
            self._forget(connection)

    def _serve(self, connection: Connection) -> None:
        try:
            connection.serve()
        finally:
            self._forget(connection)
            if self._state.saturated:
                self._wake()

    def _forget(self, connection: Connection) -> None:
        # Under the lock: else another thread might shut down the descriptor when it is already a file's.
        with self._lock:
            del self._threads[connection]
            connection.close()

    def _wait_for_room(self) -> bool:
        """Wait until another connection may be served, having idle ones closed; False when stopping."""
        try:
            while self._is_full() and not self._state.stopping:
                self._state.saturated = True
                self._close_longest_idle()
                # A connection that ended before `saturated` was set has woken nobody.
                if self._is_full():
                    self._sleep(self._limits.saturated_idle_seconds)
        finally:
            self._state.saturated = False
        return not self._state.stopping

    def _is_full(self) -> bool:
        return len(self._threads) >= self._limits.connections

    def _close_longest_idle(self) -> None:
        latest = time.monotonic() - self._limits.saturated_idle_seconds
        with self._lock:
            idle = {connection: since for connection in self._threads if (since := connection.idle_since) is not None}
            longest = min(idle, key=idle.__getitem__, default=None)
            if longest is not None and idle[longest] <= latest:
                longest.end_input()

    def _sleep(self, seconds: float) -> None:
        """Sleep until woken, or for some time; 0 only forgets earlier calls to wake."""
        self._wake_reader.settimeout(seconds)
        with suppress(TimeoutError, BlockingIOError):
            self._wake_reader.recv(4096)

    def _wake(self) -> None:
        # A full buffer wakes as well, and a closed socket has nobody left to wake.
        with suppress(OSError):
            self._wake_writer.send(b"\0")


@contextmanager
def running(server: Server) -> Iterator[str]:
    """Serve in a thread of its own for the length of a `with` block, which gets the URL."""
    thread = threading.Thread(target=server.serve_forever, name="filestore-gateway", daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        thread.join()


def _listen(host: str, port: int, backlog: int) -> socket.socket:
    place = f"{host or 'all addresses'}, port {port}"
    # getaddrinfo of glibc takes any number and cuts it to 16 bits.
    if not 0 <= port < 2**16:
        raise RequestError(f"Cannot listen on {place}: a port is a number from 0 to 65535")
    try:
        # An empty host means every address; getaddrinfo says that as None.
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise RequestError(f"Cannot listen on {place}: {getattr(error, 'strerror', None) or error}") from error
    family, _, _, _, address = found[0]
    try:
        listener = socket.create_server(address, family=family, backlog=backlog)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        advice = "; choose another port, or 0 for any that is free" if error.errno == errno.EADDRINUSE else ""
        raise RequestError(f"Cannot listen on {place}: {reason}{advice}") from error
    # A client may leave between select and accept, which would then block.
    listener.setblocking(False)
    return listener


def _join(threads: Iterable[threading.Thread], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
