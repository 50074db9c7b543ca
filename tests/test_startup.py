"""A command that reads starts fast: it loads nothing that only a write, a mistake or a gateway needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parent.parent / "sample_datasets"
CHAT_ID = "019a6c71-e0fc-77b8-81cb-704b0be307c6"
JSON_ID = "019a4903-0e5f-7522-aed5-b912bbcb6b2a"

ENGINE = {"attr", "attrs", "jsonschema", "jsonschema_specifications", "referencing", "regex", "rpds"}
NETWORK = {"asyncio", "email", "http", "selectors", "socket", "ssl", "urllib.parse", "urllib.request"}
SLOW = {"decimal", "difflib", "filelock", "glob", "logging", "pathlib", "random", "secrets", "subprocess", "tempfile"}
WRITES = {
    *("filestore.requests_legacy", "filestore.requests_v1", "filestore.validation"),
    *("filestore.schema.compiled", "filestore.storage.upkeep"),
}
MISTAKES = {"filestore.codec.positions", "textwrap", "traceback"}
OTHER_DOORS = {"filestore.cli.change", "filestore.cli.revise", "filestore.cli.upkeep", "filestore.gateway"}

NOT_TO_READ = ENGINE | NETWORK | SLOW | WRITES | MISTAKES | OTHER_DOORS
CONFIG = {"filestore.function_config", "filestore.schema", "filestore.toml_tables", "tomllib"}
"""Needed where there is a `tensorzero.toml`."""
QUERY = {"filestore.query", "fractions"}
"""Needed by a list with filters, a search or an order."""


def modules_after(program: str, *arguments: str) -> set[str]:
    """Return the names of all modules that a fresh interpreter has loaded when it has run a program."""
    tell = "import atexit, sys\natexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
    command = [sys.executable, "-c", tell + program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def modules_of_command(*arguments: str) -> set[str]:
    """Return the names of all modules that a command has loaded when it is done."""
    return modules_after("from filestore.cli import main\nmain(prog_name='filestore')", *arguments)


@pytest.fixture
def bare_store(tmp_path: Path) -> Path:
    """Return the samples as a store without a function config."""
    for path in SAMPLES.rglob("*.json"):
        copy = tmp_path / path.relative_to(SAMPLES)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return tmp_path


READS = {
    "get": ("get", "support_conversations", CHAT_ID),
    "get-json": ("get", "email_application", JSON_ID),
    "list": ("list", "support_conversations"),
    "list-function": ("list", "support_conversations", "--function-name", "support_agent", "--format", "jsonl"),
    "datasets": ("datasets",),
}


@pytest.mark.parametrize("command", READS.values(), ids=READS.keys())
def test_a_read_loads_no_more_than_it_needs(command: tuple[str, ...]) -> None:
    assert modules_of_command("--root", str(SAMPLES), *command) & (NOT_TO_READ | QUERY) == set()


@pytest.mark.parametrize("command", READS.values(), ids=READS.keys())
def test_a_store_without_a_config_is_read_without_a_parser_of_one(command: tuple[str, ...], bare_store: Path) -> None:
    loaded = modules_of_command("--root", str(bare_store), *command)
    assert loaded & (NOT_TO_READ | QUERY | CONFIG) == set()


def test_a_chat_datapoint_is_read_without_a_digest() -> None:
    assert "hashlib" not in modules_of_command("--root", str(SAMPLES), *READS["get"])


def test_a_filter_loads_the_query_alone() -> None:
    loaded = modules_of_command("--root", str(SAMPLES), "list", "support_conversations", "--tag", "split=test")
    assert loaded & (ENGINE | NETWORK | WRITES | OTHER_DOORS) == set()
    assert loaded >= QUERY


def test_the_help_loads_click_and_no_room_below_the_command_line() -> None:
    loaded = modules_of_command("--help")
    assert {name for name in loaded if name.startswith("filestore.")} == {
        *("filestore.cli", "filestore.cli.settings", "filestore.cli.terminal"),
    }
    allowed = {"textwrap"}  # click sets the help with it
    assert loaded & ((NOT_TO_READ - allowed) | CONFIG | QUERY | {"dataclasses", "json", "orjson"}) == set()


def test_the_version_loads_no_room_below_the_command_line() -> None:
    assert {name for name in modules_of_command("--version") if name.startswith("filestore.")} == {
        *("filestore.cli", "filestore.cli.settings", "filestore.cli.terminal"),
    }


def test_the_package_loads_none_of_its_rooms() -> None:
    loaded = modules_after("import filestore")
    assert {name for name in loaded if name.startswith("filestore")} == {"filestore"}
    assert loaded & (NOT_TO_READ | CONFIG | QUERY | {"click", "dataclasses", "json", "orjson"}) == set()


def test_the_store_is_imported_without_what_its_writes_need() -> None:
    loaded = modules_after("from filestore import FileStore")
    assert loaded & (NOT_TO_READ | CONFIG | QUERY | {"click", "hashlib"}) == set()
