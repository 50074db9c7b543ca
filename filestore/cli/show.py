"""Commands that show what is in the store: `datasets`, `list`, `get`."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import click

from filestore.cli.output import TABLE_FORMATS, print_json, print_json_lines, print_table
from filestore.cli.preview import preview_input, preview_output, preview_tags
from filestore.cli.query_options import query_arguments, query_options
from filestore.cli.settings import Settings, dataset_argument, examples, function_option, hint_dataset, ids_argument
from filestore.cli.table import Column
from filestore.cli.terminal import escape_controls, one_line
from filestore.codec import JSONValue
from filestore.ids import format_wire_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from filestore.datapoint import Datapoint
    from filestore.storage.scan import Scan
    from filestore.store import FileStore

__all__ = ["datasets", "get", "list_datapoints"]

_DATASET_COLUMNS = (Column("DATASET", 20), Column("DATAPOINTS", is_number=True), Column("LAST UPDATED"))
_DATAPOINT_COLUMNS = (
    Column("ID"),
    Column("FUNCTION", 8),
    Column("NAME", 8),
    Column("INPUT", 12),
    Column("OUTPUT", 10),
    Column("TAGS", 8),
)

format_option = click.option(
    "--format", type=TABLE_FORMATS, default="table", show_default=True, help="How to print them."
)


@click.command(epilog=examples("filestore datasets --format json"))
@function_option
@format_option
@click.pass_obj
def datasets(settings: Settings, function_name: str | None, format: str) -> None:
    """List the datasets of the store.

    Only datasets that have datapoints, the one updated last first, with the number of datapoints and the time (UTC)
    when one of them last changed.
    """
    summaries = settings.open_store().list_datasets(function_name=function_name)
    values: list[JSONValue] = [
        {
            "dataset_name": summary.dataset_name,
            "datapoint_count": summary.datapoint_count,
            "last_updated": format_wire_time(summary.last_updated),
        }
        for summary in summaries
    ]
    rows = [
        (one_line(summary.dataset_name), str(summary.datapoint_count), format_wire_time(summary.last_updated))
        for summary in summaries
    ]
    _print(format, values, _DATASET_COLUMNS, rows)
    if not summaries:
        of_function = "" if function_name is None else f" of function '{one_line(function_name)}'"
        settings.tell_of_nothing(f"datapoints{of_function}")


@click.command(
    epilog=examples(
        "filestore list support_conversations",
        "filestore list support_conversations --function-name support_agent --limit 20",
        "filestore list support_conversations --tag split=test --since 2025-11-01 --search refund",
        "filestore list support_conversations --format jsonl | jq .output",
    )
)
@dataset_argument
@function_option
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Print at most N datapoints.",
)
@click.option(
    "--offset",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Leave out the N newest ones.",
)
@query_options
@format_option
@click.pass_obj
def list_datapoints(
    settings: Settings,
    /,
    dataset: str,
    function_name: str | None,
    limit: int,
    offset: int,
    format: str,
    **query: Any,
) -> None:
    """List the datapoints of a dataset, newest first.

    With a filter, a search or an order, the one updated last comes first instead, unless --order says otherwise.

    The table shortens what does not fit the terminal; `filestore get` prints a datapoint in full. The other formats
    print datapoints as the HTTP API does: json one list, jsonl one datapoint on each line.
    """
    store = settings.open_store()
    arguments = query_arguments(**query)
    if format != "table" and limit and not arguments:
        _stream(store, dataset, function_name, limit, offset, is_list=format == "json")
        return
    page = store.list_datapoints(
        dataset_name=dataset, function_name=function_name, limit=limit, offset=offset, **arguments
    )
    values = [] if format == "table" else [datapoint.to_dict() for datapoint in page]
    rows = [_row(datapoint) for datapoint in page] if format == "table" else []
    _print(format, values, _DATAPOINT_COLUMNS, rows)
    if not limit:
        return
    if not page:
        _explain_empty(store, dataset, offset, is_narrowed=bool(arguments or function_name))
    elif len(page) == limit and arguments:
        click.echo(f"{limit} shown; --offset {offset + limit} for the next", err=True)
    elif len(page) == limit:
        total = store.count_datapoints(dataset_name=dataset, function_name=function_name)
        _explain_rest(limit, offset, total)


@click.command(epilog=examples("filestore get support_conversations 019a6c71-e0fc-77b8-81cb-704b0be307c6"))
@dataset_argument
@ids_argument
@click.option(
    "--format",
    type=click.Choice(["json", "jsonl"]),
    default="json",
    show_default=True,
    help="json: one datapoint, or a list of several; jsonl: one on each line.",
)
@click.pass_obj
def get(settings: Settings, dataset: str, ids: tuple[uuid.UUID, ...], format: str) -> None:
    """Print datapoints in full, as JSON.

    They have the form that the HTTP API gives them, and the order in which they are asked for.
    """
    store = settings.open_store()
    found: list[JSONValue] = [
        store.get_datapoint(dataset_name=dataset, datapoint_id=datapoint_id).to_dict() for datapoint_id in ids
    ]
    if format == "jsonl":
        print_json_lines(found)
    else:
        print_json(found if len(found) > 1 else found[0])


def _print(
    format: str, values: Sequence[JSONValue], columns: Sequence[Column], rows: Sequence[tuple[str, ...]]
) -> None:
    if format == "table":
        print_table(columns, rows)
    elif format == "json":
        print_json(list(values))
    else:
        print_json_lines(values)


def _row(datapoint: Datapoint) -> tuple[str, ...]:
    output: JSONValue = datapoint.to_dict().get("output")
    return (
        str(datapoint.id),
        one_line(datapoint.function_name),
        one_line(datapoint.name or ""),
        preview_input(datapoint.input),
        preview_output(output),
        preview_tags(datapoint.tags),
    )


def _stream(
    store: FileStore, dataset: str, function_name: str | None, limit: int, offset: int, *, is_list: bool
) -> None:
    """Print datapoints as JSON: all or, where one cannot be read, none; and never all of them in memory."""
    from filestore.cli.spool import JSONSpool

    with JSONSpool(is_list=is_list) as spool:

        def render(scan: Scan) -> tuple[int, int]:
            spool.clear()
            shown = 0
            for datapoint in scan:
                spool.add(datapoint.to_dict())
                shown += 1
            return shown, scan.total() if shown == limit else offset + shown

        shown, total = store.scan_datapoints(
            dataset_name=dataset, function_name=function_name, limit=limit, offset=offset, consume=render
        )
        spool.print()
    if not shown:
        _explain_empty(store, dataset, offset, is_narrowed=function_name is not None)
    else:
        _explain_rest(limit, offset, total)


def _explain_rest(limit: int, offset: int, total: int) -> None:
    if offset + limit < total:
        click.echo(f"{limit} of {total} shown; --offset {offset + limit} for the next", err=True)


def _explain_empty(store: FileStore, dataset: str, offset: int, *, is_narrowed: bool) -> None:
    that_match = " that match" if is_narrowed else ""
    after = f" after the first {offset}" if offset else ""
    found = f"No datapoints found in dataset '{escape_controls(dataset)}'{that_match}{after}."
    click.echo(f"{found}{hint_dataset(store.dataset_names(), dataset)}", err=True)
