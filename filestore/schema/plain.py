"""Schemas so plain that they compile for sure: most do, and to see it takes no engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from filestore.codec import JSONValue, depth

__all__ = ["PATTERN", "is_plain"]

_DRAFTS = (
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
)
"""What is plain means the same in all of these."""
_MOST_LEVELS = 40
"""The engine recurses, and gives up only far beyond."""
_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_DEFINITIONS = ("$defs", "definitions")
PATTERN = r"""
    \^? (?:
        (?: [\w\ :,/@-] | \\[dws.] | \[ \^? (?: A-Z | a-z | 0-9 | [\w\ :,./@] | \\[dws] )+ -? \] )
        (?: [?*+] | \{ [0-9]{1,2} ,? \} | \{ [0-9] , [1-9][0-9] \} )?
    )+ \$?
"""
"""Characters and classes, each with a count or without: no groups, and no range that needs a look at its ends."""
_LONGEST_PATTERN = 200


def is_plain(schema: JSONValue) -> bool:
    """Tell whether a schema compiles for sure, whatever else it says; False means that only the engine knows.

    >>> is_plain({"type": "object", "properties": {"name": {"type": "string"}}})
    True
    >>> is_plain({"type": "strnig"}), is_plain({"pattern": "(a|b)"})
    (False, False)
    """
    if not isinstance(schema, dict) or depth(schema) > _MOST_LEVELS:
        return False
    body = {key: value for key, value in schema.items() if key != "$schema"}
    return schema.get("$schema", _DRAFTS[-1]) in _DRAFTS and _Check(_targets(body)).is_schema(body)


def _targets(schema: Mapping[str, JSONValue]) -> frozenset[str]:
    """Return the references to the schema's own definitions, as far as they need no escapes."""
    sections = ((section, schema.get(section)) for section in _DEFINITIONS)
    return frozenset(
        f"#/{section}/{name}"
        for section, definitions in sections
        if isinstance(definitions, dict)
        for name in definitions
        if name.isascii() and name.isidentifier()
    )


class _Check:
    """The rules of one document.

    Args:
        targets: The references that lead to something.
    """

    def __init__(self, targets: frozenset[str]) -> None:
        self._targets = targets
        rules: dict[Callable[[JSONValue], bool], tuple[str, ...]] = {
            _is_any: ("const", "default"),
            _is_text: ("$comment", "description", "format", "title"),
            _is_flag: ("deprecated", "readOnly", "uniqueItems", "writeOnly"),
            _is_size: ("maxItems", "maxLength", "maxProperties", "minItems", "minLength", "minProperties"),
            _is_number: ("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"),
            _is_list: ("enum", "examples"),
            _is_pattern: ("pattern",),
            _is_type: ("type",),
            _are_names: ("required",),
            self.is_schema: ("additionalProperties", "items", "not"),
            self._are_schemas: ("allOf", "anyOf", "oneOf"),
            self._are_named_schemas: (*_DEFINITIONS, "properties"),
            self._is_target: ("$ref",),
        }
        self._rules = {keyword: rule for rule, keywords in rules.items() for keyword in keywords}

    def is_schema(self, value: JSONValue) -> bool:
        """Tell whether a value is a schema of nothing but keywords with a rule, each as it shall be."""
        if not isinstance(value, dict):
            return isinstance(value, bool)
        return all(key in self._rules and self._rules[key](item) for key, item in value.items())

    def _is_target(self, value: JSONValue) -> bool:
        return isinstance(value, str) and value in self._targets

    def _are_schemas(self, value: JSONValue) -> bool:
        return isinstance(value, list) and bool(value) and all(map(self.is_schema, value))

    def _are_named_schemas(self, value: JSONValue) -> bool:
        return isinstance(value, dict) and all(map(self.is_schema, value.values()))


def _is_any(value: JSONValue) -> bool:
    return True


def _is_text(value: JSONValue) -> bool:
    return isinstance(value, str)


def _is_flag(value: JSONValue) -> bool:
    return isinstance(value, bool)


def _is_number(value: JSONValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_size(value: JSONValue) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_list(value: JSONValue) -> bool:
    return isinstance(value, list) and bool(value)


def _is_pattern(value: JSONValue) -> bool:
    if not isinstance(value, str) or len(value) > _LONGEST_PATTERN:
        return False
    return re.fullmatch(PATTERN, value, re.ASCII | re.VERBOSE) is not None


def _is_type(value: JSONValue) -> bool:
    names: list[JSONValue] = value if isinstance(value, list) else [value]
    return bool(names) and _are_names(names) and all(name in _TYPES for name in names)


def _are_names(value: JSONValue) -> bool:
    if not isinstance(value, list):
        return False
    return all(isinstance(name, str) for name in value) and len(set(map(str, value))) == len(value)
