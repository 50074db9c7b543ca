"""Laws of the bench: it measures what it says, and its contenders do the same job. Nothing here depends on time."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import goals, limits, reads, reference
from tests.benchmarks.datapoints import ABSENT, RARE, make_item
from tests.benchmarks.million import iter_steps
from tests.benchmarks.site import DATASET, Site
from tests.conftest import snapshot

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the bench is for Linux")

SIZE = 120


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A small site, built."""
    site = Site(tmp_path / "site", SIZE, budget=0)
    site.build()
    yield site
    site.close()


def test_a_datapoint_is_the_same_every_time_and_of_the_size_the_reference_was_measured_with(site: Site) -> None:
    assert make_item(7) == make_item(7)
    sizes = [len(data) for path, data in snapshot(site.root).items() if path.startswith(f"{DATASET}/")]
    assert len(sizes) == SIZE
    assert 900 < sum(sizes) / SIZE < 960


def test_the_limit_of_a_bulk_insert_leaves_the_same_files_as_the_store(site: Site) -> None:
    assert snapshot(Path(site.bare)) == snapshot(Path(site.files))
    assert not Path(site.stage).exists()


def test_the_limit_of_a_scan_reads_what_the_store_lists(site: Site) -> None:
    listed = site.store.list_datapoints(dataset_name=DATASET, limit=reads.ALL)
    assert sorted(one["name"] for one in limits.read_all(site.files)) == sorted(one.name or "" for one in listed)


def test_the_lists_find_what_they_are_named_after(site: Site) -> None:
    found = {
        name: len(site.store.list_datapoints(dataset_name=DATASET, **arguments))
        for name, arguments in reads.lists(SIZE).items()
    }
    few = {name: count for name, count in found.items() if count not in (20, 100)}
    assert few == {
        "list 1,000": SIZE,
        "list 1,000, v1": SIZE,
        "list 100 at N/2": SIZE // 2,
        "list 100 at N/2, v1": SIZE // 2,
        "list 20 by a tag of 1 %": 2,
        "list 1,000 by a tag of 1 %": 2,
        "list by a tag that none has": 0,
        "search, no match": 0,
    }


def test_the_other_stores_give_back_the_same_datapoints(site: Site) -> None:
    records = [{"id": id, **make_item(number)} for number, id in enumerate(sorted(ids_of(site)))]
    for rival in site.rivals.values():
        assert rival.scan() == records
        assert rival.newest(30) == records[: -30 - 1 : -1]
        assert rival.get(records[5]["id"]) == records[5]
        assert rival.with_tag(RARE, 20) == [records[7], records[107]]
        assert rival.with_tag(ABSENT, 20) == []
        record = site.new_record()
        rival.insert([record])
        assert rival.newest(1) == [record]


def ids_of(site: Site) -> list[str]:
    return [str(one.id) for one in site.store.list_datapoints(dataset_name=DATASET, limit=reads.ALL)]


@pytest.fixture(scope="module")
def result() -> Any:
    """What a run over a tiny dataset prints."""
    command = [sys.executable, "-m", "tests.benchmarks", "--n", "40", "--budget", "0", "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parent.parent).stdout)


def test_every_goal_is_held_against_a_row(result: Any) -> None:
    assert [goal["number"] for goal in result["goals"]] == list(range(1, len(goals.GOALS) + 1))
    assert all(math.isfinite(goal["figure"]) and goal["figure"] > 0 for goal in result["goals"])
    assert {goal["met"] for goal in result["goals"]} <= {True, False}


def test_every_row_has_a_cost_and_ratios_with_their_spread(result: Any) -> None:
    rows = result["rows"]
    assert {row["group"] for row in rows} == {"write", "read", "other stores", "growth", "gateway", "command", "memory"}
    assert len({(row["group"], row["name"]) for row in rows}) == len(rows)
    for row in rows:
        assert all(math.isfinite(cost) and cost > 0 for cost in row["medians"].values())
        assert all(0 < one["low"] <= one["middle"] <= one["high"] < math.inf for one in row["ratios"].values())
        assert set(row["ratios"]) == set(row["medians"]) - {row["subject"]}


def test_every_figure_of_the_reference_has_its_row(result: Any) -> None:
    measured = {row["name"] for row in result["rows"] if row["reference"] and row["group"] in ("read", "write")}
    assert set(map(reference.operation, measured)) >= reference.NAMES


def test_a_million_is_built_from_the_same_steps_as_a_few(tmp_path: Path) -> None:
    names = []
    for name, act in iter_steps(tmp_path / "store", 30):
        act()
        names.append(name)
    assert names[:4] == ["bulk insert of 30", "git init", "git add", "git commit"]
    tracked = subprocess.run(["git", "-C", tmp_path / "store", "ls-files", DATASET], capture_output=True, check=True)
    assert len(tracked.stdout.split()) == 31
