"""Other processes, and waiting for them without a sleep."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

__all__ = ["ANSWER_SECONDS", "CONTEXT", "Mailbox", "receive", "running", "start", "until"]

Mailbox = Connection
CONTEXT: Any = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
"""What starts other processes; `Any`, as only the concrete contexts have a `Process`."""
if sys.platform != "win32":
    CONTEXT.set_forkserver_preload(["filestore.store"])
ANSWER_SECONDS = 60.0
"""Within which whatever is awaited happens, on the slowest of machines."""


def receive(mailbox: Mailbox) -> Any:
    """Return what another process sends next."""
    assert mailbox.poll(ANSWER_SECONDS), "the other process is silent"
    return mailbox.recv()


def start(target: Callable[..., None], *arguments: object) -> tuple[Any, Mailbox]:
    """Run a function in another process; its last argument is the mailbox it hears from and answers to."""
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=target, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()
    return process, ours


@contextmanager
def running(target: Callable[..., None], *arguments: object) -> Iterator[Mailbox]:
    """Run a function in another process, as `start` does, and see to it that it ends."""
    process, ours = start(target, *arguments)
    try:
        yield ours
    finally:
        ours.close()
        process.join(ANSWER_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()


def until(condition: Callable[[], bool]) -> bool:
    """Tell whether something becomes so; do not wait for it forever."""
    deadline = time.monotonic() + ANSWER_SECONDS
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.001)
    return True
