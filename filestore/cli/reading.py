"""What a command reads and asks: a file or stdin, and a person at the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import click

from filestore.cli.items import Items, find_unknown_fields
from filestore.cli.terminal import escape_controls

__all__ = ["confirm", "read_input", "track", "warn_of_unknown_fields"]

T = TypeVar("T")
_MOST_WARNINGS = 20
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


def warn_of_unknown_fields(items: Items, *, v1: bool, updates: bool = False) -> None:
    """Say on stderr which fields of the items are ignored, as the API asks for."""
    for sentence in islice(find_unknown_fields(items, v1=v1, updates=updates), _MOST_WARNINGS):
        click.echo(f"Warning: {escape_controls(sentence)}", err=True)


def confirm(question: str) -> bool:
    """Ask on the terminal; a script, which has none, is taken at its word."""
    if sys.stdin is None or not sys.stdin.isatty():
        return True
    return click.confirm(question, err=True)
