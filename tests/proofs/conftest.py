"""What proofs share: a store that has read everything; and at the end of a run, how much they tried."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from filestore import FileStore
from tests.proofs.cases import BATCH, DATASET, batch, everything, insert
from tests.proofs.effort import tried


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the account as a table."""
    if not tried:
        return
    terminalreporter.section("tried by the proofs")
    for what, times in sorted(tried.items()):
        terminalreporter.write_line(f"{times:12,}  {what}")


@pytest.fixture
def edited(tmp_path: Path) -> tuple[FileStore, uuid.UUID, Path]:
    """A store that has read everything, and one of its datapoints with its file."""
    store = FileStore(tmp_path)
    ids = insert(store, batch("text"))
    assert len(everything(store)) == BATCH
    return store, ids[3], tmp_path / DATASET / f"{ids[3]}.json"
