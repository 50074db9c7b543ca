"""Which files a command is about: paths and dataset names on the command line, and the stores that they lie in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
from click.core import ParameterSource

from filestore.cli.settings import Settings, hint_dataset
from filestore.cli.terminal import escape_controls
from filestore.ids import is_file_name, parse_directory_name
from filestore.storage.layout import INTERNAL, Entry

if TYPE_CHECKING:
    from filestore.store import FileStore

__all__ = ["Place", "Target", "find_places", "find_targets", "show_path"]


class Target(NamedTuple):
    """Files of one dataset.

    Attributes:
        store: The store.
        dataset: The dataset's name.
        names: Paths in its directory; None for all that is in it.
    """

    store: FileStore
    dataset: str
    names: list[str] | None


class Place(NamedTuple):
    """What one argument means: everything in a root, in a dataset's directory, or one file there."""

    root: Path
    directory: str | None = None
    name: str | None = None


def find_places(settings: Settings, arguments: Sequence[str], *, any_file: bool = False) -> list[Place]:
    """Return what the arguments name; without any, everything in the store.

    An argument that exists as a path is one; any other is the name of a dataset. Unless --root says which store is
    meant, the one that a path lies in is.

    Args:
        settings: The options before the command.
        arguments: As they were typed.
        any_file: Whether to take every file of a dataset, rather than datapoints, schemas and drafts alone.

    Raises:
        click.UsageError: An argument is neither, or its path lies in no dataset of the store.
    """
    source = click.get_current_context().find_root().get_parameter_source("root")
    only_root = None if source is ParameterSource.DEFAULT else Path(settings.root).resolve()
    places = [_find_place(settings, argument, only_root, any_file=any_file) for argument in arguments]
    if not places:
        here = Path(settings.root).resolve()
        places = [Place(here) if only_root is not None or not here.is_dir() else _place_of_directory(here, None)]
    return places


def find_targets(settings: Settings, arguments: Sequence[str]) -> list[Target]:
    """Return the files that the arguments name, as `find_places` does, by the dataset of an open store.

    Raises:
        click.UsageError: An argument is neither, or its path lies in no dataset of the store.
    """
    places = find_places(settings, arguments)
    stores = {
        root: settings._replace(root=str(root)).open_store() for root in dict.fromkeys(one.root for one in places)
    }
    found: dict[tuple[Path, str], list[str] | None] = {}
    for place in places:
        for dataset in _datasets(stores[place.root], place):
            names = found.setdefault((place.root, dataset), [])
            if place.name is None:
                found[place.root, dataset] = None
            elif names is not None and place.name not in names:
                names.append(place.name)
    return [Target(stores[root], dataset, names) for (root, dataset), names in found.items()]


def show_path(root: Path, path: str, start: Path | None = None) -> str:
    """Return a path relative to a root as it would be typed, from a directory on where it lies below that.

    Args:
        root: The store's directory.
        path: Relative to it.
        start: The directory; None for the working directory.
    """
    full = root / path
    start = start or Path.cwd()
    return str(full.relative_to(start)) if full.is_relative_to(start) else str(full)


def _datasets(store: FileStore, place: Place) -> Iterable[str]:
    if place.directory is None:
        return store.dataset_names()
    name = parse_directory_name(place.directory)
    if name is None:
        raise click.UsageError(
            f"'{escape_controls(place.directory)}' is no directory of a dataset: no name is spelled so."
        )
    return [name]


def _find_place(settings: Settings, argument: str, only_root: Path | None, *, any_file: bool) -> Place:
    path = Path(argument)
    if not path.exists() and not path.is_symlink():
        return _find_dataset(settings, argument)
    # The last step is not resolved: a link in the place of a file is a mistake to be told, not to be followed.
    path = path.resolve() if path.is_dir() else path.parent.resolve() / path.name
    place = _place_of_directory(path, only_root) if path.is_dir() else _place_of_file(path, argument, any_file=any_file)
    if only_root is not None and place.root != only_root:
        raise click.UsageError(
            f"'{escape_controls(argument)}' does not lie in a dataset of the store '{settings.root}'."
        )
    return place


def _find_dataset(settings: Settings, name: str) -> Place:
    from filestore.errors import DatasetNameError
    from filestore.ids import spell_dataset_name

    root = Path(settings.root).resolve()
    if not root.is_dir():
        settings.open_store()  # says so
    try:
        directory = spell_dataset_name(name)
    except DatasetNameError:
        directory = ""
    if not directory or not (root / directory).is_dir():
        names = [parse_directory_name(path.name) for path in root.iterdir() if path.is_dir()]
        hint = hint_dataset(list(filter(None, names)), name)
        if (root / name).exists():
            hint = f" Paths are as your shell has them: {escape_controls(show_path(root, name))}"
        raise click.UsageError(f"'{escape_controls(name)}' is neither a path nor a dataset of the store.{hint}")
    return Place(root, directory)


def _place_of_directory(path: Path, only_root: Path | None) -> Place:
    if path.name in ("schemas", "tombstones", "files") and _is_dataset(path.parent):
        path = path.parent
    is_root = path == only_root if only_root is not None else _is_root(path)
    return Place(path) if is_root else Place(path.parent, path.name)


def _is_dataset(path: Path) -> bool:
    return any(is_file_name(entry.name) for entry in path.iterdir())


def _is_root(path: Path) -> bool:
    """Tell whether a directory is a store, rather than a dataset of one."""
    if (path / INTERNAL).exists() or (path / "tensorzero.toml").exists():
        return True
    entries = sorted(path.iterdir())
    if any(is_file_name(entry.name) for entry in entries):
        return False
    inner = (entry for entry in entries if entry.is_dir())
    return any(is_file_name(one.name) for directory in inner for one in directory.iterdir()) or not any(
        entry.suffix == ".json" for entry in entries
    )


def _place_of_file(path: Path, argument: str, *, any_file: bool) -> Place:
    if any_file and (top := _top(path)) is not None:
        return Place(top.parent, top.name, path.relative_to(top).as_posix())
    if path.suffix != ".json":
        raise click.UsageError(f"'{escape_controls(argument)}' is neither a datapoint, nor a schema, nor a draft.")
    directory = path.parent
    if directory.name == "schemas" and Entry.is_name("schema", path.name):
        return Place(directory.parent.parent, directory.parent.name, f"schemas/{path.name}")
    return Place(directory.parent, directory.name, path.name)


def _top(path: Path) -> Path | None:
    """Return the dataset's directory of a file that lies in one of those for shared files or tombstones, else None."""
    parent = path.parent
    if parent.name in ("schemas", "files"):
        return parent.parent
    return parent.parent.parent if parent.parent.name == "tombstones" else None
