"""Laws of any bytes, at every door they come in by: taken, or refused as documented, with nothing else touched.

What one target asserts its docstring in the `fuzz_*` modules says.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.proofs.effort import IS_LONG, choose, count
from tests.proofs.fuzz import Search, is_possible, search
from tests.proofs.fuzz_changes import change
from tests.proofs.fuzz_seeds import WORDS, seeds
from tests.proofs.fuzz_targets import TARGETS

SECONDS = 60
SLOW = frozenset({"stranger", "server", "application"})
"""Targets that write files, or talk over a socket."""
BROKEN_ONCE: dict[str, list[bytes]] = {
    "names": [b".\xcc\x81", b"*\xcc\xb4\xcc\x81"],
    "datapoint-file": [
        b'{"type": "chat", "function_name": "f", "input": {"messages": [{"role": "user", "content": '
        + (b'{"a": ' * 131 + b"1" + b"}" * 131)
        + b"}]}}",
    ],
    "requests": [
        b'\x00{"function_name": "extract_entities", "input": {"messages": []}, "output_schema": 5}',
        b'\x01{"function_name": "extract_entities", "input": {}, "output_schema": null, "is_custom": true}',
    ],
    "stranger": [b"\xff\xffref: a\0b", b"g\xff\xffgitdir: a\0b"],
    "request-wire": [b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\nA: b\r\n\r\nGET /"],
}
"""Inputs on which a law was broken before; they come first in every run."""


@st.composite
def inputs(draw: st.DrawFn, target: str) -> bytes:
    """Draw bytes for a target: a seed that is changed in a few places."""
    data = draw(st.sampled_from(seeds(target)))
    random = draw(st.randoms(use_true_random=False))
    for _ in range(draw(st.integers(0, 4))):
        data = change(random, data, WORDS[target])
    return data


@pytest.mark.parametrize("target", TARGETS)
def test_the_laws_hold_for_seeds_and_for_inputs_that_broke_them_once(target: str) -> None:
    for data in [*BROKEN_ONCE.get(target, []), *seeds(target)]:
        TARGETS[target](data)
        count(f"inputs tried: seeds and regressions, {target}")


@pytest.mark.parametrize("target", TARGETS)
def test_the_laws_hold_for_changed_inputs(target: str) -> None:
    @settings(
        max_examples=choose(15, 1000) if target in SLOW else choose(100, 4000),
        derandomize=not IS_LONG,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs(target))
    def hold(data: bytes) -> None:
        count(f"inputs tried: hypothesis, {target}")
        TARGETS[target](data)

    hold()


@pytest.fixture(scope="module")
def searches() -> Iterator[dict[str, Future[Search]]]:
    """A search over every target, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        yield {target: pool.submit(search, target, SECONDS) for target in TARGETS}


@pytest.mark.skipif(not IS_LONG, reason="a search takes a minute for each target: python -m tests.proofs")
@pytest.mark.skipif(not is_possible(), reason="atheris is not installed; it has wheels for few platforms")
@pytest.mark.parametrize("target", TARGETS)
def test_no_search_for_new_paths_through_the_code_finds_a_broken_law(
    searches: dict[str, Future[Search]], target: str
) -> None:
    found = searches[target].result()
    count(f"inputs tried: atheris, {target}", found.tried)
    assert found.broken is None, str(found)
    assert found.tried > len(seeds(target))
