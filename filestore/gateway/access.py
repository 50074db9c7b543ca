"""Who is let in: by name and origin on a local gateway, by key on any other."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from filestore.errors import RequestError
from filestore.gateway.http import Request, Response, error_response

__all__ = ["AccessPolicy", "is_loopback", "make_policy", "parse_authority", "parse_origin"]

_AUTHORITY = re.compile(r"(?:\[(?P<literal>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_OPEN_PATHS = frozenset({"/status", "/health"})
"""What a supervisor asks, which has no key."""


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """The rule that lets requests in.

    Without a key, a browser is the danger: a page elsewhere may send requests here, under its own name after
    rebinding its DNS record. Its `Host` or its `Origin` gives it away. With a key no page gets in, having none.
    """

    api_key: str | None = field(default=None, repr=False)
    bound_host: str = "127.0.0.1"
    port: int = 0
    """The port of the gateway's own origin; the server fills it in once it is bound."""
    allowed_hosts: frozenset[str] = frozenset()
    allowed_origins: frozenset[str] = frozenset()

    def refusal(self, request: Request) -> Response | None:
        """Return the answer to a request that is not let in, or None."""
        if self.api_key is None:
            return self._host_refusal(request) or self._origin_refusal(request)
        if request.path in _OPEN_PATHS and request.method in {"GET", "HEAD"}:
            return None
        return self._key_refusal(request, self.api_key)

    def _host_refusal(self, request: Request) -> Response | None:
        text = request.headers.get("host")
        if text is None:
            return error_response(403, "A request without a Host header is not let in")
        authority = parse_authority(text)
        if authority is None:
            return error_response(403, f"The Host `{text}` is malformed")
        if self._is_own_name(authority[0]):
            return None
        return error_response(403, f"The Host `{text}` is not let in; `--allow-host {authority[0]}` lets it in")

    def _origin_refusal(self, request: Request) -> Response | None:
        for text in request.headers.get_all("origin"):
            origin = parse_origin(text)
            if origin is None:
                return error_response(403, f"The Origin `{text}` is not let in")
            if origin not in self.allowed_origins and not self._is_own_origin(origin):
                return error_response(403, f"The Origin `{text}` is not let in; `--allow-origin {origin}` lets it in")
        return None

    def _key_refusal(self, request: Request, api_key: str) -> Response | None:
        values = request.headers.get_all("authorization")
        if not values:
            return _unauthorized("the Authorization header is missing")
        offered = _find_key(values[0]) if len(values) == 1 else None
        if offered is None:
            return _unauthorized("the Authorization header must be `Bearer <key>`, or Basic with the key as password")
        if not hmac.compare_digest(offered, api_key.encode()):
            return _unauthorized("the API key is wrong")
        return None

    def _is_own_name(self, host: str) -> bool:
        return host == self.bound_host or host in self.allowed_hosts or is_loopback(host)

    def _is_own_origin(self, origin: str) -> bool:
        scheme, _, text = origin.partition("://")
        authority = parse_authority(text)
        if scheme != "http" or authority is None:
            return False
        host, port = authority
        return (port or _DEFAULT_PORTS["http"]) == self.port and self._is_own_name(host)


def make_policy(
    host: str,
    port: int,
    api_key: str | None = None,
    no_auth: bool = False,
    allow_host: Iterable[str] = (),
    allow_origin: Iterable[str] = (),
) -> AccessPolicy:
    """Build the policy of a gateway that is bound to `host`.

    Args:
        host: The name or address it is bound to; empty for all addresses.
        port: The port of its own origin, 0 if not known yet.
        api_key: The key that every request needs.
        no_auth: Whether to do without a key on an address that others can reach.
        allow_host: Further names that the `Host` of a request may have.
        allow_origin: Further sites that may send requests, as `scheme://host[:port]`.

    Raises:
        RequestError: Others could reach the gateway, and nothing says who of them may; or a name is malformed.

    >>> make_policy("0.0.0.0", 3000)
    Traceback (most recent call last):
        ...
    filestore.errors.RequestError: Listening on 0.0.0.0 lets other machines in: give an API key, or `--no-auth`
    """
    name = _normal_host(host)
    if api_key is not None and not api_key:
        raise RequestError("The API key is empty")
    if api_key is not None and no_auth:
        raise RequestError("An API key and `--no-auth` contradict each other: give one of them")
    if api_key is None and not no_auth and not is_loopback(name):
        raise RequestError(
            f"Listening on {host or 'all addresses'} lets other machines in: give an API key, or `--no-auth`"
        )
    hosts = frozenset(_require_host(text) for text in allow_host)
    origins = frozenset(_require_origin(text) for text in allow_origin)
    return AccessPolicy(api_key, name, port, hosts, origins)


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Tell whether a name or address means this machine itself.

    >>> [is_loopback(host) for host in ("localhost", "a.localhost", "127.8.0.1", "::1", "localhost.evil.example")]
    [True, True, True, True, False]
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


@lru_cache(maxsize=64)
def parse_authority(text: str) -> tuple[str, int | None] | None:
    """Read `host[:port]`, in lower case, IPv6 without brackets and a final dot left out; None if malformed.

    >>> parse_authority("LocalHost.:3000"), parse_authority("[0::1]:80"), parse_authority("a b")
    (('localhost', 3000), ('::1', 80), None)
    """
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return None
    host = _normal_host(match["literal"] or match["name"])
    return (host, int(match["port"]) if match["port"] else None) if host else None


def parse_origin(text: str) -> str | None:
    """Return an origin in its one spelling, or None for `null` and anything that is not one.

    >>> parse_origin("HTTP://LocalHost:80"), parse_origin("https://[::1]:3000"), parse_origin("null")
    ('http://localhost', 'https://[::1]:3000', None)
    """
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    authority = parse_authority(rest)
    if not separator or not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme) or authority is None:
        return None
    host, port = authority
    bracketed = f"[{host}]" if ":" in host else host
    suffix = "" if port is None or port == _DEFAULT_PORTS.get(scheme) else f":{port}"
    return f"{scheme}://{bracketed}{suffix}"


def _normal_host(host: str) -> str:
    host = host.lower().removesuffix(".")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host


def _require_host(text: str) -> str:
    authority = parse_authority(text) or parse_authority(f"[{text}]")
    if authority is None:
        raise RequestError(f"`--allow-host {text}`: not a host name or address")
    return authority[0]


def _require_origin(text: str) -> str:
    origin = parse_origin(text.removesuffix("/"))
    if origin is None:
        raise RequestError(f"`--allow-origin {text}`: not an origin like https://example.org")
    return origin


def _find_key(authorization: str) -> bytes | None:
    scheme, _, credentials = authorization.partition(" ")
    credentials = credentials.strip()
    if scheme.lower() == "bearer":
        # Headers are decoded as Latin-1, which gives back the bytes that came.
        return credentials.encode("latin-1")
    if scheme.lower() != "basic":
        return None
    try:
        user_and_password = base64.b64decode(credentials, validate=True)
    except binascii.Error:
        return None
    _, separator, password = user_and_password.partition(b":")
    return password if separator else None


def _unauthorized(reason: str) -> Response:
    # No Basic challenge: a browser would ask for the key, keep it, and send it along with any page's requests.
    challenge = (("www-authenticate", 'Bearer realm="filestore"'),)
    body = error_response(401, f"TensorZero authentication error: {reason}").body
    return Response(401, body, headers=challenge)
