"""Commands that revise what is there: `update`, `clone`, `restore`."""

from __future__ import annotations

import uuid

import click

from filestore.cli.items import Items, naming_places, parse_items
from filestore.cli.output import print_ids
from filestore.cli.reading import read_input, track, warn_of_unknown_fields
from filestore.cli.settings import Settings, dataset_argument, examples, ids_argument, ids_format_option, parse_pair
from filestore.cli.settings import optional_ids_argument as optional_ids
from filestore.codec import JSONObject, JSONValue
from filestore.store import FileStore

__all__ = ["clone", "restore", "update"]


@click.command(
    epilog=examples(
        "filestore update support_conversations 019a6c71-e0fc-77b8-81cb-704b0be307c6 --set-tag split=train",
        "filestore update support_conversations --file changes.jsonl",
        """echo '{"type": "chat", "id": "01991f3c-…", "output": null}' | filestore update support_conversations""",
    )
)
@dataset_argument
@optional_ids
@click.option("--set-name", metavar="NAME", help="Rename the datapoints; an empty NAME takes the name away.")
@click.option("--set-tag", "tags", metavar="KEY=VALUE", type=parse_pair, multiple=True, help="Set a tag; repeatable.")
@click.option("--file", metavar="FILE|-", help="Where to read changes when no ID is given.  [default: stdin]")
@click.option("--new-id", is_flag=True, help="Give each a successor with a new id, as the HTTP API does.")
@ids_format_option
@click.pass_obj
def update(
    settings: Settings,
    dataset: str,
    ids: tuple[uuid.UUID, ...],
    set_name: str | None,
    tags: tuple[tuple[str, str], ...],
    file: str | None,
    new_id: bool,
    format: str,
) -> None:
    """Change datapoints in place, all or none.

    Either name datapoints by ID and say what to set, or give changes as JSON, as a file or on stdin: each with the
    "type" and "id" of a datapoint and the fields to change; a field that is left out stays, and null clears it. The
    old version is in git. Prints the ids that the datapoints have now.
    """
    store = settings.open_store()
    if not ids:
        if set_name is not None or tags:
            raise click.UsageError("Say which datapoints: filestore update DATASET ID... --set-tag KEY=VALUE")
        items = parse_items(*read_input(file or "-", "filestore update DATASET < changes.jsonl"), track)
    elif file is not None:
        raise click.UsageError("Give either IDs and what to set, or a --file of changes.")
    elif set_name is None and not tags:
        raise click.UsageError("Say what to set: --set-name NAME, or --set-tag KEY=VALUE")
    else:
        changes = [_change(store, dataset, one, set_name, dict(tags)) for one in dict.fromkeys(ids)]
        items = Items(list[JSONValue](changes), [str(one) for one in dict.fromkeys(ids)])
    warn_of_unknown_fields(items, v1=True, updates=True)
    with naming_places(items):
        updated = store.update_datapoints(
            dataset_name=dataset, requests=items.values, new_ids=new_id, merge_tags=bool(ids)
        )
    print_ids(updated, format)


def _change(
    store: FileStore, dataset: str, datapoint_id: uuid.UUID, name: str | None, tags: dict[str, str]
) -> JSONObject:
    current = store.get_datapoint(dataset_name=dataset, datapoint_id=datapoint_id)
    change: JSONObject = {"type": current.type, "id": str(datapoint_id)}
    if name is not None:
        change["name"] = name or None
    if tags:
        change["tags"] = dict[str, JSONValue](tags)
    return change


@click.command(epilog=examples("filestore clone regression_set 019a6c71-e0fc-77b8-81cb-704b0be307c6"))
@dataset_argument
@ids_argument
@ids_format_option
@click.pass_obj
def clone(settings: Settings, dataset: str, ids: tuple[uuid.UUID, ...], format: str) -> None:
    """Copy datapoints of any dataset into DATASET.

    Prints the ids of the copies. An ID that no live datapoint has is named on stderr, and the exit code is 1; the
    others are copied.
    """
    copies = settings.open_store().clone_datapoints(dataset_name=dataset, ids=ids)
    print_ids([copy for copy in copies if copy is not None], format)
    missing = [one for one, copy in zip(ids, copies, strict=True) if copy is None]
    for one in missing:
        click.echo(f"{one}: there is no such datapoint in any dataset", err=True)
    if missing:
        raise click.exceptions.Exit(1)


@click.command(epilog=examples("filestore restore support_conversations 019a6c71-e0fc-77b8-81cb-704b0be307c6"))
@dataset_argument
@ids_argument
@ids_format_option
@click.pass_obj
def restore(settings: Settings, dataset: str, ids: tuple[uuid.UUID, ...], format: str) -> None:
    """Undo the deletion of datapoints, all or none.

    Prints their ids.
    """
    print_ids(settings.open_store().restore_datapoints(dataset_name=dataset, ids=ids), format)
