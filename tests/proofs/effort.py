"""How much the proofs try: little beside the other tests, much by `python -m tests.proofs`, and an account of it."""

from __future__ import annotations

import os
from collections import Counter

__all__ = ["IS_LONG", "choose", "count", "tried"]

IS_LONG = bool(os.environ.get("FILESTORE_LONG_TESTS"))

tried: Counter[str] = Counter()
"""What was tried so far in this process, and how often."""


def choose(short: int, long: int) -> int:
    """Return how often to try something in this run."""
    return long if IS_LONG else short


def count(what: str, times: int = 1) -> None:
    """Note that something was tried; it is told at the end of the run."""
    tried[what] += times
