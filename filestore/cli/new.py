"""The command that writes a draft to fill in: `new`."""

from __future__ import annotations

import click

from filestore.cli.settings import Settings, dataset_argument, examples, hint_dataset
from filestore.cli.targets import show_path
from filestore.cli.terminal import escape_controls

__all__ = ["new"]


@click.command(
    epilog=examples(
        "filestore new email_application extract_recipient --name two-recipients",
        "filestore fmt --adopt email_application/two-recipients.json",
    )
)
@dataset_argument
@click.argument("function")
@click.option(
    "--name", metavar="STEM", help="What the draft is called: its file is STEM.json.  [default: new-FUNCTION]"
)
@click.pass_obj
def new(settings: Settings, dataset: str, function: str, name: str | None) -> None:
    """Write a draft of a new datapoint to fill in.

    It has the keys that FUNCTION asks for, with nothing in them, and no id: the API does not show it. Fill it in, and
    `filestore fmt --adopt` makes it a datapoint, called STEM unless it says a "name". No file is ever replaced.
    Prints the path of the draft.
    """
    from filestore.formatting.new import write_new_draft

    store = settings.open_store()
    hint = hint_dataset(store.dataset_names(), dataset)
    path = show_path(store.root, write_new_draft(store, dataset, function, name))
    click.echo(escape_controls(path))
    if hint:
        click.echo(f"This makes a new dataset, '{escape_controls(dataset)}'.{hint}", err=True)
    click.echo(f"Fill it in, then: filestore fmt --adopt {escape_controls(path)}", err=True)
