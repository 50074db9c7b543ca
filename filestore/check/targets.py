"""What a check is asked to look at: paths and dataset names, sorted by the store they belong to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from filestore.ids import is_file_name, parse_directory_name, spell_dataset_name

__all__ = ["NoTargetError", "Target", "find_targets"]


class NoTargetError(Exception):
    """An argument that names nothing that could be checked."""


@dataclass
class Target:
    """What to look at in one store.

    Attributes:
        root: The store's directory, as the user spells it.
        is_all: Whether it is the whole store.
        datasets: The directories of datasets, relative to the root.
        files: Files of datasets, relative to the root.
    """

    root: str
    is_all: bool = False
    datasets: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


def find_targets(arguments: Sequence[str], root: str, *, is_root_given: bool) -> list[Target]:
    """Sort arguments by the store they belong to.

    Args:
        arguments: Paths of files, datasets or stores, or names of datasets.
        root: The store's directory.
        is_root_given: Whether the user named it; otherwise a path itself tells the store it belongs to.

    Raises:
        NoTargetError: An argument names nothing that could be checked.
    """
    if not arguments:
        return [Target(root, is_all=True)]
    targets: dict[str, Target] = {}
    for argument in arguments:
        found_root, relative = _place(argument, root, is_root_given=is_root_given)
        target = targets.setdefault(os.path.realpath(found_root), Target(found_root))
        if not relative:
            target.is_all = True
        elif "/" in relative:
            target.files.append(relative)
        else:
            target.datasets.append(relative)
    return list(targets.values())


def _place(argument: str, root: str, *, is_root_given: bool) -> tuple[str, str]:
    """Return the store that an argument belongs to, and what it is there: nothing for the store itself."""
    if not os.path.lexists(argument):
        return root, _dataset(argument, root)
    if not is_root_given:
        root = _find_root(argument)
    relative = os.path.relpath(os.path.abspath(argument), os.path.abspath(root)).replace(os.sep, "/")
    if relative == ".":
        return root, ""
    if relative.startswith("../"):
        raise NoTargetError(f"'{argument}' is not in the store {root}.")
    if "/" not in relative and not os.path.isdir(argument):
        raise NoTargetError(f"'{argument}' is in no dataset of the store {root}.")
    return root, relative


def _dataset(argument: str, root: str) -> str:
    from filestore.errors import DatasetNameError

    try:
        directory = spell_dataset_name(argument)
    except DatasetNameError as error:
        raise NoTargetError(str(error)) from None
    if not os.path.isdir(os.path.join(root, directory)):
        raise NoTargetError(f"'{argument}' is neither a path nor a dataset of the store {root}.")
    return directory


def _find_root(path: str) -> str:
    """Return the store that a path belongs to: a dataset lies directly in it, a datapoint in a dataset."""
    if os.path.isdir(path):
        return os.path.join(path, os.pardir) if _is_dataset(path) else path
    parent = os.path.dirname(path) or os.curdir
    if os.path.basename(os.path.abspath(parent)) in ("schemas", "files"):
        parent = os.path.join(parent, os.pardir)
    return os.path.join(parent, os.pardir)


def _is_dataset(path: str) -> bool:
    name = os.path.basename(os.path.abspath(path))
    return parse_directory_name(name) is not None and any(map(is_file_name, os.listdir(path)))
