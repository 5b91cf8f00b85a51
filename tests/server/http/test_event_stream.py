"""GraphQL over server-sent events: what comes, when it ends, and where it goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from queue import SimpleQueue
from typing import Any

import httpx
import msgspec
import pytest

from runwire.server.app import assemble
from runwire.server.auth import AcceptedToken
from runwire.server.settings import AppSettings, Limits
from tests.server.conftest import SCHEMA, LiveServer, ServeTry, TryContext, run_app

EVENT_STREAM = "text/event-stream"


class Event(msgspec.Struct):
    """An event as a browser would make it of the lines."""

    name: str = "message"
    data: str = ""
    id: str | None = None

    @property
    def payload(self) -> Any:
        return msgspec.json.decode(self.data)


def events_of(text: str) -> list[Event]:
    """The events of a whole stream."""
    events = []
    for block in text.split("\n\n"):
        event, is_event = Event(), False
        for line in block.splitlines():
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                event.name, is_event = value, True
            elif name == "data":
                event.data, is_event = value, True
            elif name == "id":
                event.id = value
        if is_event:
            events.append(event)
    return events


def stream(server: LiveServer, query: str, headers: Any = None, **members: Any) -> httpx.Response:
    """A stream that ends, whole."""
    return server.post(query, {"accept": EVENT_STREAM, **(headers or {})}, **members)


def test_a_subscription_is_streamed_to_its_end(server: LiveServer) -> None:
    answer = stream(server, "subscription { numbers }")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    *nexts, last = events_of(answer.text)
    assert [(event.name, event.id, event.payload) for event in nexts] == [
        ("next", str(n), {"data": {"numbers": n}}) for n in (1, 2, 3)
    ]
    assert (last.name, last.data) == ("complete", "")


@pytest.mark.parametrize(
    ("headers", "variables", "numbers"),
    [
        ({"last-event-id": "1"}, {}, [2, 3]),
        ({"last-event-id": ""}, {"after": "2"}, [3]),
        # The address of an EventSource stays as it is when it connects again.
        ({"last-event-id": "2"}, {"after": "0"}, [3]),
    ],
)
def test_a_client_that_comes_back_goes_on_after_the_last_event(
    server: LiveServer, headers: dict[str, str], variables: dict[str, str], numbers: list[int]
) -> None:
    query = "subscription($after: String) { numbers(after: $after) }"
    answer = stream(server, query, headers, variables=variables)
    nexts = [event for event in events_of(answer.text) if event.name == "next"]
    assert [event.payload["data"]["numbers"] for event in nexts] == numbers


def test_queries_and_mutations_are_streams_of_one_event(server: LiveServer) -> None:
    for query, data in (
        ("{ hello }", {"hello": "hello"}),
        ("mutation { touch }", {"touch": "touched"}),
    ):
        first, last = events_of(stream(server, query).text)
        assert (first.name, first.payload, first.id) == ("next", {"data": data}, None)
        assert last.name == "complete"


def test_a_browser_subscribes_by_the_address_and_changes_nothing_by_it(server: LiveServer) -> None:
    headers = {"accept": EVENT_STREAM}
    answer = server.request("GET", "/graphql?query=subscription{numbers}", headers=headers)
    assert len(events_of(answer.text)) == 4
    refused = server.request("GET", "/graphql?query=mutation{touch}", headers=headers)
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{", "Syntax Error: Expected Name, found <EOF>."),
        ("subscription { nothing }", "Cannot query field 'nothing' on type 'Subscription'."),
    ],
)
def test_what_is_refused_is_an_event_too(server: LiveServer, query: str, message: str) -> None:
    answer = stream(server, query)
    assert answer.status_code == 200
    first, last = events_of(answer.text)
    assert [error["message"] for error in first.payload["errors"]] == [message]
    assert last.name == "complete"


def test_a_fault_is_masked_and_ends_the_stream(server: LiveServer) -> None:
    first, second, last = events_of(stream(server, "subscription { fault }").text)
    assert first.payload == {"data": {"fault": 0}}
    assert "a secret" not in second.data
    assert second.payload["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert last.name == "complete"


def test_a_refusal_in_the_middle_is_told(server: LiveServer) -> None:
    _, second, last = events_of(stream(server, "subscription { unavailable }").text)
    assert second.payload["errors"][0]["message"] == "the disk is full"
    assert last.name == "complete"


def test_who_presents_no_token_gets_no_stream(serve_try: ServeTry) -> None:
    server = serve_try(tokens=(AcceptedToken.of("0123456789abcdef"),))
    assert stream(server, "subscription { numbers }").status_code == 401
    headers = {"authorization": "Bearer 0123456789abcdef"}
    assert stream(server, "subscription { numbers }", headers).status_code == 200


@asynccontextmanager
async def endless(server: LiveServer) -> AsyncIterator[httpx.Response]:
    """The stream of a subscription that never ends."""
    async with (
        httpx.AsyncClient(trust_env=False, timeout=60) as client,
        client.stream(
            "POST",
            server.endpoint,
            json={"query": "subscription { forever }"},
            headers={"accept": EVENT_STREAM},
        ) as answer,
    ):
        yield answer


async def test_a_client_that_goes_ends_the_operation(server: LiveServer) -> None:
    async with endless(server) as answer:
        assert await anext(answer.aiter_lines()) == ":"
    assert await asyncio.to_thread(server.ended.get, timeout=30) == "forever"


async def test_a_stream_in_which_nothing_happens_says_that_it_is_there(serve_try: ServeTry) -> None:
    async with endless(serve_try(Limits(keep_alive_seconds=0.05))) as answer:
        comments = 0
        async for line in answer.aiter_lines():
            comments += line == ":"
            if comments > 3:
                break


async def test_so_many_streams_are_served_at_once(serve_try: ServeTry) -> None:
    server = serve_try(Limits(connections=1))
    async with endless(server):
        answer = stream(server, "subscription { numbers }")
        assert answer.status_code == 503
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    assert await asyncio.to_thread(server.ended.get, timeout=30) == "forever"
    assert stream(server, "subscription { numbers }").status_code == 200


async def test_a_server_that_stops_ends_its_streams_but_they_do_not_complete() -> None:
    ended: SimpleQueue[str] = SimpleQueue()
    app = assemble(SCHEMA, lambda p: TryContext(p, [], ended), AppSettings())
    with ExitStack() as stack:
        server = LiveServer(stack.enter_context(run_app(app, Limits())), [], ended)
        async with endless(server) as answer:
            lines = answer.aiter_lines()
            while not (await anext(lines)).startswith("data:"):
                pass
            stopping = threading.Thread(target=stack.close)
            stopping.start()
            assert "complete" not in "".join([line async for line in lines])
            await asyncio.to_thread(stopping.join)
    assert ended.get(timeout=30) == "forever"
