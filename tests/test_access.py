"""Laws of who is let in."""

from __future__ import annotations

import base64

import orjson
import pytest

from filestore.errors import RequestError
from filestore.gateway.access import AccessPolicy, is_loopback, make_policy, parse_authority, parse_origin
from filestore.gateway.http import Headers, Request, Response

LOCAL = make_policy("127.0.0.1", 3000)
KEYED = make_policy("0.0.0.0", 3000, api_key="sëcret")


def request(path: str = "/datasets/d/datapoints", method: str = "GET", **headers: str) -> Request:
    return Request(method, path, headers=Headers(tuple(headers.items())))


def message(response: Response | None) -> str:
    assert response is not None
    assert response.content_type == "application/json"
    text = orjson.loads(response.body)["error"]
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:3000",
        "LOCALHOST.:3000",
        "api.localhost",
        "127.0.0.1",
        "127.0.0.1:9",
        "127.8.8.8",
        "[::1]",
        "[::1]:3000",
        "[0:0:0:0:0:0:0:1]:3000",
        "[::ffff:127.0.0.1]",
    ],
)
def test_loopback_host_is_let_in(host: str) -> None:
    assert LOCAL.refusal(request(host=host)) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:3000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.168.1.7:3000",
        "0.0.0.0:3000",
        "[::2]:3000",
        "127.1",
        "0x7f.0.0.1",
    ],
)
def test_foreign_host_is_refused_and_names_the_flag(host: str) -> None:
    response = LOCAL.refusal(request(host=host))
    assert response is not None
    assert response.status == 403
    assert "--allow-host" in message(response)


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "localhost:",
        "localhost:3000:1",
        "user@localhost",
        "localhost/x",
        "::1",
        "[::1",
        "a b",
        "localhost,evil",
    ],
)
def test_malformed_host_is_refused(host: str) -> None:
    response = LOCAL.refusal(request(host=host))
    assert response is not None
    assert response.status == 403


def test_missing_host_is_refused() -> None:
    response = LOCAL.refusal(request())
    assert response is not None
    assert response.status == 403
    assert "without a Host" in message(response)


@pytest.mark.parametrize("path", ["/status", "/health"])
def test_open_paths_pass_the_host_check_too(path: str) -> None:
    response = LOCAL.refusal(request(path, host="evil.example"))
    assert response is not None
    assert response.status == 403


@pytest.mark.parametrize("name", ["box.example", "BOX.example.", "box.example:3000"])
def test_allowed_host_is_let_in(name: str) -> None:
    policy = make_policy("127.0.0.1", 3000, allow_host=[name])
    assert policy.refusal(request(host="Box.Example:80")) is None
    assert policy.refusal(request(host="other.example")) is not None


@pytest.mark.parametrize("name", ["::2", "[::2]"])
def test_allowed_ipv6_address_is_let_in(name: str) -> None:
    assert make_policy("::1", 3000, allow_host=[name]).refusal(request(host="[0::2]:3000")) is None


def test_bound_name_is_let_in_without_authentication() -> None:
    policy = make_policy("192.168.1.7", 3000, no_auth=True)
    assert policy.refusal(request(host="192.168.1.7:3000")) is None
    assert policy.refusal(request(host="localhost:3000")) is None
    assert policy.refusal(request(host="rebound.example:3000")) is not None


@pytest.mark.parametrize(
    "origin", ["http://localhost:3000", "http://127.0.0.1:3000", "http://[::1]:3000", "HTTP://LocalHost:3000"]
)
def test_own_origin_is_let_in(origin: str) -> None:
    assert LOCAL.refusal(request(host="localhost:3000", origin=origin)) is None


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://evil.example:3000",
        "http://localhost:8888",
        "http://localhost",
        "https://localhost:3000",
        "chrome-extension://abcdef",
    ],
)
def test_foreign_origin_is_refused_and_names_the_flag(origin: str) -> None:
    response = LOCAL.refusal(request(method="POST", host="localhost:3000", origin=origin))
    assert response is not None
    assert response.status == 403
    assert f"--allow-origin {origin}" in message(response)


@pytest.mark.parametrize("origin", ["null", "", "localhost:3000", "http://", "http://a/b", "http://u@localhost:3000"])
def test_null_and_malformed_origins_are_refused(origin: str) -> None:
    response = LOCAL.refusal(request(method="POST", host="localhost:3000", origin=origin))
    assert response is not None
    assert response.status == 403


def test_every_one_of_several_origins_must_be_let_in() -> None:
    fields = (("host", "localhost"), ("origin", "http://localhost:3000"), ("origin", "https://evil.example"))
    assert LOCAL.refusal(Request("POST", "/", headers=Headers(fields))) is not None


@pytest.mark.parametrize("origin", ["https://notes.example", "https://NOTES.example:443/"])
def test_allowed_origin_is_let_in(origin: str) -> None:
    policy = make_policy("127.0.0.1", 3000, allow_origin=[origin])
    assert policy.refusal(request(host="localhost", origin="https://notes.example")) is None
    assert policy.refusal(request(host="localhost", origin="http://notes.example")) is not None


@pytest.mark.parametrize(
    "credentials",
    ["Bearer sëcret", "bearer   sëcret", "BEARER sëcret"],
)
def test_bearer_key_is_let_in(credentials: str) -> None:
    as_sent = credentials.encode().decode("latin-1")
    assert KEYED.refusal(request(authorization=as_sent)) is None


@pytest.mark.parametrize("user", ["x", "", "someone else"])
def test_basic_key_is_let_in_for_any_user(user: str) -> None:
    credentials = base64.b64encode(f"{user}:sëcret".encode()).decode()
    assert KEYED.refusal(request(authorization=f"Basic {credentials}")) is None


@pytest.mark.parametrize(
    "credentials",
    [
        "Bearer wrong",
        "Bearer",
        "Bearer ",
        "",
        "sëcret",
        "Digest sëcret",
        "Basic ",
        "Basic ###",
        "Basic " + base64.b64encode("sëcret".encode()).decode(),
        "Basic " + base64.b64encode("sëcret:".encode()).decode(),
        "Basic " + base64.b64encode(b"x:wrong").decode(),
    ],
)
def test_anything_else_is_unauthorized(credentials: str) -> None:
    response = KEYED.refusal(request(authorization=credentials.encode().decode("latin-1")))
    assert response is not None
    assert response.status == 401
    assert response.headers == (("www-authenticate", 'Bearer realm="filestore"'),)
    assert message(response).startswith("TensorZero authentication error: ")


def test_missing_key_is_unauthorized() -> None:
    assert message(KEYED.refusal(request())) == "TensorZero authentication error: the Authorization header is missing"


def test_two_authorization_headers_are_unauthorized() -> None:
    fields = (("authorization", "Bearer other"), ("authorization", "Bearer sëcret".encode().decode("latin-1")))
    response = KEYED.refusal(Request("GET", "/", headers=Headers(fields)))
    assert response is not None
    assert response.status == 401


@pytest.mark.parametrize("path", ["/status", "/health"])
def test_open_paths_need_no_key(path: str) -> None:
    assert KEYED.refusal(request(path)) is None
    assert KEYED.refusal(request(path, "HEAD")) is None


@pytest.mark.parametrize(("method", "path"), [("POST", "/status"), ("GET", "/status/"), ("GET", "/%73tatus")])
def test_only_the_open_paths_need_no_key(method: str, path: str) -> None:
    assert KEYED.refusal(request(path, method)) is not None


def test_with_a_key_neither_host_nor_origin_is_checked() -> None:
    policy = make_policy("127.0.0.1", 3000, api_key="k")
    headers = {"host": "box.example", "origin": "https://notes.example", "authorization": "Bearer k"}
    assert policy.refusal(request(**headers)) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.7", "box.example"])
def test_binding_beyond_this_machine_needs_a_key_or_a_word(host: str) -> None:
    with pytest.raises(RequestError, match="give an API key, or `--no-auth`"):
        make_policy(host, 3000)
    make_policy(host, 3000, api_key="k")
    make_policy(host, 3000, no_auth=True)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param({"api_key": ""}, "The API key is empty", id="empty key"),
        pytest.param({"api_key": "k", "no_auth": True}, "contradict each other", id="key and no key"),
        pytest.param({"allow_host": ["a b"]}, "not a host name", id="malformed host"),
        pytest.param({"allow_host": ["*"]}, "not a host name", id="any host"),
        pytest.param({"allow_origin": ["box.example"]}, "not an origin", id="origin without a scheme"),
        pytest.param({"allow_origin": ["https://box.example/a"]}, "not an origin", id="origin with a path"),
        pytest.param({"allow_origin": ["null"]}, "not an origin", id="null origin"),
    ],
)
def test_mistaken_options_are_refused(options: dict[str, object], reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        make_policy("127.0.0.1", 3000, **options)  # type: ignore[arg-type]  # one mistake per case


def test_key_does_not_show_in_the_repr() -> None:
    assert "sëcret" not in repr(KEYED)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.255.255.254", "::1", "x.localhost"])
def test_loopback_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "localhost2", "10.0.0.1", "::", "128.0.0.1", ".localhost.com"])
def test_names_of_other_machines(host: str) -> None:
    assert not is_loopback(host)


def test_one_authority_and_one_origin_have_one_spelling() -> None:
    assert parse_authority("[0:0::1]") == ("::1", None)
    assert parse_origin("https://[0:0::1]:443") == "https://[::1]"


def test_policy_is_closed_by_default() -> None:
    assert AccessPolicy().refusal(request(host="evil.example")) is not None
