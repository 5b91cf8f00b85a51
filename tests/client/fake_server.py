"""A server that answers as it is told, over real sockets: what a broken or foreign server may do."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Subscription:
    """The server's end of one subscription, after the handshake."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self.socket = socket
        self.request = request
        self.variables: dict[str, Any] = {}
        self.id = ""

    async def send(self, payload: dict[str, Any]) -> None:
        """A message of ``runEvents``."""
        data = {"data": {"runEvents": payload}}
        await self.socket.send_json({"id": self.id, "type": "next", "payload": data})

    async def complete(self) -> None:
        await self.socket.send_json({"id": self.id, "type": "complete"})

    def abort(self) -> None:
        """The connection breaks without a word."""
        assert self.request.transport is not None
        self.request.transport.abort()


Stream = Callable[[Subscription], Awaitable[None]]


class FakeServer:
    """Answers each POST with the next of `answers`, and serves each subscription by the next of `streams`."""

    def __init__(self) -> None:
        self.answers: list[web.StreamResponse] = []
        self.streams: list[Stream | web.StreamResponse] = []
        self.posted: list[dict[str, Any]] = []
        self.authorizations: list[str | None] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.authorizations.append(request.headers.get("Authorization"))
        if request.method == "POST":
            self.posted.append(await request.json())
            return self.answers.pop(0)
        stream = self.streams.pop(0)
        if isinstance(stream, web.StreamResponse):
            return stream
        return await self._subscription(request, stream)

    async def _subscription(self, request: web.Request, stream: Stream) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=["graphql-transport-ws"], compress=False)
        await socket.prepare(request)
        subscription = Subscription(socket, request)
        assert (await socket.receive_json())["type"] == "connection_init"
        await socket.send_json({"type": "connection_ack"})
        subscribe = await socket.receive_json()
        subscription.id = subscribe["id"]
        subscription.variables = subscribe["payload"]["variables"]
        await stream(subscription)
        async for _ in socket:
            pass
        return socket


def json_response(body: object, status: int = 200) -> web.Response:
    return web.Response(text=json.dumps(body), status=status, content_type="application/json")


@contextmanager
def fake_server() -> Iterator[FakeServer]:
    """A fake server on a free port of loopback."""
    server = FakeServer()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> web.AppRunner:
        application = web.Application()
        application.router.add_route("*", "/graphql", server.handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        server.url = f"http://{host}:{port}/graphql"
        return runner

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
