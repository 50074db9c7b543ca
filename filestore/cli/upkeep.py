"""Commands that look after the store itself: `init`, `recover`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from filestore.cli.settings import Settings, examples
from filestore.cli.terminal import one_line
from filestore.storage.initialize import initialize

if TYPE_CHECKING:
    from filestore.storage.journal import Decision

__all__ = ["init", "recover"]


@click.command(epilog=examples("filestore init datasets"))
@click.argument("directory", metavar="[DIR]", required=False)
@click.pass_obj
def init(settings: Settings, directory: str | None) -> None:
    """Make a directory a store.

    Makes DIR (by default the --root) where it is missing, a .gitattributes that keeps git from changing the bytes of
    datapoints, and a .filestore directory that git ignores. What is there already stays as it is. Prints what was
    made.
    """
    root = settings.root if directory is None else directory
    made = initialize(root)
    for path in made:
        click.echo(path)
    if not made:
        click.echo(f"{root} is a store already.", err=True)
        return
    option = "" if root == "." else f" --root {root}"
    click.echo(
        "\nNext:\n"
        "  describe your functions in a tensorzero.toml there, or name one with --config-file\n"
        f"  filestore{option} insert DATASET items.jsonl\n"
        f"  filestore{option} serve",
        err=True,
    )


@click.command(epilog=examples("filestore recover --apply"))
@click.option("--apply", "decision", flag_value="apply", help="Carry out what was interrupted.")
@click.option("--discard", "decision", flag_value="discard", help="Give up what was interrupted.")
@click.pass_obj
def recover(settings: Settings, decision: Decision | None) -> None:
    """Complete changes that a crash interrupted.

    The next write does so by itself, unless the git repository has moved to another commit in between: then a person
    must say whether the change still fits. Prints the names of the datasets that had one.
    """
    names = settings.open_store().recover(decision)
    for name in names:
        click.echo(one_line(name))
    if not names:
        click.echo("nothing to recover", err=True)
