"""`filestore schema`: the JSON Schema of datapoint files, for editors."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from filestore.cli.output import print_json
from filestore.cli.settings import Settings, complete_dataset, examples
from filestore.cli.targets import show_path
from filestore.cli.terminal import escape_controls

if TYPE_CHECKING:
    from pathlib import Path

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
    r"""Print the JSON Schema of datapoint files, by which an editor completes and underlines.

    It knows the functions of the store: their inputs, templates, tools and outputs. With --write it is kept beside the
    datapoints, to be committed with them, and written again only where it changes. Prints the paths of the files that
    were written. Editors other than VS Code find it by this first key of a datapoint file:

    \b
      "$schema": "./schemas/datapoint.schema.json",
    """
    from filestore.formatting.editor_schema import make_editor_schema, write_editor_schema

    store = settings.open_store()
    if not write and not vscode:
        print_json(make_editor_schema(store, dataset))
        return
    names = list(filter(partial(_holds_datapoints, store), store.dataset_names())) if dataset is None else [dataset]
    written = [write_editor_schema(store, name) for name in names]
    for path in filter(None, written):
        click.echo(escape_controls(show_path(store.root, path)))
    if vscode:
        _associate(store, [store.open_dataset(name).layout.directory for name in names])


def _holds_datapoints(store: FileStore, name: str) -> bool:
    return store.open_dataset(name).read(lambda view: bool(view.ids()), absent=False)


def _associate(store: FileStore, directories: list[str]) -> None:
    """Have VS Code check the files of datasets, by its setting `json.schemas`."""
    top = next((path for path in (store.root, *store.root.parents) if (path / ".git").exists()), store.root)
    wanted = [_association(os.path.relpath(store.root / one, top).replace(os.sep, "/")) for one in directories]
    path = top / ".vscode" / "settings.json"
    known = _read_settings(path)
    if known is None:
        click.echo(f"{path} has comments, or is no JSON object: add this to it.", err=True)
        print_json({"json.schemas": wanted})
        raise click.exceptions.Exit(1)
    urls = {one["url"] for one in wanted}
    others = [one for one in known.get("json.schemas", []) if not isinstance(one, dict) or one.get("url") not in urls]
    changed = {**known, "json.schemas": [*others, *wanted]}
    if changed != known:
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(changed, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        click.echo(escape_controls(show_path(top, ".vscode/settings.json")))


def _association(directory: str) -> Any:
    """Return the entry for a dataset's directory, relative to the folder that VS Code opens."""
    return {"fileMatch": [f"/{directory}/*.json"], "url": f"./{directory}/schemas/datapoint.schema.json"}


def _read_settings(path: Path) -> dict[str, Any] | None:
    """Return the settings, or None where they cannot be written again without loss."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        return None
    is_plain = isinstance(value, dict) and isinstance(value.get("json.schemas", []), list)
    return value if is_plain else None
