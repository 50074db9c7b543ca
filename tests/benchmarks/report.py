"""The report: tables in Markdown, or all of it as JSON values."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from typing import Any

from tests.benchmarks.goals import Goal, judge
from tests.benchmarks.reference import NAME, reference
from tests.benchmarks.row import Row, Spread

_TITLES = {
    "write": "Writes, durable: ms for one datapoint",
    "read": "Reads: ms for one call; the third of a process, or the first of a fresh store",
    "other stores": "Other stores: ms for one datapoint written, or for one call",
    "growth": "Growth: ms in the largest dataset, beside those in the smallest",
    "gateway": "HTTP gateway: ms for one request, all clients together",
    "command": "Command line: ms from start to end",
    "memory": "Memory: the most that a process took, MB",
}


def to_dict(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the whole result as JSON values."""
    return {
        "machine": _machine(),
        "rows": [row.to_dict() | {"reference": reference(row.group, row.name, row.size)} for row in rows],
        "goals": [goal.to_dict() for goal in judge(rows)],
    }


def render(rows: Sequence[Row]) -> str:
    """Return the result as Markdown."""
    parts = [f"Measured with {_machine()}. Other lines: × as much, quartiles of the single rounds in brackets."]
    for group, title in _TITLES.items():
        found = [row for row in rows if row.group == group]
        if found:
            parts += [f"**{title}**", _table(found)]
    return "\n\n".join([*parts, "**Goals**", _goals(judge(rows))])


def _machine() -> str:
    return f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"


def _table(rows: Sequence[Row]) -> str:
    sizes = sorted({row.size for row in rows})
    lines = [["operation", "", *(f"{size:,}" for size in sizes)], ["---", "---", *("---:" for _ in sizes)]]
    for name in dict.fromkeys(row.name for row in rows):
        by_size = {row.size: row for row in rows if row.name == name}
        lines += _lines(name, [by_size.get(size) for size in sizes])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _lines(name: str, rows: Sequence[Row | None]) -> Iterator[list[str]]:
    """Yield the lines of one operation: what it costs, then its ratio to each opponent."""
    yield [name, "", *("" if row is None else _cost(row) for row in rows)]
    there = [row for row in rows if row is not None]
    for opponent in dict.fromkeys(one for row in there for one in [*row.opponents, *row.notes]):
        yield ["", f"× {opponent}", *("" if row is None else _opponent(row, opponent) for row in rows)]
    if any(reference(row.group, row.name, row.size) for row in there):
        yield ["", f"× {NAME}", *("" if row is None else _reference(row) for row in rows)]


def _cost(row: Row) -> str:
    scale = 1 if row.group == "memory" else 1000
    return _number(row.cost.middle * scale)


def _opponent(row: Row, opponent: str) -> str:
    return row.notes.get(opponent, "").partition(":")[0] or (
        _spread(row.ratio(opponent)) if opponent in row.opponents else ""
    )


def _reference(row: Row) -> str:
    found = reference(row.group, row.name, row.size)
    if found is None:
        return ""
    least, most = (_number(row.cost.middle / one) for one in reversed(found))
    return least if least == most else f"{least} to {most}"


def _spread(one: Spread) -> str:
    return f"{_number(one.middle)} ({_number(one.low)}–{_number(one.high)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2g}"


def _goals(goals: Sequence[Goal]) -> str:
    lines = ["| | goal | at most | measured | | where |", "|---:|---|---:|---:|---|---|"]
    for one in goals:
        verdict = "met" if one.is_met else "**missed**"
        bound, figure = _number(one.bound), _number(one.figure)
        lines.append(f"| {one.number} | {one.text} | {bound} | {figure} | {verdict} | {one.where} |")
    return "\n".join(lines)
