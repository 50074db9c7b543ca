"""Contests: things that do the same job, timed in turns."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Action = Callable[[], object]
Times = dict[str, list[float]]
"""Name of a contender to the seconds that one operation took, by round."""

_MOST_ROUNDS = 60
_LEAST_ROUNDS = 5
"""For the subject and its first opponent; the others may have less."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do the job.

    Attributes:
        name: What the report calls it.
        prepare: Returns what is to be timed; the preparation is not.
        operations: How many operations that carries out.
        syncs: Whether it ends in a sync of the whole file system, which then has to be clean before.
    """

    name: str
    prepare: Callable[[], Action]
    operations: int = 1
    syncs: bool = False

    @classmethod
    def of(cls, name: str, action: Action) -> Contender:
        """Make a contender that needs no preparation."""
        return cls(name, lambda: action)

    def time(self) -> float:
        """Return the seconds that one operation takes."""
        action = self.prepare()
        if self.syncs:
            os.sync()
        gc.collect()
        began = time.perf_counter()
        result = action()
        seconds = time.perf_counter() - began
        del result  # to be freed is no part of the operation
        return seconds / self.operations


def compete(contenders: Sequence[Contender], budget: float, *, warmups: int = 2) -> Times:
    """Time contenders round by round; one that has used up its share of the time sits out the later rounds.

    Args:
        contenders: The subject first; the contest ends with its share.
        budget: Seconds for each; what the least number of rounds and the warm-up take may exceed it.
        warmups: How often each is called before.
    """
    for one in contenders:
        for _ in range(warmups):
            one.time()
    gc.unfreeze()
    gc.collect()
    gc.freeze()  # what other contests have left in memory is no one's cost here
    times: Times = {one.name: [] for one in contenders}
    spent = dict.fromkeys(times, 0.0)
    for number in range(_MOST_ROUNDS):
        least = (_LEAST_ROUNDS, _LEAST_ROUNDS, *(1 for _ in contenders))
        left = [
            one for one, rounds in zip(contenders, least, strict=False) if number < rounds or spent[one.name] < budget
        ]
        if contenders[0] not in left:
            break
        for one in left[number % len(left) :] + left[: number % len(left)]:
            began = time.perf_counter()
            times[one.name].append(one.time())
            spent[one.name] += time.perf_counter() - began
    return times
