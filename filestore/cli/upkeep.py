"""Commands that look after the store itself: `init`, `purge`, `recover`."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from filestore.cli.reading import confirm
from filestore.cli.settings import Settings, dataset_argument, examples, hint_dataset
from filestore.cli.terminal import escape_controls, one_line
from filestore.errors import counted
from filestore.ids import is_file_name
from filestore.storage.initialize import initialize

if TYPE_CHECKING:
    from filestore.storage.recovery import Decision
    from filestore.storage.upkeep import Purge

__all__ = ["init", "purge", "recover"]

_AGE = re.compile(r"([0-9]{1,6})([dh])")
_UNITS = {"d": "days", "h": "hours"}


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
    if os.path.isdir(root) and any(map(is_file_name, os.listdir(root))):  # noqa: PTH112, PTH208 (as it was typed)
        raise click.UsageError(f"'{escape_controls(root)}' is a dataset: the store is the directory that it lies in.")
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


def _parse_age(text: str) -> timedelta:
    match = _AGE.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"'{escape_controls(text)}': expected a number of days or hours, such as 90d or 12h")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


@click.command(epilog=examples("filestore purge scratch --older-than 90d --dry-run"))
@dataset_argument
@click.option(
    "--older-than", metavar="AGE", type=_parse_age, default="0d", help="Only what was deleted so long ago: 90d, 12h."
)
@click.option("--dry-run", is_flag=True, help="Remove nothing; only say what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def purge(settings: Settings, dataset: str, older_than: timedelta, dry_run: bool, yes: bool) -> None:
    """Remove the files of deleted datapoints for good.

    Schemas and attached files that nothing uses any more go with them. They can then not be restored from the store;
    what was committed is still in git's history. Asks first on a terminal, unless told not to. Prints the ids of the
    datapoints.
    """
    from filestore.storage.upkeep import Purge

    store = settings.open_store()
    found = store.purge_dataset(dataset_name=dataset, older_than=older_than, dry_run=True)
    nothing = Purge([], [], [])
    if found == nothing and dataset not in (names := store.dataset_names()):
        click.echo(f"There is no dataset '{one_line(dataset)}'.{hint_dataset(names, dataset)}", err=True)
    if not dry_run and found != nothing and not yes and not confirm(f"Remove {_counted(found)} for good?"):
        click.echo("Nothing was removed.", err=True)
        raise click.exceptions.Exit(1)
    if not dry_run:
        found = store.purge_dataset(dataset_name=dataset, older_than=older_than)
    for one in found.datapoints:
        click.echo(one)
    verb = "would be removed" if dry_run else "removed; what was committed is still in git's history"
    click.echo(f"{_counted(found)} {verb}", err=True)


def _counted(purge: Purge) -> str:
    numbers = {"datapoint": len(purge.datapoints), "schema": len(purge.schemas), "file": len(purge.files)}
    return ", ".join(counted(number, noun) for noun, number in numbers.items())


@click.command(epilog=examples("filestore recover --apply"))
@click.option("--apply", "is_applied", is_flag=True, help="Carry out what was interrupted.")
@click.option(
    "--discard",
    "is_discarded",
    is_flag=True,
    help="Give up what was interrupted at another commit; what fits this one is completed.",
)
@click.pass_obj
def recover(settings: Settings, is_applied: bool, is_discarded: bool) -> None:
    """Complete changes that a crash interrupted.

    The next write does so by itself, unless the git repository has moved to another commit in between: then a person
    must say whether the change still fits. Prints the names of the datasets that had one.
    """
    if is_applied and is_discarded:
        raise click.UsageError("Either --apply or --discard: a change is completed or given up.")
    decision: Decision | None = "apply" if is_applied else "discard" if is_discarded else None
    names = settings.open_store().recover(decision)
    for name in names:
        click.echo(one_line(name))
    if not names:
        click.echo("nothing to recover", err=True)
