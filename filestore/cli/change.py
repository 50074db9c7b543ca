"""Commands that change a dataset: `insert`, `delete`, `drop`."""

from __future__ import annotations

import uuid

import click

from filestore.cli.items import naming_places, parse_items
from filestore.cli.output import print_ids
from filestore.cli.reading import confirm, read_input, track, warn_of_unknown_fields
from filestore.cli.settings import Settings, dataset_argument, examples, ids_argument, ids_format_option
from filestore.cli.terminal import one_line

__all__ = ["delete", "drop", "insert"]


@click.command(
    epilog=examples(
        "filestore insert support_conversations cases.jsonl",
        """echo '{"function_name": "reply", "type": "chat", "output": "Hello!",""",
        """       "input": {"messages": [{"role": "user", "content": "Hi"}]}}' | filestore insert demo""",
    )
)
@dataset_argument
@click.argument("file", metavar="[FILE|-]", default="-")
@click.option("--v1", is_flag=True, help='Read items of the v1 API, each with its "type".')
@ids_format_option
@click.pass_obj
def insert(settings: Settings, dataset: str, file: str, v1: bool, format: str) -> None:
    """Insert datapoints from a file or from stdin, all or none.

    FILE holds a JSON list of items, one item on each line (JSONL), or the body of a request, {"datapoints": [...]}.
    An item has a "function_name", an "input" and, if wanted, an "output" and "tags"; where the store has no function
    config, also a "type", "chat" or "json". Prints the new ids, in the order of the items.
    """
    store = settings.open_store()
    items = parse_items(*read_input(file, "filestore insert DATASET < items.jsonl"), track)
    warn_of_unknown_fields(items, v1=v1)
    with naming_places(items):
        if v1:
            ids = store.create_datapoints(dataset_name=dataset, requests=items.values)
        else:
            ids = store.bulk_insert_datapoints(dataset_name=dataset, datapoints=items.values)
    if not ids:
        click.echo("0 datapoints inserted", err=True)
    print_ids(ids, format)


@click.command(epilog=examples("filestore delete support_conversations 019a6c71-e0fc-77b8-81cb-704b0be307c6"))
@dataset_argument
@ids_argument
@click.pass_obj
def delete(settings: Settings, dataset: str, ids: tuple[uuid.UUID, ...]) -> None:
    """Delete datapoints; their files stay.

    A deleted datapoint is no longer listed. All are deleted at once, or none: it is no failure if one had been deleted
    before, but it is one if there has never been such a datapoint. Prints how many were deleted.
    """
    store = settings.open_store()
    wanted = list(dict.fromkeys(ids))
    known = store.find_datapoints(dataset_name=dataset, ids=wanted)
    missing = [one for one in wanted if one not in known]
    for one in missing:
        click.echo(f"{one}: there is no such datapoint in dataset '{one_line(dataset)}'", err=True)
    if missing:
        click.echo("Nothing was deleted.", err=True)
        raise click.exceptions.Exit(1)
    click.echo(store.delete_datapoints(dataset_name=dataset, ids=wanted))
    for one in wanted:
        if known[one] is not None:
            click.echo(f"{one}: had been deleted before", err=True)


@click.command(epilog=examples("filestore drop scratch --yes"))
@dataset_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def drop(settings: Settings, dataset: str, yes: bool) -> None:
    """Delete all datapoints of a dataset; their files stay.

    Asks first on a terminal, unless told not to. Prints how many were deleted.
    """
    store = settings.open_store()
    count = store.count_datapoints(dataset_name=dataset)
    if count and not yes and not confirm(f"Delete {_counted(count)} of dataset '{one_line(dataset)}'?"):
        click.echo("Nothing was deleted.", err=True)
        raise click.exceptions.Exit(1)
    if not count:
        click.echo(f"Dataset '{one_line(dataset)}' has no datapoints.", err=True)
    click.echo(store.delete_dataset(dataset_name=dataset))


def _counted(count: int) -> str:
    return "1 datapoint" if count == 1 else f"all {count} datapoints"
