"""How a dataset is brought to rest after a crash: what was staged goes, what was committed is completed.

The caller holds the dataset's lock throughout.
"""

from __future__ import annotations

from typing import Literal

from filestore.errors import RecoveryNeededError
from filestore.storage.change import Pending
from filestore.storage.journal import Journal
from filestore.storage.repository import read_head
from filestore.storage.sequence import Sequence

__all__ = ["Decision", "Recovery"]

Decision = Literal["apply", "discard"]
_LASTING = frozenset({"lock", "seq"})
"""What a dataset's internal directory holds between two writes."""


class Recovery:
    """The recovery of one dataset.

    Args:
        journal: Its journal.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._layout = journal.layout
        self._disk = journal.disk
        self._numbers = journal.numbers
        self._placing = journal.placing

    def recover(self, decision: Decision | None = None) -> bool:
        """Bring the dataset into a settled state; tell whether a committed change was completed or given up.

        Args:
            decision: What a person decided about a change that met another HEAD; None decides by itself.

        Raises:
            RecoveryNeededError: HEAD has moved since the change was committed, and nobody has decided.
        """
        names = self._disk.names(self._layout.internal)
        sequence = self._journal.sequence()
        for name in names:
            if name.startswith("stage-"):
                self._disk.remove_tree(f"{self._layout.internal}/{name}")
        if sequence.is_shared:
            self._numbers.unshare()
        if "pending" in names:
            self._recover_pending(sequence.number | 1, decision)
            return True
        if not sequence.is_settled:
            self._sync_names()  # of a change of one file, whose maker may not have come to that
            self._numbers.write(sequence.number + 1)
        return False

    def _sync_names(self) -> None:
        """Make every name durable that a change of one file may have made."""
        tombstones = self._layout.tombstones
        shards = (f"{tombstones}/{name}" for name in self._disk.names(tombstones) if len(name) == 2)
        self._disk.sync_directories([self._layout.root, self._layout.path, tombstones, *shards])

    def come_to_rest(self) -> Sequence:
        """Recover where that is needed, and return the settled sequence number."""
        sequence = self._journal.sequence()
        is_clean = set(self._disk.names(self._layout.internal)) <= _LASTING
        if is_clean and sequence.is_settled and not sequence.is_shared:
            return sequence
        self.recover()
        return self._journal.sequence()

    def _recover_pending(self, number: int, decision: Decision | None) -> None:
        try:
            pending = self._journal.pending()
        except RecoveryNeededError:  # nobody can tell any more what it was
            if decision != "discard":
                raise
            self._give_up(number)
            return
        if pending is None:
            self._give_up(number)
            return
        head = read_head(self._disk, self._layout.root)
        is_elsewhere = pending.head != head and not self._is_applied(pending)
        if is_elsewhere and decision == "discard":
            self._refuse_half(pending)
            self._give_up(number)
            return
        if is_elsewhere and decision != "apply":
            raise RecoveryNeededError(
                f"A change to dataset {self._layout.name} was interrupted at commit {pending.head}, and HEAD is at"
                f" {head} now: `filestore recover --apply` completes it here, `filestore recover --discard` gives it up"
            )
        self._numbers.write(number)
        gained = self._placing.make_directories(pending.puts)  # git may have removed them with their last tracked file
        self._journal.settle(number - 1, [*self._placing.apply(pending, None), *gained], is_pending=True)

    def _give_up(self, number: int) -> None:
        self._numbers.write(number)
        self._journal.settle(number - 1, [], is_pending=True)

    def _refuse_half(self, pending: Pending) -> None:
        """Refuse to give up a change of which a part is in place: half of it would stay.

        Raises:
            RecoveryNeededError: Something is.
        """
        is_begun = any(self._disk.status(self._layout.staged(entry)) is None for entry in pending.puts)
        if is_begun or any(self._disk.status(self._layout.final(entry)) is None for entry in pending.removed):
            raise RecoveryNeededError(
                f"A part of the interrupted change to dataset {self._layout.name} is in place already, so it cannot be"
                " given up: `filestore recover --apply` completes it"
            )

    def _is_applied(self, pending: Pending) -> bool:
        """Tell whether nothing is left to do but to close the change."""
        if any(self._disk.status(self._layout.staged(entry)) is not None for entry in pending.puts):
            return False
        return not any(self._placing.is_to_go(entry, digest, None) for entry, digest in pending.removed.items())
