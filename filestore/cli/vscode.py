"""The settings of Visual Studio Code that associate datapoint files with their schema.

The settings are a person's file: only the value of one key in them is written, all other text stays as it is.
"""

from __future__ import annotations

import json
import os
import re
import stat
from json.decoder import JSONDecodeError
from pathlib import Path

from filestore.codec import JSONObject, JSONValue, loads
from filestore.errors import FilestoreError, JSONTextError
from filestore.storage.files import Disk
from filestore.storage.layout import EDITOR_SCHEMA

__all__ = ["UnmergeableError", "association", "find_workspace", "merge_settings", "write_settings"]

SETTINGS = ".vscode/settings.json"
_KEY = "json.schemas"
_SPACE = re.compile(r"[ \t\r\n]*")
_INDENT = re.compile(r'\{[ \t]*\r?\n([ \t]+)"')
_GLOB = re.compile(r"[][*?{}()!,\\]")
"""What means something in a pattern of VS Code; a `?` stands for any one character, itself included."""


class UnmergeableError(FilestoreError):
    """Settings that cannot be added to without loss.

    Attributes:
        snippet: What a person would have to add.
    """

    def __init__(self, path: str, reason: str, snippet: JSONObject) -> None:
        super().__init__(f"{path} is left as it is ({reason}): add this to it by hand")
        self.snippet = snippet


def find_workspace(root: Path) -> Path:
    """Return the directory that people open: that of the git repository around the root, or the root."""
    return next((path for path in (root, *root.parents) if (path / ".git").exists()), root)


def association(directory: str) -> JSONObject:
    """Return the association of the datapoint files of one dataset.

    Args:
        directory: The path of the dataset's directory, relative to the workspace, with `/` between its steps.

    >>> association("evals/cases")
    {'fileMatch': ['/evals/cases/*.json'], 'url': './evals/cases/schemas/datapoint.schema.json'}
    """
    pattern = _GLOB.sub("?", directory)
    matches: list[JSONValue] = [f"/{pattern}/*.json"]
    if directory.rpartition("/")[2] == "schemas":
        # VS Code looks for the pattern at any depth, and each dataset has a directory of that name.
        matches += [f"!/{pattern}/{'?' * digits}.json" for digits in range(16, 65, 8)]
        matches.append(f"!/{pattern}/{EDITOR_SCHEMA}")
    # VS Code decodes what is percent-encoded once more than it encodes it, on the way from here to the file.
    return {"fileMatch": matches, "url": f"./{directory.replace('%', '%25')}/schemas/{EDITOR_SCHEMA}"}


def merge_settings(text: str, associations: list[JSONObject]) -> str:
    """Return settings with associations added, each in the place of one that leads to the same schema.

    Raises:
        ValueError: They have comments, or are otherwise not what can be merged with.
    """
    if not text.strip():
        text = "{}\n"
    settings = _read(text)
    known = settings.get(_KEY, [])
    if not isinstance(known, list):
        raise ValueError(f"`{_KEY}` is no list")
    merged = _merge(known, associations)
    if merged == known:
        return text
    indent = found[1] if (found := _INDENT.search(text)) else "    "
    newline = "\r\n" if "\r\n" in text else "\n"
    value = json.dumps(merged, indent=indent, ensure_ascii=False).replace("\n", f"\n{indent}")
    start, end, is_first = _find_member(text, _KEY)
    if start != end:
        return text[:start] + value.replace("\n", newline) + text[end:]
    tail = "\n" if is_first else ""
    added = f'{"" if is_first else ","}\n{indent}"{_KEY}": {value}{tail}'
    return text[:start] + added.replace("\n", newline) + (text[end:].lstrip() if is_first else text[end:])


def _read(text: str) -> JSONObject:
    try:
        settings = loads(text.encode())
    except JSONTextError as error:
        raise ValueError(f"line {error.line}: {error.reason}") from None
    if not isinstance(settings, dict):
        raise ValueError("it is no object")
    return settings


def _merge(known: list[JSONValue], associations: list[JSONObject]) -> list[JSONValue]:
    merged = list(known)
    for one in associations:
        places = [
            index for index, other in enumerate(merged) if isinstance(other, dict) and other.get("url") == one["url"]
        ]
        if places:
            merged[places[0]] = {**_as_object(merged[places[0]]), **one}
        else:
            merged.append(one)
    return merged


def _as_object(value: JSONValue) -> JSONObject:
    return value if isinstance(value, dict) else {}


def _find_member(text: str, wanted: str) -> tuple[int, int, bool]:
    """Find the value of a key of the object that a text is.

    Returns:
        Where it begins and ends; where there is none, twice the place of a new member, and whether it is the first.
    """
    decoder = json.JSONDecoder()
    end = position = _skip_space(text, 0) + 1
    is_first = True
    while text[position := _skip_space(text, position)] != "}":
        key, position = decoder.raw_decode(text, position)
        start = _skip_space(text, _skip_space(text, position) + 1)
        _, end = decoder.raw_decode(text, start)
        if key == wanted:
            return start, end, False
        is_first = False
        position = _skip_space(text, end)
        position += text[position] == ","
    return end, end, is_first


def _skip_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    assert found is not None  # it matches the empty text, too
    return found.end()


def write_settings(workspace: Path, associations: list[JSONObject]) -> Path | None:
    """Add associations to the settings of a workspace; return the path of the file if it is another than before.

    Raises:
        UnmergeableError: The settings that are there cannot be added to without loss.
        OSError: The file system refuses.
    """
    disk, path = Disk(), workspace / SETTINGS
    target = str(path.resolve())  # people keep their settings elsewhere, and link to them
    old, mode = b"", None
    if disk.status(target) is not None:
        old, status = disk.read(target)
        mode = stat.S_IMODE(status.st_mode)
    try:
        new = merge_settings(old.decode(), associations).encode()
    except (ValueError, JSONDecodeError, RecursionError) as error:
        raise UnmergeableError(str(path), str(error), {_KEY: list[JSONValue](associations)}) from None
    if new == old:
        return None
    disk.make_directories(str(Path(target).parent))
    stage = f"{target}.{os.getpid()}"
    try:
        disk.write_new(stage, new, mode, sync=True)
        disk.rename(stage, target)
    except BaseException:
        disk.remove(stage)
        raise
    disk.sync_directories([str(Path(target).parent)])
    return path
