"""The processes that check files: one for each core where there are many files, this alone where there are few."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context

from filestore.check.dataset import FileResult
from filestore.check.files import FileChecker
from filestore.errors import StorageError
from filestore.functions import FunctionConfig
from filestore.storage.files import Disk
from filestore.storage.layout import DatasetLayout

__all__ = ["Workers"]

_FEW = 2000
"""With so many files a process of its own, which takes a moment to start, does not pay yet."""
_CHUNK = 250
_QUEUED = 4
"""How many chunks wait for each process; all of them at once would be the whole dataset in memory."""

File = tuple[str, bool]
"""The name of a datapoint file, and whether it is stale."""


class Workers:
    """Checks files, in order, in this process or in several.

    Args:
        config: The function config.
        jobs: How many processes may work at once.
        progress: Told how many more files were looked at.
    """

    def __init__(self, config: FunctionConfig, jobs: int, progress: Callable[[int], None]) -> None:
        self._config = config
        self._jobs = jobs
        self._progress = progress
        self._pool: ProcessPoolExecutor | None = None

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def check(self, layout: DatasetLayout, files: Sequence[File]) -> Iterator[FileResult]:
        """Yield what is found in each of a dataset's files, in their order."""
        chunks = (files[start : start + _CHUNK] for start in range(0, len(files), _CHUNK))
        found = self._check_here(layout, chunks) if self._is_few(files) else self._check_there(layout, chunks)
        for results in found:
            yield from results
            self._progress(len(results))

    def _is_few(self, files: Sequence[File]) -> bool:
        return self._jobs == 1 or (self._pool is None and len(files) <= _FEW)

    def _check_here(self, layout: DatasetLayout, chunks: Iterator[Sequence[File]]) -> Iterator[list[FileResult]]:
        checker = FileChecker(layout, Disk(), self._config)
        return (_check(checker, chunk) for chunk in chunks)

    def _check_there(self, layout: DatasetLayout, chunks: Iterator[Sequence[File]]) -> Iterator[list[FileResult]]:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._jobs, mp_context=get_context("spawn"), initializer=_start, initargs=(self._config,)
            )
        running = deque(self._pool.submit(_work, layout, chunk) for chunk in islice(chunks, self._jobs * _QUEUED))
        while running:
            try:
                yield running.popleft().result()
            except BrokenProcessPool:
                raise StorageError("A process that checked files was killed, for want of memory perhaps") from None
            running.extend(self._pool.submit(_work, layout, chunk) for chunk in islice(chunks, 1))


def _check(checker: FileChecker, chunk: Sequence[File]) -> list[FileResult]:
    return [checker.check(name, is_stale=is_stale) for name, is_stale in chunk]


# --- in another process

_config: FunctionConfig
_checkers: dict[str, FileChecker] = {}


def _start(config: FunctionConfig) -> None:
    global _config
    _config = config


def _work(layout: DatasetLayout, chunk: Sequence[File]) -> list[FileResult]:
    if layout.path not in _checkers:
        _checkers.clear()  # what is remembered of the dataset before is not asked for again
        _checkers[layout.path] = FileChecker(layout, Disk(), _config)
    return _check(_checkers[layout.path], chunk)
