"""Websocket clients that cost little, so that many of them can share two cores with the server they listen to."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import urlsplit

Stamps = Callable[[bytes], list[int]]
"""The times, in nanoseconds of the monotonic clock, at which the events of a message were written."""

_FINAL_TEXT, _PING, _PONG = 0x81, 0x89, 0x8A
_LENGTH_16, _LENGTH_64 = 126, 127


class Tally:
    """What listeners have read.

    Args:
        events: how many events each of them is to get.
        stamps: reads the times out of a message.
    """

    def __init__(self, events: int, stamps: Stamps) -> None:
        self.events = events
        self.messages = self.size = 0
        self.latencies: list[float] = []
        self._stamps = stamps
        self._read: dict[bytes, list[int]] = {}

    def add(self, message: bytes) -> int:
        """Adds a message; returns how many events it has."""
        now = time.monotonic_ns()
        stamps = self._read.get(message)
        if stamps is None:
            # Most listeners get the same bytes: they are decoded once for all.
            stamps = self._read[message] = self._stamps(message)
        self.messages += 1
        self.size += len(message)
        self.latencies += [(now - stamp) / 1e6 for stamp in stamps]
        return len(stamps)


class Listener(asyncio.Protocol):
    """Shakes hands, says what it has to say, and reads.

    Args:
        host: the server's, with its port.
        path: the path of the socket.
        subprotocol: what to speak; "" for none.
        says: the messages to send at once.
        hears: how many messages come before events do.
        tally: what it reads is added there.
    """

    def __init__(
        self, host: str, path: str, subprotocol: str, says: Sequence[str], hears: int, tally: Tally
    ) -> None:
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.done: asyncio.Future[None] = loop.create_future()
        self._host, self._path, self._subprotocol = host, path, subprotocol
        self._says, self._hears, self._tally = says, hears, tally
        self._left = tally.events
        self._buffer = b""
        self._has_shaken = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        lines = [
            f"GET {self._path} HTTP/1.1",
            f"Host: {self._host}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        ]
        if self._subprotocol:
            lines.append(f"Sec-WebSocket-Protocol: {self._subprotocol}")
        transport.write("\r\n".join([*lines, "", ""]).encode())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._has_shaken:
            head, ending, rest = self._buffer.partition(b"\r\n\r\n")
            if not ending:
                return
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                raise ConnectionError(f"the server refused a socket: {head.decode()}")
            self._has_shaken, self._buffer = True, rest
            if self._transport is not None:
                for text in self._says:
                    self._transport.write(_frame(_FINAL_TEXT, text.encode()))
        at = 0
        while (found := _payload(self._buffer, at)) is not None:
            kind, start, end = found
            self._hear(kind, self._buffer[start:end])
            at = end
        self._buffer = self._buffer[at:]
        if self._has_shaken and self._hears == 0 and not self.ready.done():
            self.ready.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        error = ConnectionError(f"the server closed a socket: {exc}, {self._buffer[:100]!r}")
        for future in (self.ready, self.done):
            if not future.done():
                future.set_exception(error)
            # A listener that was closed in the end is asked by nobody.
            future.exception()

    def close(self) -> None:
        """Hangs up."""
        if self._transport is not None:
            self._transport.close()

    def _hear(self, kind: int, payload: bytes) -> None:
        if kind == _PING and self._transport is not None:
            self._transport.write(_frame(_PONG, payload))
        elif kind != _FINAL_TEXT:
            raise ConnectionError(f"the server sent a frame of kind {kind:#x}: {payload!r}")
        elif self._hears:
            self._hears -= 1
        else:
            self._left -= self._tally.add(payload)
            if self._left <= 0 and not self.done.done():
                self.done.set_result(None)


async def listen(
    url: str, subprotocol: str, says: Sequence[Sequence[str]], hears: int, tally: Tally
) -> list[Listener]:
    """A listener for each list of things to say, all of which are ready."""
    loop, place = asyncio.get_running_loop(), urlsplit(url)
    assert place.hostname is not None
    assert place.port is not None
    listeners: list[Listener] = []
    for messages in says:
        listener = Listener(place.netloc, place.path, subprotocol, messages, hears, tally)
        await loop.create_connection(partial(_same, listener), place.hostname, place.port)
        listeners.append(listener)
        # One after another, as people come: not a storm of handshakes.
        await listener.ready
    return listeners


def _same(listener: Listener) -> Listener:
    return listener


def subscribing(query: str, operation_name: str, **variables: object) -> list[str]:
    """What a client of graphql-transport-ws says to subscribe."""
    payload = {"query": query, "operationName": operation_name, "variables": variables}
    subscribe = {"type": "subscribe", "id": "1", "payload": payload}
    return [json.dumps({"type": "connection_init"}), json.dumps(subscribe)]


def _frame(kind: int, payload: bytes) -> bytes:
    """A frame as clients send it; its mask is nothing but zeros."""
    length, masked = len(payload), 0x80
    if length < _LENGTH_16:
        head = bytes([kind, masked | length])
    else:
        head = bytes([kind, masked | _LENGTH_16]) + length.to_bytes(2, "big")
    return head + bytes(4) + payload


def _payload(buffer: bytes, at: int) -> tuple[int, int, int] | None:
    """Kind, start and end of the payload of the frame at a place; None when it is not there yet."""
    start = at + 2
    if len(buffer) < start:
        return None
    length = buffer[at + 1]
    if length >= _LENGTH_16:
        size = 2 if length == _LENGTH_16 else 8
        if len(buffer) < start + size:
            return None
        length = int.from_bytes(buffer[start : start + size], "big")
        start += size
    end = start + length
    return (buffer[at], start, end) if len(buffer) >= end else None
