"""The HTTP gateway: requests to responses (pure), and the thin server around them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filestore.gateway.app import LegacyWire
    from filestore.store import FileStore

__all__ = ["serve"]


@contextmanager
def serve(
    store: FileStore, *, host: str = "127.0.0.1", port: int = 0, legacy_wire: LegacyWire = "auto"
) -> Iterator[str]:
    """Serve a store from this process while the block runs.

    Args:
        store: The store.
        host: The address to listen on; only programs of this machine are let in.
        port: The port, 0 for any that is free.
        legacy_wire: Which form the legacy GET routes answer in: by the client (`auto`), `old`, or `v1`.

    Yields:
        The gateway's URL.

    Raises:
        RequestError: The address cannot be listened on.

    Example:
        >>> import tempfile, urllib.request
        >>> from filestore import FileStore
        >>> with serve(FileStore(tempfile.mkdtemp())) as url:
        ...     urllib.request.urlopen(f"{url}/datasets/demo/datapoints").read()
        b'[]'
    """
    from filestore.gateway.app import Application
    from filestore.gateway.server import Server, running

    with running(Server(Application(store, legacy_wire), host=host, port=port)) as url:
        yield url
