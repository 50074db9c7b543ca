"""Functions and tools, as a `tensorzero.toml` configures them.

The text is parsed here; which files there are and what is in them comes in from outside. Sections and keys that only a
running gateway has a use for (models, prompts, metrics, …) are left unread.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os.path import dirname, join
from typing import Literal, TypeVar

from filestore.codec import JSONValue, loads
from filestore.errors import ConfigError, JSONTextError, RequestError, SchemaCompileError, UnknownFunctionError

__all__ = ["EMPTY_CONFIG", "Function", "FunctionConfig", "Tool", "parse_config"]

T = TypeVar("T")
FunctionType = Literal["chat", "json"]

_RESERVED_PREFIX = "tensorzero::"
_ROLES = ("system", "user", "assistant")
_SECTIONS = ("functions", "tools")
_COMMON_KEYS = ("type", "variants", *(f"{role}_schema" for role in _ROLES), "schemas", "description")
_UNREAD_KEYS = ("experimentation", "evaluators")
_KEYS_OF_TYPE: dict[FunctionType, tuple[str, ...]] = {
    "chat": ("tools", "tool_choice", "parallel_tool_calls"),
    "json": ("output_schema",),
}
_TOOL_KEYS = ("description", "parameters", "name", "strict")
_KINDS: dict[type, str] = {str: "a string", bool: "`true` or `false`", dict: "a table", list: "a list of strings"}


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that a chat function may offer to the model.

    Attributes:
        key: What functions and `allowed_tools` call it: the `KEY` of `[tools.KEY]`.
        name: What the model calls it, by default the key.
        description: What it does, told to the model.
        parameters: The JSON Schema of its arguments.
        strict: Whether the model provider shall enforce the schema.
    """

    key: str
    name: str
    description: str
    parameters: JSONValue
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """A task that an application hands to a model.

    Attributes:
        name: The `NAME` of `[functions.NAME]`.
        type: Whether its outputs are content blocks (`chat`) or one JSON value (`json`).
        schemas: Template name to the JSON Schema of its arguments; `system`, `user` and `assistant` bind the roles.
        template_names: The templates that an input may call by name.
        tools: Keys of the tools it offers.
        tool_choice: `none`, `auto`, `required` or `{"specific": name of a tool}`.
        parallel_tool_calls: Whether the model may call several tools at once; None leaves it to the model.
        output_schema: The JSON Schema of its outputs; `{}` fits every value.
        description: What it is for.
    """

    name: str
    type: FunctionType
    schemas: Mapping[str, JSONValue]
    template_names: frozenset[str]
    tools: tuple[str, ...]
    tool_choice: JSONValue
    parallel_tool_calls: bool | None
    output_schema: JSONValue
    description: str | None


_DEFAULT_FUNCTION = Function("tensorzero::default", "chat", {}, frozenset(), (), "auto", None, {}, None)


@dataclass(frozen=True, slots=True)
class FunctionConfig:
    """The functions and tools that datapoints may name.

    Attributes:
        functions: Configured functions by name.
        tools: Configured tools by key.
        is_configured: Whether there is any config file at all.
    """

    functions: Mapping[str, Function]
    tools: Mapping[str, Tool]
    is_configured: bool

    def find_function(self, name: str) -> Function | None:
        """Return a function by name, the built-in `tensorzero::default` included, or None.

        >>> EMPTY_CONFIG.find_function("tensorzero::default").type
        'chat'
        """
        return _DEFAULT_FUNCTION if name == _DEFAULT_FUNCTION.name else self.functions.get(name)

    def get_function(self, name: str) -> Function:
        """Return a function by name.

        Raises:
            UnknownFunctionError: There is none.
        """
        function = self.find_function(name)
        if function is None:
            raise UnknownFunctionError(name)
        return function

    def get_tool(self, key: str) -> Tool:
        """Return a tool by key.

        Raises:
            RequestError: There is none.
        """
        try:
            return self.tools[key]
        except KeyError:
            raise RequestError(f"Tool not found: {key}") from None


EMPTY_CONFIG = FunctionConfig(functions={}, tools={}, is_configured=False)
"""What a store without a config file has: the built-in function alone."""


def parse_config(
    documents: Sequence[tuple[str, bytes]],
    read_file: Callable[[str], bytes],
    check_schema: Callable[[JSONValue], object],
) -> FunctionConfig:
    """Return the functions and tools of one or more TOML documents.

    Tables of the same name are merged. A file path is relative to the document it stands in.

    Args:
        documents: Path and bytes of each TOML file, in the order in which they are merged.
        read_file: Returns the bytes of a schema file, or raises `OSError`.
        check_schema: Raises `SchemaCompileError` for a value that is no JSON Schema.

    Raises:
        ConfigError: The first mistake, with its file, its key and what to do about it.

    Example:
        >>> document = b"functions.greet = {type = 'chat', variants = {}, user_schema = 'name.json'}"
        >>> files = {"conf/name.json": b'{"type": "string"}'}
        >>> config = parse_config([("conf/tensorzero.toml", document)], files.__getitem__, check_schema=bool)
        >>> config.get_function("greet").schemas
        {'user': {'type': 'string'}}
    """
    root = _merge(documents)
    _check_sections(root)
    schemas = _SchemaFiles(read_file, check_schema)
    tools = {key: _parse_tool(key, table, schemas) for key, table in _named_tables(root, "tools")}
    functions = {name: _parse_function(name, table, schemas, tools) for name, table in _named_tables(root, "functions")}
    return FunctionConfig(functions, tools, is_configured=True)


# --- the merged documents


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of the merged documents: its place, its values, and the file that each key is from."""

    key: tuple[str, ...]
    values: Mapping[str, object]
    origins: Mapping[tuple[str, ...], str]

    def origin(self, key: str | None = None) -> str:
        """Return the file that a key is from, or the one that opened the table."""
        return self.origins[self.key if key is None else (*self.key, key)]

    def error(self, key: str | None, reason: str) -> ConfigError:
        """Return a mistake at a key that is there, or at the table itself."""
        place = self.key if key is None else (*self.key, key)
        return ConfigError(self.origin(key), _render_key(place), reason)

    def take(self, key: str, kind: type[T]) -> T | None:
        """Return the value of an optional key."""
        value = self.values.get(key)
        if value is None or isinstance(value, kind):
            return value
        raise self.error(key, f"expected {_KINDS[kind]}")

    def require(self, key: str, kind: type[T], advice: str) -> T:
        """Return the value of a required key."""
        value = self.take(key, kind)
        if value is None:
            raise self.error(None, f"missing `{key}`: {advice}")
        return value

    def take_texts(self, key: str) -> tuple[str, ...]:
        """Return an optional list of strings; absent is empty."""
        items = self.take(key, list) or []
        if not all(isinstance(item, str) for item in items):
            raise self.error(key, f"expected {_KINDS[list]}")
        return tuple(items)

    def take_table(self, key: str) -> _Table:
        """Return the table under an optional key; absent is empty."""
        return _Table((*self.key, key), self.take(key, dict) or {}, self.origins)

    def tables(self) -> Iterator[tuple[str, _Table]]:
        """Yield every key with the table under it."""
        for key in self.values:
            yield key, self.take_table(key)

    def refuse_unknown(self, known: Sequence[str]) -> None:
        """Refuse a key that is not among the known ones."""
        for key in self.values:
            if key not in known:
                raise self.error(key, f"unknown key; {_suggest(key, known)}")


def _merge(documents: Sequence[tuple[str, bytes]]) -> _Table:
    values: dict[str, object] = {}
    origins: dict[tuple[str, ...], str] = {}
    for path, data in documents:
        try:
            _merge_table(values, _parse_toml(path, data), (), path, origins)
        except RecursionError:
            raise ConfigError(path, "", "it is nested too deeply") from None
    return _Table((), values, origins)


def _merge_table(
    target: dict[str, object],
    source: dict[str, object],
    key: tuple[str, ...],
    path: str,
    origins: dict[tuple[str, ...], str],
) -> None:
    for name, value in source.items():
        place = (*key, name)
        if name not in target:
            origins[place] = path
            target[name] = {} if isinstance(value, dict) else value
        known = target[name]
        if isinstance(known, dict) and isinstance(value, dict):
            _merge_table(known, value, place, path, origins)
        elif origins[place] != path:
            raise ConfigError(path, _render_key(place), f"also set in {origins[place]}; keep one of the two")


def _parse_toml(path: str, data: bytes) -> dict[str, object]:
    try:
        return tomllib.loads(data.removeprefix(b"\xef\xbb\xbf").decode())
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(path, "", f"line {line} is not UTF-8; save the file in that encoding") from None
    except ValueError as error:  # also what int() says of a number with thousands of digits
        raise ConfigError(path, "", f"not valid TOML: {error}") from None


def _render_key(place: tuple[str, ...]) -> str:
    """Spell a key as TOML does.

    >>> _render_key(("functions", "v1.2", "type"))
    'functions."v1.2".type'
    """
    return ".".join(
        part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else json.dumps(part, ensure_ascii=False) for part in place
    )


def _quote(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _suggest(name: str, known: Sequence[str]) -> str:
    """Say which name was meant, or which there are.

    >>> _suggest("tool", ("type", "tools")), _suggest("x", ("type", "tools"))
    ('did you mean `tools`?', 'expected one of `type`, `tools`')
    """
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean `{near[0]}`?" if near else f"expected one of {_quote(known)}"


# --- functions, tools and the files they name


def _check_sections(root: _Table) -> None:
    for name, value in root.values.items():
        if name in _SECTIONS:
            continue
        # All other sections are a gateway's and free to change; only a slip that would hide a function is caught.
        if near := difflib.get_close_matches(name, _SECTIONS, n=1, cutoff=0.8):
            raise root.error(name, f"unknown section; did you mean `{near[0]}`?")
        if not isinstance(value, dict):
            raise root.error(name, "unknown key outside of any section; put it below the `[section]` it belongs to")


def _named_tables(root: _Table, section: str) -> Iterator[tuple[str, _Table]]:
    for name, table in root.take_table(section).tables():
        if name.startswith(_RESERVED_PREFIX):
            raise table.error(None, f"names that begin with `{_RESERVED_PREFIX}` are reserved; choose another")
        yield name, table


@dataclass(frozen=True, slots=True)
class _SchemaFiles:
    """The schema files that a config names."""

    read_file: Callable[[str], bytes]
    check_schema: Callable[[JSONValue], object]

    def read(self, table: _Table, key: str, advice: str) -> JSONValue:
        """Return the JSON Schema in the file that a required key names."""
        name = table.require(key, str, advice)
        if not name or "\0" in name:
            raise table.error(key, "expected the path of a JSON Schema file")
        path = join(dirname(table.origin(key)), name)  # noqa: PTH118, PTH120 (a pure room: paths are text here)
        try:
            schema = loads(self.read_file(path))
            self.check_schema(schema)
        except OSError as error:
            raise table.error(key, f"cannot read {path}: {error.strerror or error}") from error
        except JSONTextError as error:
            raise table.error(key, f"{path}:{error.line}:{error.column}: {error.reason}") from error
        except SchemaCompileError as error:
            raise table.error(key, f"{path} is no JSON Schema: {error}") from error
        return schema


def _parse_tool(key: str, table: _Table, schemas: _SchemaFiles) -> Tool:
    table.refuse_unknown(_TOOL_KEYS)
    return Tool(
        key=key,
        name=key if (name := table.take("name", str)) is None else name,
        description=table.require("description", str, "say what the tool does"),
        parameters=schemas.read(table, "parameters", "name the JSON Schema file of the arguments"),
        strict=table.take("strict", bool) or False,
    )


def _parse_function(name: str, table: _Table, schemas: _SchemaFiles, tools: Mapping[str, Tool]) -> Function:
    type_ = _parse_type(table)
    input_schemas = _parse_input_schemas(table, schemas)
    tool_keys = _parse_tool_keys(table, tools)
    has_output_schema = "output_schema" in table.values
    return Function(
        name=name,
        type=type_,
        schemas=input_schemas,
        template_names=frozenset(_parse_template_names(table, type_, input_schemas)),
        tools=tool_keys,
        tool_choice=_parse_tool_choice(table, [tools[key].name for key in tool_keys]),
        parallel_tool_calls=table.take("parallel_tool_calls", bool),
        output_schema=schemas.read(table, "output_schema", "") if has_output_schema else {},
        description=table.take("description", str),
    )


def _parse_type(table: _Table) -> FunctionType:
    """Return the type of a function, once it is sure that all its keys are of that type."""
    text = table.require("type", str, "expected `chat` or `json`")
    type_ = next((known for known in _KEYS_OF_TYPE if known == text), None)
    if type_ is None:
        raise table.error("type", f"unknown type `{text}`; expected `chat` or `json`")
    other: FunctionType = "json" if type_ == "chat" else "chat"
    for key in _KEYS_OF_TYPE[other]:
        if key in table.values:
            raise table.error(key, f"a {type_} function has no `{key}`; remove it, or make the function `{other}`")
    table.refuse_unknown((*_COMMON_KEYS, *_KEYS_OF_TYPE[type_], *_UNREAD_KEYS))
    return type_


def _parse_input_schemas(table: _Table, schemas: _SchemaFiles) -> dict[str, JSONValue]:
    found = {role: schemas.read(table, f"{role}_schema", "") for role in _ROLES if f"{role}_schema" in table.values}
    for name, entry in table.take_table("schemas").tables():
        if name in found:
            raise entry.error(None, f"`{name}_schema` says the same; keep one of the two")
        entry.refuse_unknown(("path",))
        found[name] = schemas.read(entry, "path", "name a JSON Schema file")
    return found


def _parse_tool_keys(table: _Table, tools: Mapping[str, Tool]) -> tuple[str, ...]:
    keys = table.take_texts("tools")
    for key in keys:
        if key not in tools:
            near = difflib.get_close_matches(key, tools, n=1)
            advice = f"did you mean `{near[0]}`?" if near else f"add `[{_render_key(('tools', key))}]`"
            raise table.error("tools", f"tool `{key}` is not present in the config; {advice}")
    return keys


def _parse_tool_choice(table: _Table, tool_names: Sequence[str]) -> JSONValue:
    choice = table.values.get("tool_choice", "auto")
    if isinstance(choice, str) and choice in ("none", "auto", "required"):
        return choice
    if not isinstance(choice, dict) or list(choice) != ["specific"] or not isinstance(choice["specific"], str):
        raise table.error("tool_choice", 'expected "none", "auto", "required" or { specific = "the name of a tool" }')
    name = choice["specific"]
    if name not in tool_names:
        advice = _suggest(name, tool_names) if tool_names else "it has no `tools`"
        raise table.error("tool_choice", f"tool `{name}` is not among the function's tools; {advice}")
    return {"specific": name}


def _parse_template_names(table: _Table, type_: FunctionType, schemas: Mapping[str, JSONValue]) -> Iterator[str]:
    """Yield the templates of all variants that an input may call by name."""
    table.require("variants", dict, "add a table of that name; it may stay empty")
    for name, variant in table.take_table("variants").tables():
        if name.startswith(_RESERVED_PREFIX):
            raise variant.error(None, f"names that begin with `{_RESERVED_PREFIX}` are reserved; choose another")
        _check_json_mode(variant, type_)
        # The judge of a best-of-n variant and the fuser of a mixture-of-n variant are variants of their own.
        for part in (variant, variant.take_table("evaluator"), variant.take_table("fuser")):
            yield from part.take_table("templates").values
            # Without a schema the old form of a template only wraps plain text: nothing can call it.
            yield from (role for role in _ROLES if f"{role}_template" in part.values and role in schemas)


def _check_json_mode(variant: _Table, type_: FunctionType) -> None:
    variant_type = variant.require("type", str, "for example `chat_completion`")
    json_mode = variant.take("json_mode", str)
    if variant_type != "chat_completion":
        return
    if type_ == "json" and json_mode is None:
        raise variant.error(None, "missing `json_mode`: a json function needs one, for example `strict`")
    if type_ == "chat" and json_mode is not None:
        raise variant.error("json_mode", "only a variant of a json function has a `json_mode`; remove it")
