"""What a datapoint says against its function: the same as an insert would say, with all mistakes and their places."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import assume, event, given, settings

from filestore.codec import JSONValue, compact
from filestore.datapoint import Datapoint, JsonDatapoint
from filestore.datapoint_file import parse_datapoint, render_datapoint
from filestore.datapoint_issues import iter_draft_issues, iter_issues
from filestore.datapoint_judgement import judge
from filestore.drafts import parse_draft, read_shape
from filestore.errors import RequestError, ShapeError
from filestore.findings import RULES, Issue
from filestore.functions import EMPTY_CONFIG, FunctionConfig
from filestore.requests_legacy import LegacyRequests
from filestore.requests_v1 import build_created, parse_create_item
from filestore.schema import allowance
from filestore.spellings import render_input_legacy
from filestore.validation import validate_input
from tests.mutations import CONFIGS, CORPUS, ID, context, drafts, files

NEW_ID = uuid.UUID("01995f6a-1c2d-7c11-9d3e-0f5b7a1c2d4f")
ON_PURPOSE = {"raw-output-mismatch", "raw-output-disagrees"}
"""What the other codes are about is not taken by an insert."""


def read(value: JSONValue, config: FunctionConfig) -> Datapoint:
    try:
        return parse_datapoint(value, ID, context(config))
    except ShapeError:
        assume(False)
        raise


def judged(value: Any, config: FunctionConfig) -> list[Issue]:
    return judge(value, read(value, config), config)


def create(request: JSONValue, config: FunctionConfig) -> Datapoint:
    return build_created(parse_create_item(request, "demo"), "demo", NEW_ID, config)


def legacy_request(datapoint: Datapoint) -> Any:
    """Return the legacy request of the same content, or skip what that grammar cannot say."""
    request = {key: item for key, item in datapoint.to_dict().items() if key in ("function_name", "tags", "name")}
    request["input"] = render_input_legacy(datapoint.input)
    assume('"type":"file"' not in compact(request["input"]))
    if isinstance(datapoint, JsonDatapoint):
        output = datapoint.output
        assume(output is None or output["parsed"] is not None)
        return {**request, "output": output and output["parsed"], "output_schema": datapoint.output_schema}
    assume(datapoint.allowed_tools is None)
    assume(all(tool["type"] == "function" for tool in datapoint.additional_tools))
    keys = ("name", "description", "parameters", "strict")
    request["additional_tools"] = [{key: tool[key] for key in keys} for tool in datapoint.additional_tools]
    request["tool_choice"] = datapoint.tool_choice
    for block in datapoint.output or ():
        assume(block["type"] in ("text", "tool_call"))
        assume(block["type"] == "text" or None not in (block["name"], block["arguments"]))
    return {**request, "output": datapoint.output}


# --- the judgement and the insert


@settings(max_examples=300)
@given(files(most=3))
def test_an_input_has_issues_iff_an_insert_refuses_it(file: tuple[JSONValue, FunctionConfig]) -> None:
    value, config = file
    datapoint = read(value, config)
    function = config.find_function(datapoint.function_name)
    assume(function is not None and function.type == datapoint.type)
    assert function is not None
    found = [issue for issue in judged(value, config) if issue.code in ("input-mismatch", "unknown-template")]
    try:
        validate_input(datapoint.input, function)
    except RequestError:
        event("refused")
        assert found
    else:
        assert not found


@settings(max_examples=300)
@given(files(most=3))
def test_what_has_no_issue_is_accepted_by_a_v1_insert(file: tuple[JSONValue, FunctionConfig]) -> None:
    value, config = file
    datapoint = read(value, config)
    assume("model_provider_name" not in compact(datapoint.input))  # which v1 takes in one form alone
    found = {issue.code for issue in judged(value, config)}
    try:
        create(datapoint.to_dict(), config)
    except RequestError:
        event("refused")
        assert found - ON_PURPOSE


@settings(max_examples=300)
@given(files(most=3))
def test_what_has_no_issue_is_accepted_by_a_legacy_insert(file: tuple[JSONValue, FunctionConfig]) -> None:
    value, config = file
    datapoint = read(value, config)
    request = legacy_request(datapoint)
    found = {issue.code for issue in judged(value, config)}
    try:
        LegacyRequests("demo", "demo", config).parse_bulk_item(request, 0, NEW_ID)
    except RequestError:
        event("refused")
        assert found - ON_PURPOSE


@settings(max_examples=300)
@given(drafts(most=3))
def test_a_draft_is_adopted_iff_its_check_has_no_error_and_its_datapoint_has_none(
    file: tuple[JSONValue, FunctionConfig],
) -> None:
    value, config = file
    found = list(iter_draft_issues(value, context(config)))
    if not found:
        assert isinstance(value, dict)
        found = judge(value, read_shape(value, NEW_ID, context(config))[0], config)
    errors = {issue.code for issue in found if RULES[issue.code].severity == "error"}
    try:
        datapoint, _ = parse_draft(value, "case", NEW_ID, context(config))
    except ShapeError:
        event("refused")
        assert errors or {"duplicate-tool", "missing-tool"} & {issue.code for issue in found}
        return
    assert errors <= {"bad-schema", "tool-call-mismatch"}  # of tools that nothing can call rightly
    rendered = render_datapoint(datapoint, "0" * 16)
    if isinstance(datapoint, JsonDatapoint):
        rendered["output_schema"] = datapoint.output_schema
    assert list(iter_issues(rendered, context(config))) == []
    assert {issue.code for issue in judged(rendered, config)} <= ON_PURPOSE | errors


# --- places


@settings(max_examples=200)
@given(files(most=5))
def test_an_issue_is_at_a_place_of_the_file_and_has_a_code_of_the_catalogue(
    file: tuple[JSONValue, FunctionConfig],
) -> None:
    value, config = file
    for issue in judged(value, config):
        assert issue.code in RULES
        found: Any = value
        for step in issue.pointer:
            found = found[step]


def test_without_a_function_config_only_the_output_is_judged() -> None:
    value: Any = {
        "type": "json",
        "function_name": "gone",
        "input": {"system": {"x": 1}},
        "output": {"a": 1},
        "output_schema": {"type": "object", "additionalProperties": {"type": "string"}},
    }
    assert [(one.code, one.pointer) for one in judged(value, EMPTY_CONFIG)] == [("output-mismatch", ("output", "a"))]


def test_every_failure_of_a_schema_is_told() -> None:
    value: Any = {
        "type": "chat",
        "function_name": "tools",
        "input": {},
        "output": [{"type": "tool_call", "name": "weather", "arguments": {"days": 9, "a": 1, "b": 2}}],
    }
    place = ("output", 0, "arguments")
    assert {(one.code, one.pointer, one.is_key) for one in judged(value, CONFIGS[CORPUS])} == {
        ("tool-call-mismatch", place, False),
        ("tool-call-mismatch", (*place, "days"), False),
        ("tool-call-mismatch", (*place, "a"), True),
        ("tool-call-mismatch", (*place, "b"), True),
    }


def test_a_message_quotes_no_more_than_a_line_of_a_large_value() -> None:
    value: Any = {
        "type": "json",
        "function_name": "anything",
        "input": {},
        "output": ["x" * 10_000],
        "output_schema": {"type": "object"},
    }
    (issue,) = judged(value, CONFIGS[CORPUS])
    assert 'is not of type "object"' in issue.message
    assert len(issue.message) < 500


def test_where_the_time_for_schemas_is_over_what_was_found_before_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "SECONDS", 0)
    monkeypatch.setattr(allowance, "SECONDS_PER_MIB", 0)
    tool = {"name": "weather", "description": "", "parameters": {"allOf": [{"minProperties": n} for n in range(99)]}}
    call = {"type": "tool_call", "name": "weather", "arguments": {"city": "Rome"}}
    value: Any = {"type": "chat", "function_name": "tools", "input": {}, "output": [call], "additional_tools": [tool]}
    assert [one.code for one in judged(value, CONFIGS[CORPUS])] == ["duplicate-tool", "bad-schema"]
