"""The items of an insert, read from the text of a file: a JSON list, JSON lines, or the body of a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from filestore.codec import JSONValue, loads
from filestore.errors import JSONTextError, RequestError

__all__ = ["parse_items"]

Line = tuple[int, bytes]
"""The number of a line, from 1, and its text."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def parse_items(data: bytes, source: str, track: Callable[[Sequence[Line]], Iterable[Line]] = iter) -> list[JSONValue]:
    r"""Read the items of an insert.

    Args:
        data: A JSON list of items, `{"datapoints": [items]}`, one item, or one item on each line.
        source: What errors call it.
        track: Passes on the lines of JSON lines, and may show how far the reading has come.

    Raises:
        RequestError: `source:line:column: reason`.

    >>> parse_items(b'{"function_name": "f"}\n\n{"function_name": "g"}\n', "items.jsonl")
    [{'function_name': 'f'}, {'function_name': 'g'}]
    >>> parse_items(b'{"function_name": "f"}\n{"function_name"}\n', "items.jsonl")
    Traceback (most recent call last):
    filestore.errors.RequestError: items.jsonl:2:17: ...
    """
    data = data.removeprefix(_BYTE_ORDER_MARK)
    if not data.strip():
        raise RequestError(f"{source}: there is nothing to insert, not even an empty list")
    numbered = ((number, line.strip()) for number, line in enumerate(data.split(b"\n"), 1))
    lines = [(number, line) for number, line in numbered if line]
    if _is_json_lines(lines):
        return [_loads(line, source, number - 1) for number, line in track(lines)]
    return _unwrap(_loads(data, source), source)


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
        if "function_name" in value or "id" in value:
            return [value]
    raise RequestError(
        f'{source}: expected a list of datapoints, one datapoint on each line, or {{"datapoints": [...]}}'
    )
