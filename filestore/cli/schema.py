"""`filestore schema`: the JSON Schema of datapoint files, for editors."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from filestore.cli.output import print_json
from filestore.cli.settings import Settings, complete_dataset, examples, hint_dataset
from filestore.cli.targets import show_path
from filestore.cli.terminal import escape_controls

if TYPE_CHECKING:
    from filestore.store import FileStore

__all__ = ["schema"]


@click.command(
    epilog=examples(
        "filestore schema --vscode",
        "filestore schema support_conversations --write",
    )
)
@click.argument("dataset", required=False, shell_complete=complete_dataset)
@click.option(
    "--write", is_flag=True, help="Write it to schemas/datapoint.schema.json of DATASET, or of every dataset."
)
@click.option(
    "--vscode", is_flag=True, help="Write it, and have VS Code check the files by it (.vscode/settings.json)."
)
@click.pass_obj
def schema(settings: Settings, dataset: str | None, write: bool, vscode: bool) -> None:
    """Print the JSON Schema of datapoint files, for editors.

    An editor completes and underlines by it. It knows the functions of the store: their inputs, templates, tools and
    outputs. With --write it is kept beside the datapoints, to be committed with them, and written again only where it
    changes. Prints the paths of the files that were written. Editors other than VS Code find it by the first key of a
    datapoint file, "$schema": "./schemas/datapoint.schema.json".
    """
    from filestore.formatting.editor_schema import make_editor_schema, write_editor_schema

    store = settings.open_store()
    if dataset is not None and not store.open_dataset(dataset).exists():
        hint = hint_dataset(store.dataset_names(), dataset)
        raise click.UsageError(f"There is no dataset '{escape_controls(dataset)}'.{hint}")
    if not write and not vscode:
        print_json(make_editor_schema(store, dataset))
        return
    names = list(filter(partial(_holds_files, store), store.dataset_names())) if dataset is None else [dataset]
    written = [write_editor_schema(store, name) for name in names]
    for path in filter(None, written):
        click.echo(escape_controls(show_path(store.root, path)))
    if vscode:
        _associate(store, [store.open_dataset(name).layout.directory for name in names])


def _holds_files(store: FileStore, name: str) -> bool:
    """Tell whether a dataset has datapoints, or drafts, and is not just a directory of something else."""
    return store.open_dataset(name).read(lambda view: bool(view.json_names()), absent=False)


def _associate(store: FileStore, directories: list[str]) -> None:
    from filestore.cli.vscode import UnmergeableError, association, find_workspace, write_settings

    workspace = find_workspace(store.root)
    wanted = [association((store.root / one).relative_to(workspace).as_posix()) for one in directories]
    try:
        path = write_settings(workspace, wanted)
    except UnmergeableError as error:
        print_json(error.snippet)
        raise
    if path is not None:
        click.echo(escape_controls(show_path(workspace, ".vscode/settings.json")))
