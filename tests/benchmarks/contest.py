"""Contests: things that do the same job, timed in turns."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Action", "Contender", "Times", "compete"]

Action = Callable[[], object]
Times = dict[str, list[float]]
"""Name of a contender to the seconds that one operation took, by round."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do the job.

    Attributes:
        name: What the report calls it.
        prepare: Returns what is to be timed; the preparation is not.
        operations: How many operations that carries out.
    """

    name: str
    prepare: Callable[[], Action]
    operations: int = 1

    @classmethod
    def of(cls, name: str, action: Action, operations: int = 1) -> Contender:
        """Make a contender that needs no preparation."""
        return cls(name, lambda: action, operations)


def compete(
    contenders: Sequence[Contender], budget: float, *, warmups: int = 2, most_rounds: int = 60, least_rounds: int = 3
) -> Times:
    """Time contenders round by round; one that has used up its share of the time sits out the later rounds.

    Args:
        contenders: The subject first; the contest ends with its share.
        budget: Seconds for all of it; what `least_rounds` and the warm-up take may exceed it.
        warmups: How often each is called before.
        most_rounds: At most so many rounds.
        least_rounds: So many rounds in any case.
    """
    for one in contenders:
        for _ in range(warmups):
            one.prepare()()
    gc.unfreeze()
    gc.collect()
    gc.freeze()  # what other contests have left in memory is no one's cost here
    times: Times = {one.name: [] for one in contenders}
    spent = dict.fromkeys(times, 0.0)
    share = budget / len(contenders)
    for number in range(most_rounds):
        left = [one for one in contenders if number < least_rounds or spent[one.name] < share]
        if contenders[0] not in left:
            break
        for one in left[number % len(left) :] + left[: number % len(left)]:
            began = time.perf_counter()
            times[one.name].append(_time(one))
            spent[one.name] += time.perf_counter() - began
    return times


def _time(contender: Contender) -> float:
    action = contender.prepare()
    gc.collect()
    began = time.perf_counter()
    result = action()
    seconds = time.perf_counter() - began
    del result  # to be freed is no part of the operation
    return seconds / contender.operations
