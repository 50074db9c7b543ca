"""The command that opens a datapoint in an editor: `edit`."""

from __future__ import annotations

import sys
import uuid
from typing import TYPE_CHECKING

import click

from filestore.cli.editors import Place, run_editor
from filestore.cli.settings import Settings, dataset_argument, examples, parse_datapoint_id
from filestore.cli.targets import show_path
from filestore.cli.terminal import escape_controls

if TYPE_CHECKING:
    from filestore.formatting.edit import Edit

__all__ = ["edit"]


@click.command(
    epilog=examples(
        "filestore edit email_application 019a4903-0e5f-7522-aed5-b912bbcb6b2a",
        'EDITOR="code --wait" filestore edit email_application 019a4903-0e5f-7522-aed5-b912bbcb6b2a',
    )
)
@dataset_argument
@click.argument("datapoint_id", metavar="ID", type=parse_datapoint_id)
@click.pass_obj
def edit(settings: Settings, dataset: str, datapoint_id: uuid.UUID) -> None:
    """Open a datapoint in your editor, and check it when you are done.

    The editor is $VISUAL, $EDITOR, or else vi (notepad on Windows), as it is for git. It opens a copy. When it is
    closed, the copy is checked; if it is right, it takes the file's place in the canonical spelling, and "updated_at"
    becomes now. If it is not, you are told where and may go on editing there; the file stays as it was until then.
    Your copy is kept, and its place is told, if you give up, if the editor fails, or if somebody else has changed the
    file meanwhile: the exit code is 1 then. Without a terminal nobody is asked, and a mistake is the end. Prints the
    ID, or nothing if nothing has changed.
    """
    from filestore.formatting.edit import Edit

    store = settings.open_store()
    begun = Edit(store, dataset, datapoint_id)
    shown = show_path(store.root, f"{store.open_dataset(dataset).layout.directory}/{datapoint_id}.json")
    try:
        has_changed = _edit_until_right(begun) and _finish(begun, shown)
    finally:
        _tell_of_copy(begun)
    if has_changed:
        click.echo(datapoint_id)
    else:
        click.echo("Nothing was changed.", err=True)


def _edit_until_right(begun: Edit) -> bool:
    """Open the editor until there is no mistake; tell whether there is something to write.

    Raises:
        click.exceptions.Exit: The person has given up, or the editor has failed.
    """
    place: Place | None = None
    while True:
        is_well = run_editor(str(begun.path), place)
        if not is_well or not begun.path.exists():
            raise _given_up()
        if begun.is_untouched:
            return False
        mistakes = begun.find_mistakes()
        if not mistakes:
            return True
        for mistake in mistakes:
            click.echo(escape_controls(str(mistake)), err=True)
        if not _wants_to_go_on():
            raise _given_up()
        place = (mistakes[0].line, mistakes[0].column)


def _finish(begun: Edit, shown: str) -> bool:
    """Write the copy in the file's place; tell whether that changed anything.

    Raises:
        click.exceptions.Exit: Somebody else was faster.
    """
    from filestore.formatting.edit import Ending

    ending = begun.finish()
    if ending is Ending.OVERTAKEN:
        text = f"{shown} was changed by somebody else while you edited it: it stays as it is now."
        click.echo(escape_controls(text), err=True)
        raise click.exceptions.Exit(1)
    return ending is Ending.WRITTEN


def _given_up() -> click.exceptions.Exit:
    click.echo("The datapoint stays as it was.", err=True)
    return click.exceptions.Exit(1)


def _wants_to_go_on() -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    try:
        return click.confirm("Edit again?", default=True, err=True)
    except click.Abort:
        click.echo(err=True)
        return False


def _tell_of_copy(begun: Edit) -> None:
    """Say where the copy is that holds what a person wrote and no file does; remove one that holds nothing new."""
    if not begun.path.exists():
        return
    if begun.is_untouched:
        begun.discard()
    else:
        click.echo(escape_controls(f"What you wrote is kept in {begun.path}"), err=True)
