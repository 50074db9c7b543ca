"""The function config: what a `tensorzero.toml` means, what it may not say, and when its files are read again."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filestore.codec import JSONValue, loads
from filestore.errors import ConfigError, JSONTextError, RequestError, SchemaCompileError, UnknownFunctionError
from filestore.function_config import parse_config
from filestore.functions import EMPTY_CONFIG, Function, FunctionConfig, Tool
from filestore.schema import compile_schema
from filestore.storage.config_files import ConfigFiles

Write = Callable[..., None]

GREET = "[functions.greet]\ntype = 'chat'\nvariants = {}\n"
EXTRACT = "[functions.extract]\ntype = 'json'\nvariants = {}\n"
CLOCK = "[tools.clock]\ndescription = 'Tell the time'\nparameters = 'any.json'\n"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write files of a store in the current directory; `tensorzero.toml` unless `path` says otherwise."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "any.json").write_text("true")

    def write_file(content: str | bytes, path: str = "tensorzero.toml") -> None:
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)

    return write_file


def load(pattern: str | None = None) -> FunctionConfig:
    return ConfigFiles(Path.cwd(), pattern).current()


def load_error(pattern: str | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(pattern)
    return str(caught.value)


def function(name: str = "greet", **fields: object) -> Function:
    defaults: dict[str, object] = {
        "type": "chat",
        "schemas": {},
        "template_names": frozenset(),
        "tools": (),
        "tool_choice": "auto",
        "parallel_tool_calls": None,
        "output_schema": {},
        "description": None,
    }
    return Function(name, **(defaults | fields))  # type: ignore[arg-type]  # the fields are listed right here


# --- what a config means


def test_a_chat_function_has_everything_that_is_said_of_it(write: Write) -> None:
    write('{"type": "object"}', "schemas/system.json")
    write('{"type": "string"}', "schemas/revision.json")
    write(
        """
        [functions.greet]
        type = "chat"
        description = "Says hello."
        system_schema = "schemas/system.json"
        schemas.revision.path = "schemas/revision.json"
        tools = ["clock"]
        tool_choice = "required"
        parallel_tool_calls = false
        experimentation = { type = "uniform" }

        [functions.greet.variants.fast]
        type = "chat_completion"
        model = "openai::gpt-4o-mini"
        templates.revision.path = "missing.minijinja"

        [tools.clock]
        name = "tell_time"
        description = "Tell the time"
        parameters = "any.json"
        strict = true
        """
    )
    assert load() == FunctionConfig(
        functions={
            "greet": function(
                description="Says hello.",
                schemas={"system": {"type": "object"}, "revision": {"type": "string"}},
                template_names=frozenset({"revision"}),
                tools=("clock",),
                tool_choice="required",
                parallel_tool_calls=False,
            )
        },
        tools={"clock": Tool("clock", "tell_time", "Tell the time", True, strict=True)},
        is_configured=True,
    )


def test_what_is_not_said_has_its_default(write: Write) -> None:
    write(GREET + EXTRACT + CLOCK)
    config = load()
    assert config.functions == {"greet": function(), "extract": function("extract", type="json")}
    assert config.tools == {"clock": Tool("clock", "clock", "Tell the time", True, strict=False)}


def test_a_json_function_has_the_output_schema_it_names(write: Write) -> None:
    write('{"type": "number"}', "number.json")
    write(EXTRACT + "output_schema = 'number.json'")
    assert load().get_function("extract").output_schema == {"type": "number"}


@pytest.mark.parametrize(
    "choice",
    [
        pytest.param("'none'", id="none"),
        pytest.param("'auto'", id="auto"),
        pytest.param("'required'", id="required"),
        pytest.param("{ specific = 'tell_time' }", id="specific"),
    ],
)
def test_a_tool_choice_is_kept_as_it_stands(write: Write, choice: str) -> None:
    write(f"{GREET}tools = ['clock']\ntool_choice = {choice}\n{CLOCK}name = 'tell_time'")
    expected: JSONValue = {"specific": "tell_time"} if "specific" in choice else choice.strip("'")
    assert load().get_function("greet").tool_choice == expected


@pytest.mark.parametrize(
    ("schema", "variant", "names"),
    [
        pytest.param("", "templates.hint.path = 'a'", {"hint"}, id="named"),
        pytest.param("", "templates.user.path = 'a'", {"user"}, id="named-like-a-role"),
        pytest.param("", "user_template = 'a'", set(), id="old-form-without-schema"),
        pytest.param("user_schema = 'any.json'", "user_template = 'a'", {"user"}, id="old-form-with-old-schema"),
        pytest.param("schemas.user.path = 'any.json'", "user_template = 'a'", {"user"}, id="old-form-with-schema"),
        pytest.param("system_schema = 'any.json'", "user_template = 'a'", set(), id="schema-of-another-role"),
        pytest.param("user_schema = 'any.json'", "", set(), id="schema-without-template"),
        pytest.param("", "evaluator.templates.judge.path = 'a'", {"judge"}, id="of-a-judge"),
        pytest.param("", "fuser.templates.fuse.path = 'a'", {"fuse"}, id="of-a-fuser"),
    ],
)
def test_an_input_may_call_the_templates_of_all_variants(
    write: Write, schema: str, variant: str, names: set[str]
) -> None:
    write(
        f"[functions.greet]\ntype = 'chat'\n{schema}\n"
        f"[functions.greet.variants.a]\ntype = 'chat_completion'\n{variant}\n"
        "[functions.greet.variants.b]\ntype = 'chat_completion'\ntemplates.other.path = 'b'\n"
    )
    assert load().get_function("greet").template_names == names | {"other"}


def test_sections_and_keys_of_a_gateway_are_left_unread(write: Write) -> None:
    write(
        "[models.m]\nrouting = ['a']\n[gateway]\nport = 1\n[metrics.good]\n[[rate_limiting.rules]]\n[brand_new]\n"
        "[functions.greet]\ntype = 'chat'\nexperimentation.x = 1\nevaluators.e.type = 'exact_match'\n"
        "[functions.greet.variants.v]\ntype = 'experimental_brand_new'\njson_mode = 'on'\ntemperature = 2\n"
    )
    assert load().functions == {"greet": function()}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xef\xbb\xbf" + GREET.encode(), id="byte-order-mark"),
        pytest.param(GREET.replace("\n", "\r\n").encode(), id="crlf"),
    ],
)
def test_a_config_saved_on_windows_reads_the_same(write: Write, content: bytes) -> None:
    write(content)
    assert load().functions == {"greet": function()}


@pytest.mark.parametrize("config", [EMPTY_CONFIG, parse_config([], str.encode, bool)], ids=["none", "configured"])
def test_the_default_function_is_always_there(config: FunctionConfig) -> None:
    assert config.get_function("tensorzero::default") == function("tensorzero::default")


def test_a_name_that_is_not_configured_is_not_found() -> None:
    assert EMPTY_CONFIG.find_function("greet") is None
    with pytest.raises(UnknownFunctionError, match=r"^Unknown function: greet$"):
        EMPTY_CONFIG.get_function("greet")
    with pytest.raises(RequestError, match=r"^Tool not found: clock$"):
        EMPTY_CONFIG.get_tool("clock")


def test_a_tool_is_found_by_its_key_alone(write: Write) -> None:
    write(CLOCK + "name = 'tell_time'")
    config = load()
    assert config.get_tool("clock").name == "tell_time"
    with pytest.raises(RequestError, match=r"^Tool not found: tell_time$"):
        config.get_tool("tell_time")


# --- what a config may not say

MISTAKES = {
    "syntax": ("[functions.greet]\ntype = chat", "not valid TOML: Invalid value (at line 2, column 8)"),
    "endless-number": ("x = " + "1" * 5000, None),
    "utf-8": (b"# one\n# caf\xe9\n", "line 2 is not UTF-8; save the file in that encoding"),
    "too-deep": ("x = " + "[" * 50_000, None),
    "too-deep-dotted": (".".join("x" * 3_000) + " = 1", "it is nested too deeply"),
    "section": ("[function.greet]", "`function`: unknown section; did you mean `functions`?"),
    "section-tool": ("[tool.clock]", "`tool`: unknown section; did you mean `tools`?"),
    "outside-of-sections": (
        "type = 'chat'",
        "`type`: unknown key outside of any section; put it below the `[section]` it belongs to",
    ),
    "functions-no-table": ("functions = 1", "`functions`: expected a table"),
    "function-no-table": ("functions.greet = 1", "`functions.greet`: expected a table"),
    "function-list": ("[[functions.greet]]", "`functions.greet`: expected a table"),
    "reserved-function": (
        "[functions.'tensorzero::default']",
        '`functions."tensorzero::default"`: names that begin with `tensorzero::` are reserved; choose another',
    ),
    "reserved-tool": (
        "[tools.'tensorzero::x']",
        '`tools."tensorzero::x"`: names that begin with `tensorzero::` are reserved; choose another',
    ),
    "reserved-variant": (
        GREET.replace("{}", "{ 'tensorzero::x' = {} }"),
        '`functions.greet.variants."tensorzero::x"`: names that begin with `tensorzero::` are reserved; choose another',
    ),
    "type-missing": (
        "[functions.greet]\nvariants = {}",
        "`functions.greet`: missing `type`: expected `chat` or `json`",
    ),
    "type-unknown": (
        "[functions.greet]\ntype = 'Chat'",
        "`functions.greet.type`: unknown type `Chat`; expected `chat` or `json`",
    ),
    "type-no-string": ("[functions.greet]\ntype = 1", "`functions.greet.type`: expected a string"),
    "variants-missing": (
        "[functions.greet]\ntype = 'chat'",
        "`functions.greet`: missing `variants`: add a table of that name; it may stay empty",
    ),
    "variants-list": (
        "[functions.greet]\ntype = 'chat'\nvariants = []",
        "`functions.greet.variants`: expected a table",
    ),
    "variant-no-table": (
        GREET.replace("{}", "{ fast = 1 }"),
        "`functions.greet.variants.fast`: expected a table",
    ),
    "variant-type-missing": (
        GREET.replace("{}", "{ fast = {} }"),
        "`functions.greet.variants.fast`: missing `type`: for example `chat_completion`",
    ),
    "variant-templates": (
        GREET.replace("{}", "{ fast = { type = 'chat_completion', templates = 'x' } }"),
        "`functions.greet.variants.fast.templates`: expected a table",
    ),
    "json-mode-missing": (
        EXTRACT.replace("{}", "{ fast = { type = 'chat_completion' } }"),
        "`functions.extract.variants.fast`: missing `json_mode`: a json function needs one, for example `strict`",
    ),
    "json-mode-of-chat": (
        GREET.replace("{}", "{ fast = { type = 'chat_completion', json_mode = 'on' } }"),
        "`functions.greet.variants.fast.json_mode`: only a variant of a json function has a `json_mode`; remove it",
    ),
    "json-mode-no-string": (
        EXTRACT.replace("{}", "{ fast = { type = 'chat_completion', json_mode = true } }"),
        "`functions.extract.variants.fast.json_mode`: expected a string",
    ),
    "key-near": (GREET + "tols = []", "`functions.greet.tols`: unknown key; did you mean `tools`?"),
    "key-far": (
        EXTRACT + "zzz = 1",
        "`functions.extract.zzz`: unknown key; expected one of `type`, `variants`, `system_schema`, `user_schema`, "
        "`assistant_schema`, `schemas`, `description`, `output_schema`, `experimentation`, `evaluators`",
    ),
    "key-quoted": (
        "[functions.'v1.2']\ntype = 'chat'\ntools = 1",
        '`functions."v1.2".tools`: expected a list of strings',
    ),
    "description": (GREET + "description = 1", "`functions.greet.description`: expected a string"),
    "parallel": (
        GREET + "parallel_tool_calls = 1",
        "`functions.greet.parallel_tool_calls`: expected `true` or `false`",
    ),
    "tools-string": (GREET + "tools = 'clock'", "`functions.greet.tools`: expected a list of strings"),
    "tools-mixed": (GREET + "tools = ['clock', 1]", "`functions.greet.tools`: expected a list of strings"),
    "tool-absent": (
        GREET + "tools = ['clock']",
        "`functions.greet.tools`: tool `clock` is not present in the config; add `[tools.clock]`",
    ),
    "tool-near": (
        GREET + "tools = ['clok']\n" + CLOCK,
        "`functions.greet.tools`: tool `clok` is not present in the config; did you mean `clock`?",
    ),
    "choice-text": (
        GREET + "tool_choice = 'off'",
        '`functions.greet.tool_choice`: expected "none", "auto", "required" or { specific = "the name of a tool" }',
    ),
    "choice-table": (
        GREET + "tool_choice = { specific = 'clock', also = 1 }",
        '`functions.greet.tool_choice`: expected "none", "auto", "required" or { specific = "the name of a tool" }',
    ),
    "choice-of-no-tool": (
        GREET + "tool_choice = { specific = 'clock' }\n" + CLOCK,
        "`functions.greet.tool_choice`: tool `clock` is not among the function's tools; it has no `tools`",
    ),
    "choice-by-key": (
        GREET + "tools = ['clock']\ntool_choice = { specific = 'clock' }\n" + CLOCK + "name = 'tell_time'",
        "`functions.greet.tool_choice`: tool `clock` is not among the function's tools; expected `tell_time`",
    ),
    "tools-of-json": (
        EXTRACT + "tools = []",
        "`functions.extract.tools`: a json function has no `tools`; remove it, or make the function `chat`",
    ),
    "choice-of-json": (
        EXTRACT + "tool_choice = 'auto'",
        "`functions.extract.tool_choice`: a json function has no `tool_choice`; remove it, or make the function `chat`",
    ),
    "output-schema-of-chat": (
        GREET + "output_schema = 'any.json'",
        "`functions.greet.output_schema`: a chat function has no `output_schema`; "
        "remove it, or make the function `json`",
    ),
    "two-schemas": (
        GREET + "system_schema = 'any.json'\nschemas.system.path = 'any.json'",
        "`functions.greet.schemas.system`: `system_schema` says the same; keep one of the two",
    ),
    "schemas-no-table": (
        GREET + "schemas.user = 'any.json'",
        "`functions.greet.schemas.user`: expected a table",
    ),
    "schemas-no-path": (
        GREET + "schemas.user = {}",
        "`functions.greet.schemas.user`: missing `path`: name a JSON Schema file",
    ),
    "schemas-key": (
        GREET + "schemas.user.file = 'any.json'",
        "`functions.greet.schemas.user.file`: unknown key; expected `path`",
    ),
    "schema-no-string": (GREET + "user_schema = {}", "`functions.greet.user_schema`: expected a string"),
    "schema-empty-path": (
        GREET + "user_schema = ''",
        "`functions.greet.user_schema`: expected the path of a JSON Schema file",
    ),
    "schema-nul": (
        GREET + 'user_schema = "a\\u0000b"',
        "`functions.greet.user_schema`: expected the path of a JSON Schema file",
    ),
    "schema-missing": (
        GREET + "user_schema = 'no/such.json'",
        "`functions.greet.user_schema`: cannot read no/such.json: No such file or directory",
    ),
    "schema-directory": (
        GREET + "user_schema = '.'",
        "`functions.greet.user_schema`: cannot read .: it is not a regular file",
    ),
    "tool-description": (
        "[tools.clock]\nparameters = 'any.json'",
        "`tools.clock`: missing `description`: say what the tool does",
    ),
    "tool-parameters": (
        "[tools.clock]\ndescription = ''",
        "`tools.clock`: missing `parameters`: name the JSON Schema file of the arguments",
    ),
    "tool-name": (CLOCK + "name = false", "`tools.clock.name`: expected a string"),
    "tool-strict": (CLOCK + "strict = 'yes'", "`tools.clock.strict`: expected `true` or `false`"),
    "tool-key": (CLOCK + "parameter = 1", "`tools.clock.parameter`: unknown key; did you mean `parameters`?"),
}


@pytest.mark.parametrize(("content", "reason"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_with_its_file_and_key(write: Write, content: str | bytes, reason: str | None) -> None:
    write(content)
    message = load_error()
    # Where the reason is None, its words are the TOML parser's and differ between versions of Python.
    assert message == f"tensorzero.toml: {reason}" if reason else message.startswith("tensorzero.toml: ")


def test_a_schema_that_is_not_json_is_told_with_its_line_and_column(write: Write) -> None:
    broken = b'{\n  "type": object\n}\n'
    write(broken, "schemas/user.json")
    write(GREET + "user_schema = 'schemas/user.json'")
    with pytest.raises(JSONTextError) as caught:
        loads(broken)
    place = f"schemas/user.json:{caught.value.line}:{caught.value.column}: {caught.value.reason}"
    assert load_error() == f"tensorzero.toml: `functions.greet.user_schema`: {place}"


@pytest.mark.parametrize(
    ("content", "key"),
    [
        pytest.param(GREET + "user_schema = 'bad.json'", "functions.greet.user_schema", id="input"),
        pytest.param(GREET + "schemas.x.path = 'bad.json'", "functions.greet.schemas.x.path", id="template"),
        pytest.param(EXTRACT + "output_schema = 'bad.json'", "functions.extract.output_schema", id="output"),
        pytest.param(CLOCK.replace("any", "bad"), "tools.clock.parameters", id="tool"),
    ],
)
def test_a_schema_that_does_not_compile_is_told_where_it_is_used(write: Write, content: str, key: str) -> None:
    write('{"type": "strnig"}', "bad.json")
    write(content)
    with pytest.raises(SchemaCompileError) as caught:
        compile_schema({"type": "strnig"})
    assert load_error() == f"tensorzero.toml: `{key}`: bad.json is no JSON Schema: {caught.value}"


FRAGMENTS = ["[functions.f]", "[tools.t]", "type='chat'", "type='json'", "variants={}", "[functions]", "f", "=", "\n"]


@settings(deadline=None)  # the first example pays for the imports
@given(st.one_of(st.binary(), st.lists(st.sampled_from(FRAGMENTS)).map(lambda parts: "\n".join(parts).encode())))
def test_any_bytes_are_a_config_or_a_mistake(data: bytes) -> None:
    try:
        config = parse_config([("tensorzero.toml", data)], _read_nothing, compile_schema)
    except ConfigError as error:
        assert error.path == "tensorzero.toml"
    else:
        assert config.is_configured


def _read_nothing(path: str) -> bytes:
    raise FileNotFoundError(2, "No such file or directory", path)


# --- several files


def test_files_of_a_glob_are_merged_and_paths_start_at_the_file_they_stand_in(write: Write) -> None:
    write('{"type": "string"}', "conf/greet/user.json")
    write("functions.greet.user_schema = 'user.json'", "conf/greet/schemas.toml")
    write(GREET + "tools = ['clock']", "conf/functions.toml")
    write("[tools.clock]\ndescription = 'x'\nparameters = '../../any.json'", "conf/tools/all.toml")
    assert load("conf/**/*.toml") == FunctionConfig(
        functions={"greet": function(schemas={"user": {"type": "string"}}, tools=("clock",))},
        tools={"clock": Tool("clock", "clock", "x", True)},
        is_configured=True,
    )


@pytest.mark.parametrize(
    ("second", "key"),
    [
        pytest.param("functions.greet.type = 'chat'", "functions.greet.type", id="same-value"),
        pytest.param("functions.greet.type.x = 1", "functions.greet.type", id="table-over-value"),
        pytest.param("functions.greet = 1", "functions.greet", id="value-over-table"),
        pytest.param("functions = []", "functions", id="list-over-table"),
    ],
)
def test_a_key_may_not_stand_in_two_files(write: Write, second: str, key: str) -> None:
    write(GREET, "conf/a.toml")
    write(second, "conf/b.toml")
    assert load_error("conf/*.toml") == f"conf/b.toml: `{key}`: also set in conf/a.toml; keep one of the two"


def test_a_mistake_names_the_file_that_the_key_is_from(write: Write) -> None:
    write(GREET, "conf/a.toml")
    write("functions.greet.tools = ['clock']", "conf/b.toml")
    expected = "conf/b.toml: `functions.greet.tools`: tool `clock` is not present in the config; add `[tools.clock]`"
    assert load_error("conf/*.toml") == expected


# --- which files


def test_a_store_without_a_config_has_the_empty_one(write: Write) -> None:
    assert load() is EMPTY_CONFIG


def test_a_directory_called_like_the_config_is_none(write: Write) -> None:
    write("", "tensorzero.toml/x")
    assert load() is EMPTY_CONFIG


@pytest.mark.parametrize("pattern", ["no.toml", "conf/*.toml", "conf", "conf/x/**/*.toml"])
def test_a_pattern_that_matches_no_file_is_a_mistake(write: Write, pattern: str) -> None:
    write("", "conf/readme.md")
    assert load_error(pattern) == f"{pattern}: matches no file; expected a TOML file, or a glob of several"


def test_a_file_may_have_brackets_in_its_name(write: Write) -> None:
    write(GREET, "conf[1].toml")
    assert load("conf[1].toml").functions == {"greet": function()}


def test_a_given_config_replaces_that_of_the_store(write: Write) -> None:
    write(GREET)
    write(EXTRACT, "other.toml")
    assert list(load("other.toml").functions) == ["extract"]


@pytest.mark.parametrize("name", ["below/a.toml", "../beside/a.toml"])
def test_files_below_the_current_directory_are_shown_relative_to_it(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write("x", f"work/{name}")
    monkeypatch.chdir(tmp_path / "work")
    given = str((tmp_path / "work" / name).resolve())
    assert load_error(name).startswith(f"{name}: ")
    assert load_error(given).startswith(f"{name if name.startswith('below') else given}: ")


def test_relative_paths_start_where_the_store_was_opened(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(GREET + "user_schema = 'any.json'", "a.toml")
    files = ConfigFiles(Path(), "*.toml")
    monkeypatch.chdir("/")
    assert files.current().get_function("greet").schemas == {"user": True}


@pytest.mark.skipif(sys.platform == "win32", reason="permission bits and pipes are POSIX")
def test_a_file_that_cannot_be_read_is_a_mistake_and_blocks_nobody(write: Write, tmp_path: Path) -> None:
    write(GREET + "user_schema = 'pipe'")
    os.mkfifo(tmp_path / "pipe")
    assert load_error() == "tensorzero.toml: `functions.greet.user_schema`: cannot read pipe: it is not a regular file"
    if os.geteuid() != 0:
        (tmp_path / "tensorzero.toml").chmod(0)
        assert load_error() == "tensorzero.toml: cannot be read: Permission denied"


# --- what the config of a stranger's store may read

OUTSIDE = "it lies outside of the store; to allow that, name the config file yourself (--config-file)"


@pytest.fixture
def store(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with `any.json` outside of it and links that lead there and inside."""
    root = tmp_path / "store"
    write("true", "store/schemas/inside.json")
    monkeypatch.chdir(root)
    (root / "out.json").symlink_to(tmp_path / "any.json")
    (root / "up").symlink_to(tmp_path)
    (root / "in.json").symlink_to("schemas/inside.json")
    return root


@pytest.mark.parametrize(
    "path", ["../any.json", "schemas/../../any.json", "out.json", "up/any.json", "{outside}/any.json"]
)
def test_a_found_config_reads_nothing_outside_of_the_store(store: Path, path: str) -> None:
    path = path.format(outside=store.parent)
    (store / "tensorzero.toml").write_text(f"{GREET}user_schema = '{path}'")
    assert load_error() == f"tensorzero.toml: `functions.greet.user_schema`: cannot read {path}: {OUTSIDE}"
    assert load("tensorzero.toml").get_function("greet").schemas == {"user": True}


def test_a_found_config_may_not_be_a_link_out_of_the_store(store: Path) -> None:
    (store.parent / "elsewhere.toml").write_text(GREET)
    (store / "tensorzero.toml").symlink_to("../elsewhere.toml")
    assert load_error() == f"tensorzero.toml: cannot be read: {OUTSIDE}"
    assert load("tensorzero.toml").functions == {"greet": function()}


@pytest.mark.parametrize("path", ["schemas/inside.json", "schemas/../schemas/inside.json", "in.json"])
def test_a_found_config_reads_all_inside_of_the_store(store: Path, path: str) -> None:
    (store / "tensorzero.toml").write_text(f"{GREET}user_schema = '{path}'")
    assert load().get_function("greet").schemas == {"user": True}


# --- read again when something changed


def settle(files: ConfigFiles) -> FunctionConfig:
    """Return the config once its files are old enough for it to be remembered."""
    config = files.current()
    while config is not (again := files.current()):
        config = again
    return config


def test_an_unchanged_config_is_not_read_again(write: Write) -> None:
    write(GREET + "user_schema = 'any.json'")
    files = ConfigFiles(Path.cwd(), None)
    assert settle(files) is files.current()


@pytest.mark.parametrize("is_settled", [False, True], ids=["at-once", "later"])
@pytest.mark.parametrize("path", ["tensorzero.toml", "user.json"])
def test_an_edit_that_keeps_size_and_mtime_is_seen(write: Write, tmp_path: Path, path: str, is_settled: bool) -> None:
    write('{"title": "a"}', "user.json")
    write(GREET + "user_schema = 'user.json'\ndescription = 'a'")
    files = ConfigFiles(Path.cwd(), None)
    before = settle(files) if is_settled else files.current()
    status = (tmp_path / path).stat()
    (tmp_path / path).write_bytes((tmp_path / path).read_bytes().replace(b"'a'", b"'b'").replace(b'"a"', b'"b"'))
    os.utime(tmp_path / path, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = files.current().get_function("greet")
    assert after != before.get_function("greet")
    assert (after.description, after.schemas["user"]) in [("b", {"title": "a"}), ("a", {"title": "b"})]


def test_a_file_that_comes_or_goes_is_seen(write: Write, tmp_path: Path) -> None:
    write(GREET, "conf/a.toml")
    files = ConfigFiles(Path.cwd(), "conf/*.toml")
    assert list(settle(files).functions) == ["greet"]
    write(EXTRACT, "conf/b.toml")
    assert sorted(settle(files).functions) == ["extract", "greet"]
    (tmp_path / "conf/a.toml").unlink()
    assert list(files.current().functions) == ["extract"]


def test_the_config_of_a_store_may_come_and_go(write: Write, tmp_path: Path) -> None:
    files = ConfigFiles(Path.cwd(), None)
    assert settle(files) is EMPTY_CONFIG
    write(GREET)
    assert settle(files).functions == {"greet": function()}
    (tmp_path / "tensorzero.toml").unlink()
    assert files.current() is EMPTY_CONFIG


def test_a_mistake_is_told_until_it_is_mended(write: Write, tmp_path: Path) -> None:
    write(GREET + "user_schema = 'user.json'")
    files = ConfigFiles(Path.cwd(), None)
    for _ in range(2):
        with pytest.raises(ConfigError):
            files.current()
    write("true", "user.json")
    assert settle(files).get_function("greet").schemas == {"user": True}
    (tmp_path / "user.json").unlink()
    with pytest.raises(ConfigError):
        files.current()


class EditedConfigFiles(ConfigFiles):
    """A config beside somebody who takes a file of it away, or empties it, and writes it again some looks later."""

    path = Path()
    data = b""
    looks = 0

    def take_away(self, path: Path, part: bytes | None) -> None:
        self.path, self.data, self.looks = path, path.read_bytes(), 1
        path.unlink() if part is None else path.write_bytes(part)

    def _find_documents(self) -> list[str]:
        try:
            return super()._find_documents()
        finally:
            self._look()

    def _load(self, *arguments: Any) -> Any:
        try:
            return super()._load(*arguments)
        finally:
            self._look()

    def _look(self) -> None:
        if 0 < self.looks < 4:
            self.looks += 1
            if self.looks == 4:
                self.path.write_bytes(self.data)


@pytest.mark.parametrize("part", [None, b"", GREET.encode()], ids=["gone", "empty", "half"])
@pytest.mark.parametrize("pattern", [None, "tensorzero.toml", "*.toml"])
def test_a_config_that_is_just_written_is_waited_for(
    write: Write, tmp_path: Path, pattern: str | None, part: bytes | None
) -> None:
    write(GREET + EXTRACT)
    files = EditedConfigFiles(Path.cwd(), pattern)
    for _ in range(3):
        assert set(settle(files).functions) == {"greet", "extract"}
        files.take_away(tmp_path / "tensorzero.toml", part)
        assert set(files.current().functions) == {"greet", "extract"}
        assert files.looks == 4


def test_a_schema_of_the_config_that_is_just_written_is_waited_for(write: Write, tmp_path: Path) -> None:
    write("true", "schemas/user.json")
    write(GREET + "user_schema = 'schemas/user.json'")
    for path in ("tensorzero.toml", "schemas/user.json"):
        os.utime(tmp_path / path, (0, 0))
    files = EditedConfigFiles(Path.cwd(), None)
    settle(files)
    files.take_away(tmp_path / "schemas/user.json", None)
    assert files.current().get_function("greet").schemas == {"user": True}
    assert files.looks == 4


def test_threads_share_one_config(write: Write) -> None:
    write(GREET)
    files = ConfigFiles(Path.cwd(), None)
    with ThreadPoolExecutor(8) as threads:
        configs = list(threads.map(lambda _: files.current(), range(200)))
    assert all(config.functions == {"greet": function()} for config in configs)
