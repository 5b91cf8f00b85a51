"""graphql-transport-ws on a real socket; what each message is answered with is in test_websocket_probes.py."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from runwire.server.settings import Limits
from tests.server.conftest import LiveServer, ServeTry, closed, greet, hear, say, subscribe


async def test_who_says_nothing_is_not_waited_for(serve_try: ServeTry) -> None:
    server = serve_try(Limits(init_seconds=0.05))
    async with server.connect() as socket:
        assert await closed(socket) == (4408, "Connection initialisation timeout")


async def test_a_ping_keeps_no_one_waiting_who_was_not_greeted(serve_try: ServeTry) -> None:
    server = serve_try(Limits(init_seconds=0.2))
    async with server.connect() as socket:
        await say(socket, {"type": "ping"})
        assert await hear(socket) == {"type": "pong"}
        assert (await closed(socket))[0] == 4408


async def test_operations_run_side_by_side_each_with_a_context_of_its_own(
    server: LiveServer,
) -> None:
    async with server.connect() as socket:
        await greet(socket)
        await subscribe(socket, "subscription{forever}", id="a")
        assert (await hear(socket))["id"] == "a"
        numbers = []
        for name in ("b", "c"):
            await subscribe(socket, "{contextNumber}", id=name)
            numbers.append((await hear(socket))["payload"]["data"]["contextNumber"])
            assert await hear(socket) == {"id": name, "type": "complete"}
        assert numbers == [1, 2]


async def test_complete_ends_a_subscription_and_frees_its_id(server: LiveServer) -> None:
    async with server.connect() as socket:
        await greet(socket)
        for _ in range(2):
            await subscribe(socket, "subscription{forever}")
            assert (await hear(socket))["type"] == "next"
            await say(socket, {"type": "complete", "id": "1"})
        await say(socket, {"type": "complete", "id": "unknown"})
        await say(socket, {"type": "ping"})
        assert await hear(socket) == {"type": "pong"}
    await ended(server, 2)


async def test_subscriptions_end_with_their_socket(server: LiveServer) -> None:
    async with server.connect() as socket:
        await greet(socket)
        for name in ("a", "b"):
            await subscribe(socket, "subscription{forever}", id=name)
            await hear(socket)
    await ended(server, 2)


async def test_subscriptions_end_with_a_connection_that_breaks(server: LiveServer) -> None:
    async with server.connect() as socket:
        await greet(socket)
        await subscribe(socket, "subscription{forever}")
        await hear(socket)
        socket.transport.abort()
    await ended(server, 1)


async def test_operations_that_outlive_their_connection_for_a_moment_raise_nothing(
    server: LiveServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with server.connect() as socket:
        await greet(socket)
        for n in range(10):
            await subscribe(socket, "subscription{flood}", id=str(n))
        heard: set[str] = set()
        while len(heard) < 10:
            heard.add((await hear(socket))["id"])
        socket.transport.abort()
    await ended(server, 10)
    assert caplog.text == ""


async def ended(server: LiveServer, count: int) -> None:
    for _ in range(count):
        await asyncio.to_thread(server.ended.get, timeout=30)


async def test_too_many_operations_on_one_socket_are_refused(serve_try: ServeTry) -> None:
    server = serve_try(Limits(operations=2))
    async with server.connect() as socket:
        await greet(socket)
        for name in ("a", "b"):
            await subscribe(socket, "subscription{forever}", id=name)
            assert (await hear(socket))["type"] == "next"
        await subscribe(socket, "subscription{forever}", id="c")
        message = "at most 2 operations run at once on one socket"
        assert await hear(socket) == {"id": "c", "type": "error", "payload": [{"message": message}]}
        await say(socket, {"type": "complete", "id": "a"})
        await subscribe(socket, "{hello}", id="d")
        assert (await hear(socket))["type"] == "next"


async def test_too_many_sockets_are_refused(serve_try: ServeTry) -> None:
    server = serve_try(Limits(connections=1))
    async with server.connect() as first:
        await greet(first)
        with pytest.raises(InvalidStatus) as refused:
            await server.connect()
        assert refused.value.response.status_code == 503
    async with asyncio.timeout(30), await connect_soon(server) as second:
        await greet(second)


async def connect_soon(server: LiveServer) -> ClientConnection:
    """The server may notice a little later that the other socket is closed."""
    while True:
        try:
            return await server.connect()
        except InvalidStatus:
            await asyncio.sleep(0.005)


async def test_a_fault_is_masked_and_its_id_is_in_the_log(
    server: LiveServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with server.connect() as socket:
        await greet(socket)
        for document in ("{hello fault}", "subscription{fault}"):
            await subscribe(socket, document)
            answer = await hear(socket)
            if "errors" not in answer["payload"] and answer["type"] == "next":
                answer = await hear(socket)
            payload = answer["payload"]
            errors = payload if answer["type"] == "error" else payload["errors"]
            (error,) = errors
            assert error["extensions"]["code"] == "INTERNAL"
            assert "a secret" not in json.dumps(answer)
            assert error["extensions"]["errorId"] in caplog.text
            if answer["type"] == "next":
                assert (await hear(socket))["type"] == "complete"
    assert caplog.text.count("ZeroDivisionError: a secret") == 2


async def test_a_stream_that_fails_on_purpose_ends_with_its_code(server: LiveServer) -> None:
    async with server.connect() as socket:
        await greet(socket)
        await subscribe(socket, "subscription{unavailable}")
        assert (await hear(socket))["payload"] == {"data": {"unavailable": 0}}
        answer = await hear(socket)
        assert answer == {
            "id": "1",
            "type": "error",
            "payload": [{"message": "the disk is full", "extensions": {"code": "UNAVAILABLE"}}],
        }


async def test_lone_surrogates_are_sent_escaped(server: LiveServer) -> None:
    async with server.connect() as socket:
        await greet(socket)
        await subscribe(socket, "{surrogate}")
        assert '"surrogate":"\\udc80"' in str(await socket.recv())


async def test_nothing_is_compressed(server: LiveServer) -> None:
    async with server.connect(compression="deflate") as socket:
        assert "Sec-WebSocket-Extensions" not in socket.response.headers  # type: ignore[union-attr]


async def test_a_reader_that_stalls_costs_no_memory_and_the_others_nothing(
    server: LiveServer,
) -> None:
    """A generator waits for its reader: what is not read is not made."""
    async with server.connect(max_queue=1) as stalled, server.connect() as other:
        await greet(stalled)
        await subscribe(stalled, "subscription{flood}")
        await greet(other)
        for n in range(20):
            await subscribe(other, "{hello}", id=str(n))
            assert (await hear(other))["type"] == "next"
            assert (await hear(other))["type"] == "complete"
        stalled.transport.abort()
        await drain(stalled)


async def drain(socket: ClientConnection) -> None:
    with suppress(ConnectionClosed):
        async for _ in socket:
            pass
