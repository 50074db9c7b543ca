"""Datapoint files as people leave them behind: real ones, with a few mistakes made in them."""

from __future__ import annotations

import copy
import uuid
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from filestore import FileStore
from filestore.codec import JSONValue, dumps, loads_file
from filestore.datapoint_file import FileContext, schema_digest
from filestore.errors import ShapeError
from filestore.functions import FunctionConfig

CORPUS = Path(__file__).parent / "corpus"
SAMPLES = Path(__file__).parent.parent / "sample_datasets"
CONFIG_FILES = {CORPUS: CORPUS / "config" / "tensorzero.toml"}
ID = uuid.UUID("01995f6a-1c2d-7c11-9d3e-0f5b7a1c2d3e")

_SCHEMAS = {path.stem: loads_file(path.read_bytes()) for path in SAMPLES.rglob("schemas/*.json")}
for _name in ("answer", "verdict"):
    _schema = loads_file((CORPUS / "config" / f"{_name}.json").read_bytes())
    _SCHEMAS[schema_digest(dumps(_schema))] = _schema
_FILES = {
    CORPUS: sorted([*(CORPUS / "valid").glob("*.json"), *(CORPUS / "readable").glob("*.json")]),
    SAMPLES: sorted(path for name in ("email", "entity", "support") for path in SAMPLES.glob(f"{name}_*/*.json")),
}
CONFIGS = {root: FileStore(root, CONFIG_FILES.get(root)).config for root in _FILES}
DRAFTS = sorted((CORPUS / "drafts").glob("*.json"))
_KEYS = (
    *("type", "function_name", "name", "input", "output", "output_raw", "output_schema", "tags", "tool_choice"),
    *("allowed_tools", "additional_tools", "provider_tools", "messages", "system", "role", "content", "text", "value"),
    *("arguments", "raw_arguments", "raw_name", "id", "raw", "parsed", "url", "data", "storage_path", "imput", "x"),
)
_VALUES: tuple[Any, ...] = (
    *(None, True, 0, 1.5, "", "x", [], {}, [{}], ["x"], {"x": 1}, {"raw": "1", "parsed": 1}, "{}", "auto", "weather"),
    *("chat", "json", "user", "assistant", "plain", "tools", "answer", "roles", "templates", "greeting", "calculator"),
    *({"type": "text"}, {"type": "text", "text": "x"}, {"type": "text", "arguments": {}}, {"type": "file"}, "required"),
    *({"specific": "gone"}, {"specific": "weather"}, {"type": 1}, {"topic": "x"}, {"name": "Ada"}),
    {"name": "own", "description": "", "parameters": {}},
)


def load_schema(digest: str) -> JSONValue:
    """Return a schema of the corpus or of the samples."""
    if digest not in _SCHEMAS:
        raise ShapeError(f"there is no schemas/{digest}.json", code="missing-schema")
    return copy.deepcopy(_SCHEMAS[digest])


def context(config: FunctionConfig) -> FileContext:
    """Return what a file of the corpus or of the samples does not say itself."""
    return FileContext("demo", lambda: config, load_schema)


def _containers(value: Any) -> list[Any]:
    """Return every list and object in `value`, itself included."""
    found = [value] if isinstance(value, dict | list) else []
    for item in found:  # which grows as it goes
        children = item.values() if isinstance(item, dict) else item
        found += [child for child in children if isinstance(child, dict | list)]
    return found


def _mutate(draw: st.DrawFn, value: JSONValue) -> None:
    container = draw(st.sampled_from(_containers(value)))
    new = copy.deepcopy(draw(st.sampled_from(_VALUES)))
    kind = draw(st.sampled_from(["add", "remove", "replace", "rename"]))
    if isinstance(container, list):
        at = draw(st.integers(0, len(container)))
        container[at : at + (kind != "add")] = [] if kind == "remove" else [new]
        return
    own = draw(st.sampled_from(sorted(container))) if container else "x"
    key = draw(st.sampled_from(_KEYS)) if kind in ("add", "rename") else own
    item = container.pop(own, None) if kind in ("remove", "rename") else new
    if kind != "remove":
        container[key] = item


@st.composite
def files(draw: st.DrawFn, most: int = 4) -> tuple[JSONValue, FunctionConfig]:
    """The value of a datapoint file with at most so many mistakes made in it, and its function config."""
    root = draw(st.sampled_from(list(_FILES)))
    value = loads_file(draw(st.sampled_from(_FILES[root])).read_bytes())
    for _ in range(draw(st.integers(0, most))):
        _mutate(draw, value)
    return value, CONFIGS[root]


@st.composite
def drafts(draw: st.DrawFn, most: int = 4) -> tuple[JSONValue, FunctionConfig]:
    """The value of a draft with at most so many mistakes made in it, and its function config."""
    value = loads_file(draw(st.sampled_from([*DRAFTS, *_FILES[CORPUS]])).read_bytes())
    for _ in range(draw(st.integers(0, most))):
        _mutate(draw, value)
    return value, CONFIGS[CORPUS]
