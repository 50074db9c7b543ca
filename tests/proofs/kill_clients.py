"""Clients of a gateway that may die at any time; each knows what it was answered and what it was about to do."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterable
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote, urlsplit

from tests.proofs.crowd import new_id
from tests.proofs.kill_model import CASES, Items, Own, chat, extraction
from tests.proofs.kills import State

__all__ = ["Client", "LibraryClient"]

HEADERS = {"User-Agent": "TensorZero/2026.1.8", "Content-Type": "application/json"}
_MANY = 60
"""From so many live datapoints on no more are inserted."""


class Client(threading.Thread):
    """One connection, over which one request after the other changes datapoints that no other client touches.

    Args:
        url: The gateway's.
        name: Which tells its datapoints from those of others.
        seed: Of what it does.
    """

    def __init__(self, url: str, name: str, seed: int) -> None:
        super().__init__(name=name, daemon=True)
        self._url = url
        self._chance = random.Random(seed)
        self._number = 0
        self._own = Own(copies=f"own {name}")
        self._planned: Own | None = None
        self.calls = 0
        """How many requests were answered."""
        self.failure = ""
        """What the gateway answered that it should not have."""
        self.ended_at = 0.0
        """When the connection broke, by the monotonic clock."""

    def allowed(self) -> list[State]:
        """Return what may be there of this client: what was answered, and what was asked last, if no answer came."""
        return [own.state() for own in (self._own, self._planned) if own is not None]

    def is_its_own(self, spelled: tuple[str, ...]) -> bool:
        """Tell whether a datapoint is one of this client's."""
        return f'"{self.name}-' in spelled[3]

    def run(self) -> None:
        """Go on until the gateway dies."""
        parts = urlsplit(self._url)
        assert parts.hostname is not None
        self._connection = HTTPConnection(parts.hostname, parts.port, timeout=60)
        try:
            self._create()
            while True:
                self._act()
        except (OSError, HTTPException) as error:
            if isinstance(error, TimeoutError):
                self.failure = "no answer came, and the connection did not break"
        finally:
            self.ended_at = time.monotonic()
            self._connection.close()

    def _act(self) -> None:
        actions: list[Callable[[], None]] = [self._restore, self._drop]
        if len(self._own.live) < _MANY:
            actions += [self._insert, self._create, self._put_new]
        if self._own.live:
            actions += [self._update, self._rename, self._delete_one, self._delete_many, self._put, self._clone]
        self._chance.choice(actions)()

    # --- what it does

    def _insert(self) -> None:
        new = [chat(self._next_text()) for _ in range(5)]
        ids = self._ask("POST", f"/datasets/{CASES}/datapoints/bulk", {"datapoints": new}, self._own.created(new))
        self._done(self._own.created(new, ids))

    def _create(self) -> None:
        number = self._chance.choice([1, 3, 30])
        new = [extraction(self._next_text()) if n % 10 == 2 else chat(self._next_text()) for n in range(number)]
        body = {"datapoints": list(map(_asked, new))}
        answer = self._ask("POST", f"/v1/datasets/{CASES}/datapoints", body, self._own.created(new))
        self._done(self._own.created(new, answer["ids"]))

    def _update(self) -> None:
        changed, requests = self._changes()
        planned = self._own.updated(changed)
        answer = self._ask("PATCH", f"/v1/datasets/{CASES}/datapoints", {"datapoints": requests}, planned)
        self._done(self._own.updated(changed, answer["ids"]))

    def _changes(self) -> tuple[Items, list[Any]]:
        tags = {"version": str(self._count())}
        changed = {one: {**before, "tags": tags} for one, before in self._choose(self._own.live).items()}
        requests = [{"type": after["type"], "id": one, "tags": tags} for one, after in changed.items()]
        for request in requests:
            if request["type"] == "chat":  # the library takes the output away where none is given
                request["output"] = changed[request["id"]]["output"]
        return changed, requests

    def _rename(self) -> None:
        name = f"name {self._count()}"
        chosen = self._choose(self._own.live)
        planned = self._own.edited({one: {**before, "name": name} for one, before in chosen.items()})
        body = {"datapoints": [{"id": one, "name": name} for one in chosen]}
        self._ask("PATCH", f"/v1/datasets/{CASES}/datapoints/metadata", body, planned)
        self._done(planned)

    def _delete_one(self) -> None:
        one = self._chance.choice(list(self._own.live))
        planned = self._own.deleted([one])
        self._ask("DELETE", f"/datasets/{CASES}/datapoints/{one}", None, planned)
        self._done(planned)

    def _delete_many(self) -> None:
        chosen = self._choose(self._own.live)
        planned = self._own.deleted(chosen)
        answer = self._ask("DELETE", f"/v1/datasets/{CASES}/datapoints", {"ids": list(chosen)}, planned)
        self._expect(answer["num_deleted_datapoints"], len(chosen))
        self._done(planned)

    def _restore(self) -> None:
        chosen = self._choose(self._own.stale)
        if not chosen:
            return
        planned = self._own.restored(chosen)
        self._ask("POST", f"/v1/datasets/{CASES}/restore_datapoints", {"ids": list(chosen)}, planned)
        self._done(planned)

    def _put(self) -> None:
        """Replace a datapoint, or a stale one, which becomes live."""
        known = self._own.live | self._own.stale
        self._put_as(
            self._chance.choice([one for one, before in known.items() if before["type"] == "chat"] or [new_id()])
        )

    def _put_new(self) -> None:
        self._put_as(new_id())

    def _put_as(self, one: str) -> None:
        after = chat(self._next_text(), self._count())
        planned = self._own.edited({one: after})
        body = {key: value for key, value in after.items() if key != "type"} | {"is_custom": True}
        self._ask("PUT", f"/internal/datasets/{CASES}/datapoints/{one}", body, planned)
        self._done(planned)

    def _clone(self) -> None:
        chosen = self._choose(self._own.live)
        path = f"/internal/datasets/{quote(self._own.copies)}/datapoints/clone"
        answer = self._ask("POST", path, {"datapoint_ids": list(chosen)}, self._own.cloned(chosen))
        self._done(self._own.cloned(chosen, answer["datapoint_ids"]))

    def _drop(self) -> None:
        planned = self._own.dropped_all()
        answer = self._ask("DELETE", f"/v1/datasets/{quote(self._own.copies)}", None, planned)
        self._expect(answer["num_deleted_datapoints"], len(self._own.copied))
        self._done(planned)

    # --- bookkeeping

    def _ask(self, method: str, path: str, body: Any, planned: Own) -> Any:
        """Send a request; what it would change is planned until it is answered."""
        self._planned = planned
        self._connection.request(method, path, None if body is None else json.dumps(body), HEADERS)
        response = self._connection.getresponse()
        data = response.read()
        self._expect((response.status, data if response.status != 200 else b""), (200, b""))
        return json.loads(data) if data else None

    def _expect(self, answered: object, expected: object) -> None:
        if answered != expected:
            self.failure = f"{answered!r} instead of {expected!r}"
            raise HTTPException(self.failure)

    def _done(self, own: Own) -> None:
        self._own = own
        self._planned = None
        self.calls += 1

    def _choose(self, items: Items) -> Items:
        chosen = self._chance.sample(sorted(items), min(len(items), self._chance.choice([1, 2, 10])))
        return {one: items[one] for one in chosen}

    def _next_text(self) -> str:
        return f"{self.name}-{self._count()}"

    def _count(self) -> int:
        self._number += 1
        return self._number


def _asked(one: dict[str, Any]) -> dict[str, Any]:
    """Return a datapoint as it is asked for: what its text parses to is for the gateway to find out."""
    return one if one["type"] == "chat" else {**one, "output": {"raw": one["output"]["raw"]}}


class LibraryClient(Client):
    """A client that calls by TensorZero's own library."""

    def run(self) -> None:
        """Go on until the gateway dies."""
        from tensorzero import TensorZeroError, TensorZeroGateway, TensorZeroInternalError

        try:
            with TensorZeroGateway.build_http(gateway_url=self._url) as library:
                while True:
                    self._call(library)
        except TensorZeroInternalError:
            return  # the connection broke
        except TensorZeroError as error:
            self.failure = str(error)
        finally:
            self.ended_at = time.monotonic()

    def _call(self, library: Any) -> None:
        new = [chat(self._next_text()) for _ in range(3)]
        self._planned = self._own.created(new)
        made = library.create_datapoints(dataset_name=CASES, requests=new)
        self._done(self._own.created(new, _ids(made)))
        changed, requests = self._changes()
        self._planned = self._own.updated(changed)
        made = library.update_datapoints(dataset_name=CASES, requests=requests)
        self._done(self._own.updated(changed, _ids(made)))
        chosen = self._choose(self._own.live)
        self._planned = self._own.deleted(chosen)
        library.delete_datapoints(dataset_name=CASES, ids=list(chosen))
        self._done(self._planned)


def _ids(answer: Any) -> Iterable[str]:
    return [str(one) for one in answer.ids]
