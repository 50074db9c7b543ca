r"""JSON text to values and back: a strict reader, canonical bytes, and the places of values in a text.

The reader refuses whatever another parser would silently change. The writer spells a value in the same bytes on every
machine and with every version of the JSON library, since files are compared and schemas are named by their digest.

Example:
    >>> loads(b'{"b": 1.0, "a": [1e2]}')
    {'b': 1.0, 'a': [100.0]}
    >>> dumps({"b": 1.0, "a": []})
    b'{\n  "b": 1.0,\n  "a": []\n}\n'
    >>> loads(b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
    filestore.errors.JSONTextError: duplicate key "a" at line 1 column 10
"""

from filestore.codec.positions import locate, positions
from filestore.codec.reading import loads, loads_file, parse_raw, unpack
from filestore.codec.values import (
    FILE_DEPTH,
    MAX_DEPTH,
    RAW_DEPTH,
    JSONObject,
    JSONValue,
    depth,
    is_same,
    to_json_value,
)
from filestore.codec.writing import compact, dumps, needs_exponent, pack

__all__ = [
    "FILE_DEPTH",
    "MAX_DEPTH",
    "RAW_DEPTH",
    "JSONObject",
    "JSONValue",
    "compact",
    "depth",
    "dumps",
    "is_same",
    "loads",
    "loads_file",
    "locate",
    "needs_exponent",
    "pack",
    "parse_raw",
    "positions",
    "to_json_value",
    "unpack",
]
