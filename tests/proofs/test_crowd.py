"""The law of the crowd: however many call and edit one dataset at once, all answers are those of one order.

Proven is, for each history that is recorded here, linearizability, exactly: there is one order of all calls of all
clients and all saves of all persons, in which whatever ended before something else began comes before it, and in which
every answer (ids, numbers, refusals, single datapoints, pages, lists of all or of a tag, all contents) is what the
plain model in `dataset_model` says. So no reader sees half a batch or a torn file, no update is lost, no list leaves
out what was there, each deletion is counted once, and each read sees what was written or saved before it began.

Calls that SIGKILL cut off may have happened or not, each as a whole, before the death. Two things are excused, as no
lock stops a person: a save by hand at the very time at which a call replaces the same file may be overtaken unseen;
and what a read of many says of the files that persons were at during that read counts as if each were read alone.
"""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from filestore import FileStore
from tests.proofs.crowd import Client, be_persons, begin, call_by_stores, call_gateways
from tests.proofs.dataset_model import EVERYTHING, ModelOperation
from tests.proofs.doors import DATASET, Row, StoreDoor
from tests.proofs.effort import choose, count
from tests.proofs.gateways import gateway
from tests.proofs.judge import judge
from tests.proofs.linearizability import NotLinearizableError
from tests.proofs.processes import Mailbox, receive, running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs one clock of all processes, and SIGKILL")

SEEDS = range(choose(1, 12))
CALLS = choose(100, 200)
SAVES = choose(60, 150)


def account(operations: list[ModelOperation]) -> None:
    kinds = Counter(operation.call.kind for operation in operations)
    count("operations in judged histories", len(operations))
    count("lists judged", kinds["list"] + kinds["query"])
    if edits := kinds["save"] + kinds["remove"]:
        count("hand edits judged", edits)


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A store with a few datapoints, and where the members of a crowd write down what they saw."""
    root, log = tmp_path / "store", tmp_path / "log"
    log.mkdir()
    begin(root, 0, log)
    return root, log


def join(stack: ExitStack, places: tuple[Path, Path], seed: int) -> list[Mailbox]:
    """Start clients at all doors."""
    root, log = places
    urls = [stack.enter_context(gateway(root)), stack.enter_context(gateway(root, "--no-watch"))]
    clients = {"a": urls[0], "b": urls[0], "c": urls[1]}
    return [
        stack.enter_context(running(call_by_stores, root, ["d", "e", "f"], seed, CALLS, True, log)),
        stack.enter_context(running(call_by_stores, root, ["g", "h"], seed, CALLS, False, log)),
        stack.enter_context(running(call_gateways, clients, seed, CALLS, log)),
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_all_answers_of_a_crowd_are_those_of_one_order(places: tuple[Path, Path], seed: int) -> None:
    with ExitStack() as stack:
        release(join(stack, places, seed))
    account(judge(*places, {}))


@pytest.mark.parametrize("seed", SEEDS)
def test_all_answers_of_a_crowd_are_those_of_one_order_while_persons_edit_files(
    places: tuple[Path, Path], seed: int
) -> None:
    root, log = places
    with ExitStack() as stack:
        members = join(stack, places, seed)
        persons = stack.enter_context(running(be_persons, root, ["i", "j"], seed, SAVES, log))
        release([*members, persons])
    account(judge(root, log, {}))


class RememberingDoor(StoreDoor):
    """A defect: once it has listed everything, it answers that for ever."""

    _known: list[Row] | None = None

    def list_page(self, offset: int, limit: int = EVERYTHING) -> list[Row]:
        if limit != EVERYTHING or self._known is None:
            found = super().list_page(offset, limit)
            self._known = found if limit == EVERYTHING else self._known
            return found
        return self._known


class LosingDoor(StoreDoor):
    """A defect: a list of a tag leaves out the last one."""

    def query(self, split: str | None) -> list[Row]:
        return super().query(split)[:-1]


class ForgettingDoor(StoreDoor):
    """A defect: a patch in place undoes the renaming before it."""

    def patch(self, ids: list[str], split: str, marks: list[str], *, new_ids: bool = True) -> list[str] | None:
        found = super().patch(ids, split, marks, new_ids=new_ids)
        if found:
            self._store.update_datapoints_metadata(
                dataset_name=DATASET, requests=[{"id": one, "name": None} for one in found]
            )
        return found


@pytest.mark.parametrize("door", [RememberingDoor, LosingDoor, ForgettingDoor])
def test_a_store_with_a_defect_is_found_out(places: tuple[Path, Path], door: type[StoreDoor]) -> None:
    root, log = places
    Client("only", 0, door(FileStore(root, durable=False)), log).run(CALLS)
    with pytest.raises(NotLinearizableError):
        judge(root, log, {})


def release(members: list[Mailbox]) -> None:
    """Let all begin, and wait until all are through."""
    for member in members:
        assert receive(member) == "ready"
    for member in members:
        member.send("go")
    for member in members:
        assert receive(member) == "done"
