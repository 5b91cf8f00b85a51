"""Frames on the wire: of every length, and to clients that do not take them."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from runwire.server.http.connection import Turnstile
from runwire.server.settings import Limits
from runwire.server.websocket import transport
from runwire.server.websocket.dialects import TRANSPORT_WS
from runwire.server.websocket.transport import SocketProtocol
from tests.server.conftest import LiveServer, ServeTry, greet, hear, subscribe

CLOSE = 0x88


@pytest.mark.parametrize("length", [125, 126, 127, 65535, 65536, 65537])
async def test_a_message_of_any_length_arrives(serve_try: ServeTry, length: int) -> None:
    server = serve_try(Limits(message_bytes=1 << 20))
    around = len('{"id":"1","type":"next","payload":{"data":{"surrogate":""}}}')
    text = "é" + "x" * (length - around - 2)
    async with server.connect() as client:
        await greet(client)
        await subscribe(
            client, "query($text: String!) { surrogate(text: $text) }", variables={"text": text}
        )
        assert (await hear(client))["payload"] == {"data": {"surrogate": text}}


def frame(text: str) -> bytes:
    """A client's frame, masked by zeros."""
    payload = text.encode()
    assert len(payload) < 126
    return bytes([0x81, 0x80 | len(payload)]) + bytes(4) + payload


async def test_messages_that_come_together_are_taken_in_order(serve_try: ServeTry) -> None:
    """Some 30 KiB at once: others are served between parts of it."""
    server = serve_try()
    async with server.connect() as client:
        await greet(client)
        pings = [json.dumps({"type": "ping", "payload": {"n": n}}) for n in range(700)]
        client.transport.write(b"".join(map(frame, pings)))
        for n in range(700):
            assert await hear(client) == {"type": "pong", "payload": {"n": n}}
        client.transport.write(b"".join(map(frame, pings)))
        await subscribe(client, "{ hello }")
        heard = [(await hear(client))["type"] for _ in range(702)]
        assert heard[:700] == ["pong"] * 700
        assert heard[700:] == ["next", "complete"]


async def test_who_leaves_amid_many_messages_is_forgotten(serve_try: ServeTry) -> None:
    server = serve_try()
    async with server.connect() as client:
        await greet(client)
        await subscribe(client, "subscription { forever }")
        await hear(client)
        client.transport.write(frame('{"type":"ping"}') * 20_000)
        client.transport.abort()
    assert await asyncio.to_thread(server.ended.get, timeout=30) == "forever"


async def test_a_large_handshake_is_taken_in_parts(serve_try: ServeTry) -> None:
    headers = {f"x-large-{n}": "x" * 5_000 for n in range(4)}
    async with _connect(serve_try(), headers) as client:
        await greet(client)


@pytest.mark.parametrize(
    "headers", [{"x-large": "x" * 9_000}, {f"x-{n}": "x" for n in range(200)}], ids=["long", "many"]
)
async def test_a_handshake_that_is_too_large_is_refused(
    serve_try: ServeTry, headers: dict[str, str]
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await _connect(serve_try(), headers)
    assert refused.value.response.status_code == 431


def _connect(server: LiveServer, headers: dict[str, str]) -> connect:
    url = f"ws{server.endpoint.removeprefix('http')}"
    protocols = [Subprotocol(TRANSPORT_WS.subprotocol)]
    return connect(url, subprotocols=protocols, additional_headers=headers, proxy=None)


@contextmanager
def flooded(server: LiveServer) -> Iterator[socket.socket]:
    """A socket that is sent more and more, and of which nothing was read."""
    host, port = server.authority.rsplit(":", 1)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, int(port)))
        lines = [
            "GET /graphql HTTP/1.1",
            f"Host: {server.authority}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Protocol: graphql-transport-ws",
        ]
        client.sendall("\r\n".join([*lines, "", ""]).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        client.sendall(frame('{"type":"connection_init"}'))
        client.sendall(
            frame('{"type":"subscribe","id":"1","payload":{"query":"subscription{flood}"}}')
        )
        client.settimeout(60)
        yield client


def frames_of(client: socket.socket) -> list[tuple[int, bytes]]:
    """What comes until the end of the connection: the first byte and the payload of each whole frame."""
    received = bytearray()
    while chunk := client.recv(1 << 20):
        received += chunk
    found, at = [], 0
    while len(received) - at >= 2:
        length, start = received[at + 1], at + 2
        for mark, size in ((126, 2), (127, 8)):
            if received[at + 1] == mark:
                length, start = int.from_bytes(received[start : start + size], "big"), start + size
        if start + length > len(received):
            break
        found.append((received[at], bytes(received[start : start + length])))
        at = start + length
    return found


async def test_a_reader_that_stalls_is_closed_and_told_why_should_it_read_again(
    serve_try: ServeTry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_ABORT_SECONDS", 60)
    server = serve_try(Limits(stall_seconds=0.2))
    async with server.connect() as other:
        await greet(other)
        with flooded(server) as client:
            assert await asyncio.to_thread(server.ended.get, timeout=60) == "flood"
            frames = await asyncio.to_thread(frames_of, client)
        kind, payload = frames[-1]
        assert kind == CLOSE
        assert int.from_bytes(payload[:2], "big") == 1013
        assert payload[2:] == b"nothing was read for 0.2 s"
        for _, text in frames[1:-1]:
            assert json.loads(text)["payload"]["data"] == {"flood": "x" * 100_000}
        await subscribe(other, "{ hello }")
        assert (await hear(other))["payload"] == {"data": {"hello": "hello"}}


async def test_a_reader_that_never_reads_again_is_cut_off(
    serve_try: ServeTry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_ABORT_SECONDS", 0.1)
    lost: asyncio.Queue[SocketProtocol] = asyncio.Queue()
    loop, connection_lost = asyncio.get_running_loop(), SocketProtocol.connection_lost

    def tell(protocol: SocketProtocol, error: Exception | None) -> None:
        connection_lost(protocol, error)
        loop.call_soon_threadsafe(lost.put_nowait, protocol)

    monkeypatch.setattr(SocketProtocol, "connection_lost", tell)
    with flooded(serve_try(Limits(stall_seconds=0.2))) as client:
        async with asyncio.timeout(60):
            await lost.get()
        frames = await asyncio.to_thread(frames_of, client)
    assert CLOSE not in {kind for kind, _ in frames}


async def test_many_who_come_at_once_are_let_in_in_their_order(serve_try: ServeTry) -> None:
    server = serve_try(Limits(connections=60))
    sockets = await asyncio.gather(*(_connect(server, {}) for _ in range(60)))
    for each in sockets:
        await greet(each)
    with pytest.raises(InvalidStatus):
        await _connect(server, {})
    for each in sockets:
        await each.close()


def test_a_turnstile_lets_in_one_after_another_whatever_becomes_of_them() -> None:
    told: list[int] = []

    def begin(n: int) -> None:
        told.append(n)
        if n == 1:
            raise ZeroDivisionError

    async def crowd() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)
        turnstile = Turnstile()
        for n in range(5):
            turnstile.enter(loop, partial(begin, n))
        for last in (5, 6):
            all_in = loop.create_future()
            turnstile.enter(loop, partial(begin, last))
            turnstile.enter(loop, partial(all_in.set_result, None))
            async with asyncio.timeout(30):
                await all_in

    asyncio.run(crowd())
    assert told == [0, 1, 2, 3, 4, 5, 6]
