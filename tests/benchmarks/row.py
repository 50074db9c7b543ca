"""Rows: what one contest has shown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.contest import Times

__all__ = ["Row", "Spread", "spread"]


@dataclass(frozen=True, slots=True)
class Spread:
    """A middle and its quartiles."""

    middle: float
    low: float
    high: float


def spread(values: Sequence[float], middle: float | None = None) -> Spread:
    """Return the median (or another middle) and the quartiles of values."""
    low, median, high = statistics.quantiles(list(values) * 2, n=4, method="inclusive")  # twice: there may be but one
    return Spread(median if middle is None else middle, low, high)


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
        """Return the subject's median as a multiple of an opponent's, with the quartiles of that in single rounds."""
        pairs = list(zip(self.times[self.subject], self.times[opponent], strict=False))
        mine, theirs = zip(*pairs, strict=True)
        middle = statistics.median(mine) / statistics.median(theirs)
        return spread([one / other for one, other in pairs], middle)

    def difference(self, opponent: str) -> float:
        """Return the median of what the subject takes more than an opponent in the same round."""
        return statistics.median(a - b for a, b in zip(self.times[self.subject], self.times[opponent], strict=False))

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
            "ratios": {name: _to_dict(self.ratio(name)) for name in self.opponents},
            "notes": self.notes,
        }


def _to_dict(one: Spread) -> dict[str, float]:
    return {"ratio": one.middle, "low": one.low, "high": one.high}
