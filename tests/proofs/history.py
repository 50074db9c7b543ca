"""What clients asked and were answered, and when: written down so that not even SIGKILL loses a line of it.

All times are of CLOCK_MONOTONIC, which all processes of one machine share.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filestore.errors import FileContentError
from tests.proofs.effort import count

__all__ = ["Call", "Recorder", "read_calls"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one client.

    Attributes:
        start: Before it was made, in nanoseconds.
        end: After it was answered; None if it never was.
        kind: What was asked for.
        arguments: With what arguments, as JSON.
        answer: The answer, as JSON; None where there was none.
    """

    start: int
    end: int | None
    kind: str
    arguments: dict[str, Any]
    answer: Any

    @property
    def is_answered(self) -> bool:
        """Whether the client heard the answer."""
        return self.end is not None


_TORN = "a file was half written"


class Recorder:
    """Writes down the calls of one client, one after the other."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)

    def call(self, kind: str, act: Callable[[], Any], **arguments: Any) -> Any:
        """Make a call: write down that it begins, act, and write down the answer before anybody uses it.

        Raises:
            FileContentError: A person takes longer over a file than a read waits; such a call has no effect.
        """
        self._write(time.monotonic_ns(), kind, arguments)
        try:
            answer = act()
        except FileContentError:
            self._write(time.monotonic_ns(), _TORN)
            raise
        self._write(time.monotonic_ns(), answer)
        return answer

    def close(self) -> None:
        """End the record."""
        os.close(self._file)

    def _write(self, *what: Any) -> None:
        line = json.dumps(what).encode() + b"\n"
        assert os.write(self._file, line) == len(line)


def read_calls(path: Path) -> Iterator[Call]:
    """Yield the calls of one client; the last one may have no answer."""
    lines = path.read_bytes().split(b"\n")
    assert lines.pop() == b"", "a line is cut off"
    for at in range(0, len(lines), 2):
        start, kind, arguments = json.loads(lines[at])
        if at + 1 < len(lines):
            end, answer = json.loads(lines[at + 1])
            if answer == _TORN:
                count("calls refused as a file was half written for too long")
                continue
            yield Call(start, end, kind, arguments, answer)
        else:
            yield Call(start, None, kind, arguments, None)
