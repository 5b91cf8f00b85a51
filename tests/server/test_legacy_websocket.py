"""The subprotocol graphql-ws, which is spoken where the configuration says so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from runwire.server.auth import AcceptedToken
from tests.server.conftest import LiveServer, ServeTry, closed, hear, say

LEGACY = "graphql-ws"
TOKEN = "a-token-of-sixteen-characters"

INIT = {"type": "connection_init", "payload": {}}
ACK = {"type": "connection_ack"}
UNAUTHORIZED = (4401, "Unauthorized: send connection_init first")


def start(query: str, id: str = "1", **members: Any) -> dict[str, Any]:
    return {"id": id, "type": "start", "payload": {"query": query, **members}}


def data(value: Any, id: str = "1") -> dict[str, Any]:
    return {"id": id, "type": "data", "payload": {"data": value}}


def malformed(problem: str) -> tuple[int, str]:
    return 4400, f"this is no message of graphql-ws: {problem}"


COMPLETE = {"id": "1", "type": "complete"}
STOP = {"id": "1", "type": "stop"}
HELLO = start("{hello}")
FOREVER = start("subscription{forever}")
UNKNOWN = "Cannot query field 'nothing' on type 'Query'."
WRONG = [{"message": UNKNOWN, "locations": [{"line": 1, "column": 2}]}]
REFUSED = {"id": "1", "type": "error", "payload": {"message": UNKNOWN, "errors": WRONG}}
HELLOED = data({"hello": "hello"})
BEGUN = data({"forever": 0})

Probe = tuple[list[dict[str, Any]], tuple[int, str] | None]
"""What is said and heard in turn; then how the server closes, None when all goes on."""

SAID = {"connection_init", "start", "stop", "connection_terminate", "subscribe", "ka"}

PROBES: dict[str, Probe] = {
    "a query": ([INIT, ACK, HELLO, HELLOED, COMPLETE], None),
    "variables are null": (
        [INIT, ACK, start("{hello}", variables=None, operationName=None), HELLOED, COMPLETE],
        None,
    ),
    "an id again that is free": (
        [INIT, ACK, HELLO, HELLOED, COMPLETE, HELLO, HELLOED, COMPLETE],
        None,
    ),
    "an operation that is refused": ([INIT, ACK, start("{nothing}"), REFUSED], None),
    "a subscription that is stopped": ([INIT, ACK, FOREVER, BEGUN, STOP], None),
    "stop of what never began": ([INIT, ACK, STOP], None),
    "an id that is taken": (
        [INIT, ACK, FOREVER, BEGUN, FOREVER],
        (4409, "Subscriber for 1 already exists"),
    ),
    "the end": ([INIT, ACK, {"type": "connection_terminate"}], (1000, "")),
    "the end before init": ([{"type": "connection_terminate"}], (1000, "")),
    "start before init": ([HELLO], UNAUTHORIZED),
    "a subscription before init": ([FOREVER], UNAUTHORIZED),
    "init again": ([INIT, ACK, INIT], (4429, "Too many initialisation requests")),
    "a number as id": (
        [INIT, ACK, HELLO | {"id": 1}],
        malformed("Expected `str`, got `int` - at `$.id`"),
    ),
    "no query": (
        [INIT, ACK, {"id": "1", "type": "start", "payload": {}}],
        malformed("Object missing required field `query` - at `$.payload`"),
    ),
    "words of its successor": (
        [INIT, ACK, HELLO | {"type": "subscribe"}],
        malformed("Invalid value 'subscribe' - at `$.type`"),
    ),
    "what only servers say": (
        [INIT, ACK, {"type": "ka"}],
        malformed("Invalid value 'ka' - at `$.type`"),
    ),
}


@pytest.fixture(scope="module")
def legacy(serve_once: ServeTry) -> LiveServer:
    return serve_once(legacy_graphql_ws=True)


@pytest.mark.parametrize("name", PROBES)
async def test_each_message_has_its_answer(
    legacy: LiveServer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    steps, close = PROBES[name]
    async with legacy.connect(subprotocols=[LEGACY]) as socket:
        assert socket.subprotocol == LEGACY
        for step in steps:
            if step["type"] in SAID:
                await say(socket, step)
            else:
                assert await hear(socket) == step
        if close is None:
            await say(socket, start("{hello}", "the end"))
            assert await hear(socket) == data({"hello": "hello"}, "the end")
        else:
            assert await closed(socket) == close
    assert caplog.text == ""


async def test_binary_frames_are_none_of_its_messages(legacy: LiveServer) -> None:
    async with legacy.connect(subprotocols=[LEGACY]) as socket:
        await socket.send(json.dumps(INIT).encode())
        assert await closed(socket) == (4400, "messages of graphql-ws are text")


@pytest.mark.parametrize("offered", [[LEGACY, "graphql-transport-ws"], ["graphql-transport-ws"]])
async def test_its_successor_is_preferred(legacy: LiveServer, offered: Any) -> None:
    async with legacy.connect(subprotocols=offered) as socket:
        assert socket.subprotocol == "graphql-transport-ws"


async def test_what_else_is_spoken_is_told(legacy: LiveServer) -> None:
    async with legacy.connect(subprotocols=["other"]) as socket:
        told = "Subprotocol not acceptable: speak graphql-transport-ws or graphql-ws"
        assert await closed(socket) == (4406, told)


async def test_who_is_not_known_is_told_so_and_executes_nothing(serve_try: ServeTry) -> None:
    server = serve_try(legacy_graphql_ws=True, tokens=(AcceptedToken.of(TOKEN),))
    async with server.connect(subprotocols=[LEGACY]) as socket:
        await say(socket, INIT)
        await say(socket, HELLO)
        told = 'Forbidden: send {"authorization": "Bearer <token>"} with connection_init'
        assert await hear(socket) == {"type": "connection_error", "payload": {"message": told}}
        with pytest.raises(ConnectionClosed):
            await hear(socket)
        assert await closed(socket) == (4403, told)
    assert server.contexts == []
    async with server.connect(subprotocols=[LEGACY]) as socket:
        await say(socket, INIT | {"payload": {"Authorization": f"Bearer {TOKEN}"}})
        await say(socket, HELLO)
        assert [await hear(socket) for _ in range(3)] == [
            ACK,
            data({"hello": "hello"}),
            COMPLETE,
        ]
