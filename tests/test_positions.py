"""Places in JSON text: where each value and key stands, and where and how a text is wrong."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_source_map import calculate

from filestore.codec import FILE_DEPTH, dumps, loads_file
from filestore.codec.positions import find_crlf, map_source
from filestore.errors import JSONTextError, Pointer
from filestore.findings import RULES
from tests.test_codec import REFUSALS

# --- the source map, against json-source-map

SPACES = st.text(" \t\n\r", max_size=4)
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="/")
SCALARS = (
    st.sampled_from(["null", "true", "false", "0", "-1", "1.50", "2E+3", "18446744073709551615", "-0.0"])
    | st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | st.integers(-(2**63), 2**64 - 1).map(str)
)


@st.composite
def strings(draw: st.DrawFn) -> str:
    """A JSON string in one of its many spellings: escaped or not, long or short escapes, pairs of surrogates."""
    parts = []
    for character in draw(st.text(CHARACTERS, max_size=5)):
        units = character.encode("utf-16-be")
        escaped = "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
        spellings = [json.dumps(character)[1:-1], json.dumps(character, ensure_ascii=False)[1:-1], escaped]
        parts.append(draw(st.sampled_from([*spellings, escaped.upper().replace("\\U", "\\u")])))
    return f'"{"".join(parts)}"'


@st.composite
def documents(draw: st.DrawFn, levels: int = 4) -> str:
    """JSON text with white space wherever it may stand, without slashes, which the oracle does not escape."""
    kind = draw(st.sampled_from(["scalar", "string", "array", "object"] if levels else ["scalar", "string"]))
    before, after = draw(SPACES), draw(SPACES)
    if kind in ("scalar", "string"):
        return before + draw(SCALARS if kind == "scalar" else strings()) + after
    inner = documents(levels - 1)
    if kind == "array":
        items = draw(st.lists(inner, max_size=4))
        return f"{before}[{','.join(items) or draw(SPACES)}]{after}"
    keys = draw(st.lists(strings(), max_size=4, unique_by=json.loads))
    members = [f"{draw(SPACES)}{key}{draw(SPACES)}:{draw(inner)}" for key in keys]
    return f"{before}{{{','.join(members) or draw(SPACES)}}}{after}"


def ours(text: str) -> dict[tuple[str, ...], tuple[Any, Any]]:
    places = map_source(text.encode())

    def spell(pointer: Pointer) -> tuple[str, ...]:
        return tuple(map(str, pointer))

    return {spell(pointer): (place, places.keys.get(pointer)) for pointer, place in places.values.items()}


def theirs(text: str) -> dict[tuple[str, ...], tuple[Any, Any]]:
    def place(location: Any) -> tuple[int, int] | None:
        return None if location is None else (location.line + 1, location.column + 1)

    def steps(pointer: str) -> tuple[str, ...]:
        # The oracle's pointers hold keys as they are spelled in the text.
        return tuple(json.loads(f'"{step}"') for step in pointer.split("/")[1:])

    return {
        steps(pointer): (place(entry.value_start), place(entry.key_start)) for pointer, entry in calculate(text).items()
    }


@given(documents())
def test_values_and_keys_stand_where_json_source_map_says(text: str) -> None:
    assert ours(text) == theirs(text)


@given(documents())
def test_containers_come_before_what_they_hold_in_the_order_of_the_text(text: str) -> None:
    places = list(map_source(text.encode()).values.values())
    assert places == sorted(places)


@given(documents())
def test_a_byte_order_mark_moves_no_place(text: str) -> None:
    assert map_source(b"\xef\xbb\xbf" + text.encode()) == map_source(text.encode())


@given(documents())
def test_crlf_moves_no_place_in_a_text_without_other_carriage_returns(text: str) -> None:
    plain = text.replace("\r", "")
    assert map_source(plain.replace("\n", "\r\n").encode()) == map_source(plain.encode())


# --- codes

CODES = {
    r"trailing comma": "trailing-comma",
    r"duplicate key .*": "duplicate-key",
    r"`-?(NaN|Infinity)` is not JSON": "not-a-number",
    r"integer beyond 64 bits": "big-integer",
    r"number beyond a double": "big-number",
    r"lone surrogate in a string": "lone-surrogate",
    r"invalid UTF-8": "invalid-utf8",
    r"byte-order mark": "byte-order-mark",
    r"comment: JSON has none": "comment",
    r"merge conflict marker: resolve the conflict": "conflict-marker",
    r"nested more than 136 levels deep": "too-deep",
}
MISTAKES = [*(row[0] for row in REFUSALS if row[1] != "byte-order mark"), b"[" * (FILE_DEPTH + 1)]


def refusal(data: bytes) -> JSONTextError:
    with pytest.raises(JSONTextError) as caught:
        loads_file(data)
    return caught.value


@pytest.mark.parametrize("data", MISTAKES, ids=lambda data: repr(data)[:40])
def test_each_mistake_has_the_code_that_its_reason_says(data: bytes) -> None:
    error = refusal(data)
    named = next((code for reason, code in CODES.items() if re.fullmatch(reason, error.reason)), "invalid-json")
    assert error.code == ("empty-file" if not data.strip() else named)


def test_every_error_of_the_catalogue_about_text_is_among_them() -> None:
    assert {refusal(data).code for data in MISTAKES} == {*CODES.values(), "empty-file", "invalid-json"} - {
        "byte-order-mark"
    }
    assert RULES.keys() >= {*CODES.values()}


FILE = dumps({"input": {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, "tags": {}})
LINES = FILE.decode().splitlines(keepends=True)


@pytest.mark.parametrize("marker", ["<<<<<<< HEAD", "||||||| 1234567", "=======", ">>>>>>> theirs"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("line", range(len(LINES) + 1))
def test_a_conflict_marker_is_found_on_whatever_line_it_stands(marker: str, end: str, line: int) -> None:
    text = "".join([*LINES[:line], f"{marker}\n", *LINES[line:]])
    error = refusal(text.replace("\n", end).encode())
    assert (error.code, error.line, error.column) == ("conflict-marker", line + 1, 1)


@pytest.mark.parametrize("comment", ["// why", "/* why */", "# why"])
@pytest.mark.parametrize("line", range(len(LINES) + 1))
def test_a_comment_is_found_on_whatever_line_it_stands(comment: str, line: int) -> None:
    error = refusal("".join([*LINES[:line], f"  {comment}\n", *LINES[line:]]).encode())
    assert (error.code, error.line, error.column) == ("comment", line + 1, 3)


@pytest.mark.parametrize("comment", ["// why", "/* why */", "# why"])
@pytest.mark.parametrize("line", range(len(LINES)))
def test_a_comment_is_found_behind_whatever_line_it_stands(comment: str, line: int) -> None:
    start = LINES[line].rstrip("\n")
    error = refusal("".join([*LINES[:line], f"{start} {comment}\n", *LINES[line + 1 :]]).encode())
    assert (error.code, error.line, error.column) == ("comment", line + 1, len(start) + 2)


@pytest.mark.parametrize("line", [line for line in range(len(LINES)) if LINES[line].endswith(",\n")])
def test_a_missing_comma_is_told_where_it_belongs(line: int) -> None:
    kept = LINES[line].rstrip(",\n")
    error = refusal("".join([*LINES[:line], f"{kept}\n\n\n", *LINES[line + 1 :]]).encode())
    assert (error.code, error.line, error.column) == ("invalid-json", line + 1, len(kept) + 1)
    assert error.reason == "expected `,` or `}`"


HINTS = {
    b'{"a": [1,\n 2': "the `[` at line 1 column 7 is never closed",
    b'{"a": [1,\n 2]': "the `{` at line 1 column 1 is never closed",
    b'{\n "a":': "the `{` at line 1 column 1 is never closed",
    b'[\n {"a"': "the `{` at line 2 column 2 is never closed",
    b'[\n "a': 'the `"` at line 2 column 2 is never closed',
    b'"a': 'the `"` at line 1 column 1 is never closed',
    b'{"a": [1,\n 2}': "the `[` at line 1 column 7 is still open",
    b'[\n{"a": 1]': "the `{` at line 2 column 1 is still open",
    b"[1] x": "",
    b"": "",
}


@pytest.mark.parametrize(("data", "hint"), HINTS.items(), ids=repr)
def test_an_unclosed_bracket_or_string_is_told_with_the_place_where_it_was_opened(data: bytes, hint: str) -> None:
    assert refusal(data).hint == hint


# --- CRLF


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"{\n}\n", None),
        (b'{"\xc3\xa9": 1,\r\n"b": 2}\r\n', (1, 9)),
        (b"\xef\xbb\xbf[\r\n1]", (1, 2)),
        (b"\xef\xbb\xbf[\n1\r\n]", (2, 2)),
        (b"[\r1]\n", None),
    ],
    ids=repr,
)
def test_the_first_crlf_is_told_with_its_place(data: bytes, place: tuple[int, int] | None) -> None:
    assert find_crlf(data) == place
