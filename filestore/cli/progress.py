"""A count on the terminal of what takes long."""

from __future__ import annotations

import time
from types import TracebackType

import click

__all__ = ["Counter"]

_AFTER_SECONDS = 1.0
"""What is over sooner needs no progress."""
_EVERY_SECONDS = 0.1


class Counter:
    """Counts on stderr, on one line that is taken away at the end.

    Args:
        noun: What is counted.
    """

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._count = 0
        self._next = time.monotonic() + _AFTER_SECONDS
        self._is_shown = False

    def __enter__(self) -> Counter:
        return self

    def __call__(self, count: int) -> None:
        """Count so many more."""
        self._count += count
        if time.monotonic() >= self._next:
            click.echo(f"\r{self._count:,} {self._noun} …", err=True, nl=False)
            self._is_shown = True
            self._next = time.monotonic() + _EVERY_SECONDS

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_shown:
            click.echo("\r\x1b[K", err=True, nl=False)
