"""The parser of a `tensorzero.toml`: TOML documents in, functions and tools out.

The text is parsed here; which files there are and what is in them comes in from outside. Sections and keys that only a
running gateway has a use for (models, prompts, metrics, …) are left unread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from os.path import dirname, join
from typing import NamedTuple

from filestore.codec import JSONValue, loads
from filestore.errors import JSONTextError, SchemaCompileError, SchemaTimeoutError, suggest_name
from filestore.functions import Function, FunctionConfig, FunctionType, Tool
from filestore.toml_tables import Table, merge_documents, render_key

__all__ = ["parse_config"]

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
        check_schema: Raises `SchemaCompileError` for a value that is no JSON Schema, and `SchemaTimeoutError` for one
            that takes too long.

    Raises:
        ConfigError: The first mistake, with its file, its key and what to do about it.

    Example:
        >>> document = b"functions.greet = {type = 'chat', variants = {}, user_schema = 'name.json'}"
        >>> files = {"conf/name.json": b'{"type": "string"}'}
        >>> config = parse_config([("conf/tensorzero.toml", document)], files.__getitem__, check_schema=bool)
        >>> config.get_function("greet").schemas
        {'user': {'type': 'string'}}
    """
    root = merge_documents(documents)
    _check_sections(root)
    schemas = _SchemaFiles(read_file, check_schema)
    tools = {key: _parse_tool(key, table, schemas) for key, table in _named_tables(root, "tools")}
    functions = {name: _parse_function(name, table, schemas, tools) for name, table in _named_tables(root, "functions")}
    return FunctionConfig(functions, tools, is_configured=True)


def _check_sections(root: Table) -> None:
    for name, value in root.values.items():
        if name in _SECTIONS:
            continue
        # All other sections are a gateway's and free to change; only a slip that would hide a function is caught.
        if near := _find_section(name):
            raise root.error(name, f"unknown section; did you mean `{near[0]}`?")
        if not isinstance(value, dict):
            raise root.error(name, "unknown key outside of any section; put it below the `[section]` it belongs to")


def _find_section(name: str) -> list[str]:
    import difflib

    return difflib.get_close_matches(name, _SECTIONS, n=1, cutoff=0.8)


def _named_tables(root: Table, section: str) -> Iterator[tuple[str, Table]]:
    for name, table in root.take_table(section).tables():
        if name.startswith(_RESERVED_PREFIX):
            raise table.error(None, f"names that begin with `{_RESERVED_PREFIX}` are reserved; choose another")
        yield name, table


class _SchemaFiles(NamedTuple):
    """The schema files that a config names."""

    read_file: Callable[[str], bytes]
    check_schema: Callable[[JSONValue], object]

    def read(self, table: Table, key: str, advice: str) -> JSONValue:
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
        except SchemaTimeoutError as error:
            raise table.error(key, f"{path} takes too long to check") from error
        return schema


def _parse_tool(key: str, table: Table, schemas: _SchemaFiles) -> Tool:
    table.refuse_unknown(_TOOL_KEYS)
    return Tool(
        key=key,
        name=key if (name := table.take("name", str)) is None else name,
        description=table.require("description", str, "say what the tool does"),
        parameters=schemas.read(table, "parameters", "name the JSON Schema file of the arguments"),
        strict=table.take("strict", bool) or False,
    )


def _parse_function(name: str, table: Table, schemas: _SchemaFiles, tools: Mapping[str, Tool]) -> Function:
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


def _parse_type(table: Table) -> FunctionType:
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


def _parse_input_schemas(table: Table, schemas: _SchemaFiles) -> dict[str, JSONValue]:
    found = {role: schemas.read(table, f"{role}_schema", "") for role in _ROLES if f"{role}_schema" in table.values}
    for name, entry in table.take_table("schemas").tables():
        if name in found:
            raise entry.error(None, f"`{name}_schema` says the same; keep one of the two")
        entry.refuse_unknown(("path",))
        found[name] = schemas.read(entry, "path", "name a JSON Schema file")
    return found


def _parse_tool_keys(table: Table, tools: Mapping[str, Tool]) -> tuple[str, ...]:
    keys = table.take_texts("tools")
    for key in keys:
        if key not in tools:
            import difflib  # only a mistake asks for it

            near = difflib.get_close_matches(key, tools, n=1)
            advice = f"did you mean `{near[0]}`?" if near else f"add `[{render_key(('tools', key))}]`"
            raise table.error("tools", f"tool `{key}` is not present in the config; {advice}")
    return keys


def _parse_tool_choice(table: Table, tool_names: Sequence[str]) -> JSONValue:
    choice = table.values.get("tool_choice", "auto")
    if isinstance(choice, str) and choice in ("none", "auto", "required"):
        return choice
    if not isinstance(choice, dict) or list(choice) != ["specific"] or not isinstance(choice["specific"], str):
        raise table.error("tool_choice", 'expected "none", "auto", "required" or { specific = "the name of a tool" }')
    name = choice["specific"]
    if name not in tool_names:
        advice = suggest_name(name, tool_names) if tool_names else "it has no `tools`"
        raise table.error("tool_choice", f"tool `{name}` is not among the function's tools; {advice}")
    return {"specific": name}


def _parse_template_names(table: Table, type_: FunctionType, schemas: Mapping[str, JSONValue]) -> Iterator[str]:
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


def _check_json_mode(variant: Table, type_: FunctionType) -> None:
    variant_type = variant.require("type", str, "for example `chat_completion`")
    json_mode = variant.take("json_mode", str)
    if variant_type != "chat_completion":
        return
    if type_ == "json" and json_mode is None:
        raise variant.error(None, "missing `json_mode`: a json function needs one, for example `strict`")
    if type_ == "chat" and json_mode is not None:
        raise variant.error("json_mode", "only a variant of a json function has a `json_mode`; remove it")
