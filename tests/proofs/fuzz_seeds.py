"""Where the fuzzers start: valid bytes for every target, most of them from the samples, and the words they are of."""

from __future__ import annotations

import gzip
import json
import zlib
from functools import cache
from typing import Any

from tests.proofs.fuzz_datapoints import REQUESTS, SAMPLES
from tests.proofs.fuzz_stores import BETWEEN_REQUESTS

__all__ = ["KEYS", "WORDS", "seeds"]

ID = "019a4903-0e5f-7522-aed5-b912bbcb6b2a"
NUMBERS = ["0", "-0", "1e400", "1E+2", "1e-7", "18446744073709551615", "18446744073709551616", "-9223372036854775809"]
JSON_WORDS = [
    *(b"{}", b"[]", b"{", b"}", b"[", b"]", b",", b":", b'"', b'""', b"\\", b"true", b"null", b"NaN", b"-Infinity"),
    *(
        b"\\ud800",
        b"\\udc00",
        b"\\u0000",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"\xff",
        b"\xe2\x80\xa8",
        b"//",
        b"<<<<<<<",
    ),
    *(b'{"a":' * 140, b"[" * 127, b"[" * 129, b"]" * 127, b"9" * 400, b'"a": 1, "a": 2', b"\r\n", b"\t", b"\0"),
    *map(str.encode, NUMBERS),
]
_KEYS = (
    "$schema type function_name name episode_id input output output_raw output_schema allowed_tools additional_tools"
    " tool_choice parallel_tool_calls provider_tools tags is_custom source_inference_id replaces updated_at system"
    " messages role content text value arguments raw parsed tool_call tool_result raw_name raw_arguments thought"
    " unknown file file_type url mime_type data storage_path kind path template raw_text id datapoints ids limit offset"
    " filter and or not children child tag time key comparison_operator order_by by direction search_relevance"
    " timestamp specific scope model_name provider_name model_provider_name tool_params tools_available dynamic_tools"
    " $ref $defs $id $anchor $dynamicRef anyOf oneOf allOf if then else not items prefixItems contains properties"
    " patternProperties additionalProperties required enum const pattern format minimum multipleOf uniqueItems"
    " unevaluatedProperties dependentSchemas propertyNames"
)
KEYS = _KEYS.split()
"""The keys of all documents here."""
NAME_WORDS = [
    *(
        b".",
        b"..",
        b"/",
        b"\\",
        b"%",
        b"%2F",
        b"%2e",
        b"%00",
        b"@",
        b"~",
        b" ",
        b"con",
        b"NUL",
        b"lpt1",
        b"com\xc2\xb9",
    ),
    *(b".json", b"tensorzero::", b"builder", b".git", b".filestore", b"\xcc\x81", b"\xe2\x84\xaa", b"\xc2\xa0", b"\0"),
    *("\N{HANGUL CHOSEONG KIYEOK}\N{HANGUL JUNGSEONG A}".encode(), "\N{OHM SIGN}".encode(), "ß".encode(), b"\xff"),
    *(ID.encode(), b"-7", b"@20260101T000000.000000Z", b"urn:uuid:", b"{", b"}", "٣".encode()),
]
HTTP_WORDS = [
    *(
        b"GET",
        b"POST",
        b"PUT",
        b"PATCH",
        b"DELETE",
        b"HEAD",
        b"OPTIONS",
        b" ",
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"\r\n",
        b"\n",
    ),
    *(b"Content-Length: ", b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Connection: close", b"0\r\n\r\n"),
    *(b"Content-Encoding: gzip", b"Host: 127.0.0.1", b"Host: evil.example", b"Origin: null", b"http://x/", b"#", b"?"),
    *(
        b"/datasets/",
        b"/datapoints",
        b"/bulk",
        b"/v1/datasets/",
        b"/internal/datasets",
        b"/list_datapoints",
        b"/status",
    ),
    *(b"/count", b"/clone", b"/metadata", b"/internal/object_storage?storage_path=", b"limit=", b"offset=4294967296"),
]
TOML_WORDS = [
    *(b"[functions.f]\n", b"[tools.t]\n", b"type = 'chat'\n", b"variants = {}\n", b"output_schema = 'x.json'\n", b"\0"),
    *(
        b"[functions.f.variants.v]\n",
        b"json_mode = 'strict'\n",
        b"tools = ['t']\n",
        b"'''",
        b"2020-01-01",
        b"inf",
        b"a.b",
    ),
]

_CHAT = {"type": "chat", "function_name": "draft_email", "input": {"messages": [{"role": "user", "content": "x"}]}}
_BARE = {**_CHAT, "function_name": "tensorzero::default"}
_JSON = {"type": "json", "function_name": "extract_entities", "input": {"messages": []}, "output_schema": {}}
_BLOCKS: list[dict[str, Any]] = [
    {"type": "text", "text": "x"},
    {"type": "text", "value": "x"},
    {"type": "tool_call", "id": "1", "name": "lookup_order", "arguments": '{"order_id": "KC-1"}'},
    {"type": "tool_result", "id": "1", "name": "lookup_order", "result": "found"},
    {"type": "template", "name": "user", "arguments": {"a": 1.0}},
    {"type": "file", "file_type": "base64", "mime_type": "image/png", "data": "iVBORw0KGgo="},
    {"type": "file", "url": "https://example.com/a.png", "mime_type": "image/png"},
    {"type": "thought", "text": "hm", "signature": "s"},
    {"type": "unknown", "data": {"a": [1e16]}},
]
_FILTERS: list[dict[str, Any]] = [
    {"type": "tag", "key": "split", "value": "test", "comparison_operator": "!="},
    {"type": "time", "time": "2026-01-01T00:00:00+01:00", "comparison_operator": ">="},
    {"type": "not", "child": {"type": "or", "children": []}},
]
_QUERY = {
    "limit": 5,
    "offset": 1,
    "filter": {"type": "and", "children": _FILTERS},
    "order_by": [{"by": "search_relevance", "direction": "ascending"}],
    "search_query_experimental": "Lease",
}
_TOOLS = {
    "allowed_tools": ["lookup_order"],
    "additional_tools": [{"name": "t", "description": "d", "parameters": {"type": "object"}, "strict": True}],
    "tool_choice": {"specific": "t"},
    "parallel_tool_calls": False,
    "provider_tools": [{"scope": {"model_name": "m"}, "tool": {"type": "web"}}],
}


def _spell(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _items() -> list[list[dict[str, Any]]]:
    """Return items for each kind of request, in the order of `REQUESTS`."""
    messages = [{"role": "assistant", "content": [block]} for block in _BLOCKS]
    rich = {**_BARE, "input": {"system": "s", "messages": messages}, "tags": {"a": "b"}, "name": "n", "output": "x"}
    answer = {**_JSON, "output": {"entities": []}}
    raw = {**_JSON, "output": {"raw": ' {"a": 1e400, "a": -0} '}}
    legacy_tools: dict[str, Any] = {
        "allowed_tools": [],
        "additional_tools": None,
        "tool_choice": "auto",
        "parallel_tool_calls": None,
    }
    put: list[dict[str, Any]] = [{key: item for key, item in one.items() if key != "type"} for one in (_BARE, answer)]
    put = [{**one, "is_custom": True, "source_inference_id": None} for one in put]
    return [
        [{**one, "type": one["type"]} for one in (_BARE, rich, _JSON, answer)] + [{**_BARE, **legacy_tools}],
        put,
        [_BARE, rich, {**_BARE, **_TOOLS}, _JSON, raw, {**_JSON, "episode_id": ID}],
        [{"type": "chat", "id": ID, **_TOOLS}, {"type": "json", "id": ID, "output": {"raw": "1"}, "output_schema": {}}],
        [{}, _QUERY, {"page_size": 4294967295, "filter": _FILTERS[2]}],
        [{"id": ID, "name": None}, {"id": ID.upper(), "name": "x"}],
    ]


def _request_items() -> list[bytes]:
    items = _items()
    assert len(items) == len(REQUESTS)
    return [bytes([kind]) + _spell(item) for kind, some in enumerate(items) for item in some]


def _calls() -> list[tuple[str, str, bytes]]:
    """Return a request for every route: method, target and body."""
    bulk, put, create, update, query, rename = _items()
    one, other = "/datasets/email_application", "/v1/datasets/new"
    ids = _spell({"ids": [ID]})
    return [
        *[("POST", f"{one}/datapoints/bulk", _spell({"datapoints": [item]})) for item in bulk],
        *[("POST", f"{other}/datapoints", _spell({"datapoints": [item]})) for item in create],
        *[("PATCH", f"/v1{one}/datapoints", _spell({"datapoints": [item]})) for item in update],
        *[("PATCH", f"/v1{one}/datapoints/metadata", _spell({"datapoints": [item]})) for item in rename],
        *[("POST", f"/v1{one}/list_datapoints", _spell(item)) for item in query],
        *[("PUT", f"/internal/datasets/put/datapoints/{ID}", _spell(item)) for item in put],
        *[("POST", f"/v1{one}/{verb}_datapoints", ids) for verb in ("get", "restore")],
        ("POST", "/v1/datasets/get_datapoints", ids),
        ("DELETE", f"/v1{one}/datapoints", ids),
        ("GET", f"{one}/datapoints?limit=3&offset=1&function_name=draft_email", b""),
        ("GET", f"{one}/datapoints/{ID}", b""),
        ("DELETE", f"{one}/datapoints/{ID}", b""),
        ("DELETE", one, b""),
        ("POST", "/internal/datasets/copy%2Fof/datapoints/clone", _spell({"datapoint_ids": [ID]})),
        ("GET", f"/internal{one}/datapoints/count", b""),
        ("GET", "/internal/datasets?limit=1", b""),
        *[("GET", path, b"") for path in ("/status", "/health", "/openapi.json")],
        (
            "GET",
            '/internal/object_storage?storage_path={"kind":{"type":"filesystem","path":"new"},"path":"files/x"}',
            b"",
        ),
        ("POST", f"{other}/from_inferences", b'{"type":"inference_query","limit":1}'),
    ]


def _conversations() -> list[bytes]:
    """Return requests of an application: one for every route, and some that follow one another."""
    calls = [f"{method} {target} agent\n".encode() + body for method, target, body in _calls()]
    place = f"/internal/datasets/new/datapoints/{ID}"
    item = {"function_name": "tensorzero::default", "input": {"system": "s"}, "is_custom": True}
    change = {"type": "chat", "id": ID, "output": [{"type": "text", "text": "x"}]}
    story = [
        f"PUT {place}\n".encode() + _spell(item),
        b"POST /v1/datasets/new/list_datapoints\n" + _spell(_QUERY),
        b"PATCH /v1/datasets/new/datapoints\n" + _spell({"datapoints": [change]}),
        f"GET /datasets/new/datapoints/{ID}\n".encode(),
        f"PUT {place}\n".encode() + _spell({**item, "output": "y"}),
        b"DELETE /v1/datasets/new/datapoints\n" + _spell({"ids": [ID]}),
        b"POST /v1/datasets/new/restore_datapoints\n" + _spell({"ids": [ID]}),
        b"GET /datasets/new/datapoints\n",
        b"DELETE /datasets/new\n",
    ]
    return [*calls, BETWEEN_REQUESTS.join(story), BETWEEN_REQUESTS.join(calls[:6]), BETWEEN_REQUESTS.join(calls[-9:])]


def _on_the_wire(method: str, target: str, body: bytes) -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _zipped(coding: str, body: bytes) -> bytes:
    head = f"POST /v1/datasets/d/list_datapoints HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: {coding}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _wire() -> list[bytes]:
    whole = [_on_the_wire(*call) for call in _calls()]
    chunked = b"POST /v1/datasets/d/list_datapoints HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    return [
        *whole,
        b"".join(whole[-5:]),
        chunked + b"1;a=b\r\n{\r\n1\r\n}\r\n0\r\nA: b\r\n\r\n" + whole[-5],
        b"GET http://localhost/status HTTP/1.0\r\nHost: y\r\n\r\n",
        _zipped("gzip", gzip.compress(b"{}", mtime=0)),
        _zipped("deflate", zlib.compress(b'{"limit": 1}')),
    ]


def _schemas() -> list[bytes]:
    files = [path.read_bytes() for path in sorted(SAMPLES.glob("functions/**/*.json"))]
    recursive = {"$defs": {"n": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/n"}}, {"const": 1.0}]}}}
    return [
        *[file + b"\0" + b'{"a": [1]}' for file in files],
        _spell({**recursive, "$ref": "#/$defs/n"}) + b"\0[[1], [2]]",
        _spell({"patternProperties": {"^a+$": {"minLength": 2}}, "unevaluatedProperties": False}) + b'\0{"aa": ""}',
        rb"^(?<year>\d{4})-[\w-]+(?:a|b)*?$" + b"\x002026-a",
        rb"\p{L}+(?=x)(?!y)\b[^\s\u0041-\x5a]" + b"\0abc x",
    ]


def _store() -> list[bytes]:
    manifest = {"head": None, "puts": [{"kind": "datapoint", "name": f"{ID}.json", "replaces": None}], "removed": []}
    removal = {"head": "a", "puts": [], "removed": [{"kind": "tombstone", "name": f"{ID}@20260101T000000.000000Z"}]}
    return [
        b"\xff".join([_spell(manifest), b"\x02" + b"\0" * 15, b"ref: ref\n", b"# pack\n", b"a" * 40]),
        b"\xff".join([_spell(removal), b"\x03" + b"\0" * 15, b"b" * 40]),
        b"\xff".join([b"", b"", b"gitdir: .filestore"]),
    ]


@cache
def seeds(target: str) -> list[bytes]:
    """Return valid bytes for a target."""
    files = [path.read_bytes() for path in sorted(SAMPLES.glob("*/*.json"))]
    made = {
        "json-reader": [*files[::4], b'[1, -0, 1.5e3, "\\u00e9\\ud83d\\ude00", {"a": null}]', b"\xef\xbb\xbf{}"],
        "raw-reader": [*files[::8], b'{"a": 1, "a": [18446744073709551616]}', b'"\xed\xa0\x80"', b"[-0, -0.0]"],
        "names": [b"email_application", "Größe 1/2".encode(), f"{ID}.json".encode(), *NAME_WORDS],
        "request-wire": _wire(),
        "datapoint-file": [*files[::2], *[_spell(item) for items in _items()[::2] for item in items]],
        "requests": _request_items(),
        "schema": _schemas(),
        "function-config": [
            (SAMPLES / "tensorzero.toml").read_bytes() + b'\0{"type": "object"}',
            b"[functions.f]\ntype = 'json'\noutput_schema = 'x.json'\nvariants = {}\n\0{}\0{\"type\": 1}",
            b"".join(TOML_WORDS),
        ],
        "stranger": _store(),
        "application": _conversations(),
        "server": _wire(),
    }
    return made[target]


WORDS: dict[str, list[bytes]] = {
    "json-reader": JSON_WORDS,
    "raw-reader": JSON_WORDS,
    "names": NAME_WORDS,
    "request-wire": HTTP_WORDS,
    "datapoint-file": [*JSON_WORDS, *map(str.encode, KEYS)],
    "requests": [*JSON_WORDS, *map(str.encode, KEYS)],
    "schema": [*JSON_WORDS, *map(str.encode, KEYS), b"\\d", b"(?:", b")*", b"{1,3}", b"[^", b"\\p{L}", b"(?<n>"],
    "function-config": [*TOML_WORDS, *JSON_WORDS],
    "stranger": [*JSON_WORDS, b"\xff", b"ref: ", b"gitdir: ", b"../", b"manifest.json", b"schema", b"tombstone"],
    "application": [BETWEEN_REQUESTS, *HTTP_WORDS, *NAME_WORDS, *JSON_WORDS, *map(str.encode, KEYS)],
    "server": [*HTTP_WORDS, *JSON_WORDS],
}
"""The words that mutations of a target's bytes are made of."""
