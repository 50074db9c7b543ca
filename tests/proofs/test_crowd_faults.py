"""The law of the crowd where members are killed: their last call happened or did not, and nobody else notices."""

from __future__ import annotations

import random
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.proofs.crowd import be_persons, begin, call_by_stores
from tests.proofs.effort import choose, count
from tests.proofs.judge import judge
from tests.proofs.processes import ANSWER_SECONDS, Mailbox, receive, running, start, until
from tests.proofs.test_crowd import CALLS, SAVES, account

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs one clock of all processes, and SIGKILL")

SEEDS = range(choose(1, 12))
KILLS = choose(8, 30)
ENDLESS = 10**6


def kill(process: Any) -> int:
    """Kill a process; return a time at which it was certainly dead."""
    process.kill()
    process.join(ANSWER_SECONDS)
    assert process.exitcode == -9, "it ended by itself"
    return time.monotonic_ns()


def call_until_killed(root: Path, log: Path, seed: int, chance: random.Random, number: int) -> dict[str, int]:
    """Run a process with two clients and kill it in the middle of something; return when they were dead."""
    names = [f"x{number}", f"y{number}"]
    process, mailbox = start(call_by_stores, root, names, seed, ENDLESS, bool(number % 2), log)
    with mailbox:
        assert receive(mailbox) == "ready"
        mailbox.send("go")
        enough = chance.randint(1, 20_000)
        assert until(lambda: sum((log / name).stat().st_size for name in names) > enough)
        threading.Event().wait(chance.random() * 0.003)  # any moment of a call will do
        return dict.fromkeys(names, kill(process))


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_members_of_a_crowd_leave_whole_calls_and_disturb_nobody(tmp_path: Path, seed: int) -> None:
    root, log, chance = tmp_path / "store", tmp_path / "log", random.Random(seed)
    log.mkdir()
    begin(root, seed, log)
    deaths: dict[str, int] = {}
    with ExitStack() as stack:
        lasting: list[Mailbox] = [
            stack.enter_context(running(call_by_stores, root, ["d", "e"], seed, CALLS, True, log)),
            stack.enter_context(running(call_by_stores, root, ["g"], seed, CALLS, False, log)),
            stack.enter_context(running(be_persons, root, ["i"], seed, SAVES, log)),
        ]
        for member in lasting:
            assert receive(member) == "ready"
            member.send("go")
        for number in range(KILLS):
            deaths |= call_until_killed(root, log, seed, chance, number)
        for member in lasting:
            assert receive(member) == "done"
    operations = judge(root, log, deaths)
    account(operations)
    count("processes killed in a crowd", KILLS)
    count("writes cut off in judged histories", sum(one.is_optional for one in operations))
