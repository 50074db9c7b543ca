"""The application: a pure function from a request to a response, over a store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from filestore.errors import FilestoreError, LockTimeoutError
from filestore.gateway import legacy, service, v1
from filestore.gateway.http import Request, Response, error_response
from filestore.gateway.reading import Call
from filestore.gateway.routing import MethodNotAllowedError, PathError, Router
from filestore.store import FileStore

__all__ = ["Application", "LegacyWire"]

LegacyWire = Literal["auto", "old", "v1"]
"""Which form legacy GET routes answer in: by the client's `User-Agent`, or always the same."""

_ROUTER: Router[Callable[[Call], Response]] = Router({**service.ROUTES, **legacy.ROUTES, **v1.ROUTES})


class Application:
    """Answers requests of both generations from one store.

    Args:
        store: The store.
        legacy_wire: Which form the legacy GET routes answer in.
    """

    def __init__(self, store: FileStore, legacy_wire: LegacyWire = "auto") -> None:
        self._store = store
        self._legacy_wire = legacy_wire

    def __call__(self, request: Request) -> Response:
        """Answer a request; every refusal is an answer, too."""
        try:
            handler, params = _ROUTER.find(request.method, request.path)
            return handler(Call(self._store, request, params, self._wants_old_form(request)))
        except MethodNotAllowedError as error:
            return Response(error.status, content_type=None, headers=(("allow", error.allow),))
        except PathError as error:
            return Response(error.status, str(error).encode(errors="replace"), "text/plain; charset=utf-8")
        except LockTimeoutError as error:
            refused = error_response(error.status, str(error))
            return Response(refused.status, refused.body, headers=(("retry-after", "1"),))
        except FilestoreError as error:
            return error_response(error.status, str(error))

    def _wants_old_form(self, request: Request) -> bool:
        """Tell whether a legacy GET answers in the old form: clients that need it send no `User-Agent`."""
        if self._legacy_wire == "auto":
            return request.headers.get("user-agent") is None
        return self._legacy_wire == "old"
