"""The items of an insert, read from the text of a file: a JSON list, JSON lines, or the body of a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from filestore.codec import JSONValue, loads
from filestore.errors import JSONTextError, RequestError, suggest_name

__all__ = ["Items", "find_unknown_fields", "naming_places", "parse_items"]

KNOWN_FIELDS = (
    *("type", "function_name", "input", "output", "output_schema", "tags", "name", "episode_id"),
    *("allowed_tools", "additional_tools", "tool_choice", "parallel_tool_calls", "provider_tools"),
)
UPDATE_FIELDS = ("id", *(field for field in KNOWN_FIELDS if field not in ("function_name", "episode_id")))
UNREAD_FIELDS = (
    *("id", "dataset_name", "is_deleted", "is_custom", "staled_at", "updated_at", "source_inference_id", "tool_params"),
    *("auxiliary", "snapshot_hash"),
)
"""Fields of a datapoint that the API returned: an insert does not read them, and nobody expects it to."""

_V1_OUTPUT = ("raw", "parsed")
"""Fields of an output of the v1 generation; the second is what the API returns of the first."""

Line = tuple[int, bytes]
"""The number of a line, from 1, and its text."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Items(NamedTuple):
    """The items of a file, and how errors name the place of each."""

    values: list[JSONValue]
    places: list[str]


def parse_items(data: bytes, source: str, track: Callable[[Sequence[Line]], Iterable[Line]] = iter) -> Items:
    r"""Read the items of an insert.

    Args:
        data: A JSON list of items, `{"datapoints": [items]}`, one item, or one item on each line.
        source: What errors call it.
        track: Passes on the lines of JSON lines, and may show how far the reading has come.

    Raises:
        RequestError: `source:line:column: reason`.

    >>> parse_items(b'{"function_name": "f"}\n\n{"function_name": "g"}\n', "items.jsonl")
    Items(values=[{'function_name': 'f'}, {'function_name': 'g'}], places=['items.jsonl:1', 'items.jsonl:3'])
    >>> parse_items(b'{"function_name": "f"}\n{"function_name"}\n', "items.jsonl")
    Traceback (most recent call last):
    filestore.errors.RequestError: items.jsonl:2:17: ...
    """
    data = data.removeprefix(_BYTE_ORDER_MARK)
    if not data.strip():
        raise RequestError(f"{source} is empty")
    numbered = ((number, line.strip()) for number, line in enumerate(data.split(b"\n"), 1))
    lines = [(number, line) for number, line in numbered if line]
    if _is_json_lines(lines):
        values = [_loads(line, source, number - 1) for number, line in track(lines)]
        return Items(values, [f"{source}:{number}" for number, _ in lines])
    values = _unwrap(_loads(data, source), source)
    return Items(values, [f"{source}: item {number}" for number in range(1, len(values) + 1)])


def _is_json_lines(lines: Sequence[Line]) -> bool:
    """Tell whether there is one object on each line.

    After a line that ends an object, a single JSON document goes on with a comma or a closing bracket, or not at all.
    """
    if len(lines) < 2:
        return False
    first, second = lines[0][1], lines[1][1]
    return first.startswith(b"{") and first.endswith(b"}") and not second.startswith((b",", b"}", b"]"))


def _loads(data: bytes, source: str, lines_before: int = 0) -> JSONValue:
    try:
        return loads(data)
    except JSONTextError as error:
        raise RequestError(f"{source}:{lines_before + error.line}:{error.column}: {error.reason}") from None


def _unwrap(value: JSONValue, source: str) -> list[JSONValue]:
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        items = value.get("datapoints")
        if isinstance(items, list):
            return items
        if not value.keys().isdisjoint(KNOWN_FIELDS) or "id" in value:
            return [value]
    raise RequestError(
        f'{source}: expected a list of datapoints, one datapoint on each line, or {{"datapoints": [...]}}'
    )


@contextmanager
def naming_places(items: Items) -> Iterator[None]:
    """Put the place of an item in front of a refusal that is about it."""
    try:
        yield
    except RequestError as error:
        if error.item is None or error.item >= len(items.places):
            raise
        raise RequestError(f"{items.places[error.item]}: {error}") from error


def find_unknown_fields(items: Items, *, v1: bool, updates: bool = False) -> Iterator[str]:
    """Yield a sentence for each field that the API ignores: most likely it is misspelt, or of the other generation.

    Args:
        items: The items.
        v1: Whether they are of the v1 generation, whose outputs are texts.
        updates: Whether they are of an update, not of an insert.

    >>> list(find_unknown_fields(Items([{"tagz": {}}], ["x.json:1"]), v1=False))
    ['x.json:1: `tagz` is ignored; did you mean `tags`?']
    """
    read = UPDATE_FIELDS if updates else KNOWN_FIELDS
    for value, place in zip(items.values, items.places, strict=True):
        if not isinstance(value, dict):
            continue
        for key in value:
            if key not in KNOWN_FIELDS and key not in UNREAD_FIELDS:
                yield f"{place}: `{key}` is ignored; {suggest_name(key, read)}"
        output = value.get("output")
        for key in output if v1 and isinstance(output, dict) else ():
            if key not in _V1_OUTPUT:
                yield f'{place}: `output.{key}` is ignored; an output is {{"raw": "its value as JSON text"}} here'
