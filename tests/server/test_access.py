"""Who is answered: by Host, Origin and token, over HTTP and websocket alike."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from runwire import clock
from runwire.api.access import Role
from runwire.server.auth import AcceptedToken, digest_of
from runwire.server.origins import OriginRules, is_loopback
from runwire.server.settings import Limits
from tests.server.conftest import LiveServer, ServeTry, closed, greet, hear, say, subscribe

TOKEN = "a-token-of-some-length"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.1", False),
        ("example.org", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_loopback_is_this_machine_only(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


HERE = "127.0.0.1:3333"


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        (HERE, None),
        ("127.0.0.1", None),
        ("localhost:3333", None),
        ("[::1]:3333", None),
        ("allowed.example", None),
        ("allowed.example:8080", None),
        ("with-port.example:81", None),
        (HERE, f"http://{HERE}"),
        ("localhost", "http://localhost"),
        ("localhost:443", "https://localhost"),
        (HERE, "https://page.example"),
        (HERE, "https://page.example:443"),
        (HERE, "HTTPS://Page.Example"),
    ],
)
def test_what_is_answered_on_loopback(host: str, origin: str | None) -> None:
    rules = OriginRules(
        True, ["allowed.example", "with-port.example:81"], ["https://page.example/"]
    )
    assert rules.refusal(host, origin) is None


@pytest.mark.parametrize(
    ("host", "origin", "problem"),
    [
        (None, None, "the Host header is not one"),
        ("", None, "the Host header is not one"),
        ("a b", None, "the Host header is not one"),
        ("127.0.0.1:x", None, "the Host header is not one"),
        ("127.0.0.1@evil.example", None, "the Host header is not one"),
        ("evil.example", None, "the Host 'evil.example' is not answered"),
        ("evil.example:3333", None, "the Host 'evil.example:3333' is not answered"),
        ("127.0.0.1.evil.example", None, "is not answered"),
        ("192.168.0.7:3333", None, "is not answered"),
        ("with-port.example:82", None, "is not answered"),
        (HERE, "null", "the Origin 'null' is not answered"),
        (HERE, "", "the Origin '' is not answered"),
        (HERE, "http://evil.example", "the Origin 'http://evil.example' is not answered"),
        (HERE, "http://127.0.0.1:3334", "is not answered"),
        (HERE, "http://localhost:3333", "is not answered"),
        (HERE, "http://page.example", "is not answered"),
        (HERE, "file://", "is not answered"),
        (HERE, f"chrome-extension://{HERE}", "is not answered"),
        (HERE, f"//{HERE}", "is not answered"),
    ],
)
def test_what_is_refused_on_loopback(host: str | None, origin: str | None, problem: str) -> None:
    rules = OriginRules(True, ["with-port.example:81"], ["https://page.example"])
    assert problem in (rules.refusal(host, origin) or "")


def test_beyond_loopback_any_host_is_answered_unless_some_are_named() -> None:
    assert OriginRules(False, [], []).refusal("any.example", None) is None
    named = OriginRules(False, ["one.example"], [])
    assert named.refusal("one.example", None) is None
    assert named.refusal("any.example", None) is not None
    assert OriginRules(False, [], []).refusal("any.example", "http://evil") is not None


@pytest.mark.parametrize(("hosts", "origins"), [(["a/b"], []), ([""], []), ([], ["page.example"])])
def test_a_host_or_origin_that_is_none_is_refused_at_the_start(
    hosts: list[str], origins: list[str]
) -> None:
    with pytest.raises(ValueError, match=r"is not an? (host|origin); write it as"):
        OriginRules(True, hosts, origins)


@pytest.mark.parametrize(
    "headers", [{"host": "evil.example"}, {"origin": "http://evil.example"}, {"origin": "null"}]
)
async def test_a_foreign_page_is_refused_by_every_transport(
    server: LiveServer, headers: dict[str, str]
) -> None:
    for method, path in (("POST", "/graphql"), ("GET", "/graphql"), ("GET", "/graphiql/x/y.js")):
        answer = server.request(method, path, headers={**headers, "accept": "text/html"})
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/json"
        (error,) = answer.json()["errors"]
        assert error["extensions"] == {"code": "FORBIDDEN"}
        assert "is not answered" in error["message"]
    with pytest.raises(InvalidStatus) as refused:
        await connect_with(server, headers)
    assert refused.value.response.status_code == 403
    assert b"is not answered" in (refused.value.response.body or b"")
    assert server.contexts == []


async def connect_with(server: LiveServer, headers: dict[str, str]) -> Any:
    """A handshake whose Host is not the address that it goes to."""
    host = headers.get("host")
    if host is None:
        return await server.connect(additional_headers=headers)
    address, port = server.authority.split(":")
    other = LiveServer(f"http://{host}:{port}", [], server.ended)
    return await other.connect(host=address, port=int(port))


async def test_a_page_of_the_server_itself_is_answered(server: LiveServer) -> None:
    assert server.post("{hello}", headers={"origin": server.url}).status_code == 200
    async with server.connect(origin=server.url) as socket:
        await greet(socket)


async def test_an_origin_that_is_allowed_is_answered_also_to_the_browser(
    serve_try: ServeTry,
) -> None:
    server = serve_try(allowed_origins=("https://page.example",))
    headers = {"origin": "https://page.example"}
    answer = server.post("{hello}", headers=headers)
    assert answer.headers["access-control-allow-origin"] == "https://page.example"
    preflight = server.request(
        "OPTIONS",
        headers={
            **headers,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-methods"] == "GET, POST"
    async with server.connect(origin="https://page.example") as socket:
        await greet(socket)
    assert server.post("{hello}", headers={"origin": "https://evil.example"}).status_code == 403


async def test_without_a_token_the_viewer_is_anyone(server: LiveServer) -> None:
    assert server.post("{viewer}").json() == {"data": {"viewer": "anyone"}}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_who_presents_the_token_is_answered(serve_try: ServeTry, scheme: str) -> None:
    server = serve_try(tokens=(AcceptedToken.of(TOKEN),))
    header = {"Authorization": f"{scheme} {TOKEN}"}
    assert server.post("{viewer}", headers=header).json() == {"data": {"viewer": "token"}}
    async with server.connect(additional_headers=header) as socket:
        await greet(socket)
        await subscribe(socket, "{viewer}")
        assert (await hear(socket))["payload"] == {"data": {"viewer": "token"}}
    async with server.connect() as socket:
        await greet(socket, {"authorization": f"{scheme} {TOKEN}"})
    async with server.connect() as socket:
        await greet(socket, {"Authorization": f"{scheme} {TOKEN}", "other": 1})


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        TOKEN,
        "Bearer",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        "Bearer \u00fc",
    ],
)
async def test_who_does_not_present_the_token_is_not_answered(
    serve_try: ServeTry, authorization: str | None
) -> None:
    server = serve_try(tokens=(AcceptedToken.of(TOKEN),))
    headers = [] if authorization is None else [("authorization", authorization.encode("latin-1"))]
    answer = server.request(
        "POST", json={"query": "{hello}"}, headers=[*headers, ("host", server.authority.encode())]
    )
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    (error,) = answer.json()["errors"]
    assert error["extensions"] == {"code": "UNAUTHENTICATED"}
    assert TOKEN not in answer.text
    async with server.connect() as socket:
        await say(socket, {"type": "connection_init", "payload": {"authorization": authorization}})
        code, reason = await closed(socket)
        assert code == 4403
        assert TOKEN not in (reason or "")
    assert server.contexts == []


@pytest.mark.parametrize("payload", [None, {}, {"authorization": 1}, {"token": TOKEN}])
async def test_other_payloads_present_nothing(serve_try: ServeTry, payload: Any) -> None:
    server = serve_try(tokens=(AcceptedToken.of(TOKEN),))
    async with server.connect() as socket:
        await say(socket, {"type": "connection_init", "payload": payload})
        assert (await closed(socket))[0] == 4403


def test_a_token_does_not_open_the_server_to_foreign_pages(serve_try: ServeTry) -> None:
    server = serve_try(tokens=(AcceptedToken.of(TOKEN),))
    headers = {"authorization": f"Bearer {TOKEN}", "origin": "http://evil.example"}
    assert server.post("{hello}", headers=headers).status_code == 403


def test_the_page_needs_no_token(serve_try: ServeTry) -> None:
    server = serve_try(tokens=(AcceptedToken.of(TOKEN),))
    answer = server.request("GET", headers={"accept": "text/html"})
    assert answer.status_code == 200
    assert TOKEN not in answer.text


def named(role: Role = Role.VIEWER, seconds: float | None = None) -> AcceptedToken:
    """The token, of somebody called ci."""
    expires_at = None if seconds is None else clock.timestamp() + seconds
    return AcceptedToken("ci", digest_of(TOKEN.encode()), role, expires_at)


HEADERS = {"authorization": f"Bearer {TOKEN}"}


def test_tokens_are_told_apart_by_name(serve_try: ServeTry) -> None:
    server = serve_try(tokens=(AcceptedToken.of("another-token-of-some-length"), named()))
    assert server.post("{viewer}", headers=HEADERS).json() == {"data": {"viewer": "ci"}}
    headers = {"authorization": "Bearer another-token-of-some-length"}
    assert server.post("{viewer}", headers=headers).json() == {"data": {"viewer": "token"}}


async def test_a_token_that_has_expired_is_refused_and_told_so(serve_try: ServeTry) -> None:
    server = serve_try(tokens=(named(seconds=-1),))
    answer = server.post("{hello}", headers=HEADERS)
    assert answer.status_code == 401
    assert "the token 'ci' expired at 20" in answer.json()["errors"][0]["message"]
    async with server.connect() as socket:
        await say(socket, {"type": "connection_init", "payload": HEADERS})
        code, reason = await closed(socket)
    assert code == 4403
    assert (reason or "").startswith("Forbidden: the token 'ci' expired at 20")
    assert server.contexts == []


async def test_a_socket_is_closed_when_its_token_expires(serve_try: ServeTry) -> None:
    server = serve_try(tokens=(named(seconds=1.5),))
    async with server.connect() as socket:
        await greet(socket, HEADERS)
        await subscribe(socket, "subscription { forever }")
        assert (await hear(socket))["type"] == "next"
        assert await closed(socket) == (4403, "Forbidden: the token has expired")
    assert await asyncio.to_thread(server.ended.get, timeout=30) == "forever"


@pytest.mark.parametrize("seconds", [None, 3600])
async def test_a_socket_lasts_as_long_as_a_connection_may(
    serve_try: ServeTry, seconds: float | None
) -> None:
    server = serve_try(Limits(connection_seconds=1), tokens=(named(seconds=seconds),))
    async with server.connect() as socket:
        await greet(socket, HEADERS)
        await subscribe(socket, "subscription { forever }")
        assert (await hear(socket))["type"] == "next"
        told = "the connection is as old as one may be; connect again, and resume"
        assert await closed(socket) == (1012, told)
    assert await asyncio.to_thread(server.ended.get, timeout=30) == "forever"


@pytest.mark.parametrize("seconds", [None, 3600])
def test_a_stream_of_events_lasts_as_long_as_a_connection_may(
    serve_try: ServeTry, seconds: float | None
) -> None:
    server = serve_try(Limits(connection_seconds=1), tokens=(named(seconds=seconds),))
    headers = {**HEADERS, "accept": "text/event-stream"}
    answer = server.post("subscription { forever }", headers=headers)
    assert answer.status_code == 200
    assert "event: complete" not in answer.text
    assert server.ended.get(timeout=30) == "forever"


def test_a_stream_of_events_ends_when_its_token_expires(serve_try: ServeTry) -> None:
    server = serve_try(tokens=(named(seconds=1.5),))
    headers = {**HEADERS, "accept": "text/event-stream"}
    answer = server.post("subscription { forever }", headers=headers)
    assert answer.status_code == 200
    assert "event: complete" not in answer.text
    assert server.ended.get(timeout=30) == "forever"
