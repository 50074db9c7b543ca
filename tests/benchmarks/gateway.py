"""The HTTP gateway, kept alive, beside a bare handler of `http.server` that answers with as many bytes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from urllib.request import urlopen

from tests.benchmarks.clients import Plan
from tests.benchmarks.contest import Times
from tests.benchmarks.program import FILESTORE, module, run, serving
from tests.benchmarks.row import Row
from tests.benchmarks.site import DATASET, SUBJECT, Site

BARE = "http.server"
CROWDS = (1, 8, 50, 200)
"""How many clients call at once."""
_ROUNDS = 9
_IDS = 200


def iter_rows(site: Site, *, is_last: bool) -> Iterator[Row]:
    """Yield the rows of a site; those of many clients only for the last one."""
    place = f"/datasets/{DATASET}/datapoints"
    gets = [f"{place}/{site.pick()}" for _ in range(_IDS)]
    with serving(FILESTORE, "--root", str(site.root), "serve", "--port", "0") as url:
        times = _call(site, url, gets, CROWDS if is_last else CROWDS[:2])
        yield from _rows(site, "get by id", times)
        times = _call(site, url, [f"{place}?limit=100"], CROWDS[:2], store=str(site.root), dataset=DATASET)
        yield from _rows(site, "list 100", times)


def _call(site: Site, url: str, paths: list[str], crowds: Sequence[int], store: str = "", dataset: str = "") -> Times:
    with urlopen(url + paths[0]) as answer:
        size = len(answer.read())
    with serving(*module("constant"), str(size)) as bare:
        clients = {f"{target} {crowd}": (target, crowd) for crowd in crowds for target in (SUBJECT, BARE)}
        plan = Plan({SUBJECT: url, BARE: bare}, paths, clients, _ROUNDS, site.budget / 10, store, dataset)
        times: Times = json.loads(run(*module("clients"), given=json.dumps(dataclasses.asdict(plan))))
    return times


def _rows(site: Site, name: str, times: Times) -> Iterator[Row]:
    """Yield a row for each number of clients; the times are seconds per request, all clients together."""
    for crowd in CROWDS:
        if f"{SUBJECT} {crowd}" in times:
            mine = {SUBJECT: times[f"{SUBJECT} {crowd}"], BARE: times[f"{BARE} {crowd}"]}
            if "Python" in times and crowd == 1:
                mine["Python"] = times["Python"]
            elif crowd > 1:
                mine["1 client"] = times[f"{SUBJECT} 1"]
            yield Row("gateway", f"{name}, {crowd} client{'s' if crowd > 1 else ''}", site.size, mine)
