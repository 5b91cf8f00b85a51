"""gql as anybody would use it, without a line of ours: over HTTP, and over its websocket transport."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from gql import Client, gql
from gql.client import AsyncClientSession
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import (
    TransportError,
    TransportQueryError,
)
from gql.transport.websockets import WebsocketsTransport
from websockets.exceptions import ConnectionClosed

from tests.clients.guarded import BRIEF, LASTING, Guarded, guarded
from tests.end_to_end.conftest import Server, report

__all__ = ["guarded"]

CREATE = """mutation Create($input: CreateRunInput!) {
  createRun(input: $input) { __typename ... on CreateRunSuccess { run { runId } } ... on UserError { message } }
}"""
STATUS = "query Status($runId: ID!) { run(runId: $runId) { status } }"
FOLLOW = """subscription Follow($runId: ID!, $after: String) {
  runEvents(runId: $runId, after: $after) {
    __typename
    ... on RunEventBatch { endCursor records { position message } run { status } }
    ... on UserError { message }
  }
}"""
NEW_RUN = {"newRun": {"job": {"jobName": "outside"}}, "managed": True}

TRANSPORTS = ["http", "websocket"]


@asynccontextmanager
async def session(
    url: str, token: str | None, transport: str = "websocket"
) -> AsyncIterator[AsyncClientSession]:
    bearer = {} if token is None else {"Authorization": f"Bearer {token}"}
    made = (
        AIOHTTPTransport(url, headers=bearer)
        if transport == "http"
        else WebsocketsTransport(url.replace("http", "ws"), init_payload=bearer)
    )
    async with Client(transport=made) as opened:
        yield opened


def asking(text: str, **variables: Any) -> Any:
    request = gql(text)
    request.variable_values = variables
    return request


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_queries_and_mutations_are_answered(guarded: Guarded, transport: str) -> None:
    async with session(guarded.url, LASTING, transport) as opened:
        answer = await opened.execute(asking(CREATE, input=NEW_RUN))
        run_id = answer["createRun"]["run"]["runId"]
        answer = await opened.execute(asking(STATUS, runId=run_id))
        assert answer == {"run": {"status": "MANAGED"}}


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_errors_are_told_with_their_place_and_the_session_goes_on(
    guarded: Guarded, transport: str
) -> None:
    async with session(guarded.url, LASTING, transport) as opened:
        with pytest.raises(TransportQueryError) as refused:
            await opened.execute(asking("{ nothing }"))
        [error] = refused.value.errors or []
        assert "Cannot query field 'nothing'" in error["message"]
        assert error["locations"] == [{"line": 2, "column": 3}]
        answer = await opened.execute(asking(STATUS, runId="nothing"))
        assert answer == {"run": None}


async def test_a_subscription_gives_all_and_completes_with_the_run(guarded: Guarded) -> None:
    run_id = guarded.create_run("one", "two")
    guarded.report(run_id, "three", end=True)
    async with session(guarded.url, LASTING) as opened:
        batches = [
            each["runEvents"] async for each in opened.subscribe(asking(FOLLOW, runId=run_id))
        ]
        told = [record["message"] for batch in batches for record in batch["records"]]
        assert told == ["one", "two", "three", "done"]
        assert batches[-1]["run"] == {"status": "SUCCESS"}
        refused = [each async for each in opened.subscribe(asking(FOLLOW, runId="nothing"))]
        assert refused[0]["runEvents"]["__typename"] == "RunNotFound"


async def test_who_resumes_with_the_cursor_when_the_server_was_killed_has_all_once(
    server: Server,
) -> None:
    server.start()
    run_id = server.create_managed_run()
    report(server, run_id, [{"message": f"line {n}"} for n in range(3)], "first")
    positions: list[int] = []
    after, connections, is_over = None, 0, False
    while not is_over:
        connections += 1
        try:
            async with session(server.url, None) as opened:
                async for each in opened.subscribe(asking(FOLLOW, runId=run_id, after=after)):
                    batch = each["runEvents"]
                    positions += [record["position"] for record in batch["records"]]
                    after = batch["endCursor"]
                    if len(positions) == 3 and connections == 1:
                        server.kill()
                is_over = True
        except (TransportError, ConnectionClosed):
            server.start()
            report(server, run_id, [{"message": "more"}], "second")
            report(server, run_id, [{"message": "done", "eventType": "RUN_SUCCESS"}], "end")
    assert positions == [1, 2, 3, 4, 5]
    assert connections == 2


@pytest.mark.parametrize("token", ["another", None])
async def test_who_presents_no_token_or_another_is_refused(
    guarded: Guarded, token: str | None
) -> None:
    with pytest.raises(TransportQueryError) as refused:
        async with session(guarded.url, token, "http") as opened:
            await opened.execute(asking(STATUS, runId="nothing"))
    [error] = refused.value.errors or []
    assert error["extensions"] == {"code": "UNAUTHENTICATED"}
    with pytest.raises((TransportError, ConnectionClosed)) as closed:
        async with session(guarded.url, token) as opened:
            await opened.execute(asking(STATUS, runId="nothing"))
    assert close_code(closed.value) == 4403


async def test_a_token_that_expires_closes_the_socket_and_the_next_one_resumes(
    guarded: Guarded,
) -> None:
    run_id = guarded.create_run("one")
    told: list[str] = []
    after = None
    error: BaseException | None = None
    try:
        async with session(guarded.url, BRIEF) as opened:
            async for each in opened.subscribe(asking(FOLLOW, runId=run_id)):
                told += [record["message"] for record in each["runEvents"]["records"]]
                after = each["runEvents"]["endCursor"]
    except (TransportError, ConnectionClosed) as closed:
        error = closed
    assert close_code(error) == 4403
    guarded.report(run_id, "two", end=True)
    async with session(guarded.url, LASTING) as opened:
        async for each in opened.subscribe(asking(FOLLOW, runId=run_id, after=after)):
            told += [record["message"] for record in each["runEvents"]["records"]]
    assert told == ["one", "two", "done"]


def close_code(error: BaseException | None) -> int | None:
    """What the server closed with, wherever gql hides it."""
    while error is not None and not isinstance(error, ConnectionClosed):
        assert isinstance(error, TransportError), error
        error = error.__cause__ or error.__context__
    return None if error is None or error.rcvd is None else error.rcvd.code
