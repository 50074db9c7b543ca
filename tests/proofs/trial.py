"""A trial of an operation before a fault: which faults there are, at which of its calls, and how it ends."""

from __future__ import annotations

import errno
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from filestore import FileStore
from filestore.errors import CommittedError, FilestoreError
from tests.proofs.effort import IS_LONG, choose
from tests.proofs.faults import NEVER, Stopped
from tests.proofs.scenes import NOW, Act
from tests.proofs.system import Blow, System

__all__ = [
    "FAULTS",
    "SOME",
    "THOROUGH",
    "Outcome",
    "assert_told",
    "attempt",
    "copied",
    "moments",
    "open_durable",
    "spread",
]

FAULTS = {
    "stopped": Blow(1, "stopped"),
    "io-error": Blow(1),
    "device-gone": Blow(1, is_lasting=True),
    "done-and-refused": Blow(1, "done"),
    "done-and-gone": Blow(1, "done", is_lasting=True),
    "short-write": Blow(1, "short"),
    "disk-full": Blow(1, code=errno.ENOSPC, is_lasting=True),
    "no-permission": Blow(1, code=errno.EACCES),
    "no-descriptor": Blow(1, code=errno.EMFILE),
}
THOROUGH = list(FAULTS)
"""Those that befall every single call at length; the others befall some."""
if IS_LONG:
    FAULTS |= {
        "no-space-once": Blow(1, code=errno.ENOSPC),
        "over-quota": Blow(1, code=errno.EDQUOT, is_lasting=True),
        "read-only": Blow(1, code=errno.EROFS, is_lasting=True),
        "no-permission-any-more": Blow(1, code=errno.EACCES, is_lasting=True),
        "no-descriptors": Blow(1, code=errno.EMFILE, is_lasting=True),
        "short-writes": Blow(1, "short", is_lasting=True),
    }
SOME = choose(1, 20)
"""So many calls of an operation, about, are befallen by a fault of which not every single one is."""


class Outcome(NamedTuple):
    """How an operation ended before a fault."""

    system: System
    error: BaseException | None

    @property
    def is_stopped(self) -> bool:
        return isinstance(self.error, Stopped)

    @property
    def has_happened(self) -> bool:
        """Whether the operation says that it happened."""
        return self.error is None or isinstance(self.error, CommittedError)


def open_durable(root: Path, *, watch: bool = True, hour: int = 1) -> FileStore:
    """Open a store that makes the same ids and times in each run, and waits for no lock."""
    clock = lambda: NOW + timedelta(hours=hour)  # noqa: E731
    return FileStore(root, lock_timeout=0.5, watch=watch, clock=clock, random_bits=lambda bits: 0)


def attempt(act: Act, store: FileStore, blow: Blow) -> Outcome:
    """Act before a fault; an error must be one of the store's own, and say what the system said, of which path."""
    system = System(store.root, blow)
    try:
        with system.installed():
            act(store)
    except Stopped as stopped:
        return Outcome(system, stopped)
    except FilestoreError as error:
        assert_told(str(error), system, blow)
        return Outcome(system, error)
    return Outcome(system, None)


def assert_told(message: str, system: System, blow: Blow) -> None:
    """A message says what the system said, and, where that was once, of which path."""
    assert system.struck is not None, message
    assert os.strerror(blow.code) in message
    if not blow.is_lasting:
        assert Path(system.struck).name in message


def moments(act: Act, template: Path, fault: str, directory: Path, some: int = SOME, *, hour: int = 1) -> Iterator[int]:
    """Yield which calls of an operation a fault is to befall."""
    with copied(template, directory / "counted") as root:
        total = attempt(act, open_durable(root, hour=hour), FAULTS[fault]._replace(at=NEVER)).system.count
    yield from spread(total, f"{directory.name}{fault}", some)


def spread(total: int, what: str, some: int = SOME) -> range:
    """Return which of the calls from 1 to `total` a fault is to befall: all, or some that differ with `what`."""
    step = max(total // some, 1)
    return range(1 + zlib.crc32(what.encode()) % step, total + 1, step)


@contextmanager
def copied(template: Path, root: Path) -> Iterator[Path]:
    shutil.copytree(template, root)
    yield root
    shutil.rmtree(root)
