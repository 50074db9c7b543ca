"""Results of any number that are printed all or not at all, in little memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

import click

from filestore.cli.output import escape_json
from filestore.codec import compact, dumps

if TYPE_CHECKING:
    from types import TracebackType

    from filestore.codec import JSONValue

__all__ = ["JSONSpool"]

_MOST_HELD = 4 << 20
"""So many bytes are held in memory; more go to a temporary file."""
_AT_ONCE = 1 << 20


class JSONSpool:
    """JSON values that are printed later, as `print_json` prints a list of them, or `print_json_lines`.

    Args:
        is_list: Whether they are printed as one list; otherwise each is on a line.
        most_held: How many bytes are held in memory.
    """

    def __init__(self, *, is_list: bool, most_held: int = _MOST_HELD) -> None:
        self._is_list = is_list
        self._most_held = most_held
        self._is_empty = True
        self._size = 0
        self._held: IO[bytes] = io.BytesIO()
        self._directory: str | None = None

    def __enter__(self) -> JSONSpool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with suppress(OSError):  # no room for the rest of it, which was said before
            self._held.close()

    def clear(self) -> None:
        """Forget all values."""
        self._is_empty = True
        self._size = 0
        self._held.seek(0)
        self._held.truncate()

    def add(self, value: JSONValue) -> None:
        """Add a value.

        Raises:
            OSError: There is no room in the directory for temporary files.
        """
        if self._is_list:
            # An item of a list as it stands there: without the line before it, and those after it.
            self._write((b"[\n" if self._is_empty else b",\n") + dumps([value])[2:-3])
        else:
            self._write(f"{compact(value)}\n".encode())
        self._is_empty = False

    def print(self) -> None:
        """Print the values."""
        if self._is_list:
            self._write(b"[]\n" if self._is_empty else b"\n]\n")
        with self._naming_directory():
            self._held.seek(0)
        while data := self._held.read(_AT_ONCE):
            click.echo(data, nl=False)

    def _write(self, data: bytes) -> None:
        safe = escape_json(data)
        self._size += len(safe)
        with self._naming_directory():
            if self._size > self._most_held and self._directory is None:
                self._move_to_file()
            self._held.write(safe)

    def _move_to_file(self) -> None:
        import tempfile  # slow to load

        self._directory = tempfile.gettempdir()
        held, self._held = self._held, tempfile.TemporaryFile()  # noqa: SIM115 (closed with the spool)
        held.seek(0)
        self._held.write(held.read())

    @contextmanager
    def _naming_directory(self) -> Iterator[None]:
        """Name the directory for temporary files in what the system refuses there."""
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror or str(error), self._directory) from error
