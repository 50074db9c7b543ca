"""Results on stdout: JSON for programs, tables for people."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import click

from filestore.codec import JSONValue, compact, dumps

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Sequence

    from filestore.cli.table import Column

__all__ = ["TABLE_FORMATS", "escape_json", "print_ids", "print_json", "print_json_lines", "print_table"]

TABLE_FORMATS = click.Choice(["table", "json", "jsonl"])
_PIPE_WIDTH = 160
"""Columns of a table that no terminal shows: wide enough to read, the same everywhere."""
# DEL and the C1 controls as UTF-8. JSON leaves them as they are, and terminals obey them.
_UNSAFE = rb"\x7f|\xc2[\x80-\x9f]"


def print_json(value: JSONValue) -> None:
    """Print one JSON document, indented."""
    _print_bytes(dumps(value))


def print_ids(ids: Sequence[uuid.UUID], format: str) -> None:
    """Print ids: one on each line, or as a JSON list."""
    if format == "json":
        print_json([str(one) for one in ids])
    elif ids:
        click.echo("\n".join(map(str, ids)))


def print_json_lines(values: Iterable[JSONValue]) -> None:
    """Print one compact JSON document on each line."""
    _print_bytes("".join(f"{compact(value)}\n" for value in values).encode())


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print a table as wide as the terminal; nothing at all without rows."""
    if rows:
        from filestore.cli.table import render_table

        is_terminal = sys.stdout is not None and sys.stdout.isatty()
        click.echo(render_table(columns, rows, _width_of_terminal() if is_terminal else _width_of_pipe()))


def _width_of_terminal() -> int:
    import shutil

    return shutil.get_terminal_size((_PIPE_WIDTH, 24)).columns


def _width_of_pipe() -> int:
    """Return what COLUMNS asks for, if anything does."""
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and int(columns) else _PIPE_WIDTH


def escape_json(data: bytes) -> bytes:
    """Spell out what a terminal would obey in JSON text, which then says the same."""
    return re.sub(_UNSAFE, lambda found: b"\\u00%02x" % found.group()[-1], data)


def _print_bytes(data: bytes) -> None:
    # As bytes: JSON is UTF-8 and ends lines with LF, whatever the terminal's encoding or the platform.
    if data:
        click.echo(escape_json(data), nl=False)
