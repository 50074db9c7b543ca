"""Laws of the codec: what is read comes back as it was, or is refused at its place."""

from __future__ import annotations

import enum
import json
import math
import re
import uuid
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import orjson
import pytest
import uuid_utils
from hypothesis import given
from hypothesis import strategies as st

from filestore.codec import (
    FILE_DEPTH,
    MAX_DEPTH,
    JSONValue,
    compact,
    depth,
    dumps,
    is_same,
    loads,
    loads_file,
    needs_exponent,
    parse_raw,
    to_json_value,
)
from filestore.codec.positions import locate, map_source
from filestore.errors import JSONTextError, ShapeError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
INTEGERS = st.integers(-(2**63), 2**64 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES: st.SearchStrategy[JSONValue] = st.recursive(
    st.none() | st.booleans() | INTEGERS | FLOATS | TEXTS,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXTS, children, max_size=4),
    max_leaves=12,
)


def refusal(data: bytes, max_depth: int = MAX_DEPTH) -> str:
    with pytest.raises(JSONTextError) as caught:
        loads(data, max_depth=max_depth)
    return str(caught.value)


# --- reading


@given(VALUES)
def test_what_dumps_writes_loads_reads(value: JSONValue) -> None:
    data = dumps(value)
    assert is_same(loads(data), value)
    assert dumps(loads(data)) == data
    assert compact(loads(compact(value).encode())) == compact(value)


@given(VALUES, st.booleans(), st.sampled_from([None, 1, "\t"]), st.sampled_from([(", ", ": "), (" ,\r\n", "\n:")]))
def test_white_space_escapes_and_key_order_are_read_as_the_standard_library_reads_them(
    value: JSONValue, ascii_only: bool, indent: int | str | None, separators: tuple[str, str]
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent, separators=separators)
    read = loads(text.encode())
    assert is_same(read, json.loads(text))
    assert compact(read) == compact(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-0", -0.0),
        ("[-0, 0, -0.0]", [-0.0, 0, -0.0]),
        ("1.0", 1.0),
        ("1e2", 100.0),
        ("1E+2", 100.0),
        ("1e-400", 0.0),
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ('"\\ud83d\\ude00\\u0000\\/"', "😀\0/"),
        ('{"b": 1, "a": {"b": 2}}', {"b": 1, "a": {"b": 2}}),
        ("\r\n[ ]\t", []),
        ("0." + "1" * 5000, 1 / 9),
    ],
    ids=lambda item: repr(item)[:30],
)
def test_each_number_and_escape_keeps_its_kind(text: str, value: JSONValue) -> None:
    assert is_same(loads(text.encode()), value)


REFUSALS = [
    # Text, reason, line, column.
    (b"", "EOF while parsing a value", 1, 0),
    (b" \n ", "EOF while parsing a value", 2, 2),
    (b"[1,]", "trailing comma", 1, 3),
    (b'{"a": 1 ,\n}', "trailing comma", 1, 9),
    (b'{"a": 1,\n "a": 2}', 'duplicate key "a"', 2, 2),
    (b'{"\xc3\xa9": 1, "\\u00e9": 1}', 'duplicate key "\\u00e9"', 1, 10),
    (b'[{"a": {"b": 1}, "b": 1, "a": 1}]', 'duplicate key "a"', 1, 26),
    (b"[NaN]", "`NaN` is not JSON", 1, 2),
    (b"-Infinity", "`-Infinity` is not JSON", 1, 1),
    (b"[True]", "`True` is not JSON", 1, 2),
    (b"nul", "`nul` is not JSON", 1, 1),
    (b"[1, 18446744073709551616]", "integer beyond 64 bits", 1, 5),
    (b"-9223372036854775809", "integer beyond 64 bits", 1, 1),
    (b"1" * 5000, "integer beyond 64 bits", 1, 1),
    (b"[1e400]", "number beyond a double", 1, 2),
    (b"[-1e400]", "number beyond a double", 1, 2),
    (b'["a\\ud800"]', "lone surrogate in a string", 1, 4),
    (b'["\\udc00\\ud800"]', "lone surrogate in a string", 1, 3),
    (b'["\\ud800\\u0041"]', "lone surrogate in a string", 1, 3),
    (b'{"\\udc00": 1}', "lone surrogate in a string", 1, 3),
    (b'["\xc3\xa9\xff"]', "invalid UTF-8", 1, 4),
    (b'[\n"\xed\xa0\x80"]', "invalid UTF-8", 2, 2),
    (b"\xff\xfe1\x00", "invalid UTF-8", 1, 1),
    (b"\xef\xbb\xbf1", "byte-order mark", 1, 1),
    (b'"a\x01"', "control character in a string: spell it `\\u0001`", 1, 3),
    (b'"a\tb"', "control character in a string: spell it `\\u0009`", 1, 3),
    (b'"a\nb"', 'line break in a string: close it with `"`, or spell the line break `\\n`', 1, 3),
    (b'"\\x"', "invalid escape in a string", 1, 2),
    (b'"\\u12"', "invalid escape in a string", 1, 2),
    (b'"abc', "EOF while parsing a string", 1, 5),
    (b'{"a"', "EOF while parsing an object", 1, 5),
    (b'{"a": 1', "EOF while parsing an object", 1, 8),
    (b'{"a":', "EOF while parsing a value", 1, 6),
    (b"[1", "EOF while parsing a list", 1, 3),
    (b"[\n1 2]", "expected `,` or `]`", 2, 2),
    (b'{"a": "x"\n\n\n "b": 1}', "expected `,` or `}`", 1, 10),
    (b'{"a": [1, 2}', "expected `,` or `]`", 1, 12),
    (b'{"a": 1]', "expected `,` or `}`", 1, 8),
    (b'{"a" 1}', "expected `:`", 1, 6),
    (b"{a: 1}", "expected a key in double quotes", 1, 2),
    (b"{1: 1}", "expected a key in double quotes", 1, 2),
    (b"['a']", "expected double quotes around a string", 1, 2),
    (b"[,1]", "expected a value", 1, 2),
    (b"[1,,2]", "expected a value", 1, 4),
    (b".5", "expected a value", 1, 1),
    (b"[\x0c1]", "expected a value", 1, 2),
    (b"\x00", "expected a value", 1, 1),
    (b"01", "invalid number", 1, 2),
    (b"-", "invalid number", 1, 2),
    (b"1.", "invalid number", 1, 3),
    (b"1.e5", "invalid number", 1, 3),
    (b"1.5e+x", "invalid number", 1, 6),
    (b"1e5x", "invalid number", 1, 4),
    (b"0x1F", "invalid number", 1, 2),
    (b"[1] x", "trailing characters", 1, 5),
    (b"{} {}", "trailing characters", 1, 4),
    ('"😀é" 1'.encode(), "trailing characters", 1, 6),
    (b'{"a": 1 // why\n}', "comment: JSON has none", 1, 9),
    (b"[/* why */ 1]", "comment: JSON has none", 1, 2),
    (b"# why\n1", "comment: JSON has none", 1, 1),
    (b'{"a": 1,\n<<<<<<< HEAD\n"b": 2\n', "merge conflict marker: resolve the conflict", 2, 1),
    (b"[1\n=======\n2]", "merge conflict marker: resolve the conflict", 2, 1),
    (b"[\r\n||||||| base\r\n2]", "merge conflict marker: resolve the conflict", 2, 1),
    (b"[1]\n>>>>>>> theirs\n", "merge conflict marker: resolve the conflict", 2, 1),
    (b"<<<<<<< HEAD\n[1]", "merge conflict marker: resolve the conflict", 1, 1),
    (b'["<<<<<<< HEAD", <<<<<<< ]', "expected a value", 1, 18),
]


@pytest.mark.parametrize(("data", "reason", "line", "column"), REFUSALS, ids=[repr(row[0])[:40] for row in REFUSALS])
def test_text_that_is_not_strict_json_is_refused_at_its_place(data: bytes, reason: str, line: int, column: int) -> None:
    with pytest.raises(JSONTextError) as caught:
        loads(data)
    assert (caught.value.reason, caught.value.line, caught.value.column) == (reason, line, column)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")], ids=["arrays", "objects"])
def test_nesting_is_read_to_its_limit_and_refused_at_the_bracket_beyond(opening: bytes, closing: bytes) -> None:
    for limit in (5, MAX_DEPTH, FILE_DEPTH):
        assert depth(loads(opening * limit + b"1" + closing * limit, max_depth=limit)) == limit
        column = len(opening) * limit + 1
        text = opening * (limit + 1) + b"1" + closing * (limit + 1)
        assert refusal(text, limit) == f"nested more than {limit} levels deep at line 1 column {column}"
        assert refusal(text + b"\n", limit) == f"nested more than {limit} levels deep at line 1 column {column}"
        assert depth(loads(dumps(loads(text, max_depth=limit + 1)), max_depth=limit + 1)) == limit + 1
        assert f"nested more than {limit} levels" in refusal(dumps(loads(text, max_depth=limit + 1)), limit)


@pytest.mark.parametrize("levels", [200, 255, 1000, 10_000, 1_000_000])
@pytest.mark.parametrize(
    "shape", ["[%s]", '[%s, "\\u0041"]', '{"a":%s, "a": 1}', "%s", "%s\n"], ids=["in", "by", "under", "bare", "file"]
)
def test_endless_nesting_is_refused(levels: int, shape: str) -> None:
    assert refusal(shape.encode() % (b"[" * levels + b"]" * levels)).startswith("nested more than 128 levels deep")
    assert refusal(b"[" * levels).startswith("nested more than 128 levels deep")


@given(st.binary(max_size=40) | st.text('[]{}",:0-1.eE\\ud8\n \t<=>/ntrf', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused_with_a_place(data: bytes) -> None:
    try:
        value = loads(data)
    except JSONTextError as error:
        assert 1 <= error.line <= data.count(b"\n") + 1
        assert (error.column, data) == (0, b"") or 1 <= error.column <= len(data) + 1
    else:
        assert is_same(loads(dumps(value)), value)


@given(VALUES, st.data())
def test_a_wrong_character_is_refused_unless_the_text_is_still_json(value: JSONValue, draw: st.DataObject) -> None:
    text = dumps(value).decode()
    at = draw.draw(st.integers(0, len(text) - 1))
    broken = text[:at] + draw.draw(st.sampled_from(',:[]{}"\\0-.e\n')) + text[at + 1 :]
    try:
        read = loads(broken.encode())
    except JSONTextError as error:
        if not re.match("duplicate|integer|number|lone|`(NaN|-?Infinity)`", error.reason):
            with pytest.raises(ValueError):
                json.loads(broken)
    else:
        assert read == json.loads(broken)


def test_a_file_may_begin_with_a_byte_order_mark_that_does_not_count() -> None:
    assert loads_file(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
    assert locate(b'\xef\xbb\xbf{"a": 1}', ("a",)) == (1, 7)
    with pytest.raises(JSONTextError, match="trailing comma at line 1 column 3"):
        loads_file(b"\xef\xbb\xbf[1,]")
    with pytest.raises(JSONTextError, match=r"^EOF while parsing a value at line 1 column 0$"):
        loads_file(b"\xef\xbb\xbf")


# --- raw texts


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" [1]\r\n", [1]),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ("18446744073709551616", 18446744073709551616.0),
        ("-9223372036854775809", -9223372036854775809.0),
        ('["2026-01-05", -0, -0]', ["2026-01-05", -0.0, -0.0]),
        ("[-0, 18446744073709551616]", [-0.0, 18446744073709551616.0]),
        ("[" * 127 + "]" * 127, loads(b"[" * 127 + b"]" * 127)),
        ('"' + "[" * 500 + '\\""', "[" * 500 + '"'),
        ("[" + "[]," * 200 + "[]]", [[]] * 201),
    ],
    ids=lambda item: repr(item)[:30],
)
def test_raw_text_is_read_as_upstream_reads_it(text: str, value: JSONValue) -> None:
    assert is_same(parse_raw(text), value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "[1] 2",
        "\ufeff1",
        "NaN",
        "[-Infinity]",
        '"\n"',
        '"\\udc00"',
        '"\udc00"',
        "1e400",
        "1" * 400,
        "[" * 128 + "]" * 128,
        '{"a":' + "[" * 127 + "]" * 127 + ', "a": 1}',
        "[" * 100_000,
    ],
    ids=lambda text: repr(text)[:30],
)
def test_raw_text_that_is_not_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        parse_raw(text)


# --- writing


def test_canonical_bytes_are_indented_unescaped_and_in_the_order_of_the_keys() -> None:
    value: JSONValue = {"ü": [1, 2.0, {}], "a": {"/": "\x7f\u2028\n\x1f"}, "none": None, "empty": []}
    assert dumps(value).decode() == (
        '{\n  "ü": [\n    1,\n    2.0,\n    {}\n  ],\n  "a": {\n    "/": "\x7f\u2028\\n\\u001f"\n  },\n'
        '  "none": null,\n  "empty": []\n}\n'
    )
    assert compact(value) == '{"ü":[1,2.0,{}],"a":{"/":"\x7f\u2028\\n\\u001f"},"none":null,"empty":[]}'


FLOAT_SPELLINGS = [
    (0.0, "0.0"),
    (-0.0, "-0.0"),
    (1.0, "1.0"),
    (0.1, "0.1"),
    (0.0001, "0.0001"),
    (1e-5, "0.00001"),
    (-1.234e-5, "-0.00001234"),
    (9.999999999999999e-6, "9.999999999999999e-6"),
    (1e-6, "1e-6"),
    (1.5e-7, "1.5e-7"),
    (5e-324, "5e-324"),
    (123456789012345.6, "123456789012345.6"),
    (1e15, "1000000000000000.0"),
    (9999999999999998.0, "9999999999999998.0"),
    (1e16, "1e16"),
    (-1.2345678901234568e16, "-1.2345678901234568e16"),
    (1e21, "1e21"),
    (1e22, "1e22"),
    (1.7976931348623157e308, "1.7976931348623157e308"),
]


@pytest.mark.parametrize(("number", "text"), FLOAT_SPELLINGS, ids=[text for _, text in FLOAT_SPELLINGS])
def test_floats_are_spelled_by_our_rule_wherever_they_stand(number: float, text: str) -> None:
    assert compact(number) == text
    assert dumps(number) == f"{text}\n".encode()
    assert compact({"1e+16": [number, "1e-07", None]}) == f'{{"1e+16":[{text},"1e-07",null]}}'
    assert needs_exponent({"a": ["1e99", number]}) == ("e" in text)


@given(FLOATS)
def test_a_float_has_the_shortest_digits_and_an_exponent_only_where_it_must(number: float) -> None:
    text = compact([number])[1:-1]
    assert is_same(float(text), number)
    assert ("e" in text) == (number != 0 and not 1e-5 <= abs(number) < 1e16)
    assert not re.search(r"e[+]|e-?0|\.0e|^-?\.|\.$", text)
    digits = [re.sub(r"e.*|[-.]", "", spelling).strip("0") for spelling in (text, repr(number))]
    assert digits[0] == digits[1]


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        [math.inf],
        {"a": [None, -math.inf]},
        2**64,
        -(2**63) - 1,
        "\ud800",
        {"\ud800": 1},
        {1: 2},
        b"a",
        {1},
        object(),
        type("Text", (str,), {})("a"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_has_no_json_form_is_not_written(value: Any) -> None:
    with pytest.raises(ValueError):
        dumps(value)
    with pytest.raises(ValueError):
        compact([value])


# --- values


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, 1.0),
        (1, True),
        (0, False),
        (0.0, -0.0),
        (None, False),
        ([], {}),
        ([1, 2], [2, 1]),
        ("a", "A"),
        ({"a": 1}, {"a": 1.0}),
    ],
    ids=repr,
)
def test_values_of_another_kind_are_not_the_same(a: JSONValue, b: JSONValue) -> None:
    assert not is_same(a, b)
    assert not is_same([a], [b])


def test_the_order_of_keys_makes_no_difference() -> None:
    assert is_same({"a": [{"x": 1, "y": 2}], "b": None}, {"b": None, "a": [{"y": 2, "x": 1}]})


@given(VALUES)
def test_depth_is_the_deepest_nesting_of_brackets(value: JSONValue) -> None:
    def nesting(item: JSONValue) -> int:
        if isinstance(item, dict):
            return 1 + max(map(nesting, item.values()), default=0)
        return 1 + max(map(nesting, item), default=0) if isinstance(item, list) else 0

    assert depth(value) == nesting(value)


class Word(str, enum.Enum):  # noqa: UP042 - its `str()` is not its text, which is the point
    YES = "yes"


class Number(enum.IntEnum):
    ONE = 1


@dataclass
class Point:
    x: int
    tags: tuple[str, ...] = ()


@dataclass
class Block:
    text: str

    def to_dict(self) -> dict[str, object]:
        return {"type": "text", "text": self.text}


class OmitType:
    """As the client's mark of a field that is not sent."""


@dataclass
class Update:
    name: object
    output: object = OmitType()


ID = uuid.UUID("019c0a11-22bb-7aaa-8ccc-0123456789ab")


@pytest.mark.parametrize(
    ("obj", "value"),
    [
        ({"a": (1, [2.0, None, True])}, {"a": [1, [2.0, None, True]]}),
        (MappingProxyType({"b": 1, "a": 2}), {"b": 1, "a": 2}),
        (ID, str(ID)),
        (uuid_utils.UUID(str(ID)), str(ID)),
        (Point(1, ("a",)), {"x": 1, "tags": ["a"]}),
        ([Block("hi")], [{"type": "text", "text": "hi"}]),
        (Update("a"), {"name": "a"}),
        ({Word.YES: Word.YES}, {"yes": "yes"}),
        (Number.ONE, 1),
        (type("Float", (float,), {})(1.5), 1.5),
    ],
    ids=lambda item: repr(item)[:40],
)
def test_what_a_caller_passes_becomes_plain_json(obj: object, value: JSONValue) -> None:
    converted = to_json_value(obj)
    assert compact(converted) == compact(value)  # which refuses subclasses
    assert converted is not obj


@given(VALUES)
def test_plain_json_is_copied_as_it_is(value: JSONValue) -> None:
    assert compact(to_json_value(value)) == compact(value)


def cyclic() -> list[object]:
    items: list[object] = []
    items.append({"a": items})
    return items


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("obj", "pointer", "reason"),
    [
        ({"a": [1, math.nan]}, ("a", 1), "invalid value: number is not finite"),
        ([2**64], (0,), "invalid value: integer beyond 64 bits"),
        ({"a": "\ud800"}, ("a",), "invalid value: text with a lone surrogate"),
        ({"a": {"\ud800": 1}}, ("a",), "invalid value: text with a lone surrogate"),
        ({"a": {1: 2}}, ("a",), "invalid type: key 1 is not a string"),
        ([b"a"], (0,), "invalid type: bytes, expected a JSON value"),
        (Point, (), "invalid type: type, expected a JSON value"),
        ({1}, (), "invalid type: set, expected a JSON value"),
        (Colour.RED, (), "invalid type: Colour, expected a JSON value"),
        (cyclic(), (0, "a"), "invalid value: it contains itself"),
        (nested(MAX_DEPTH + 1), (0,) * MAX_DEPTH, "nested more than 128 levels deep"),
    ],
    ids=["nan", "integer", "surrogate", "surrogate-key", "key", "bytes", "class", "set", "enum", "cycle", "deep"],
)
def test_what_has_no_json_form_is_refused_at_its_pointer(
    obj: object, pointer: tuple[str | int, ...], reason: str
) -> None:
    with pytest.raises(ShapeError) as caught:
        to_json_value(obj, ("root",))
    assert (caught.value.reason, caught.value.pointer) == (reason, ("root", *pointer))


def test_one_object_may_stand_in_several_places() -> None:
    shared = {"a": 1}
    assert to_json_value([shared, shared]) == [shared, shared]
    assert depth(to_json_value(nested(MAX_DEPTH))) == MAX_DEPTH


# --- places


DOCUMENT = """{
  "é": 1, "input": {"messages": [\r
    {"role": "user"},
    []]},
  "a\\u0062": null
}""".encode()


@pytest.mark.parametrize(
    ("pointer", "place", "key_place"),
    [
        ((), (1, 1), (1, 1)),
        (("é",), (2, 8), (2, 3)),
        (("input",), (2, 20), (2, 11)),
        (("input", "messages"), (2, 33), (2, 21)),
        (("input", "messages", 0), (3, 5), (3, 5)),
        (("input", "messages", 0, "role"), (3, 14), (3, 6)),
        (("input", "messages", 1), (4, 5), (4, 5)),
        (("ab",), (5, 14), (5, 3)),
        (("input", "messages", 0, "content"), (3, 5), (3, 5)),
        (("input", "messages", 7, "role"), (2, 33), (2, 33)),
        (("input", "system", "a", 0), (2, 20), (2, 20)),
        (("é", "x"), (2, 8), (2, 8)),
    ],
    ids=repr,
)
def test_a_value_is_located_or_the_innermost_container_that_exists(
    pointer: tuple[str | int, ...], place: tuple[int, int], key_place: tuple[int, int]
) -> None:
    assert locate(DOCUMENT, pointer) == place
    assert locate(DOCUMENT, pointer, key=True) == key_place


@given(VALUES, st.booleans())
def test_at_each_position_stands_the_value(value: JSONValue, is_compact: bool) -> None:
    text = compact(value) if is_compact else dumps(value).decode()
    lines = text.split("\n")
    for pointer, (line, column) in map_source(text.encode()).values.items():
        item: Any = value
        for step in pointer:
            item = item[step]
        rest = "\n".join([lines[line - 1][column - 1 :], *lines[line:]])
        read, _ = json.JSONDecoder().raw_decode(rest)
        assert is_same(orjson.loads(orjson.dumps(read)), item)
        assert locate(text.encode(), pointer) == (line, column)
