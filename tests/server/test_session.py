"""The session on a socket that takes everything at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, cast

from starlette.websockets import WebSocket, WebSocketState

from runwire.api.access import Principal
from runwire.server.allowance import Refusals
from runwire.server.auth import ANYBODY
from runwire.server.cohorts import Cohorts
from runwire.server.operations import Answer, Operations
from runwire.server.requests import GraphQLRequest
from runwire.server.settings import Limits
from runwire.server.websocket.dialects import TRANSPORT_WS
from runwire.server.websocket.session import Session
from tests.server.conftest import SCHEMA, TryContext


class GreedySocket:
    """Never makes a sender wait."""

    application_state = WebSocketState.CONNECTED

    def __init__(self) -> None:
        self.scope = {"subprotocols": ["graphql-transport-ws"]}
        self.frames: asyncio.Queue[Any] = asyncio.Queue()
        self.sent: list[Any] = []
        self.completed = asyncio.Event()

    async def accept(self, subprotocol: str) -> None:
        assert subprotocol == "graphql-transport-ws"

    async def receive(self) -> Any:
        return await self.frames.get()

    async def send_text(self, text: str) -> None:
        self.sent.append(json.loads(text))
        if self.sent[-1]["type"] == "complete":
            self.completed.set()

    def say(self, **message: Any) -> None:
        self.frames.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})


class SilentCohorts:
    """Gives no answers; tells what has begun."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.all_begun = asyncio.Event()

    async def stream(self, request: GraphQLRequest, _: Principal) -> AsyncGenerator[Answer, None]:
        self.begun.append(request.query)
        if len(self.begun) == 20:
            self.all_begun.set()
        await asyncio.Event().wait()
        yield Answer({})


async def test_operations_that_do_not_answer_keep_others_from_beginning_for_a_moment_only() -> None:
    socket, cohorts = GreedySocket(), SilentCohorts()

    async def admit(_: object) -> Principal:
        return ANYBODY

    limits = Limits(operations=100)
    session = Session(
        cast(WebSocket, socket),
        (TRANSPORT_WS,),
        admit,
        cast(Cohorts, cohorts),
        limits,
        Refusals(50, 25),
    )
    running = asyncio.create_task(session.run())
    socket.say(type="connection_init")
    for n in range(20):
        socket.say(type="subscribe", id=str(n), payload={"query": f"q{n}"})
    async with asyncio.timeout(30):
        await cohorts.all_begun.wait()
    assert cohorts.begun == [f"q{n}" for n in range(20)]
    socket.frames.put_nowait({"type": "websocket.disconnect", "code": 1000})
    with suppress(asyncio.CancelledError):
        await running


async def test_a_stream_that_always_has_more_lets_the_others_have_their_turn() -> None:
    ended: SimpleQueue[str] = SimpleQueue()
    limits = Limits()
    operations = Operations(SCHEMA, lambda p: TryContext(p, [], ended), limits)
    socket = GreedySocket()

    async def admit(_: object) -> Principal:
        return ANYBODY

    dialects = (TRANSPORT_WS,)
    session = Session(
        cast(WebSocket, socket), dialects, admit, Cohorts(operations), limits, operations.refusals
    )
    running = asyncio.create_task(session.run())
    socket.say(type="connection_init")
    query = "subscription { count(to: 500) }"
    socket.say(type="subscribe", id="1", payload={"query": query})
    turns = 0
    while not socket.completed.is_set():
        await asyncio.sleep(0)
        turns += 1
    assert len(socket.sent) == 502
    assert turns >= 50
    socket.frames.put_nowait({"type": "websocket.disconnect", "code": 1000})
    with suppress(asyncio.CancelledError):
        await running
