"""What all commands share: the options before the command, and their ways to name datasets and datapoints."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import click

from filestore.cli.terminal import escape_controls

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from filestore.store import FileStore

__all__ = [
    "Settings",
    "complete_dataset",
    "dataset_argument",
    "examples",
    "function_option",
    "hint_dataset",
    "ids_argument",
    "ids_format_option",
    "optional_ids_argument",
    "parse_pair",
]


class Settings(NamedTuple):
    """The options that stand before the command."""

    root: str
    config_file: str | None

    @property
    def place(self) -> str:
        """How a sentence calls the root."""
        return "this directory" if self.root == "." else self.root

    def tell_of_nothing(self, what: str = "datapoints") -> None:
        """Say on stderr that the store has nothing to work on, and which directory in it may be meant."""
        from filestore.storage.initialize import is_store

        names = sorted(os.listdir(self.root))  # noqa: PTH208 (pathlib is slow to load)
        inner = (os.path.join(self.root, name) for name in names if not name.startswith("."))  # noqa: PTH118
        near = next((path for path in inner if is_store(path)), None)
        hint = f", perhaps {os.path.normpath(near)}" if near else ""
        click.echo(escape_controls(f"There are no {what} in {self.place}; --root names another store{hint}."), err=True)

    def open_store(self, *, watch: bool = False) -> FileStore:
        """Open the store, which must be there already: a root typed wrong would look like an empty store.

        Args:
            watch: Whether to let the kernel tell what changes, where it can; most commands are over before it pays.

        Raises:
            click.UsageError: The root is no directory.
            ConfigError: A mistake in the function config.
        """
        from filestore.store import FileStore

        if not os.path.isdir(self.root):  # noqa: PTH112 (pathlib is slow to load)
            self._check_root()
        return FileStore(self.root, self.config_file, watch=watch)

    def _check_root(self) -> None:
        from pathlib import Path

        root = Path(self.root)
        if not root.exists():
            raise click.UsageError(f"The root '{root}' does not exist. To make it a store: filestore init {root}")
        if not root.is_dir():
            raise click.UsageError(f"The root '{root}' is not a directory.")


def parse_datapoint_id(text: str) -> uuid.UUID:
    """Read an id on the command line; a mistake in it is one of usage.

    Raises:
        click.BadParameter: It spells no UUID.
    """
    from filestore.errors import InvalidIdError
    from filestore.ids import parse_uuid

    try:
        return parse_uuid(text.removesuffix(".json"))  # so a file name will do
    except InvalidIdError as error:
        raise click.BadParameter(f"'{escape_controls(text)}': {error}") from None


def parse_pair(text: str) -> tuple[str, str]:
    """Read `KEY=VALUE` on the command line.

    Raises:
        click.BadParameter: There is no `=`.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"'{escape_controls(text)}': expected KEY=VALUE")
    return key, value


def examples(*commands: str) -> str:
    r"""Return what stands below a command's options: how it is used.

    >>> examples("filestore serve")
    '\x08\nExamples:\n  filestore serve'
    """
    # Click leaves the lines of a paragraph as they are where it begins with a backspace.
    return "\b\n" + "\n  ".join(("Examples:", *commands))


def complete_dataset(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of datasets that begin so, for a shell's completion."""
    from filestore.errors import FilestoreError

    options = ctx.find_root().params
    settings = Settings(options.get("root") or ".", options.get("config_file"))
    try:
        names = settings.open_store().dataset_names()
    except (click.UsageError, FilestoreError, OSError):
        return []  # a shell's completion has no place for errors
    return [name for name in names if name.startswith(incomplete)]


def hint_dataset(names: Sequence[str], name: str) -> str:
    """Ask, after a space, whether another dataset was meant: one of nearly the same name, where none has this."""
    from filestore.errors import find_near

    near = None if name in names else find_near(name, names)
    return f" Did you mean '{escape_controls(near)}'?" if near else ""


dataset_argument = click.argument("dataset", shell_complete=complete_dataset)
optional_ids_argument = click.argument("ids", metavar="[ID...]", type=parse_datapoint_id, nargs=-1)
ids_format_option = click.option(
    "--format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print the ids: one on each line, or as a JSON list.",
)
ids_argument = click.argument("ids", metavar="ID...", type=parse_datapoint_id, nargs=-1, required=True)
function_option = click.option("--function-name", metavar="NAME", help="Only datapoints of this function.")
