"""Operations that take too long, or for whom nobody waits any more, over HTTP and websocket."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

import pytest
import strawberry

from runwire.api.context import OperationContext
from runwire.api.errors import PublicErrors
from runwire.api.schema import RunwireSchema
from runwire.deadline import current_deadline
from runwire.lanes import Lanes
from runwire.server.app import assemble
from runwire.server.settings import AppSettings, Limits
from tests.server.conftest import LiveServer, greet, hear, run_app, say, subscribe

told: SimpleQueue[str] = SimpleQueue()
"""What became of operations."""

go = threading.Event()
"""Lets mutations go on."""


@strawberry.type
class Query:
    @strawberry.field
    async def forever(self) -> str:
        told.put("query began")
        try:
            await asyncio.Event().wait()
        finally:
            told.put("query ended")
        return ""

    @strawberry.field
    async def read(self) -> str:
        """Reads in a thread for as long as somebody waits."""
        lanes = Lanes()

        def look() -> str:
            deadline = current_deadline()
            told.put("read began")
            while deadline is not None and not deadline.is_over:
                threading.Event().wait(0.01)
            told.put("read ended")
            return ""

        return await lanes.read(look)

    @strawberry.field
    def quick(self) -> str:
        return "done"

    @strawberry.field
    async def times_out(self) -> str | None:
        raise TimeoutError("a secret")


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def write(self) -> str:
        told.put("mutation began")
        has_deadline = current_deadline() is not None
        try:
            while not go.is_set():  # noqa: ASYNC110 - set by another thread
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            told.put("mutation was cut")
            raise
        told.put(f"mutation finished {has_deadline}")
        return "written"


SCHEMA = RunwireSchema(Query, Mutation, extensions=[PublicErrors])


def serve(**limits: Any) -> Any:
    chosen = Limits(**limits)
    return run_app(
        assemble(SCHEMA, lambda _: OperationContext(), AppSettings(limits=chosen)), chosen
    )


@pytest.fixture
def hurried() -> Iterator[LiveServer]:
    """Gives an operation a fifth of a second."""
    go.clear()
    with serve(query_seconds=0.2) as url:
        yield LiveServer(url, [], told)
        go.set()


@pytest.fixture
def patient() -> Iterator[LiveServer]:
    """Gives an operation longer than a test takes, and lets one run on a websocket."""
    go.clear()
    with serve(query_seconds=3600, operations=1) as url:
        yield LiveServer(url, [], told)
        go.set()


def next_told() -> str:
    return told.get(timeout=30)


LATE_QUERY = {
    "data": None,
    "errors": [
        {
            "message": "the query took longer than 0.2 s; ask for less at once",
            "extensions": {"code": "DEADLINE_EXCEEDED"},
        }
    ],
}


def test_a_query_ends_with_its_time(hurried: LiveServer) -> None:
    answer = hurried.post("{forever}", headers={"accept": "application/graphql-response+json"})
    assert (answer.status_code, answer.json()) == (200, LATE_QUERY)
    assert [next_told(), next_told()] == ["query began", "query ended"]
    assert hurried.post("{quick}").json() == {"data": {"quick": "done"}}


def test_a_read_in_a_thread_learns_that_nobody_waits(hurried: LiveServer) -> None:
    assert hurried.post("{read}").json() == LATE_QUERY
    assert [next_told(), next_told()] == ["read began", "read ended"]


async def test_a_query_ends_with_its_time_on_a_websocket(hurried: LiveServer) -> None:
    async with hurried.connect() as socket:
        await greet(socket)
        await subscribe(socket, "{forever}")
        assert await hear(socket) == {"id": "1", "type": "next", "payload": LATE_QUERY}
        assert await hear(socket) == {"id": "1", "type": "complete"}
    assert [next_told(), next_told()] == ["query began", "query ended"]


def test_a_time_out_within_a_query_is_a_fault_of_its_own(hurried: LiveServer) -> None:
    (error,) = hurried.post("{timesOut}").json()["errors"]
    assert error["extensions"]["code"] == "INTERNAL"


def test_a_mutation_that_takes_too_long_is_finished(hurried: LiveServer) -> None:
    answer = hurried.post("mutation {write}").json()
    assert answer["data"] is None
    (error,) = answer["errors"]
    assert error["extensions"] == {"code": "DEADLINE_EXCEEDED"}
    assert error["message"].startswith("the mutation takes longer than 0.2 s; it goes on")
    go.set()
    assert [next_told(), next_told()] == ["mutation began", "mutation finished False"]


def hang_up_after(server: LiveServer, query: str, sign: str) -> None:
    """Sends an operation by HTTP, and goes when it has begun."""
    host, port = server.authority.split(":")
    body = json.dumps({"query": query})
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: {server.authority}\r\nContent-Type: application/json\r\n"
    )
    with socket.create_connection((host, int(port))) as client:
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        assert next_told() == sign


def test_a_query_ends_when_its_client_hangs_up(patient: LiveServer) -> None:
    hang_up_after(patient, "{forever}", "query began")
    assert next_told() == "query ended"
    hang_up_after(patient, "{read}", "read began")
    assert next_told() == "read ended"


def test_a_mutation_is_finished_though_its_client_hangs_up(patient: LiveServer) -> None:
    hang_up_after(patient, "mutation {write}", "mutation began")
    assert patient.post("{quick}").json() == {"data": {"quick": "done"}}
    go.set()
    assert next_told() == "mutation finished False"


def test_a_server_that_stops_finishes_its_mutations() -> None:
    go.clear()
    with serve(query_seconds=3600) as url:
        hang_up_after(LiveServer(url, [], told), "mutation {write}", "mutation began")
        threading.Timer(0.5, go.set).start()
    assert told.get_nowait() == "mutation finished False"


async def test_a_query_that_is_completed_frees_its_slot(patient: LiveServer) -> None:
    async with patient.connect() as socket:
        await greet(socket)
        await subscribe(socket, "{forever}")
        assert await asyncio.to_thread(next_told) == "query began"
        await say(socket, {"type": "complete", "id": "1"})
        assert await asyncio.to_thread(next_told) == "query ended"
        await subscribe(socket, "{quick}", "2")
        assert (await hear(socket))["payload"] == {"data": {"quick": "done"}}


async def test_what_a_socket_asked_for_ends_with_it(patient: LiveServer) -> None:
    async with patient.connect() as socket:
        await greet(socket)
        await subscribe(socket, "{forever}")
        assert await asyncio.to_thread(next_told) == "query began"
    assert await asyncio.to_thread(next_told) == "query ended"
    async with patient.connect() as socket:
        await greet(socket)
        await subscribe(socket, "mutation {write}")
        assert await asyncio.to_thread(next_told) == "mutation began"
    go.set()
    assert await asyncio.to_thread(next_told) == "mutation finished False"
