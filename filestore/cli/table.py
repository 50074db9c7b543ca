"""Tables of plain text that fit a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from filestore.cli.terminal import display_width, shorten

__all__ = ["Column", "render_table"]

_GAP = "  "


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        title: What stands above it.
        minimum: How many terminal columns it keeps at least when space is short; None: it is never cut.
        is_number: Whether it is set flush right.
    """

    title: str
    minimum: int | None = None
    is_number: bool = False


def render_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> str:
    """Set rows as lines that take up to `width` terminal columns, one line for each row.

    Columns that are empty in every row are left out. Where space is short, the widest columns are cut first.

    Args:
        columns: The columns, from left to right.
        rows: For each row the text of each cell: one line, without control characters.
        width: Terminal columns of a line; lines are wider only if the columns cannot be cut so far.

    >>> columns = [Column("NAME", 4), Column("SIZE", is_number=True)]
    >>> print(render_table(columns, [("tiny", "1"), ("enormous", "10")], 12))
    NAME    SIZE
    tiny       1
    enorm…    10
    """
    shown = [index for index in range(len(columns)) if any(row[index] for row in rows)]
    columns = [columns[index] for index in shown]
    lines = [[column.title for column in columns], *([row[index] for index in shown] for row in rows)]
    widths = _fit([max(map(display_width, cells)) for cells in zip(*lines, strict=True)], columns, width)
    return "\n".join(_GAP.join(map(_set, line, columns, widths)).rstrip() for line in lines)


def _fit(widths: list[int], columns: Sequence[Column], width: int) -> list[int]:
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - width
    for _ in range(excess):
        spare = [
            (have, index)
            for index, (have, column) in enumerate(zip(widths, columns, strict=True))
            if column.minimum is not None and have > column.minimum
        ]
        if not spare:
            break
        widths[max(spare)[1]] -= 1
    return widths


def _set(text: str, column: Column, width: int) -> str:
    text = shorten(text, width)
    padding = " " * (width - display_width(text))
    return padding + text if column.is_number else text + padding
