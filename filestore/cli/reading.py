"""What a command reads: a file or stdin, with a progress bar where it takes long and somebody is watching."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import click

__all__ = ["read_input", "track"]

T = TypeVar("T")
_SLOW_FROM = 1000
"""From this many lines on, a person likes to see how far the reading has come."""


def read_input(file: str, example: str) -> tuple[bytes, str]:
    """Return the bytes of a file, or of stdin for `-`, and what errors call it.

    Raises:
        click.UsageError: Stdin is a terminal; the text gives the example.
    """
    if file != "-":
        return Path(file).read_bytes(), file
    if sys.stdin is None or sys.stdin.isatty():
        raise click.UsageError(f"Give a FILE, or items on stdin: {example}")
    return sys.stdin.buffer.read(), "stdin"


def track(lines: Sequence[T]) -> Iterable[T]:
    """Pass lines on, with a progress bar where somebody is watching and it takes a while."""
    if len(lines) < _SLOW_FROM or not sys.stderr.isatty():
        yield from lines
        return
    with click.progressbar(lines, label="Reading", file=sys.stderr) as watched:
        yield from watched
