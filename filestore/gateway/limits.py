"""How much of everything one client may take from the gateway."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MIB", "Limits"]

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The gateway's limits; the defaults suit a local server, tests shrink them."""

    connections: int = 256
    """Connections served at once, each by a thread; more wait in the listen backlog."""
    backlog: int = 1024
    idle_seconds: float = 75.0
    """How long a connection may stay open between requests."""
    saturated_idle_seconds: float = 0.25
    """The same while others wait for a connection: long enough not to cut off a client about to send."""
    request_seconds: float = 10.0
    """Time for a whole request to arrive, and for a whole response to be taken."""
    seconds_per_mib: float = 10.0
    """What each MiB that did arrive adds to that: a byte a second gains nothing, 100 KiB/s suffices."""
    request_line_bytes: int = 64 * 1024
    header_bytes: int = 64 * 1024
    """All header fields together."""
    headers: int = 100
    body_bytes: int = 100 * MIB
    """As sent and as decompressed."""
    linger_seconds: float = 2.0
    """How long a refused body is read and thrown away, so that the client sees the answer and not a reset."""
    linger_bytes: int = 256 * MIB
    shutdown_seconds: float = 5.0
    """How long a shutdown waits for the requests that are running."""
