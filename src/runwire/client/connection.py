"""gql on an event loop of its own.

The loop runs in a thread, so that callers stay synchronous, heartbeats are answered while they work, and
it makes no difference whether they have a loop themselves. Proxies of the environment are not used.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any, Generic, TypeAlias, TypeVar

from gql import Client, GraphQLRequest
from gql.client import AsyncClientSession
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.common.adapters.websockets import WebSocketsAdapter
from gql.transport.exceptions import TransportError
from gql.transport.websockets import WebsocketsTransport

from runwire.client.transport_errors import http_error, subscription_error

T = TypeVar("T")

Token: TypeAlias = str | Callable[[], str]
"""A token, or what gives the one that is good now."""

_SUBPROTOCOL = "graphql-transport-ws"
_CLOSE_SECONDS = 2
_CLOSED = "this client is closed"


class Connection:
    """The ways to one server: HTTP for queries and mutations, a websocket for each subscription.

    All errors of gql and below leave it as those of `runwire.client.errors`.
    """

    def __init__(self, url: str, token: Token | None, timeout_seconds: float) -> None:
        self._url = url
        self._token = token
        self._timeout_seconds = timeout_seconds
        self._http: Client | None = None
        self._session: AsyncClientSession | None = None
        self._open: set[_Steps[Any]] = set()
        self._running: set[asyncio.Task[Any]] = set()
        self._is_closed = False
        # A generator may be finalised anywhere, also where its thread holds the lock.
        self._lock = threading.RLock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="runwire-client", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Closes what is open; who waits for an answer or an item is told. Harmless when called twice.

        Raises:
            RuntimeError: it is called from a callback that runs on this connection's loop.
        """
        self._refuse_on_loop()
        with self._lock:
            closing = None
            if not self._is_closed:
                self._is_closed = True
                closing = asyncio.run_coroutine_threadsafe(self._close_all(), self._loop)
        if closing is not None:
            try:
                closing.result()
            finally:
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join()
                self._loop.close()
        self._thread.join()

    def execute(
        self, document: str, operation_name: str, variables: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The ``data`` of the answer to a query or mutation."""
        request = _request(document, operation_name, variables)
        return self._wait(lambda: self._execute(request))

    def iterate(self, generator: AsyncGenerator[T, None]) -> Iterator[T]:
        """What an asynchronous generator gives, run on this connection's loop; closing either ends it."""
        steps = _Steps(generator)
        self._open.add(steps)
        try:
            while (item := self._wait(steps.advance)) is not None:
                yield item[0]
        finally:
            self._open.discard(steps)
            self._end(steps)

    async def subscribe(
        self, document: str, operation_name: str, variables: Mapping[str, Any]
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        """The ``data`` of each message of a subscription, until the server completes it.

        Raises:
            ConnectionLostError: the connection went away, or could not be made, for a reason that may pass.
        """
        request = _request(document, operation_name, variables)
        url = _websocket_url(self._url)
        transport = WebsocketsTransport(url, close_timeout=_CLOSE_SECONDS)
        headers = await self._headers()
        transport.adapter = adapter = _PacedAdapter(url, headers)
        try:
            async with Client(transport=transport) as session:
                messages = session.subscribe(request)
                try:
                    while (message := await adapter.next_of(messages)) is not None:
                        yield message
                finally:
                    await messages.aclose()
        except (TransportError, TimeoutError) as error:
            raise subscription_error(error, self._url, headers) from None

    def _wait(self, begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What comes of a coroutine, which is made on the loop: an interrupt may come anywhere before that."""
        self._refuse_on_loop()
        outcome: Future[T] = Future()
        begun: list[asyncio.Task[T]] = []

        def start() -> None:
            begun.append(self._begin(begin()))
            begun[0].add_done_callback(lambda task: _tell(outcome, task))

        def cancel() -> None:
            begun[0].cancel()

        with self._lock:
            if self._is_closed:
                raise RuntimeError(_CLOSED)
            self._loop.call_soon_threadsafe(start)
        try:
            return outcome.result()
        except CancelledError:
            raise RuntimeError(_CLOSED) from None
        except BaseException:
            with self._lock:
                if not outcome.done() and not self._is_closed:
                    self._loop.call_soon_threadsafe(cancel)
            raise

    def _begin(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = self._loop.create_task(coroutine)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def _end(self, steps: _Steps[Any]) -> None:
        """Closes a generator and waits for that, but not on the loop, where garbage may be collected too."""
        if threading.current_thread() is self._thread:
            _ = self._begin(steps.close())
            return
        with suppress(RuntimeError):
            self._wait(steps.close)

    def _refuse_on_loop(self) -> None:
        if threading.current_thread() is self._thread:
            raise RuntimeError(
                "a callback of this client may not use it, which would wait for itself; use another client"
            )

    async def _headers(self) -> dict[str, str]:
        """What each request and each handshake carries; the token is asked for anew, off the loop."""
        token = self._token
        if callable(token):
            token = await asyncio.to_thread(token)
        return {} if token is None else {"Authorization": f"Bearer {token}"}

    async def _execute(self, request: GraphQLRequest) -> dict[str, Any]:
        headers = await self._headers()
        try:
            session = await self._open_http()
            answer: dict[str, Any] = await session.execute(request, extra_args={"headers": headers})
            return answer
        except (TransportError, TimeoutError) as error:
            raise http_error(error, self._url, headers, self._timeout_seconds) from None

    async def _open_http(self) -> AsyncClientSession:
        if self._session is None:
            transport = AIOHTTPTransport(self._url)
            self._http = Client(transport=transport, execute_timeout=self._timeout_seconds)
            self._session = await self._http.connect_async()  # type: ignore[no-untyped-call]
        return self._session

    async def _close_all(self) -> None:
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for steps in list(self._open):
            await steps.close()
        await self._loop.shutdown_asyncgens()
        if self._http is not None:
            await self._http.close_async()  # type: ignore[no-untyped-call]


def _tell(outcome: Future[T], task: asyncio.Task[T]) -> None:
    """Hands on what came of a task."""
    if task.cancelled():
        outcome.cancel()
    elif (error := task.exception()) is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(task.result())


class _Steps(Generic[T]):
    """An asynchronous generator that is advanced and closed from other threads, one at a time.

    A step that was interrupted may still be unwinding when the next one comes; and who was interrupted as the step
    began does not know of it, so that closing ends it.
    """

    def __init__(self, generator: AsyncGenerator[T, None]) -> None:
        self._generator = generator
        self._turn = asyncio.Lock()
        self._step: asyncio.Task[Any] | None = None

    async def advance(self) -> tuple[T] | None:
        """The next item in a tuple; None at the end."""
        async with self._turn:
            self._step = asyncio.current_task()
            try:
                return (await anext(self._generator),)
            except StopAsyncIteration:
                return None
            finally:
                self._step = None

    async def close(self) -> None:
        """Closes the generator, wherever it is."""
        if self._step is not None and not self._step.cancelling():
            self._step.cancel()
        async with self._turn:
            await self._generator.aclose()


class _PacedAdapter(WebSocketsAdapter):
    """Reads from the socket only while the caller waits for a message.

    gql would read ahead without a bound; so a slow caller slows the server, which is made for that.
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        super().__init__(
            url,
            headers=headers,
            # A batch may be larger than the library's 1 MiB; the server decides.
            connect_args={"max_size": None, "proxy": None, "close_timeout": _CLOSE_SECONDS},
        )
        self.subprotocols = [_SUBPROTOCOL]
        self._wanted = asyncio.Event()
        self._wanted.set()

    async def next_of(
        self, messages: AsyncGenerator[dict[str, Any], None]
    ) -> dict[str, Any] | None:
        """The next message; None at the end."""
        self._wanted.set()
        message = await anext(messages, None)
        self._wanted.clear()
        return message

    async def receive(self) -> str:
        await self._wanted.wait()
        return await super().receive()

    async def close(self) -> None:
        self._wanted.set()
        await super().close()


def _request(document: str, operation_name: str, variables: Mapping[str, Any]) -> GraphQLRequest:
    return GraphQLRequest(document, variable_values=dict(variables), operation_name=operation_name)


def _websocket_url(url: str) -> str:
    return "ws" + url.removeprefix("http")
