"""Queries that nobody waits for, or that take too long, are given up; what changes something is finished."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import httpx
import pytest

from runwire.instance.limits import Limits
from tests.server.conftest import LiveServer, ServeTry, greet, hear, say, subscribe

PATIENCE_SECONDS = 30
TIMEOUT = {
    "message": "the query took longer than 0.1 s; ask for less at once",
    "extensions": {"code": "TIMEOUT"},
}


def told(server: LiveServer) -> str:
    """What the next resolver says of itself."""
    return server.ended.get(timeout=PATIENCE_SECONDS)


def hang_up_after(server: LiveServer, query: str, begun: str) -> None:
    """Sends an operation by HTTP, and leaves as soon as it has begun."""
    body = json.dumps({"query": query}).encode()
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: {server.authority}\r\nContent-Type: application/json\r\n"
    )
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname or "", address.port or 0)) as client:
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert told(server) == begun


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
def test_a_query_that_takes_too_long_is_given_up_and_told(serve_try: ServeTry, accept: str) -> None:
    server = serve_try(Limits(query_seconds=0.1))
    answer = server.post("{ hello never }", headers={"Accept": accept})
    assert (answer.status_code, answer.json()) == (200, {"data": None, "errors": [TIMEOUT]})
    assert [told(server), told(server)] == ["begun", "given up"]
    assert server.post("{ hello }").json() == {"data": {"hello": "hello"}}


async def test_a_query_over_a_websocket_has_its_deadline_too(serve_try: ServeTry) -> None:
    server = serve_try(Limits(query_seconds=0.1))
    async with server.connect() as client:
        await greet(client)
        await subscribe(client, "1", "{ never }")
        message = await hear(client)
        assert message["payload"] == {"data": None, "errors": [TIMEOUT]}
        assert (await hear(client))["type"] == "complete"


async def test_streams_have_no_deadline(serve_try: ServeTry) -> None:
    server = serve_try(Limits(query_seconds=0.05))
    async with server.connect() as client:
        await greet(client)
        await subscribe(client, "1", "subscription { forever }")
        await hear(client)
        await subscribe(client, "2", "{ never }")
        assert (await hear(client))["id"] == "2"
        await hear(client)
        await say(client, {"type": "ping"})
        assert (await hear(client))["type"] == "pong"


def test_a_query_is_given_up_when_its_client_hangs_up(server: LiveServer) -> None:
    hang_up_after(server, "{ never }", "begun")
    assert told(server) == "given up"


def test_a_mutation_is_finished_though_its_client_hangs_up(server: LiveServer) -> None:
    hang_up_after(server, "mutation { touchTwice }", "touched once")
    assert told(server) == "touched twice"


async def test_a_mutation_over_a_websocket_is_finished_though_it_is_completed(
    server: LiveServer,
) -> None:
    async with server.connect() as client:
        await greet(client)
        await subscribe(client, "1", "mutation { touchTwice }")
        assert told(server) == "touched once"
        await say(client, {"type": "complete", "id": "1"})
        await say(client, {"type": "ping"})
        assert (await hear(client))["type"] == "pong"
    assert told(server) == "touched twice"


def test_a_mutation_has_no_deadline(serve_try: ServeTry) -> None:
    server = serve_try(Limits(query_seconds=0.05))
    answer = server.post("mutation { touchTwice }")
    assert answer.json() == {"data": {"touchTwice": "touched twice"}}


def test_a_mutation_is_finished_though_its_client_gives_up(server: LiveServer) -> None:
    with pytest.raises(httpx.ReadTimeout), httpx.Client(trust_env=False, timeout=0.2) as client:
        client.post(server.endpoint, json={"query": "mutation { touchTwice }"})
    assert told(server) == "touched once"
    assert told(server) == "touched twice"
