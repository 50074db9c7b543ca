"""What tests share: a function config to validate against, a store over it, and an audit of what it left behind."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from filestore import FileStore
from filestore.gateway.app import Application
from filestore.gateway.http import Headers, Request, Response

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell has its jobs in the background ignore ^C, and they what they start: tests press it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

CONFIG = """
[functions.plain_chat]
type = "chat"
[functions.plain_chat.variants.v]
type = "chat_completion"
model = "m"

[functions.basic_test]
type = "chat"
system_schema = "system.json"
[functions.basic_test.variants.v]
type = "chat_completion"
model = "m"

[functions.write_haiku]
type = "chat"
user_schema = "haiku.json"
[functions.write_haiku.variants.v]
type = "chat_completion"
model = "m"

[functions.weather_helper]
type = "chat"
system_schema = "system.json"
tools = ["get_temperature"]
[functions.weather_helper.variants.v]
type = "chat_completion"
model = "m"

[functions.templated]
type = "chat"
[functions.templated.variants.v]
type = "chat_completion"
model = "m"
templates.greeting.path = "greeting.minijinja"
templates.system.path = "greeting.minijinja"

[functions.json_success]
type = "json"
system_schema = "system.json"
user_schema = "country.json"
output_schema = "answer.json"
[functions.json_success.variants.v]
type = "chat_completion"
model = "m"
json_mode = "strict"

[functions.free_json]
type = "json"
[functions.free_json.variants.v]
type = "chat_completion"
model = "m"
json_mode = "off"

[tools.get_temperature]
description = "Get the current temperature in a given location"
parameters = "temperature.json"

[tools.get_time]
name = "clock"
description = "Get the time"
parameters = "empty.json"
strict = true
"""

SCHEMAS: dict[str, Any] = {
    "system.json": {
        "type": "object",
        "properties": {"assistant_name": {"type": "string"}},
        "required": ["assistant_name"],
    },
    "haiku.json": {"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]},
    "country.json": {
        "type": "object",
        "properties": {"country": {"type": "string"}},
        "required": ["country"],
        "additionalProperties": False,
    },
    "answer.json": {
        "type": "object",
        "properties": {"answer": {"type": "string"}},
        "required": ["answer"],
        "additionalProperties": False,
    },
    "temperature.json": {
        "type": "object",
        "properties": {"location": {"type": "string"}, "units": {"enum": ["fahrenheit", "celsius"]}},
        "required": ["location"],
        "additionalProperties": False,
    },
    "empty.json": {"type": "object"},
}


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """A `tensorzero.toml` with the functions and tools that tests name."""
    directory = tmp_path / "config"
    directory.mkdir()
    for name, schema in SCHEMAS.items():
        (directory / name).write_text(json.dumps(schema), encoding="utf-8")
    (directory / "greeting.minijinja").write_text("Hello {{ name }}", encoding="utf-8")
    path = directory / "tensorzero.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


@pytest.fixture
def store(tmp_path: Path, config_file: Path) -> FileStore:
    """An empty store with the functions of `config_file`."""
    return FileStore(tmp_path / "store", config_file, durable=False)


Call = Callable[..., Response]


@pytest.fixture
def call(store: FileStore) -> Call:
    """The gateway without its socket: `call(method, path, body)` answers."""
    app = Application(store)

    def send(
        method: str, path: str, body: Any = None, *, raw: bytes | None = None, agent: str | None = "t"
    ) -> Response:
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        path, _, query = path.partition("?")
        headers = Headers(() if agent is None else (("user-agent", agent),))
        return app(Request(method, path, query, headers, data))

    return send


def watched_directories(pid: int | str = "self") -> list[int]:
    """Return the inode of every directory that a process has the kernel tell it of, ascending; see proc(5)."""
    found: list[int] = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if str(link.readlink()) != "anon_inode:inotify":
                continue
            lines = Path(f"/proc/{pid}/fdinfo/{link.name}").read_text(encoding="ascii").splitlines()
        except FileNotFoundError:  # it was closed in between
            continue
        found += [int(line.partition(" ino:")[2].split()[0], 16) for line in lines if line.startswith("inotify ")]
    return sorted(found)


def snapshot(root: Path) -> dict[str, bytes]:
    """Return every file below a directory outside `.filestore/`, with its bytes."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".filestore" not in path.parts
    }
