"""The connection against a server that answers as it is told."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from aiohttp import web

from runwire.client.connection import Connection
from runwire.client.errors import (
    ForbiddenError,
    NotAuthorizedError,
    ProtocolViolatedError,
    RequestFailedError,
    ServerUnreachableError,
    TokenExpiredError,
)
from runwire.client.following import ConnectionLostError
from tests.client.fake_server import FakeServer, Stream, Subscription, json_response

QUERY = "query Q($x: Int) { a(x: $x) }"
FOLLOW = "subscription F($after: String) { runEvents(after: $after) }"


def execute(connection: Connection) -> dict[str, Any]:
    return connection.execute(QUERY, "Q", {"x": 1})


def follow(connection: Connection, received: list[Any] | None = None) -> list[Any]:
    got = [] if received is None else received
    for data in connection.iterate(connection.subscribe(FOLLOW, "F", {"after": "c"})):
        got.append(data["runEvents"])
    return got


# ------------------------------------------------------------ queries and mutations


def test_a_query_is_posted_with_its_name_variables_and_token(
    server: FakeServer, connection: Connection
) -> None:
    server.answers = [json_response({"data": {"a": 1}}), json_response({"data": {"a": 2}})]
    assert [execute(connection), execute(connection)] == [{"a": 1}, {"a": 2}]
    assert server.posted[0]["operationName"] == "Q"
    assert server.posted[0]["variables"] == {"x": 1}
    assert server.authorizations == ["Bearer secret-token"] * 2


def test_without_a_token_none_is_sent(server: FakeServer) -> None:
    server.answers = [json_response({"data": {"a": 1}})]
    connection = Connection(server.url, None, timeout_seconds=10)
    execute(connection)
    connection.close()
    connection.close()
    assert server.authorizations == [None]


def test_a_token_that_is_a_function_is_asked_for_each_request_and_each_connection(
    server: FakeServer,
) -> None:
    numbers = iter(range(9))
    server.answers = [json_response({"data": {"a": 1}}), json_response({"data": {"a": 2}})]
    server.streams = [three_and_complete]
    with closing(Connection(server.url, lambda: f"token-{next(numbers)}", 10)) as connection:
        execute(connection)
        follow(connection)
        execute(connection)
    assert server.authorizations == ["Bearer token-0", "Bearer token-1", "Bearer token-2"]


def test_what_the_function_of_the_token_raises_comes_out(server: FakeServer) -> None:
    def fail() -> str:
        raise OSError("nobody gives tokens")

    with closing(Connection(server.url, fail, 10)) as connection:
        for ask in (execute, follow):
            with pytest.raises(OSError, match="nobody gives tokens"):
                ask(connection)
    assert server.authorizations == []


def test_a_graphql_error_carries_its_code_and_the_id_of_the_fault(
    server: FakeServer, connection: Connection
) -> None:
    extensions = {"code": "INTERNAL", "errorId": "e1"}
    error = {"message": "something broke", "extensions": extensions}
    server.answers = [json_response({"data": None, "errors": [error]}, status=200)]
    with pytest.raises(RequestFailedError, match=r"^something broke \(error id e1\)$") as failed:
        execute(connection)
    assert (failed.value.code, failed.value.error_id) == ("INTERNAL", "e1")


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        pytest.param(
            json_response({"errors": [{"message": "bad", "extensions": {}}]}, 400),
            RequestFailedError,
            "bad",
            id="refused document",
        ),
        pytest.param(
            json_response({"errors": [{"message": "no", "extensions": {"code": "FORBIDDEN"}}]}),
            ForbiddenError,
            "no",
            id="forbidden",
        ),
        pytest.param(
            json_response(
                {"errors": [{"message": "no", "extensions": {"code": "UNAUTHENTICATED"}}]}, 401
            ),
            NotAuthorizedError,
            "no",
            id="unauthenticated",
        ),
        pytest.param(
            json_response(
                {
                    "errors": [
                        {
                            "message": "the token 'ada' expired at noon",
                            "extensions": {"code": "UNAUTHENTICATED"},
                        }
                    ]
                },
                401,
            ),
            TokenExpiredError,
            "the token 'ada' expired at noon",
            id="expired",
        ),
        pytest.param(
            web.Response(text="no", status=401), NotAuthorizedError, "refuses the token", id="401"
        ),
        pytest.param(
            web.Response(text="gone", status=404), ProtocolViolatedError, "status 404", id="404"
        ),
        pytest.param(
            web.Response(text="later", status=503), ServerUnreachableError, "status 503", id="503"
        ),
        pytest.param(
            web.Response(text="<html>"), ProtocolViolatedError, "no GraphQL endpoint", id="a page"
        ),
    ],
)
def test_each_way_to_say_no_has_its_error(
    server: FakeServer,
    connection: Connection,
    answer: web.Response,
    error: type[Exception],
    words: str,
) -> None:
    server.answers = [answer]
    with pytest.raises(error, match=words):
        execute(connection)


def test_nobody_at_the_address_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/graphql"
        with closing(Connection(url, None, timeout_seconds=10)) as connection:
            with pytest.raises(ServerUnreachableError, match=f"at {url}: connection refused$"):
                execute(connection)
            with pytest.raises(ConnectionLostError, match=r"^connection refused$"):
                follow(connection)


def test_a_server_that_does_not_answer_in_time_is_unreachable(server: FakeServer) -> None:
    class Never(web.Response):
        async def prepare(self, request: web.BaseRequest) -> Any:
            await asyncio.sleep(3600)

    server.answers = [Never()]
    with (
        closing(Connection(server.url, None, timeout_seconds=0.05)) as connection,
        pytest.raises(ServerUnreachableError, match=r"no answer within 0\.05 s"),
    ):
        execute(connection)


# ------------------------------------------------------------ subscriptions


async def three_and_complete(subscription: Subscription) -> None:
    for number in range(3):
        await subscription.send({"n": number, "after": subscription.variables["after"]})
    await subscription.complete()


def test_a_stream_gives_every_message_until_it_completes(
    server: FakeServer, connection: Connection
) -> None:
    server.streams = [three_and_complete]
    assert follow(connection) == [{"n": n, "after": "c"} for n in range(3)]
    assert server.authorizations == ["Bearer secret-token"]


def test_a_message_may_be_larger_than_the_librarys_limit(
    server: FakeServer, connection: Connection
) -> None:
    async def large(subscription: Subscription) -> None:
        await subscription.send({"text": "x" * 3_000_000})
        await subscription.complete()

    server.streams = [large]
    assert [len(payload["text"]) for payload in follow(connection)] == [3_000_000]


async def break_off(subscription: Subscription) -> None:
    await subscription.send({"n": 1})
    subscription.abort()


def close_with(code: int, reason: bytes = b"because") -> Stream:
    async def stream(subscription: Subscription) -> None:
        await subscription.socket.close(code=code, message=reason)

    return stream


async def fail_in_between(subscription: Subscription) -> None:
    error = {"message": "broke", "extensions": {"code": "INTERNAL", "errorId": "e2"}}
    payload = {"data": None, "errors": [error]}
    await subscription.socket.send_json({"id": subscription.id, "type": "next", "payload": payload})


async def refuse(subscription: Subscription) -> None:
    await subscription.socket.send_json(
        {"id": subscription.id, "type": "error", "payload": [{"message": "no such field"}]}
    )


@pytest.mark.parametrize(
    ("stream", "error", "words"),
    [
        pytest.param(break_off, ConnectionLostError, "^the connection broke$", id="broken"),
        pytest.param(close_with(1001), ConnectionLostError, "with 1001: because", id="going away"),
        pytest.param(close_with(1012), ConnectionLostError, "with 1012: because", id="restart"),
        pytest.param(close_with(1013), ConnectionLostError, "with 1013: because", id="try later"),
        pytest.param(
            close_with(4400), ProtocolViolatedError, "with 4400: because", id="bad request"
        ),
        pytest.param(close_with(4401), NotAuthorizedError, "because", id="unauthorized"),
        pytest.param(close_with(4403), NotAuthorizedError, "because", id="forbidden"),
        pytest.param(
            close_with(4403, b"Forbidden: the token has expired"),
            TokenExpiredError,
            "the token has expired",
            id="expired",
        ),
        pytest.param(fail_in_between, RequestFailedError, "broke .error id e2", id="fault"),
        pytest.param(refuse, RequestFailedError, "no such field", id="refused document"),
        pytest.param(web.Response(status=401), NotAuthorizedError, "refuses the token", id="401"),
        pytest.param(web.Response(status=404), ProtocolViolatedError, "status 404", id="404"),
        pytest.param(web.Response(status=503), ConnectionLostError, "status 503", id="503"),
        pytest.param(web.Response(text="hello"), ProtocolViolatedError, "status 200", id="a page"),
    ],
)
def test_each_end_of_a_stream_has_its_error(
    server: FakeServer,
    connection: Connection,
    stream: Stream | web.StreamResponse,
    error: type[Exception],
    words: str,
) -> None:
    server.streams = [stream]
    with pytest.raises(error, match=words):
        follow(connection)


def test_what_came_before_the_connection_broke_is_not_lost(
    server: FakeServer, connection: Connection
) -> None:
    async def many_then_break(subscription: Subscription) -> None:
        for number in range(100):
            await subscription.send({"n": number})
        await subscription.socket.close(code=1012)

    server.streams = [many_then_break]
    received: list[Any] = []
    with pytest.raises(ConnectionLostError):
        follow(connection, received)
    assert received == [{"n": n} for n in range(100)]


def test_a_caller_that_stops_listening_ends_the_subscription(
    server: FakeServer, connection: Connection
) -> None:
    ended: list[str] = []

    async def wait_for_the_end(subscription: Subscription) -> None:
        await subscription.send({"n": 1})
        ended.append((await subscription.socket.receive_json())["type"])

    server.streams = [wait_for_the_end, three_and_complete]
    stream = connection.iterate(connection.subscribe(FOLLOW, "F", {"after": "c"}))
    assert next(stream) == {"runEvents": {"n": 1}}
    stream.close()  # type: ignore[attr-defined]  # it is a generator
    assert len(follow(connection)) == 3
    assert ended == ["complete"]


def test_an_interrupt_between_beginning_to_wait_and_waiting_ends_the_wait(
    server: FakeServer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt may come anywhere, as when the step is under way already and its caller does not know it yet."""
    left = threading.Event()

    async def one_and_wait(subscription: Subscription) -> None:
        await subscription.send({"n": 1})
        await subscription.socket.receive()
        left.set()

    loop = connection._loop
    schedule = loop.call_soon_threadsafe

    def interrupted(*call: Any) -> Any:
        schedule(*call)
        monkeypatch.setattr(loop, "call_soon_threadsafe", schedule)
        raise KeyboardInterrupt

    server.streams = [one_and_wait]
    items = connection.iterate(connection.subscribe(FOLLOW, "F", {"after": "c"}))
    assert next(items) == {"runEvents": {"n": 1}}
    monkeypatch.setattr(loop, "call_soon_threadsafe", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(items)
    assert left.wait(30)


def test_closing_the_connection_ends_its_streams(
    server: FakeServer, connection: Connection
) -> None:
    async def one(subscription: Subscription) -> None:
        await subscription.send({"n": 1})

    server.streams = [one]
    stream = connection.iterate(connection.subscribe(FOLLOW, "F", {"after": "c"}))
    next(stream)
    connection.close()
    with pytest.raises(RuntimeError, match="this client is closed"):
        next(stream)


def test_a_slow_caller_slows_the_server(server: FakeServer, connection: Connection) -> None:
    all_sent = threading.Event()
    total, size = 200, 200_000

    async def pour(subscription: Subscription) -> None:
        for _ in range(total):
            await subscription.send({"text": "x" * size})
        all_sent.set()
        await subscription.complete()

    server.streams = [pour]
    stream = connection.iterate(connection.subscribe(FOLLOW, "F", {"after": "c"}))
    next(stream)
    # An unbounded reader swallows the 40 MB in a fraction of this; a paced one never does.
    assert not all_sent.wait(1.5)
    assert len(list(stream)) == total - 1
    assert all_sent.is_set()


# ------------------------------------------------------------ several threads, and its own


async def one_and_wait(subscription: Subscription) -> None:
    await subscription.send({"n": 1})


def test_a_stream_that_is_collected_as_garbage_on_the_loop_is_closed_there(
    server: FakeServer, connection: Connection
) -> None:
    ended, collected = threading.Event(), threading.Event()

    async def wait_for_the_end(subscription: Subscription) -> None:
        await subscription.send({"n": 1})
        await subscription.socket.receive()
        ended.set()

    server.streams = [wait_for_the_end]
    server.answers = [json_response({"data": {"a": 1}})]
    kept = [connection.iterate(connection.subscribe(FOLLOW, "F", {"after": "c"}))]
    next(kept[0])

    def collect() -> None:
        kept.clear()
        collected.set()

    connection._loop.call_soon_threadsafe(collect)
    assert collected.wait(30)
    assert ended.wait(30)
    assert execute(connection) == {"a": 1}


def test_closing_the_connection_tells_those_who_wait(
    server: FakeServer, connection: Connection
) -> None:
    asked = threading.Event()

    class Never(web.Response):
        async def prepare(self, request: web.BaseRequest) -> Any:
            asked.set()
            await asyncio.sleep(3600)

    server.answers = [Never()]
    server.streams = [one_and_wait]
    stream = connection.iterate(connection.subscribe(FOLLOW, "F", {"after": "c"}))
    next(stream)
    with ThreadPoolExecutor(2) as pool:
        told: list[Future[Any]] = [pool.submit(execute, connection), pool.submit(next, stream)]
        assert asked.wait(30)
        connection.close()
        for each in told:
            with pytest.raises(RuntimeError, match="this client is closed"):
                each.result(30)


def test_several_may_close_at_once() -> None:
    for _ in range(30):
        connection = Connection("http://127.0.0.1:9/graphql", None, timeout_seconds=10)
        together = threading.Barrier(4)

        def close(connection: Connection = connection, at: threading.Barrier = together) -> None:
            at.wait(30)
            connection.close()

        closers = [threading.Thread(target=close, daemon=True) for _ in range(4)]
        for each in closers:
            each.start()
        for each in closers:
            each.join(30)
            assert not each.is_alive()


def test_a_callback_that_would_wait_for_itself_is_told(
    server: FakeServer, connection: Connection
) -> None:
    async def asking() -> AsyncGenerator[None, None]:
        execute(connection)
        yield

    async def closing() -> AsyncGenerator[None, None]:
        connection.close()
        yield

    for generator in (asking, closing):
        with pytest.raises(RuntimeError, match="a callback of this client may not use it"):
            list(connection.iterate(generator()))
