"""Users' schemas inside another one: references led to their new place, other drafts spelled as draft 7.

What draft 7 cannot say is left out, so that a schema only ever takes more: an editor must not underline what is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from filestore.codec import JSONObject, JSONValue

__all__ = ["embed"]

_ELSEWHERE = frozenset({"$id", "id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef"})
"""Keywords by which references lead elsewhere than their text says: what has one is not embedded."""
_ONE = ("additionalItems", "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then")
_LIST = ("allOf", "anyOf", "oneOf")
_MAP = ("$defs", "definitions", "patternProperties", "properties")
_PLAIN = frozenset(
    {
        *("$comment", "const", "default", "description", "enum", "examples", "exclusiveMaximum", "exclusiveMinimum"),
        *("maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength", "minProperties", "minimum"),
        *("multipleOf", "pattern", "readOnly", "required", "title", "type", "uniqueItems", "writeOnly"),
    }
)
_SINCE = {6: {"const", "contains", "examples", "propertyNames"}, 7: {"if", "then", "else", "readOnly", "writeOnly"}}
"""Keywords that a draft was the first to know; an earlier one ignores them."""
_EXACT = frozenset({"if", "not", "oneOf"})
"""Keywords by which something is refused because a schema takes it."""
_LOOSENED_EARLY = frozenset({"format"})
_LOOSENED_LATE = frozenset(
    {"dependentSchemas", "maxContains", "minContains", "unevaluatedItems", "unevaluatedProperties"}
)
_LATEST = 2020


class _Unembeddable(Exception):
    """A schema that draft 7 cannot hold faithfully."""


def embed(schema: JSONValue, place: str) -> JSONValue:
    """Return a schema as it may stand in another one of draft 7.

    Args:
        schema: A schema that compiles.
        place: Where it will stand, as a URI fragment such as `#/definitions/answer`.

    >>> embed({"$defs": {"a": {"type": "null"}}, "items": {"$ref": "#/$defs/a"}}, "#/definitions/x")
    {'$defs': {'a': {'type': 'null'}}, 'items': {'$ref': '#/definitions/x/$defs/a'}}
    >>> embed({"$id": "https://example.org/", "$ref": "other"}, "#/definitions/x")
    {}
    """
    try:
        embedded = _Embedding(_find_generation(schema), place).translate(schema)
        _check_references(embedded, place)
    except _Unembeddable:
        return (
            {key: item for key, item in schema.items() if key in ("title", "description")}
            if isinstance(schema, dict)
            else {}
        )
    return embedded


def _find_generation(schema: JSONValue) -> int:
    uri = schema.get("$schema") if isinstance(schema, dict) else None
    if not isinstance(uri, str):
        return _LATEST
    known = (("draft-04", 4), ("draft-06", 6), ("draft-07", 7), ("2019-09", 2019), ("2020-12", 2020))
    return next((number for name, number in known if name in uri), _LATEST)


class _Embedding(NamedTuple):
    """One schema on its way to another place.

    Attributes:
        generation: Its draft: 4, 6, 7, 2019 or 2020.
        place: Where it will stand.
    """

    generation: int
    place: str

    def translate(self, schema: JSONValue, *, is_exact: bool = False) -> JSONValue:
        """Return a schema in draft 7 that takes at least what the schema takes.

        Args:
            schema: The schema.
            is_exact: Whether it must take the same, as it stands where what it takes is refused.
        """
        if not isinstance(schema, dict):
            return schema
        if _ELSEWHERE & schema.keys():
            raise _Unembeddable
        known = {key: item for key, item in schema.items() if self._is_known(key)}
        if "$ref" in schema and (self.generation <= 7 or not known):  # beside it nothing counts, or nothing is
            return {"$ref": self._move(schema["$ref"])}
        if is_exact and (self._loosened() & schema.keys()):
            raise _Unembeddable
        translated: JSONObject = {}
        for key, item in known.items():
            translated.update(self._keyword(key, item, schema, is_exact=is_exact))
        if "$ref" in schema:
            return {"allOf": [{"$ref": self._move(schema["$ref"])}, translated]}
        return translated

    def _loosened(self) -> frozenset[str]:
        """Return the keywords of its draft of which less is left."""
        return _LOOSENED_LATE if self.generation >= 2019 else _LOOSENED_EARLY

    def _is_known(self, key: str) -> bool:
        if self.generation < 2019 and any(key in keys and self.generation < first for first, keys in _SINCE.items()):
            return False
        if key == "format":
            return self.generation <= 7  # it asserts nothing from 2019-09 on
        if key == "prefixItems":
            return self.generation == _LATEST
        if key == "dependentRequired":
            return self.generation >= 2019
        if key in ("additionalItems", "dependencies"):
            return self.generation < 2019
        return key in _PLAIN or key in (*_ONE, *_LIST, *_MAP)

    def _keyword(self, key: str, item: JSONValue, schema: JSONObject, *, is_exact: bool) -> JSONObject:
        if key in ("exclusiveMaximum", "exclusiveMinimum") and self.generation == 4:
            return {}  # a flag, which the limit beside it takes care of
        if key in ("maximum", "minimum") and self.generation == 4:
            exclusive = f"exclusive{key.capitalize()}"
            return {exclusive if schema.get(exclusive) is True else key: item}
        if key == "contains" and schema.get("minContains", 1) == 0:
            return {}
        if key == "dependentRequired":
            return {"dependencies": item}
        if key == "type":
            return _loosen_integer(item, schema)
        if key == "prefixItems":
            return {"items": self._all(item, is_exact=is_exact)}
        if key == "items" and "prefixItems" in schema and self.generation == _LATEST:
            return {"additionalItems": self.translate(item, is_exact=is_exact)}
        if key in (*_ONE, *_LIST, *_MAP, "dependencies"):
            return {
                key: self._all(item, is_exact=is_exact or key in _EXACT)
                if key in _LIST or isinstance(item, list)
                else self._named(item, is_exact=is_exact)
                if key in (*_MAP, "dependencies")
                else self.translate(item, is_exact=is_exact or key in _EXACT)
            }
        return {key: item}

    def _all(self, items: JSONValue, *, is_exact: bool) -> JSONValue:
        assert isinstance(items, list)  # the schema compiles
        return [self.translate(one, is_exact=is_exact) for one in items]

    def _named(self, items: JSONValue, *, is_exact: bool) -> JSONValue:
        assert isinstance(items, dict)  # the schema compiles
        return {name: self.translate(one, is_exact=is_exact) for name, one in items.items()}

    def _move(self, reference: JSONValue) -> str:
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise _Unembeddable
        return self.place + reference[1:]


def _loosen_integer(types: JSONValue, schema: JSONObject) -> JSONObject:
    """Spell integers as numbers without a fraction: to some editors `1.0` is no integer, and here it is one."""
    names = types if isinstance(types, list) else [types]
    if "integer" not in names or "number" in names:
        return {"type": types}
    others = [name for name in names if name != "integer"]
    whole: JSONObject = {} if "multipleOf" in schema else {"multipleOf": 1}
    return {"type": [*others, "number"] if others else "number", **whole}


def _check_references(root: JSONValue, place: str) -> None:
    """Check that every reference still leads somewhere, as parts may have moved or been left out, and comes to an end.

    Raises:
        _Unembeddable: One does not.
    """
    for reference in set(_iter_references(root)):
        seen = {reference}
        waiting = [reference]
        while waiting:
            for further in _iter_in_place(_follow(root, waiting.pop().removeprefix(place))):
                if further == reference:  # it comes back without a step into the value: an editor would never end
                    raise _Unembeddable
                if further not in seen:
                    seen.add(further)
                    waiting.append(further)


def _follow(root: JSONValue, pointer: str) -> JSONValue:
    target = root
    for step in pointer.split("/")[1:]:
        name = _unquote(step)
        if isinstance(target, dict) and name in target:
            target = target[name]
        elif isinstance(target, list) and name.isdecimal() and int(name) < len(target):
            target = target[int(name)]
        else:
            raise _Unembeddable
    if not isinstance(target, dict | bool):
        raise _Unembeddable
    return target


def _iter_in_place(schema: JSONValue) -> Iterator[str]:
    """Yield the references that judge the same value as the schema does."""
    if not isinstance(schema, dict):
        return
    if isinstance(reference := schema.get("$ref"), str):
        yield reference
    inner = [schema.get(key) for key in ("else", "if", "not", "then")]
    for key in _LIST:
        inner += schema.get(key) or []  # type: ignore[arg-type]  # lists of schemas, as it compiles
    if isinstance(dependencies := schema.get("dependencies"), dict):
        inner += dependencies.values()
    for one in inner:
        yield from _iter_in_place(one)


def _unquote(step: str) -> str:
    from urllib.parse import unquote

    return unquote(step).replace("~1", "/").replace("~0", "~")


def _iter_references(value: JSONValue) -> Iterator[str]:
    walk: Callable[[JSONValue], Iterator[str]] = _iter_references
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str) and len(value) == 1:
            yield reference
        for key, item in value.items():
            if key not in ("const", "enum", "default", "examples"):
                yield from walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from walk(item)
