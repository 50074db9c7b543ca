"""The law of hostile schemas: whatever a schema asks for ends in time, by a clear refusal, and keeps nobody waiting.

Proven is that each schema known to cost the engine years is refused once its time is over, and changes nothing; and
that meanwhile other clients of the same gateway go on getting their answers.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from filestore import FileStore
from filestore.codec import JSONValue, compact
from filestore.errors import ConfigError, SchemaTimeoutError
from filestore.gateway.app import Application
from filestore.gateway.server import Server, running
from filestore.schema import allowance, check_schema, compile_schema, compiled, limited
from filestore.schema.allowance import charged
from filestore.schema.patterns import compile_pattern
from filestore.schema.recent import Recent
from filestore.schema.values import json_identity
from tests.conftest import snapshot
from tests.proofs.effort import IS_LONG, choose, count
from tests.proofs.gateways import gateway

SECONDS_TO_ANSWER = 600
"""Only that a request ends is the law; this is when a test stops waiting for it."""
FEWEST_ANSWERS = 3
MOST_TIMES_LONGER = 64
"""How much longer than at first a request may take until others got so many answers: a busy machine gives them late."""
CATASTROPHIC = r"^(a|aa)+\1$"
DRAFT7 = "http://json-schema.org/draft-07/schema#"


def evil_text(number: int) -> str:
    return "a" * 60 + f"{number}b"


def nest(times: int, wrap: Callable[[Any], Any], inner: Any) -> Any:
    for _ in range(times):
        inner = wrap(inner)
    return inner


# Each makes a schema and a value that would take from minutes to longer than the universe.
SLOW: dict[str, Callable[[], tuple[Any, Any]]] = {
    "one search": lambda: ({"pattern": CATASTROPHIC}, evil_text(0)),
    "a thousand searches": lambda: (
        {"items": {"anyOf": [{"pattern": CATASTROPHIC}, True]}},
        [evil_text(i) for i in range(1000)],
    ),
    "searches in names": lambda: ({"patternProperties": {CATASTROPHIC: True}}, {evil_text(i): 1 for i in range(9)}),
    "searches that must not find": lambda: ({"not": {"pattern": CATASTROPHIC}}, evil_text(0)),
    "patterns times names": lambda: (
        {"patternProperties": {f"^x{i}y": True for i in range(2000)}},
        {f"k{i}": 1 for i in range(10**5)},
    ),
    "if in if": lambda: (
        nest(40, lambda s: {"if": s, "then": True, "unevaluatedProperties": False}, {"type": "object"}),
        {"a": 1},
    ),
    "contains in contains": lambda: (
        {"contains": {"contains": {"contains": {"const": 1}}}},
        [[[0] * 120] * 120] * 120,
    ),
    "anyOf times items": lambda: ({"items": {"anyOf": [{"const": i} for i in range(5000)]}}, [4999] * 5000),
    "allOf times names": lambda: (
        {"allOf": [{"additionalProperties": {"type": "integer"}}] * 3000},
        {f"k{i}": i for i in range(3000)},
    ),
    "anchors times references": lambda: (
        {
            "properties": {f"p{i}": {"$ref": f"#a{i}"} for i in range(2000)},
            "$defs": {f"a{i}": {"$anchor": f"a{i}"} for i in range(2000)},
        },
        {},
    ),
    "ids times references": lambda: (
        {"$id": "http://x/", "allOf": [{"$id": f"http://x/{i}", "$ref": f"http://x/{i}#"} for i in range(2000)]},
        1,
    ),
    "schema of megabytes": lambda: ({"$defs": {f"p{i}": {"type": "string"} for i in range(10**5)}, "not": True}, 1),
}

# These look like it, but end by themselves.
QUICK: dict[str, Callable[[], tuple[Any, Any]]] = {
    **{
        f"references doubled by {keyword}": lambda keyword=keyword: (  # type: ignore[misc]  # mypy sees no default
            {
                "$ref": "#/$defs/d0",
                "$defs": {f"d{i}": {keyword: [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(30)} | {"d30": {}},
            },
            1,
        )
        for keyword in ("allOf", "anyOf", "oneOf")
    },
    "dynamic references": lambda: (
        {
            "$dynamicAnchor": "n",
            "anyOf": [
                {"type": "string"},
                {"items": {"$dynamicRef": "#n"}},
                {"items": {"$dynamicRef": "#n"}, "minItems": 1},
            ],
        },
        nest(40, lambda s: [s], 1),
    ),
    "unevaluated in unevaluated": lambda: (
        nest(24, lambda s: {"allOf": [s], "unevaluatedProperties": False}, {"type": "object"}),
        {"a": 1},
    ),
    "refers to itself": lambda: ({"$ref": "#"}, {"a": 1}),
    "not in not": lambda: (nest(100, lambda s: {"not": s}, {}), 1),
    "pattern to write out": lambda: ({"pattern": "(?:a|b|[cd]){60000}"}, "a"),
    "groups in groups": lambda: ({"pattern": "(" * 300 + "a+" + ")?" * 300}, "a"),
    "quotients of all digits": lambda: ({"items": {"multipleOf": 1e-308}}, [1e308, 5e-324, 2**64 - 1]),
    "large enum": lambda: ({"enum": [[i] for i in range(10**4)]}, [-1]),
    "many unequal": lambda: ({"uniqueItems": True}, [[i] for i in range(10**5)]),
    "mail address": lambda: ({"$schema": DRAFT7, "format": "idn-email"}, "a." * 10**5 + "@" + "a." * 10**5),
    "display name": lambda: ({"$schema": DRAFT7, "format": "email"}, "a " * 20000 + "<"),
    "host name": lambda: ({"$schema": DRAFT7, "format": "idn-hostname"}, "\u30fb" * 253),
    "address": lambda: ({"$schema": DRAFT7, "format": "iri"}, "http://[" + ":" * 10**5),
    "template of an address": lambda: ({"$schema": DRAFT7, "format": "uri-template"}, "{" + "a," * 30000),
    "version 6": lambda: ({"$schema": DRAFT7, "format": "ipv6"}, ":" * 10**6),
    "moment": lambda: ({"$schema": DRAFT7, "format": "date-time"}, "2020-01-01T00:00:00." + "1" * 10**6),
    "remote reference": lambda: ({"$ref": "http://localhost:9/schema.json"}, 1),
    "file reference": lambda: ({"$ref": "file:///etc/passwd"}, 1),
    "reference out of the store": lambda: ({"$ref": "schemas/../../secret.json"}, 1),
}


def ask(url: str, method: str, path: str, body: Any = None) -> tuple[int, str]:
    address = urlsplit(url)
    connection = HTTPConnection(address.hostname or "", address.port or 0, timeout=SECONDS_TO_ANSWER)
    connection.request(method, path, None if body is None else json.dumps(body))
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


def item(schema: Any, value: Any) -> dict[str, Any]:
    output = {"raw": json.dumps(value)}
    return {
        "type": "json",
        "function_name": "f",
        "input": {"messages": []},
        "output": output,
        "output_schema": schema,
    }


def count_answers(url: str, stop: threading.Event) -> int:
    answers = 0
    while not stop.is_set():
        for path in ("/status", "/datasets/others/datapoints"):
            assert ask(url, "GET", path)[0] == 200
            answers += 1
    return answers


def send_beside_others(url: str, path: str, body: Any) -> tuple[int, str, int]:
    """Send a request; return its answer, and how many answers another client got meanwhile."""
    stop = threading.Event()
    assert ask(url, "GET", "/datasets/others/datapoints")[0] == 200  # only the first list waits for young files
    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(count_answers, url, stop)
        try:
            status, text = pool.submit(ask, url, "POST", path, body).result(SECONDS_TO_ANSWER)
        finally:
            stop.set()
    count("hostile schemas tried")
    count("answers to others meanwhile", other.result())
    return status, text, other.result()


def insert_others(root: Path) -> None:
    FileStore(root, durable=False).create_datapoints(dataset_name="others", requests=[item({}, 1)])


def refuse_beside_others(root: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, items: list[Any]) -> None:
    """Prove that items which are never judged to an end are refused, change nothing and keep nobody waiting."""
    insert_others(root)
    before = snapshot(root)
    answers = 0
    times_longer = 1
    while answers < FEWEST_ANSWERS and times_longer <= MOST_TIMES_LONGER:
        monkeypatch.setattr(allowance, "SECONDS", seconds * times_longer)
        with running(Server(Application(FileStore(root, durable=False)))) as url:
            status, text, answers = send_beside_others(url, "/v1/datasets/d/datapoints", {"datapoints": items})
        assert status == 400
        assert "takes too long" in text
        assert snapshot(root) == before
        times_longer *= 4
    assert answers >= FEWEST_ANSWERS


@pytest.mark.parametrize("name", SLOW)
def test_what_takes_too_long_is_refused_and_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(allowance, "SECONDS_PER_MIB", 0.1)
    refuse_beside_others(tmp_path, monkeypatch, choose(1, 24) / 8, [item(*SLOW[name]())])


@pytest.mark.parametrize("name", QUICK)
def test_what_only_looks_slow_is_judged(tmp_path: Path, name: str) -> None:
    store = FileStore(tmp_path, durable=False)
    schema, value = QUICK[name]()
    with running(Server(Application(store))) as url:
        status, text = ask(url, "POST", "/v1/datasets/d/datapoints", {"datapoints": [item(schema, value)]})
    count("hostile schemas tried")
    assert status == 200 or (status == 400 and "compiling" in text), text
    assert "takes too long" not in text


def test_all_items_of_a_request_share_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [item({"pattern": "^(a|a)*$", "title": str(i)}, "a" * 16 + "b") for i in range(10**4)]
    refuse_beside_others(tmp_path, monkeypatch, 0.5, items)


@pytest.mark.parametrize("route", ["/datasets/d/datapoints/bulk", "/v1/datasets/d/datapoints"])
def test_a_gateway_as_people_start_it_goes_on_answering(tmp_path: Path, route: str) -> None:
    if not IS_LONG:
        pytest.skip("takes the ten seconds that a request may take; for the long run")
    insert_others(tmp_path)
    schema, value = SLOW["a thousand searches"]()
    one = item(schema, value)
    if "v1" not in route:
        one["output"] = value
    with gateway(tmp_path) as url:
        status, text, answers = send_beside_others(url, route, {"datapoints": [one] * 3})
        assert ask(url, "GET", "/v1/datasets/d/datapoints")[0] in (200, 405)
    assert (status, "takes too long" in text) == (400, True)
    assert answers >= FEWEST_ANSWERS


def test_a_slow_schema_of_a_file_is_read_and_refused_only_where_it_is_to_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileStore(tmp_path, durable=False)
    schema, value = SLOW["searches that must not find"]()
    store.create_datapoints(dataset_name="d", requests=[item({}, 1)])
    [path] = (tmp_path / "d").glob("*.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, "output": value, "output_schema": schema}), encoding="utf-8")
    monkeypatch.setattr(allowance, "SECONDS", 0.5)
    [listed] = store.list_datapoints(dataset_name="d")
    assert listed.to_dict()["output_schema"] == schema
    update = {"type": "json", "id": str(listed.id), "output": {"raw": json.dumps(value)}}
    before = snapshot(tmp_path)
    with pytest.raises(SchemaTimeoutError):
        store.update_datapoints(dataset_name="d", requests=[update])
    assert snapshot(tmp_path) == before
    count("hostile schemas tried")


CONFIG = """
[functions.f]
type = "json"
output_schema = "slow.json"
variants = {}
"""


def test_a_slow_schema_of_the_config_is_a_mistake_in_it_that_is_looked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileStore(tmp_path, durable=False)
    schema = SLOW["anchors times references"]()[0]
    (tmp_path / "slow.json").write_text(json.dumps(schema), encoding="utf-8")
    (tmp_path / "tensorzero.toml").write_text(CONFIG, encoding="utf-8")
    monkeypatch.setattr(allowance, "SECONDS", 0.5)
    monkeypatch.setattr(allowance, "SECONDS_PER_MIB", 0.1)
    # A file that changed just before it was read is read again.
    for _ in range(3):
        with pytest.raises(ConfigError, match=r"slow\.json takes too long to check"):
            _ = store.config
    monkeypatch.setattr(allowance, "SECONDS", 0)
    with pytest.raises(ConfigError, match=r"slow\.json takes too long to check"):
        _ = store.config
    (tmp_path / "slow.json").write_text("{}", encoding="utf-8")
    monkeypatch.undo()
    assert store.config.get_function("f").output_schema == {}
    count("hostile schemas tried")


def test_time_that_goes_by_without_work_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait for a lock or the disk takes none of it."""
    monkeypatch.setattr(allowance, "SECONDS", 0.2)
    with limited():
        threading.Event().wait(0.3)
        assert compile_schema({"items": {"type": "integer"}}).is_valid([1] * 1000)


def test_work_of_another_kind_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of a million datapoints takes its time without any schema."""
    schema = compile_schema({"items": {"type": "integer"}})
    monkeypatch.setattr(allowance, "SECONDS", 0.2)
    monkeypatch.setattr(allowance, "SECONDS_PER_MIB", 0)
    with limited():
        for _ in range(2):
            worked_from = time.thread_time()
            while time.thread_time() < worked_from + 0.2:
                pass
            assert schema.is_valid([1] * 100)


def wide_schema(title: str) -> JSONValue:
    return {"title": title, "properties": {f"p{i}": {"type": "string"} for i in range(500)}}


def test_large_schemas_in_turns_are_compiled_once_each() -> None:
    schemas: list[JSONValue] = [{"description": letter * 2**20} for letter in "abc"]
    first = [compile_schema(schema) for schema in schemas]
    assert all(compile_schema(schema) is known for schema, known in zip(schemas, first, strict=True))


def test_a_larger_schema_has_more_time_to_be_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "SECONDS", 0)
    monkeypatch.setattr(allowance, "SECONDS_PER_MIB", 0)
    with pytest.raises(SchemaTimeoutError):
        compile_schema(wide_schema("no time"))
    monkeypatch.setattr(allowance, "SECONDS_PER_MIB", 1000)
    compile_schema(wide_schema("time"))


def test_each_pattern_is_compiled_only_while_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the largest takes seconds."""
    monkeypatch.setattr(allowance, "SECONDS", 0)
    monkeypatch.setattr(allowance, "SECONDS_PER_MIB", 0)
    for number in range(20):
        with charged(1), pytest.raises(SchemaTimeoutError):
            compile_pattern(f"a pattern that is new{number}")


def test_a_schema_that_was_forgotten_has_no_more_time_in_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "SECONDS", 0.1)
    monkeypatch.setattr(allowance, "SECONDS_PER_MIB", 30)
    monkeypatch.setattr(compiled, "_recent", Recent(compiled._compile, 0))
    texts = [compact(wide_schema(title)) for title in "ab"]
    with limited(), pytest.raises(SchemaTimeoutError):
        for text in texts * 100:
            compiled.compile_text(text)


def test_a_larger_value_has_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    schema, catastrophic = compile_schema({"items": {"type": "integer"}}), compile_schema({"pattern": CATASTROPHIC})
    monkeypatch.setattr(allowance, "SECONDS", 0)
    monkeypatch.setattr(allowance, "SECONDS_PER_MIB", 1000)
    with pytest.raises(SchemaTimeoutError):
        catastrophic.is_valid(evil_text(0))
    assert schema.is_valid([1] * 10**4)


def test_an_unfinished_check_leaves_no_limit_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "SECONDS", 0.1)
    for _ in range(3):
        with pytest.raises(SchemaTimeoutError):
            compile_schema({"pattern": CATASTROPHIC}).is_valid(evil_text(0))
        check_schema({"pattern": "(a|b)"})
        left = allowance._thread.allowance
        assert (left.request(), left.unmeasured, left.schemas) == (None, [], set())


@pytest.mark.parametrize("block", [limited, charged])
def test_a_block_that_was_broken_off_at_its_very_start_leaves_no_limit_behind(
    monkeypatch: pytest.MonkeyPatch, block: Callable[[], limited]
) -> None:
    """By ^C, before its end could come to be called."""
    monkeypatch.setattr(allowance, "SECONDS", 0.1)
    block().__enter__()
    for _ in range(3):
        with pytest.raises(SchemaTimeoutError):
            compile_schema({"pattern": CATASTROPHIC}).is_valid(evil_text(0))
        assert compile_schema({"pattern": "(a|b)"}).is_valid("a")


def colliding_pairs(number: int) -> list[JSONValue]:
    """Return pairs of integers that, as tuples, all have one hash in CPython: xxHash, which has no secret, undone."""
    top, multiply, turn = 2**64, 11400714785074694791, 14029467366897019727
    undo = pow(turn, -1, top)
    pairs: list[JSONValue] = []
    first = 0
    while len(pairs) < number:
        first += 1
        state = (2870177450012600261 + first * turn) % top
        state = ((state << 31 | state >> 33) % top) * multiply % top
        second = (123456789 - state) * undo % top
        second -= top if second >= top // 2 else 0
        if abs(second) < 2**61 - 1 and second != -1:  # such an integer is its own hash
            pairs.append([first, second])
    return pairs


def test_nobody_can_choose_values_that_take_each_other_for_equal() -> None:
    pairs = colliding_pairs(2000)
    assert len({json_identity(pair) for pair in pairs}) == 2000
    assert len({hash(json_identity(pair)) for pair in pairs}) > 1990
    count("hostile schemas tried")
