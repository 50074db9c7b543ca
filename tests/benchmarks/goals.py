"""The goals, each held against what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.benchmarks.commands import PASS
from tests.benchmarks.gateway import BARE
from tests.benchmarks.reference import reference
from tests.benchmarks.row import Row
from tests.benchmarks.site import LIMIT

Figure = tuple[float, str]
"""What was measured, and in which row."""


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal.

    Attributes:
        number: Its place in the list.
        text: What is to be reached.
        bound: What the figure may be at most.
        figure: The worst that was measured.
        where: In which row.
    """

    number: int
    text: str
    bound: float
    figure: float
    where: str

    @property
    def is_met(self) -> bool:
        """Whether the figure is within the bound."""
        return self.figure <= self.bound

    def to_dict(self) -> dict[str, Any]:
        """Return the goal as JSON values."""
        return {**asdict(self), "met": self.is_met}


def judge(rows: Sequence[Row]) -> list[Goal]:
    """Hold every goal against the rows; those about 100,000 datapoints go by the largest size there is."""
    return [Goal(number, text, bound, *figure(rows)) for number, (text, bound, figure) in enumerate(GOALS, start=1)]


def _rows(rows: Sequence[Row], group: str, *names: str, at: int | None = None) -> Iterator[Row]:
    """Yield rows; at the largest size where `at` is -1, at the one nearest to `at` where it is a size."""
    sizes = {row.size for row in rows}
    size = None if at is None else max(sizes) if at < 0 else min(sizes, key=lambda one: abs(one - at))
    for row in rows:
        if row.group == group and row.name in names and size in (None, row.size):
            yield row


def _worst(figures: Iterator[Figure]) -> Figure:
    return max(figures)


def _where(row: Row) -> str:
    return f"{row.name} at {row.size:,}"


Judgement = Callable[[Sequence[Row]], Figure]


def _ratio(group: str, *names: str, to: str = "", at: int | None = None) -> Judgement:
    """Judge by the ratio to an opponent, by default the first."""
    return lambda rows: _worst(
        (row.ratio(to or row.opponents[0]).middle, _where(row)) for row in _rows(rows, group, *names, at=at)
    )


def _cost(group: str, *names: str, scale: float = 1000, at: int | None = None) -> Judgement:
    """Judge by milliseconds (or another multiple of the row's unit)."""
    return lambda rows: _worst((row.cost.middle * scale, _where(row)) for row in _rows(rows, group, *names, at=at))


def _reference(group: str, *names: str) -> Judgement:
    """Judge by the ratio to the reference, at its best where it varied."""

    def judge_row(row: Row) -> Figure:
        found = reference(group, row.name, row.size)
        assert found is not None
        return (row.cost.middle / found[0], _where(row))

    return lambda rows: _worst(map(judge_row, _rows(rows, group, *names)))


def _more(group: str, *names: str, than: str) -> Judgement:
    """Judge by the milliseconds that something takes more than an opponent."""
    return lambda rows: _worst((row.difference(than) * 1000, _where(row)) for row in _rows(rows, group, *names))


_NARROWED = (
    "list 20 by function",
    "list 20 by function, v1",
    "list 20 by a tag of 1 %",
    "list 1,000 by a tag of 1 %",
    "list by a tag that none has",
)
_GETS = ("get by id, first time", "get by id, again", "get by id, again, v1")
_CROWDED = tuple(f"get by id, {crowd} clients" for crowd in (8, 50, 200))

GOALS: tuple[tuple[str, float, Judgement], ...] = (
    (
        "bulk insert of 10,000 in batches of 1,000: × the limit",
        2.0,
        _ratio("write", "bulk insert, in batches of 1,000", to=LIMIT, at=10_000),
    ),
    ("insert of one: × write, fsync, rename, fsync", 1.5, _ratio("write", "insert one", to=LIMIT)),
    ("scan of everything: × the limit", 1.6, _ratio("read", "list all", "list all, fresh store", to=LIMIT)),
    (
        "export by command, at the largest: × the limit of a scan",
        1.6,
        _ratio("command", "filestore list, all as JSON Lines", at=-1),
    ),
    ("get by id: × open, read, parse", 3.0, _ratio("read", *_GETS, to=LIMIT)),
    ("list 100 newest, warm, at the largest: ms", 1.0, _cost("read", "list 100", "list 100, v1", at=-1)),
    ("list 100 newest: × its cost at the smallest", 1.3, _ratio("growth", "list 100", "list 100, v1")),
    (
        "list 100 at offset N/2, warm, at the largest: ms",
        1.0,
        _cost("read", "list 100 at N/2", "list 100 at N/2, v1", at=-1),
    ),
    ("list by function or tag, warm: × the reference at its best", 1.0, _reference("read", *_NARROWED)),
    ("search without a match, at the largest: ms (a third of 904)", 904 / 3, _cost("read", "search, no match", at=-1)),
    ("update in batches: × the reference", 1 / 3, _reference("write", "update, in batches of 100")),
    ("delete in batches: × the reference", 1 / 3, _reference("write", "delete, in batches of 100")),
    ("update one: × the reference", 1.0, _reference("write", "update one")),
    ("delete one: × the reference", 1.0, _reference("write", "delete one")),
    (
        "gateway, get by id: time × a bare http.server",
        2.0,
        _ratio("gateway", "get by id, 1 client", "get by id, 8 clients", to=BARE),
    ),
    ("gateway, list 100: ms more than in Python", 1.5, _more("gateway", "list 100, 1 client", than="Python")),
    ("gateway, up to 200 clients: time × that with 1", 1.1, _ratio("gateway", *_CROWDED, to="1 client")),
    (
        "one operation at the largest: × its cost at the smallest",
        1.3,
        _ratio("growth", *_GETS, "insert one", "update one", "delete one", "list 20"),
    ),
    (
        "memory of bulk insert, list and export, at the largest: MB",
        300,
        _cost("memory", "bulk insert", "list all", "export by command", scale=1, at=-1),
    ),
    ("memory of an export by command: MB", 80, _cost("memory", "export by command", scale=1)),
    ("filestore --help: × python -c pass", 3.0, _ratio("command", "filestore --help", to=PASS)),
    ("filestore get: × python -c pass", 5.0, _ratio("command", "filestore get", to=PASS)),
    (
        "import of the package and of FileStore: ms more than python -c pass",
        40,
        _more("command", "import filestore", "import FileStore", than=PASS),
    ),
)
