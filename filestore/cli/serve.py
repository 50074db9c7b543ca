"""The `serve` command: the HTTP gateway in the foreground."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import get_args

import click

from filestore.cli.settings import Settings, examples
from filestore.errors import RequestError

# The one place where the two rooms that meet the user touch: a gateway has to be started from somewhere.
from filestore.gateway.access import AccessPolicy, make_policy
from filestore.gateway.app import Application, LegacyWire
from filestore.gateway.server import Server

__all__ = ["serve", "stopped_by_signals"]

_STOPS = (signal.SIGINT, signal.SIGTERM)
_WRITE_ROOMS = ("filelock", "filestore.requests_legacy", "filestore.requests_v1", "filestore.schema.compiled")
"""What the store loads at its first write: a gateway has it ready before the first client waits for it."""


@click.command(
    epilog=examples(
        "filestore serve", "filestore serve --port 0", "FILESTORE_API_KEY=... filestore serve --host 0.0.0.0"
    )
)
@click.option(
    "--host", metavar="NAME", default="127.0.0.1", show_default=True, help="The name or address to listen on."
)
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65535),
    default=3000,
    show_default=True,
    help="The port to listen on; 0 for any that is free.",
)
@click.option(
    "--api-key",
    metavar="KEY",
    envvar="FILESTORE_API_KEY",
    help="Let in only requests with this key. Better set it in FILESTORE_API_KEY: everybody on this machine can read"
    " the options of a running program.",
)
@click.option("--no-auth", is_flag=True, help="Listen to other machines without a key.")
@click.option(
    "--allow-host", metavar="NAME", multiple=True, help="Also let in requests under this host name. Repeatable."
)
@click.option(
    "--allow-origin",
    metavar="ORIGIN",
    multiple=True,
    help="Let in web pages of this site, as https://example.org. Repeatable.",
)
@click.option(
    "--legacy-wire",
    type=click.Choice(get_args(LegacyWire)),
    default="auto",
    show_default=True,
    help="The form of datapoints on the legacy routes: by the client, or always the same.",
)
@click.option(
    "--watch/--no-watch",
    default=True,
    show_default=True,
    help="Let the kernel tell what changes, where it can; else every file is looked at before each list. Turn it off"
    " where files change behind the kernel's back, as below an NFS export that others write to.",
)
@click.pass_obj
def serve(
    settings: Settings,
    host: str,
    port: int,
    api_key: str | None,
    no_auth: bool,
    allow_host: tuple[str, ...],
    allow_origin: tuple[str, ...],
    legacy_wire: LegacyWire,
    watch: bool,
) -> None:
    """Serve the store over HTTP to TensorZero clients.

    Only programs of this machine are let in, unless told otherwise. Says where it listens as soon as it does; ^C or
    SIGTERM ends it. Warnings and errors go to stderr.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    for name in _WRITE_ROOMS:
        import_module(name)
    app = Application(settings.open_store(watch=watch), legacy_wire)
    policy = _policy(host, port, api_key, no_auth, allow_host, allow_origin)
    server = Server(app, host=host, port=port, policy=policy)
    with stopped_by_signals(server):
        click.echo(f"Listening on {server.url}")
        server.serve_forever()


def _policy(
    host: str,
    port: int,
    api_key: str | None,
    no_auth: bool,
    allow_host: tuple[str, ...],
    allow_origin: tuple[str, ...],
) -> AccessPolicy:
    try:
        return make_policy(host, port, api_key, no_auth, allow_host, allow_origin)
    except RequestError as error:
        raise click.UsageError(str(error)) from error


@contextmanager
def stopped_by_signals(server: Server) -> Iterator[None]:
    """Let ^C and SIGTERM end what the server does, and shut it down in the end."""

    def stop(number: int, frame: object) -> None:
        server.request_stop()
        for each in _STOPS:
            signal.signal(each, signal.SIG_DFL)  # the next one does not wait for running requests

    for number in _STOPS:
        signal.signal(number, stop)
    signal.set_wakeup_fd(server.wakeup_fd, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        server.shutdown()
