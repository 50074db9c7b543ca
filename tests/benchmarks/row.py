"""Rows: what one contest has shown."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tests.benchmarks.contest import Times


@dataclass(frozen=True, slots=True)
class Spread:
    """A middle and its quartiles."""

    middle: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the quartiles of values."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return Spread(middle, low, high)


@dataclass(frozen=True, slots=True)
class Row:
    """One operation at one size.

    Attributes:
        group: Which part of the report it belongs to.
        name: The operation.
        size: Datapoints in the dataset.
        times: The contest; its first contender is the subject. Seconds, or megabytes in the group `memory`.
        notes: What is missing, and why.
    """

    group: str
    name: str
    size: int
    times: Times
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """The contender that the others are compared with."""
        return next(iter(self.times))

    @property
    def cost(self) -> Spread:
        """What the subject takes."""
        return spread(self.times[self.subject])

    def ratio(self, opponent: str) -> Spread:
        """Return what the subject takes as a multiple of what an opponent takes in the same round."""
        return spread([mine / other for mine, other in self._rounds(opponent)])

    def difference(self, opponent: str) -> float:
        """Return the median of what the subject takes more than an opponent in the same round."""
        return statistics.median(mine - other for mine, other in self._rounds(opponent))

    def _rounds(self, opponent: str) -> Iterator[tuple[float, float]]:
        return zip(self.times[self.subject], self.times[opponent], strict=False)  # an opponent may have sat some out

    @property
    def opponents(self) -> list[str]:
        """Those that the subject is compared with."""
        return list(self.times)[1:]

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return {
            "group": self.group,
            "name": self.name,
            "n": self.size,
            "subject": self.subject,
            "medians": {name: statistics.median(values) for name, values in self.times.items()},
            "rounds": {name: len(values) for name, values in self.times.items()},
            "ratios": {name: asdict(self.ratio(name)) for name in self.opponents},
            "notes": self.notes,
        }


def merge(rows: Sequence[Row]) -> Row:
    """Return one row of the rounds of several, of the same operation and size."""
    return replace(rows[0], times={name: [one for row in rows for one in row.times[name]] for name in rows[0].times})
