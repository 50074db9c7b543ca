"""Which handler answers a method and a path: matching happens on the raw path, each segment is decoded afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

from filestore.errors import RequestError

__all__ = ["MethodNotAllowedError", "PathError", "RouteNotFoundError", "Router"]

H = TypeVar("H", bound=Callable[..., object])


class PathError(RequestError):
    """A path or query that the router's own extractors refuse; answered in plain text."""


class RouteNotFoundError(RequestError):
    """No route has this path."""

    status = 404


class MethodNotAllowedError(RequestError):
    """The path has routes, but not for this method."""

    status = 405

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__("method not allowed")
        self.allow = ",".join(allowed)


@dataclass(frozen=True, slots=True)
class _Pattern(Generic[H]):
    segments: tuple[str, ...]
    handlers: Mapping[str, H]

    def match(self, segments: Sequence[str]) -> dict[str, str] | None:
        """Return the raw text of each `{name}`, or None where the path is another."""
        if len(segments) != len(self.segments):
            return None
        found: dict[str, str] = {}
        for own, given in zip(self.segments, segments, strict=True):
            if own.startswith("{"):
                if not given:
                    return None
                found[own[1:-1]] = given
            elif own != given:
                return None
        return found


class Router(Generic[H]):
    """A table of routes.

    Args:
        routes: `METHOD /path/{name}` to handler. Where two paths match, the one with the later first `{name}` counts.

    Example:
        >>> router = Router({"GET /a/{x}": str, "POST /a/b": int})
        >>> router.find("GET", "/a/c%2Fd")
        (<class 'str'>, {'x': 'c/d'})
        >>> router.find("GET", "/a/b")
        Traceback (most recent call last):
        filestore.gateway.routing.MethodNotAllowedError: method not allowed
    """

    def __init__(self, routes: Mapping[str, H]) -> None:
        table: dict[tuple[str, ...], dict[str, H]] = {}
        for route, handler in routes.items():
            method, _, path = route.partition(" ")
            table.setdefault(tuple(path.split("/")), {})[method] = handler
        patterns = [_Pattern(segments, handlers) for segments, handlers in table.items()]
        patterns.sort(key=lambda pattern: [segment.startswith("{") for segment in pattern.segments])
        self._patterns: dict[tuple[int, str], list[_Pattern[H]]] = {}
        """By the number of segments and the first, which is empty before the first slash and never a name after it."""
        for pattern in patterns:
            self._patterns.setdefault((len(pattern.segments), pattern.segments[1]), []).append(pattern)

    def find(self, method: str, path: str) -> tuple[H, dict[str, str]]:
        """Return the handler of a request and the decoded text of each `{name}`.

        Raises:
            RouteNotFoundError: No route has this path.
            MethodNotAllowedError: The path has routes, but not for this method.
            PathError: A name is not UTF-8 once it is decoded.
        """
        segments = path.split("/")
        for pattern in self._patterns.get((len(segments), "".join(segments[1:2])), ()):
            found = pattern.match(segments)
            if found is None:
                continue
            handler = pattern.handlers.get("GET" if method == "HEAD" else method)
            if handler is None:
                raise MethodNotAllowedError(_with_head(pattern.handlers))
            return handler, {name: _decode(name, text) for name, text in found.items()}
        raise RouteNotFoundError(f"Route not found: {method} {path}")


def _with_head(methods: Mapping[str, object]) -> list[str]:
    return [name for method in methods for name in ((method, "HEAD") if method == "GET" else (method,))]


def _decode(name: str, text: str) -> str:
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise PathError(f"Invalid URL: Invalid UTF-8 in `{name}`") from None
