"""Clients of a gateway that may die at any time; each knows what it was answered and what it was about to do."""

from __future__ import annotations

import json
import random
import threading
import uuid
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from tests.proofs.kills import State, spell

__all__ = ["Client", "LibraryClient"]

Items = dict[str, dict[str, Any]]
"""Id to datapoint, live."""


def item(text: str, version: int = 0) -> dict[str, Any]:
    content = [{"type": "text", "text": text}]
    return {
        "type": "chat",
        "function_name": "draft",
        "input": {"messages": [{"role": "user", "content": content}]},
        "output": [{"type": "text", "text": f"version {version}"}],
        "tags": {"text": text},
    }


class Client(threading.Thread):
    """One connection, over which one request after the other changes datapoints that no other client touches.

    Args:
        url: The gateway's.
        name: Which tells its datapoints from those of others.
        seed: Of what it does.
    """

    def __init__(self, url: str, name: str, seed: int) -> None:
        super().__init__(name=name, daemon=True)
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._connection = HTTPConnection(parts.hostname, parts.port, timeout=60)
        self._chance = random.Random(seed)
        self._number = 0
        self._own = f"own {name}"
        self._live: Items = {}
        self._stale: Items = {}
        self._copies: Items = {}
        self.calls = 0
        """How many requests were answered."""
        self.failure = ""
        """What the gateway answered that it should not have."""
        self._planned: State | None = None

    def allowed(self) -> list[State]:
        """Return what may be there of this client: what was answered, and what was asked last, if no answer came."""
        now = self._state(self._live, self._copies)
        return [now] if self._planned is None else [now, self._planned]

    def is_its_own(self, spelled: tuple[str, ...]) -> bool:
        """Tell whether a datapoint is one of this client's."""
        return f"{self.name}-" in spelled[4]

    def run(self) -> None:
        """Go on until the gateway dies."""
        actions: list[Callable[[], None]] = [
            *(self._insert, self._create, self._update, self._rename, self._delete_one, self._delete_many),
            *(self._restore, self._put, self._clone, self._drop),
        ]
        try:
            self._create()
            while not self.failure:
                self._chance.choice(actions)()
        except (OSError, HTTPException):
            return
        finally:
            self._connection.close()

    # --- what it does

    def _insert(self) -> None:
        new = [item(self._next_text()) for _ in range(5)]
        body = [{**one, "output": one["output"]} for one in new]
        ids = self._ask("POST", "/datasets/cases/datapoints/bulk", {"datapoints": body}, self._with(new))
        self._done(self._live | dict(zip(ids, new, strict=True)))

    def _create(self) -> None:
        new = [item(self._next_text()) for _ in range(self._chance.choice([1, 3, 30]))]
        answer = self._ask("POST", "/v1/datasets/cases/datapoints", {"datapoints": new}, self._with(new))
        self._done(self._live | dict(zip(answer["ids"], new, strict=True)))

    def _update(self) -> None:
        chosen = self._choose(self._live)
        if not chosen:
            return
        new = [{**one, "output": [{"type": "text", "text": f"version {self._count()}"}]} for one in chosen.values()]
        rest = _without(self._live, chosen)
        requests = [
            {"type": "chat", "id": one, "output": after["output"]} for one, after in zip(chosen, new, strict=True)
        ]
        planned = self._state({**rest, **_anonymous(new)}, self._copies)
        answer = self._ask("PATCH", "/v1/datasets/cases/datapoints", {"datapoints": requests}, planned)
        self._done(rest | dict(zip(answer["ids"], new, strict=True)))

    def _rename(self) -> None:
        chosen = self._choose(self._live)
        if not chosen:
            return
        name = f"name {self._count()}"
        live = self._live | {one: {**before, "name": name} for one, before in chosen.items()}
        requests = [{"id": one, "name": name} for one in chosen]
        planned = self._state(live, self._copies)
        self._ask("PATCH", "/v1/datasets/cases/datapoints/metadata", {"datapoints": requests}, planned)
        self._done(live)

    def _delete_one(self) -> None:
        one = self._chance.choice(list(self._live)) if self._live else None
        if one is not None:
            live = _without(self._live, [one])
            self._ask("DELETE", f"/datasets/cases/datapoints/{one}", None, self._state(live, self._copies))
            self._stale[one] = self._live[one]
            self._done(live)

    def _delete_many(self) -> None:
        chosen = self._choose(self._live)
        if not chosen:
            return
        live = _without(self._live, chosen)
        planned = self._state(live, self._copies)
        answer = self._ask("DELETE", "/v1/datasets/cases/datapoints", {"ids": list(chosen)}, planned)
        self._expect(answer["num_deleted_datapoints"], len(chosen))
        self._stale |= chosen
        self._done(live)

    def _restore(self) -> None:
        chosen = self._choose(self._stale)
        if not chosen:
            return
        live = self._live | chosen
        planned = self._state(live, self._copies)
        self._ask("POST", "/v1/datasets/cases/restore_datapoints", {"ids": list(chosen)}, planned)
        self._stale = _without(self._stale, chosen)
        self._done(live)

    def _put(self) -> None:
        for one in list(self._choose(self._live))[:1]:
            after = item(self._next_text())
            live = self._live | {one: after}
            body = {key: value for key, value in after.items() if key != "type"}
            body["is_custom"] = True
            self._ask("PUT", f"/internal/datasets/cases/datapoints/{one}", body, self._state(live, self._copies))
            self._done(live)

    def _clone(self) -> None:
        chosen = self._choose(self._live)
        if not chosen:
            return
        planned = self._state(self._live, {**self._copies, **_anonymous(list(chosen.values()))})
        path = f"/internal/datasets/{self._own.replace(' ', '%20')}/datapoints/clone"
        answer = self._ask("POST", path, {"datapoint_ids": list(chosen)}, planned)
        self._copies |= dict(zip(answer["datapoint_ids"], chosen.values(), strict=True))
        self._planned = None

    def _drop(self) -> None:
        planned = self._state(self._live, {})
        path = f"/v1/datasets/{self._own.replace(' ', '%20')}"
        answer = self._ask("DELETE", path, None, planned)
        self._expect(answer["num_deleted_datapoints"], len(self._copies))
        self._copies = {}
        self._planned = None

    # --- bookkeeping

    def _ask(self, method: str, path: str, body: Any, planned: State) -> Any:
        """Send a request; what it would change is planned until it is answered."""
        self._planned = planned
        headers = {"User-Agent": "TensorZero/2026.1.8", "Content-Type": "application/json"}
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = self._connection.getresponse()
        data = response.read()
        self._expect((response.status, data if response.status != 200 else b""), (200, b""))
        self.calls += 1
        return json.loads(data) if data else None

    def _expect(self, answered: object, expected: object) -> None:
        if answered != expected:
            self.failure = f"{answered!r} instead of {expected!r}"
            raise HTTPException(self.failure)

    def _done(self, live: Items) -> None:
        self._live = live
        self._planned = None

    def _with(self, new: list[dict[str, Any]]) -> State:
        return self._state({**self._live, **_anonymous(new)}, self._copies)

    def _state(self, live: Items, copies: Items) -> State:
        found = [("cases", one) for one in live.values()] + [(self._own, one) for one in copies.values()]
        return State(
            spell(dataset, one["input"], one["output"], one.get("name"), one["tags"]) for dataset, one in found
        )

    def _choose(self, items: Items) -> Items:
        chosen = self._chance.sample(sorted(items), min(len(items), self._chance.choice([1, 2, 10])))
        return {one: items[one] for one in chosen}

    def _next_text(self) -> str:
        return f"{self.name}-{self._count()}"

    def _count(self) -> int:
        self._number += 1
        return self._number


def _without(items: Items, ids: Any) -> Items:
    gone = set(ids)
    return {one: value for one, value in items.items() if one not in gone}


def _anonymous(new: list[dict[str, Any]]) -> Items:
    """Return datapoints under ids that nobody has told yet."""
    return {str(uuid.uuid4()): one for one in new}


class LibraryClient(Client):
    """A client that inserts and deletes with TensorZero's own library."""

    def __init__(self, url: str, name: str, seed: int) -> None:
        super().__init__(url, name, seed)
        self._url = url

    def run(self) -> None:
        """Go on until the gateway dies."""
        from tensorzero import TensorZeroError, TensorZeroGateway, TensorZeroInternalError

        try:
            with TensorZeroGateway.build_http(gateway_url=self._url) as library:
                while True:
                    self._insert_and_delete(library)
        except TensorZeroInternalError:
            return  # the connection broke
        except TensorZeroError as error:
            self.failure = str(error)

    def _insert_and_delete(self, library: Any) -> None:
        new = [item(self._next_text()) for _ in range(3)]
        self._planned = self._with(new)
        ids = [str(one) for one in library.create_datapoints(dataset_name="cases", requests=new).ids]
        self._done(self._live | dict(zip(ids, new, strict=True)))
        live = _without(self._live, ids[:1])
        self._planned = self._state(live, {})
        library.delete_datapoints(dataset_name="cases", ids=ids[:1])
        self._done(live)
        self.calls += 2
