"""All of a dataset, one datapoint after the other: each is let go of before the next is read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from filestore.datapoint import Datapoint
from filestore.errors import FilestoreError
from filestore.storage.lists import Lists

__all__ = ["Scan", "consumed"]

T = TypeVar("T")


class Scan(Iterator[Datapoint]):
    """An iterator over live datapoints, newest first; it is over when the function returns that it was handed to.

    Args:
        lists: What the dataset lists; None where there is no dataset.
        function_name: Only datapoints of this function.
        offset: Begin after so many.
        limit: End after so many; None for no end.
    """

    def __init__(self, lists: Lists | None, function_name: str | None, offset: int, limit: int | None) -> None:
        self._failure: FilestoreError | OSError | None = None
        self._is_over = False
        self._count = 0
        self._all: Iterator[object] = iter(())
        self._page: Iterator[Datapoint] = iter(())
        if lists is None:
            return
        if function_name is None:
            self._all = ids = self._counted(lists.view.iter_live())
            self._page = lists.read_each(_cut(ids, offset, limit))
        else:
            datapoints = lists.read_each(lists.view.iter_live())
            self._all = found = self._counted(one for one in datapoints if one.function_name == function_name)
            self._page = _cut(found, offset, limit)

    def __next__(self) -> Datapoint:
        return self._guarded(lambda: next(self._page))

    def total(self) -> int:
        """Count all that there are, of the function or at all, whatever offset and limit say; this ends the iteration.

        Raises:
            FileContentError: Of a function: the file of a live datapoint cannot be read.
        """
        return self._guarded(self._count_rest)

    def check(self) -> None:
        """End it, and raise what has interrupted it, also if that was caught."""
        self._is_over = True
        if self._failure is not None:
            raise self._failure

    def _counted(self, values: Iterable[T]) -> Iterator[T]:
        for value in values:
            self._count += 1
            yield value

    def _count_rest(self) -> int:
        for _ in self._all:
            pass
        return self._count

    def _guarded(self, action: Callable[[], T]) -> T:
        if self._is_over:  # what is read from now on need not belong to what was read before
            raise ValueError("the scan is over: iterate over it in `consume`")
        try:
            return action()
        except (FilestoreError, OSError) as error:
            self._failure = error
            raise


def consumed(scan: Scan, consume: Callable[[Scan], T]) -> Callable[[], T]:
    """Let a caller's function go through a scan; return what gives its result, or raises what it raised of its own.

    A reader that starts over where a file is gone must not take an error of the caller's for one of the dataset's.

    Raises:
        FilestoreError: What has interrupted the scan.
        OSError: Likewise.
    """
    try:
        result = consume(scan)
    except Exception as error:  # noqa: BLE001 (it is raised: once the dataset turns out to have been settled)
        failure = error

        def fail() -> T:
            raise failure

        scan.check()
        return fail
    scan.check()
    return lambda: result


def _cut(values: Iterator[T], offset: int, limit: int | None) -> Iterator[T]:
    if limit == 0:  # then what is left out is not to be read either
        return islice(values, 0)
    start = min(offset, sys.maxsize)
    return islice(values, start, None if limit is None else min(offset + limit, sys.maxsize))
