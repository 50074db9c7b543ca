"""At the end of a run, tell how much the proofs tried."""

from __future__ import annotations

import pytest

from tests.proofs.effort import tried


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the account as a table."""
    if not tried:
        return
    terminalreporter.section("tried by the proofs")
    for what, times in sorted(tried.items()):
        terminalreporter.write_line(f"{times:12,}  {what}")
