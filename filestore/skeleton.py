"""The emptiest value of a JSON Schema: what a person fills in.

It need not fit the schema: an empty text may be too short, and what is missing is told when the draft is adopted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import unquote

from filestore.codec import JSONObject, JSONValue

__all__ = ["make_skeleton"]

_DEEPEST = 16
"""Levels at most: a schema may require itself."""
_SAID = ("const", "default")
_CHOICES = ("anyOf", "oneOf")


def make_skeleton(schema: JSONValue) -> JSONValue:
    """Return the emptiest value of a schema: required keys alone, the first choice, texts and lists without anything.

    >>> make_skeleton({"required": ["a", "b"], "properties": {"a": {"type": "string"}, "b": {"enum": ["x", "y"]}}})
    {'a': '', 'b': 'x'}
    """
    return _make(schema, schema, 0, frozenset({"#"}))


def _make(schema: JSONValue, root: JSONValue, level: int, opened: frozenset[str]) -> JSONValue:
    """Return a value for a schema; `opened` are the references that led here, which are not followed again."""
    if not isinstance(schema, dict) or level > _DEEPEST:
        return None
    target = schema.get("$ref")
    if isinstance(target, str):
        if target in opened:
            return None
        opened |= {target}
    for key in _SAID:
        if key in schema:
            return schema[key]
    choices = schema.get("enum")
    if isinstance(choices, list) and choices:
        return choices[0]
    for inner in _inner(schema, root):
        value = _make(inner, root, level + 1, opened)
        if value is not None:
            own = _make_own(schema, root, level, opened)
            return {**own, **value} if isinstance(own, dict) and isinstance(value, dict) else value
    return _make_own(schema, root, level, opened)


def _inner(schema: JSONObject, root: JSONValue) -> list[JSONValue]:
    """Return the schemas that a value has to fit as well, the likeliest first."""
    found: list[JSONValue] = []
    target = schema.get("$ref")
    if isinstance(target, str) and target.startswith("#"):
        found.append(_find(root, target[1:]))
    for key in _CHOICES:
        options = schema.get(key)
        found += options[:1] if isinstance(options, list) else []
    every = schema.get("allOf")
    return [*found, *(every if isinstance(every, list) else [])]


def _find(root: JSONValue, pointer: str) -> JSONValue:
    """Return what a JSON pointer in a fragment leads to, null where that is nothing."""
    value = root
    for step in unquote(pointer).split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value


def _make_own(schema: JSONObject, root: JSONValue, level: int, opened: frozenset[str]) -> JSONValue:
    kinds = schema.get("type")
    kind = kinds[0] if isinstance(kinds, list) and kinds else kinds
    if kind is None and ("properties" in schema or "required" in schema):
        kind = "object"
    if kind == "object":
        return _make_object(schema, root, level, opened)
    if kind in ("integer", "number"):
        return _make_number(schema)
    make = _EMPTY.get(str(kind))
    return make() if make else None


_EMPTY: Mapping[str, Callable[[], JSONValue]] = {"string": str, "boolean": bool, "array": list}


def _make_object(schema: JSONObject, root: JSONValue, level: int, opened: frozenset[str]) -> JSONObject:
    required, properties = schema.get("required"), schema.get("properties")
    if not isinstance(required, list):
        return {}
    known = properties if isinstance(properties, dict) else {}
    names = [name for name in known if name in required]
    names += [name for name in required if isinstance(name, str) and name not in known]
    return {name: _make(known.get(name), root, level + 1, opened) for name in names}


def _make_number(schema: JSONObject) -> JSONValue:
    least = schema.get("minimum")
    is_number = isinstance(least, int | float) and not isinstance(least, bool)
    return least if is_number and float(str(least)) > 0 else 0
