"""Commands that change a dataset: `insert`, `delete`, `drop`."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click

from filestore.cli.items import parse_items
from filestore.cli.output import print_json
from filestore.cli.settings import Settings, dataset_argument, examples, ids_argument
from filestore.cli.terminal import one_line
from filestore.store import FileStore

__all__ = ["delete", "drop", "insert"]

T = TypeVar("T")
_SLOW_FROM = 1000
"""From this many lines on, a person likes to see how far the reading has come."""


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
@click.option(
    "--format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print the new ids: one on each line, or as a JSON list.",
)
@click.pass_obj
def insert(settings: Settings, dataset: str, file: str, v1: bool, format: str) -> None:
    """Insert datapoints from a file or from stdin, all or none.

    FILE holds a JSON list of items, one item on each line (JSONL), or the body of a request, {"datapoints": [...]}.
    An item has a "function_name", an "input" and, if wanted, an "output" and "tags"; where the store has no function
    config, also a "type", "chat" or "json". Prints the new ids, in the order of the items.
    """
    store = settings.open_store()
    data, source = _read(file)
    items = parse_items(data, source, _track)
    if v1:
        ids = store.create_datapoints(dataset_name=dataset, requests=items)
    else:
        ids = store.bulk_insert_datapoints(dataset_name=dataset, datapoints=items)
    if format == "json":
        print_json([str(new_id) for new_id in ids])
    elif ids:
        click.echo("\n".join(map(str, ids)))


@click.command(epilog=examples("filestore delete support_conversations 01991f3c-7d2a-7c4e-9b1d-2f6a8e0c4d53"))
@dataset_argument
@ids_argument
@click.pass_obj
def delete(settings: Settings, dataset: str, ids: tuple[uuid.UUID, ...]) -> None:
    """Delete datapoints; their files stay.

    A deleted datapoint is no longer listed. All are deleted at once, or none. Prints how many were deleted, and on
    stderr which of the ids were not: it is no failure if one had been deleted before, but it is one if there has
    never been such a datapoint.
    """
    store = settings.open_store()
    wanted = list(dict.fromkeys(ids))
    started = datetime.now(UTC)
    deleted = store.delete_datapoints(dataset_name=dataset, ids=wanted)
    click.echo(deleted)
    if deleted < len(wanted) and not _explain_others(store, dataset, wanted, started):
        raise click.exceptions.Exit(1)


@click.command(epilog=examples("filestore drop scratch --yes"))
@dataset_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def drop(settings: Settings, dataset: str, yes: bool) -> None:
    """Delete all datapoints of a dataset; their files stay.

    Asks first, unless told not to. Prints how many were deleted.
    """
    store = settings.open_store()
    count = store.count_datapoints(dataset_name=dataset)
    if count and not yes and not _confirm(f"Delete {_counted(count)} of dataset '{one_line(dataset)}'?"):
        click.echo("Nothing was deleted.", err=True)
        raise click.exceptions.Exit(1)
    if not count:
        click.echo(f"Dataset '{one_line(dataset)}' has no datapoints.", err=True)
    click.echo(store.delete_dataset(dataset_name=dataset))


def _read(file: str) -> tuple[bytes, str]:
    """Return the bytes of a file, and what errors call it."""
    if file != "-":
        return Path(file).read_bytes(), file
    if sys.stdin is None or sys.stdin.isatty():
        raise click.UsageError("Give a FILE, or items on stdin: filestore insert DATASET < items.jsonl")
    return sys.stdin.buffer.read(), "stdin"


def _track(lines: Sequence[T]) -> Iterable[T]:
    """Pass lines on, with a progress bar where somebody is watching and it takes a while."""
    if len(lines) < _SLOW_FROM or not sys.stderr.isatty():
        yield from lines
        return
    with click.progressbar(lines, label="Reading", file=sys.stderr) as watched:
        yield from watched


def _explain_others(store: FileStore, dataset: str, ids: Sequence[uuid.UUID], started: datetime) -> bool:
    """Say which ids could not be deleted; tell whether all of them are at least deleted by now."""
    known = {found.id: found for found in store.get_datapoints(ids=ids, dataset_name=dataset)}
    for datapoint_id in ids:
        found = known.get(datapoint_id)
        if found is None:
            click.echo(f"{datapoint_id}: there is no such datapoint in dataset '{one_line(dataset)}'", err=True)
        elif found.staled_at is not None and found.staled_at < started:
            click.echo(f"{datapoint_id}: had been deleted before", err=True)
    return len(known) == len(ids)


def _confirm(question: str) -> bool:
    if sys.stdin is None or not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to ask on: --yes deletes without asking.")
    return click.confirm(question, err=True)


def _counted(count: int) -> str:
    return "1 datapoint" if count == 1 else f"all {count} datapoints"
