"""The law of hostile bodies: the largest and the deepest are refused or kept, in bounded memory, beside other clients.

Proven is, against a gateway started by `filestore serve` and over raw sockets, that bodies made to be expensive end in
a refusal while other clients are answered, and that nothing of a refused request stays in memory.
"""

from __future__ import annotations

import gc
import gzip
import json
import sys
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filestore import FileStore
from filestore.errors import RequestError
from filestore.gateway.reading import holds_more_values
from tests.proofs.effort import choose, count
from tests.proofs.gateways import gateway
from tests.proofs.wire import ITEM, guarded, request, send, status_of

SIZE = choose(3, 100) * 2**20 - 1000
MOST_MIB = 2500
"""Of memory that a gateway may have taken in the end: far less than the worst body would need if it were read."""


def filled(part: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    return before + part * ((SIZE - len(before) - len(after)) // len(part)) + after


BODIES: dict[str, Callable[[], tuple[bytes, list[str]]]] = {
    "brackets": lambda: (filled(b"["), []),
    "braces": lambda: (filled(b'{"a":'), []),
    "one key over and over": lambda: (filled(b'"a":1,', b"{", b'"a":1}'), []),
    "millions of keys": lambda: (b"{" + b",".join(b'"%d":1' % i for i in range(SIZE // 20)) + b"}", []),
    "digits": lambda: (filled(b"9"), []),
    "digits of a fraction": lambda: (filled(b"9", b"0."), []),
    "exponent": lambda: (filled(b"9", b"1e"), []),
    "escapes": lambda: (filled(b"\\u0000", b'"', b'"'), []),
    "halves of pairs": lambda: (filled(b"\\ud800", b'"', b'"'), []),
    "no UTF-8": lambda: (filled(b"\xff", b'"', b'"'), []),
    "empty lists": lambda: (filled(b"[],", b"[", b"[]]"), []),
    "empty items": lambda: (filled(b"{},", b'{"datapoints":[', b"{}]}"), []),
    "numbers": lambda: (filled(b"1e-7,", b"[", b"1]"), []),
    "text without an end": lambda: (b"," * 5_000_000 + b'"' + b"," * 5_100_000, []),
    "texts side by side": lambda: (b',"""' * 3_000_000, []),
    "white space": lambda: (filled(b" "), []),
    "bomb": lambda: (gzip.compress(bytes(2**29), 1), ["Content-Encoding: gzip"]),
    "bomb in a bomb": lambda: (gzip.compress(gzip.compress(bytes(2**27), 1), 1), ["Content-Encoding: gzip"]),
    "deflated bomb": lambda: (zlib.compress(bytes(2**29), 1), ["Content-Encoding: deflate"]),
    "a million bombs": lambda: (gzip.compress(b"") * 10**5, ["Content-Encoding: gzip"]),
    "too large": lambda: (bytes(101 * 2**20), []),
}


def count_answers(url: str, stop: threading.Event) -> int:
    answers = 0
    while not stop.is_set():
        assert status_of(send(url, request("GET", "/datasets/d/datapoints"))) == 200
        answers += 1
    return answers


def peak_mib(pid: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024


def find_gateway(root: Path) -> str:
    """Return the process that serves a root."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        if b"serve" in words and str(root).encode() in words:
            return path.parent.name
    raise AssertionError("no gateway serves the root")


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel for the memory of a process")
def test_the_largest_bodies_are_refused_in_bounded_memory_while_others_are_answered(tmp_path: Path) -> None:
    with guarded(tmp_path) as root, gateway(root) as url, ThreadPoolExecutor(1) as pool:
        stop = threading.Event()
        others = pool.submit(count_answers, url, stop)
        try:
            for name, make in BODIES.items():
                body, fields = make()
                answer = send(url, request("POST", "/v1/datasets/d/datapoints", body, *fields))
                assert status_of(answer) in (400, 413, 415), name
        finally:
            stop.set()
        assert others.result() >= len(BODIES)
        count("answers to others beside large bodies", others.result())
        assert peak_mib(find_gateway(root)) < MOST_MIB


def test_a_body_is_not_taken_for_many_values_for_what_its_texts_hold(tmp_path: Path) -> None:
    texts = ",[{" * 4 * 10**6, '\\",' * 10**6
    items = [{**ITEM, "input": {"system": text, "messages": []}} for text in texts]
    with guarded(tmp_path) as root, gateway(root) as url:
        body = json.dumps({"datapoints": items}).encode()
        assert status_of(send(url, request("POST", "/v1/datasets/d/datapoints", body))) == 200
        answer = send(url, request("POST", "/v1/datasets/d/datapoints", b"[" + b"0," * 10**7 + b"0]"))
        assert (status_of(answer), b"more than 10,000,000 commas" in answer) == (400, True)
    stored = [json.loads(path.read_bytes()) for path in (root / "d").glob("*.json")]
    assert {datapoint["input"]["system"] for datapoint in stored if "system" in datapoint["input"]} == set(texts)


def count_marks(value: Any) -> int:
    """Return how many of `,[{` a JSON text of the value has outside of its texts."""
    if not isinstance(value, dict | list):
        return 0
    parts = value.values() if isinstance(value, dict) else value
    return 1 + max(len(value) - 1, 0) + sum(map(count_marks, parts))


JSON_TEXTS = st.text('",[{}]:\\ab\n')
JSON_VALUES = st.recursive(
    JSON_TEXTS | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(JSON_TEXTS, inner, max_size=4),
)


@given(JSON_VALUES, st.integers(-1, 1), st.sampled_from([None, 1]))
@settings(max_examples=choose(200, 5000), deadline=None)
def test_values_are_counted_outside_of_texts(value: Any, difference: int, indent: int | None) -> None:
    marks = count_marks(value)
    body = json.dumps(value, indent=indent).encode()
    assert holds_more_values(body, marks + difference) == (difference < 0)


def deep(levels: int) -> Any:
    return json.loads('{"a":' * levels + "1" + "}" * levels)


LEVELS = 10**5
DEEP = {
    "raw output": {**ITEM, "type": "json", "output": {"raw": "[" * LEVELS}},
    "digits in a raw output": {**ITEM, "type": "json", "output": {"raw": "9" * LEVELS}},
    "arguments": {
        **ITEM,
        "input": {
            "messages": [
                {
                    "role": "assistant",
                    "content": [{"type": "tool_call", "id": "1", "name": "n", "arguments": "[" * LEVELS}],
                }
            ]
        },
    },
    "schema": {**ITEM, "type": "json", "output_schema": deep(110)},
    "template": {
        **ITEM,
        "input": {
            "messages": [{"role": "user", "content": [{"type": "template", "name": "t", "arguments": deep(110)}]}]
        },
    },
    "raw arguments": {
        **ITEM,
        "output": [{"type": "tool_call", "id": "", "raw_name": "n", "raw_arguments": '{"a":' * LEVELS}],
    },
}


def test_what_is_deep_anywhere_is_kept_or_refused(tmp_path: Path) -> None:
    with guarded(tmp_path) as root, gateway(root) as url:
        for name, item in DEEP.items():
            body = json.dumps({"datapoints": [item]}).encode()
            assert status_of(send(url, request("POST", "/v1/datasets/d/datapoints", body))) in (200, 400), name
        assert status_of(send(url, request("GET", "/datasets/d/datapoints"))) == 200


NUMBERS = (
    "9" * 30,
    "-1",
    "1e3",
    "0x10",
    "4294967296",
    "",
    "%00",
    "1&limit=2&limit=3",
    "9" * 60000,
    "1_0",
    "%EF%BC%91",
    "NaN",
)


def test_no_number_in_a_query_is_too_much(tmp_path: Path) -> None:
    with guarded(tmp_path) as root, gateway(root) as url:
        for number in NUMBERS:
            for key in ("limit", "offset"):
                answer = send(url, request("GET", f"/datasets/d/datapoints?{key}={number}"))
                assert status_of(answer) in (400, 414), number[:20]
        many = "&".join(f"a{i}=b" for i in range(8000))
        assert status_of(send(url, request("GET", f"/datasets/d/datapoints?{many}"))) == 200
        assert status_of(send(url, request("GET", f"/datasets/d/datapoints?{many * 10}"))) == 414
        ids = json.dumps({"ids": [f"0190a1b2-c3d4-7e5f-8a9b-{i:012x}" for i in range(choose(10**4, 10**6))]}).encode()
        assert status_of(send(url, request("POST", "/v1/datasets/d/get_datapoints", ids))) == 200
        for limit in ("1" * 30, "-1", "1.5", '"1"', "null", "[]", "true"):
            body = f'{{"limit":{limit}}}'.encode()
            assert status_of(send(url, request("POST", "/v1/datasets/d/list_datapoints", body))) in (200, 400)


def test_a_refused_request_is_not_kept_in_memory(tmp_path: Path) -> None:
    """Not even until Python next looks for garbage, which among few and large objects it seldom does."""
    store = FileStore(tmp_path, durable=False)
    items = [[number] for number in range(1000)]
    with pytest.raises(RequestError):  # what is loaded at the first call is no garbage
        store.create_datapoints(dataset_name="d", requests=items)
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(RequestError) as caught:
            store.create_datapoints(dataset_name="d", requests=[[number] for number in range(1000)])
        del caught
        assert gc.collect() < 1000
    finally:
        gc.enable()
