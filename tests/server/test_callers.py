"""What each caller may have at once, and how much in a minute."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from runwire.api.access import Principal
from runwire.server import callers
from runwire.server.auth import ANYBODY, AcceptedToken, digest_of
from runwire.server.callers import CallerSlots, Points, caller_of, client_host
from runwire.server.settings import Limits
from tests.server.conftest import LiveServer, ServeTry, closed, greet, hear, say, subscribe

ADA, BOB = "the-token-of-ada-here", "the-token-of-bob-here"
TOKENS = tuple(
    AcceptedToken(name, digest_of(token.encode())) for name, token in (("ada", ADA), ("bob", BOB))
)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("principal", "host", "caller"),
    [
        (Principal("ada", True), "127.0.0.1", "token ada"),
        (Principal("ada", True), None, "token ada"),
        # A token of the configuration is somebody else than whom an issuer calls so.
        (
            Principal("ada", True, issuer="https://id.example"),
            None,
            "subject ada of https://id.example",
        ),
        (ANYBODY, "10.0.0.7", "address 10.0.0.7"),
        (ANYBODY, "127.0.0.1", None),
        (ANYBODY, "::1", None),
        (ANYBODY, None, None),
    ],
)
def test_a_caller_is_a_name_or_an_address(
    principal: Principal, host: str | None, caller: str | None
) -> None:
    token = client_host.set(host)
    try:
        assert caller_of(principal) == caller
    finally:
        client_host.reset(token)


def test_slots_are_those_of_each_caller() -> None:
    slots = CallerSlots(2)
    assert [slots.take("a"), slots.take("a"), slots.take("a"), slots.take("b")] == [
        True,
        True,
        False,
        True,
    ]
    slots.give_back("a")
    assert slots.take("a")
    assert all(slots.take(None) for _ in range(10))


def test_points_come_back_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    points = Points(60)
    assert points.spend("a", 50) is None
    shortage = points.spend("a", 30)
    assert shortage is not None
    assert (shortage.cost, shortage.left, shortage.retry_after_seconds) == (30, 10, 20)
    assert points.spend("b", 60) is None
    now += 20
    assert points.spend("a", 30) is None
    assert points.spend("a", 1) is not None
    now += 3600
    assert points.spend("a", 1_000_000) is None  # all that there can be
    assert points.spend("a", 1) is not None
    assert points.spend(None, 1_000_000) is None
    assert Points(None).spend("a", 1_000_000) is None


def test_who_calls_too_often_is_told_when_to_come_back(serve_try: ServeTry) -> None:
    server = serve_try(Limits(points_per_minute=3), tokens=TOKENS)
    query = "{me{me{hello}}}"  # costs three
    assert server.post(query, headers=bearer(ADA)).status_code == 200
    for accept in ("application/json", "application/graphql-response+json"):
        answer = server.post(query, headers={**bearer(ADA), "accept": accept})
        assert answer.status_code == 429
        assert answer.headers["content-type"].startswith(accept)
        (error,) = answer.json()["errors"]
        seconds = error["extensions"]["retryAfterSeconds"]
        assert answer.headers["retry-after"] == str(seconds)
        assert 1 <= seconds <= 60
        assert error == {
            "message": f"the operation costs 3 points, and 0 are left; try again in {seconds} s, or ask for less",
            "extensions": {
                "code": "RATE_LIMITED",
                "cost": 3,
                "left": 0,
                "retryAfterSeconds": seconds,
            },
        }
    assert server.post(query, headers=bearer(BOB)).status_code == 200


async def test_who_calls_too_often_is_told_on_every_stream(serve_try: ServeTry) -> None:
    server = serve_try(Limits(points_per_minute=1), tokens=TOKENS)
    async with server.connect() as socket:
        await greet(socket, bearer(ADA))
        await subscribe(socket, "{hello}")
        assert (await hear(socket))["type"] == "next"
        assert (await hear(socket))["type"] == "complete"
        await subscribe(socket, "{hello}", "2")
        message = await hear(socket)
        assert (message["type"], message["id"]) == ("error", "2")
        assert message["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
    headers = {**bearer(ADA), "accept": "text/event-stream"}
    answer = await asyncio.to_thread(server.post, "{hello}", headers=headers)
    assert '"code":"RATE_LIMITED"' in answer.text


def test_who_calls_from_this_machine_without_a_token_is_not_limited(serve_try: ServeTry) -> None:
    server = serve_try(Limits(points_per_minute=1))
    for _ in range(5):
        assert server.post("{hello}").json() == {"data": {"hello": "hello"}}


async def test_a_caller_has_so_many_websockets(serve_try: ServeTry) -> None:
    server = serve_try(Limits(connections_per_caller=2), tokens=TOKENS)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await greet(await stack.enter_async_context(server.connect()), bearer(ADA))
        async with server.connect() as third:
            await say(third, {"type": "connection_init", "payload": bearer(ADA)})
            told = "Too many connections: at most 2 connections of one caller are open at once"
            assert await closed(third) == (4429, told)
        async with server.connect() as other:
            await greet(other, bearer(BOB))
        refused = await asyncio.to_thread(stream, server, ADA)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "10"
        (error,) = refused.json()["errors"]
        assert error == {
            "message": "at most 2 connections of one caller are open at once",
            "extensions": {"code": "TOO_MANY_REQUESTS"},
        }
    await until_admitted(server)


def stream(server: LiveServer, token: str) -> httpx.Response:
    headers = {**bearer(token), "accept": "text/event-stream"}
    return server.post("subscription { count(to: 1) }", headers=headers)


async def until_admitted(server: LiveServer) -> None:
    """Waits until the server has seen that sockets were closed."""
    async with asyncio.timeout(30):
        while (await asyncio.to_thread(stream, server, ADA)).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("limits", "problem", "bob_is_told"),
    [
        (
            Limits(subscriptions_per_caller=2),
            "at most 2 subscriptions of one caller run at once; end one, or try later",
            False,
        ),
        (
            Limits(subscriptions=2),
            "as many subscriptions run as may at once; end one, or try later",
            True,
        ),
    ],
)
async def test_a_caller_has_so_many_subscriptions(
    serve_try: ServeTry, limits: Limits, problem: str, bob_is_told: bool
) -> None:
    server = serve_try(limits, tokens=TOKENS)
    async with server.connect() as first, server.connect() as second, server.connect() as bob:
        for socket, token in ((first, ADA), (second, ADA), (bob, BOB)):
            await greet(socket, bearer(token))
        for socket in (first, second):
            await subscribe(socket, "subscription { forever }")
            assert (await hear(socket))["type"] == "next"
        await subscribe(first, "subscription { forever }", "2")
        error = {"message": problem, "extensions": {"code": "TOO_MANY_REQUESTS"}}
        assert await hear(first) == {"id": "2", "type": "error", "payload": [error]}
        await subscribe(first, "{ hello }", "3")
        assert (await hear(first))["payload"] == {"data": {"hello": "hello"}}
        assert (await hear(first))["type"] == "complete"
        await subscribe(bob, "subscription { forever }")
        assert (await hear(bob))["type"] == ("error" if bob_is_told else "next")
        await say(second, {"type": "complete", "id": "1"})
        assert await asyncio.to_thread(server.ended.get, timeout=30) == "forever"
        async with asyncio.timeout(30):
            await subscribe(first, "subscription { forever }", "4")
            while (await hear(first))["type"] != "next":
                await subscribe(first, "subscription { forever }", "4")


async def test_who_has_not_said_who_it_is_has_the_websockets_of_its_address(
    serve_try: ServeTry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callers, "is_loopback", lambda _: False)
    server = serve_try(Limits(connections_per_caller=2), tokens=TOKENS)
    async with server.connect() as first, server.connect():
        with pytest.raises(InvalidStatus) as refused:
            await server.connect()
        assert refused.value.response.status_code == 429
        assert json.loads(refused.value.response.body or b"")["errors"] == [
            {
                "message": "at most 2 connections of one caller are open at once",
                "extensions": {"code": "TOO_MANY_REQUESTS"},
            }
        ]
        await greet(first, bearer(ADA))
        async with server.connect() as third:
            await greet(third, bearer(ADA))
        with pytest.raises(InvalidStatus):
            async with server.connect(), server.connect():
                pass
