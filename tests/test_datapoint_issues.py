"""Laws of the issues of a file: there are none if and only if it can be read, and what stops a reader is among them."""

from __future__ import annotations

import copy
import json
import uuid
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from filestore import FileStore
from filestore.codec import JSONValue, loads
from filestore.datapoint_file import FileContext, parse_datapoint
from filestore.datapoint_issues import issue_of, iter_issues
from filestore.datapoint_judgement import iter_judgement
from filestore.errors import RequestError, ShapeError
from filestore.findings import RULES

SAMPLES = Path(__file__).parent.parent / "sample_datasets"
CONFIG = FileStore(SAMPLES).config
FILES = sorted(SAMPLES.glob("*/*.json"))
CONTEXT = FileContext("cases", lambda: CONFIG, lambda digest: {"type": "object"})
ID = uuid.UUID("019a4903-0e5f-7522-aed5-b912bbcb6b2a")

TEXTS = st.sampled_from(["", "text", "chat", "json", "type", "auto", "2026-01-01T00:00:00.000000Z", str(ID), "user"])
SCALARS = st.none() | st.booleans() | st.integers(-1, 2) | TEXTS
KEYS = st.sampled_from(
    ["type", "role", "text", "content", "id", "name", "arguments", "output", "output_raw", "tags", "system", "inptu"]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=4
)


def places(value: Any, pointer: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the pointers to everything in a value."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [pointer, *(one for step, item in steps for one in places(item, (*pointer, step)))]


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A sample in which a few values were replaced, removed, or given a new key."""
    value: Any = json.loads(draw(st.sampled_from(FILES)).read_bytes())
    for _ in range(draw(st.integers(1, 4))):
        pointer = draw(st.sampled_from(places(value)))
        if not pointer:
            continue
        holder = value
        for step in pointer[:-1]:
            holder = holder[step]
        action = draw(st.sampled_from(["replace", "remove", "add"]))
        if action == "replace":
            holder[pointer[-1]] = draw(VALUES)
        elif action == "remove":
            del holder[pointer[-1]]
        elif isinstance(holder, dict):
            holder[draw(KEYS)] = draw(VALUES)
        else:
            holder.append(draw(VALUES))
    return value


@settings(max_examples=1500, deadline=None)
@given(mutated())
def test_a_file_has_issues_if_and_only_if_it_cannot_be_read(value: JSONValue) -> None:
    issues = list(iter_issues(value, CONTEXT))
    try:
        parse_datapoint(copy.deepcopy(value), ID, CONTEXT)
    except ShapeError as error:
        assert issue_of(error) in issues
    else:
        assert issues == []
    for issue in issues:
        assert issue.code in RULES
        assert issue.pointer in [*places(value), *[(*one, issue.pointer[-1]) for one in places(value) if issue.pointer]]


@settings(max_examples=500, deadline=None)
@given(mutated())
def test_a_judgement_is_of_places_in_the_file_and_never_fails(value: JSONValue) -> None:
    try:
        datapoint = parse_datapoint(copy.deepcopy(value), ID, CONTEXT)
    except (ShapeError, RequestError):
        return
    assert isinstance(value, dict)
    for issue in iter_judgement(value, datapoint, CONFIG):
        assert issue.code in RULES
        assert issue.pointer in places(value)


def read_schema(path: Path, digest: str) -> JSONValue:
    return loads((path.parent / "schemas" / f"{digest}.json").read_bytes())


def test_the_samples_have_no_issues_and_only_their_recorded_mistakes_of_models_are_told() -> None:
    assert FILES
    judged = set()
    for path in FILES:
        value = loads(path.read_bytes())
        context = FileContext(path.parent.name, lambda: CONFIG, partial(read_schema, path))
        assert list(iter_issues(value, context)) == []
        assert isinstance(value, dict)
        datapoint = parse_datapoint(value, uuid.UUID(path.stem), context)
        judged |= {issue.code for issue in iter_judgement(value, datapoint, CONFIG)}
    assert judged <= {"raw-output-mismatch"}
