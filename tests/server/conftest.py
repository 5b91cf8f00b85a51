"""Servers on free ports, with a schema that only tries transports or with the real one."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import httpx
import pytest
import strawberry
from starlette.applications import Starlette
from strawberry.types import Info
from websockets.asyncio.client import ClientConnection, connect

from runwire.api.access import Principal
from runwire.api.context import Covered, OperationContext
from runwire.api.errors import PublicErrors
from runwire.api.schema import RunwireSchema
from runwire.errors import CursorInvalidError, StorageUnavailableError
from runwire.server import serve
from runwire.server.address import listen, url_of
from runwire.server.app import assemble
from runwire.server.settings import AppSettings, Limits


@dataclass(eq=False)
class TryContext(OperationContext):
    """What one operation was given. `ended` is shared by all: subscriptions tell there that they end."""

    principal: Principal
    contexts: list[TryContext]
    ended: SimpleQueue[str]


TryInfo = Info[TryContext, None]


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, n: int = 1) -> str:
        return "hello" * n

    @strawberry.field
    def me(self) -> Query:
        return Query()

    @strawberry.field
    def viewer(self, info: TryInfo) -> str:
        return info.context.principal.name

    @strawberry.field
    def context_number(self, info: TryInfo) -> int:
        return info.context.contexts.index(info.context)

    @strawberry.field
    def fault(self) -> str | None:
        raise ZeroDivisionError("a secret")

    @strawberry.field
    def fault_of_all(self) -> str:
        raise ZeroDivisionError("a secret")

    @strawberry.field
    def refused(self) -> str | None:
        raise CursorInvalidError("'x' is not a cursor")

    @strawberry.field
    def surrogate(self, text: str = "") -> str:
        return text or "\udc80"


@strawberry.type
class Mutation:
    @strawberry.mutation
    def touch(self) -> str:
        return "touched"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, to: int) -> AsyncGenerator[int, None]:
        for n in range(to):
            yield n

    @strawberry.subscription
    async def numbers(self, info: TryInfo, after: str | None = None) -> AsyncGenerator[int, None]:
        start = int(info.context.resume_after or after or 0)
        for n in range(start + 1, 4):
            info.context.covered = Covered(str(n), n, n == 3)
            yield n

    @strawberry.subscription
    async def forever(self, info: TryInfo) -> AsyncGenerator[int, None]:
        try:
            yield 0
            await asyncio.Event().wait()
        finally:
            info.context.ended.put("forever")

    @strawberry.subscription
    async def flood(self, info: TryInfo) -> AsyncGenerator[str, None]:
        try:
            while True:
                yield "x" * 100_000
        finally:
            info.context.ended.put("flood")

    @strawberry.subscription
    async def fault(self) -> AsyncGenerator[int, None]:
        yield 0
        raise ZeroDivisionError("a secret")

    @strawberry.subscription
    async def unavailable(self) -> AsyncGenerator[int, None]:
        yield 0
        raise StorageUnavailableError("the disk is full")


SCHEMA = RunwireSchema(Query, Mutation, Subscription, extensions=[PublicErrors])


@dataclass
class LiveServer:
    """A server that answers at a URL."""

    url: str
    contexts: list[TryContext]
    ended: SimpleQueue[str]

    @property
    def endpoint(self) -> str:
        return f"{self.url}/graphql"

    @property
    def authority(self) -> str:
        return self.url.removeprefix("http://")

    def request(self, method: str, path: str = "/graphql", **options: Any) -> httpx.Response:
        with httpx.Client(trust_env=False, verify=False, timeout=30) as client:
            return client.request(method, f"{self.url}{path}", **options)

    def post(self, query: str, headers: Any = None, **members: Any) -> httpx.Response:
        return self.request("POST", json={"query": query, **members}, headers=headers)

    def connect(self, **options: Any) -> connect:
        """A websocket to the endpoint, without a word said."""
        options = {"subprotocols": ["graphql-transport-ws"], "compression": None, **options}
        return connect(f"ws://{self.authority}/graphql", proxy=None, max_size=None, **options)


@contextmanager
def run_app(app: Starlette, limits: Limits) -> Iterator[str]:
    """Serves an application as `serve` does, in a thread; gives its URL."""
    started = threading.Event()
    listener = listen("127.0.0.1", 0)
    server = serve._Server(serve._config(app, limits), started.set)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        assert started.wait(30)
        yield url_of("127.0.0.1", listener)
    finally:
        server.should_exit = True
        thread.join()


ServeTry = Callable[..., LiveServer]


@contextmanager
def _trying() -> Iterator[ServeTry]:
    with ExitStack() as stack:

        def start(limits: Limits | None = None, **settings: Any) -> LiveServer:
            limits = limits or Limits()
            contexts: list[TryContext] = []
            ended: SimpleQueue[str] = SimpleQueue()

            def make_context(principal: Principal) -> TryContext:
                contexts.append(TryContext(principal, contexts, ended))
                return contexts[-1]

            app = assemble(SCHEMA, make_context, AppSettings(limits=limits, **settings))
            return LiveServer(stack.enter_context(run_app(app, limits)), contexts, ended)

        yield start


@pytest.fixture
def serve_try() -> Iterator[ServeTry]:
    """Serves the schema that tries transports, with settings."""
    with _trying() as start:
        yield start


@pytest.fixture(scope="module")
def serve_once() -> Iterator[ServeTry]:
    """The same, for servers of which nothing stays behind that the next test could see."""
    with _trying() as start:
        yield start


@pytest.fixture
def server(serve_try: ServeTry) -> LiveServer:
    return serve_try()


async def say(socket: ClientConnection, message: object) -> None:
    await socket.send(json.dumps(message))


async def hear(socket: ClientConnection) -> Any:
    async with asyncio.timeout(30):
        return json.loads(await socket.recv())


async def greet(socket: ClientConnection, payload: object = None) -> None:
    """Has the conversation opened."""
    await say(socket, {"type": "connection_init", "payload": payload})
    assert await hear(socket) == {"type": "connection_ack"}


async def subscribe(socket: ClientConnection, query: str, id: str = "1", **members: Any) -> None:
    await say(socket, {"type": "subscribe", "id": id, "payload": {"query": query, **members}})


async def closed(socket: ClientConnection) -> tuple[int | None, str | None]:
    """Waits for the server to close; the code and the reason."""
    async with asyncio.timeout(30):
        await socket.wait_closed()
    return socket.close_code, socket.close_reason
