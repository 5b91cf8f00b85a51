"""The whole of it: the documents of graphql/ against a real instance, over HTTP and websocket."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from runwire.documents import load_document
from runwire.events.cursor import Cursor, CursorScope
from runwire.feed import RunFeed
from runwire.instance import Instance
from runwire.lanes import Lanes
from runwire.server.app import create_app
from runwire.server.settings import AppSettings, Limits
from tests.server.conftest import LiveServer, greet, hear, run_app, say, subscribe
from tests.server.serving import EmptyWorkspace


@contextmanager
def serving(instance: Instance, **settings: Any) -> Iterator[LiveServer]:
    app = create_app(instance, EmptyWorkspace(), settings=AppSettings(**settings))
    with run_app(app, Limits()) as url:
        yield LiveServer(url, [], SimpleQueue())


@pytest.fixture(params=["memory", "sqlite"])
def instance(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Instance]:
    in_memory = request.param == "memory"
    with Instance.ephemeral(tmp_path) if in_memory else Instance.from_home(tmp_path) as made:
        yield made


@pytest.fixture
def live(instance: Instance) -> Iterator[LiveServer]:
    with serving(instance) as server:
        yield server


class Caller:
    """Runs documents of graphql/ by name."""

    def __init__(self, server: LiveServer) -> None:
        self.server = server

    def run(self, name: str, **variables: Any) -> Any:
        answer = self.server.post(load_document(name), variables=variables, operationName=name)
        assert answer.json().keys() == {"data"}, answer.text
        (value,) = answer.json()["data"].values()
        return value

    def create(self) -> str:
        new_run = {"job": {"jobName": "nightly"}}
        made = self.run("CreateRun", input={"newRun": new_run, "managed": True})
        run_id: str = made["run"]["runId"]
        return run_id

    def report(self, run_id: str, *events: dict[str, Any]) -> list[int]:
        made = self.run("ReportEvents", input={"runId": run_id, "events": events})
        assert made["__typename"] == "ReportEventsSuccess", made
        return [record["position"] for record in made["records"]]


@pytest.fixture
def caller(live: LiveServer) -> Caller:
    return Caller(live)


def line(message: str) -> dict[str, Any]:
    return {"message": message}


DONE = {"message": "done", "eventType": "RUN_SUCCESS"}


async def follow(socket: ClientConnection, **variables: Any) -> AsyncGenerator[Any, None]:
    """The payloads of FollowRun until it completes."""
    await subscribe(
        socket, load_document("FollowRun"), operationName="FollowRun", variables=variables
    )
    while True:
        message = await hear(socket)
        if message["type"] == "complete":
            return
        assert message["payload"].keys() == {"data"}, message
        yield message["payload"]["data"]["runEvents"]


async def test_a_run_is_followed_live_to_its_end(live: LiveServer, caller: Caller) -> None:
    run_id = caller.create()
    async with live.connect() as socket:
        await greet(socket)
        stream = follow(socket, runId=run_id)
        first = await anext(stream)
        assert (first["records"], first["caughtUp"], first["run"]["status"]) == (
            [],
            True,
            "MANAGED",
        )
        caller.report(run_id, line("a"), line("b"))
        second = await anext(stream)
        caller.report(run_id, DONE)
        rest = [payload async for payload in stream]
    records = [r for payload in (second, *rest) for r in payload["records"]]
    assert [(r["position"], r["message"]) for r in records] == [(1, "a"), (2, "b"), (3, "done")]
    assert rest[-1]["run"]["status"] == "SUCCESS"
    assert rest[-1]["endCursor"] == rest[-1]["headCursor"] == records[-1]["cursor"]


async def test_a_stream_goes_on_after_its_last_cursor(live: LiveServer, caller: Caller) -> None:
    run_id = caller.create()
    caller.report(run_id, *(line(str(n)) for n in range(10)))
    async with live.connect() as socket:
        await greet(socket)
        first = await anext(follow(socket, runId=run_id))
    caller.report(run_id, line("later"), DONE)
    async with live.connect() as socket:
        await greet(socket)
        rest = [p async for p in follow(socket, runId=run_id, after=first["endCursor"])]
    assert first["toPosition"] == rest[0]["fromPosition"] == 10
    assert [r["position"] for p in rest for r in p["records"]] == [11, 12]


async def test_a_filter_hides_records_and_no_positions(live: LiveServer, caller: Caller) -> None:
    run_id = caller.create()
    caller.report(run_id, *(line(str(n)) for n in range(10)), DONE)
    async with live.connect() as socket:
        await greet(socket)
        payloads = [p async for p in follow(socket, runId=run_id, filter={"text": "7"})]
    assert [r["position"] for p in payloads for r in p["records"]] == [8]
    ends = [0, *(p["toPosition"] for p in payloads)]
    assert [p["fromPosition"] for p in payloads] == ends[:-1]
    assert ends[-1] == 11


async def test_only_what_is_new_comes_after_head(live: LiveServer, caller: Caller) -> None:
    run_id = caller.create()
    caller.report(run_id, line("old"))
    async with live.connect() as socket:
        await greet(socket)
        stream = follow(socket, runId=run_id, after="HEAD")
        first = await anext(stream)
        assert (first["records"], first["fromPosition"]) == ([], 1)
        caller.report(run_id, DONE)
        rest = [payload async for payload in stream]
    assert [r["position"] for p in rest for r in p["records"]] == [2]


async def test_a_stream_tells_why_it_cannot_begin(live: LiveServer, caller: Caller) -> None:
    run_id, other = caller.create(), caller.create()
    caller.report(other, line("a"))
    foreign = caller.run("RunLog", runId=other)["events"]["nodes"][0]["cursor"]
    ahead = str(Cursor(CursorScope.RUN, Cursor.parse(foreign).log_id, 99))
    async with live.connect() as socket:
        await greet(socket)
        for variables, refusal in (
            ({"runId": "unknown"}, "RunNotFound"),
            ({"runId": run_id, "after": "garbage"}, "CursorInvalid"),
            ({"runId": run_id, "after": foreign}, "CursorInvalid"),
            ({"runId": other, "after": ahead}, "CursorInvalid"),
        ):
            payloads = [payload async for payload in follow(socket, **variables)]
            assert [payload["__typename"] for payload in payloads] == [refusal]
            assert payloads[0]["message"]


async def test_a_run_that_is_deleted_while_it_is_followed_ends_the_stream(
    live: LiveServer, caller: Caller, instance: Instance
) -> None:
    run_id = caller.create()
    caller.report(run_id, line("a"))
    async with live.connect() as socket:
        await greet(socket)
        stream = follow(socket, runId=run_id)
        await anext(stream)
        await asyncio.to_thread(instance.storage.delete_run, run_id)
        *batches, last = [payload async for payload in stream]
    assert last["__typename"] == "RunNotFound"
    assert [record for batch in batches for record in batch["records"]] == []


async def test_twenty_followers_that_join_at_any_moment_get_every_position_once(
    live: LiveServer, caller: Caller
) -> None:
    run_id = caller.create()

    async def received() -> list[int]:
        async with live.connect() as socket:
            await greet(socket)
            stream = follow(socket, runId=run_id)
            return [r["position"] async for payload in stream for r in payload["records"]]

    followers = []
    for n in range(20):
        followers.append(asyncio.create_task(received()))
        events = [line(f"{n}.{m}") for m in range(25)]
        await asyncio.to_thread(caller.report, run_id, *events)
    await asyncio.to_thread(caller.report, run_id, DONE)
    assert await asyncio.gather(*followers) == [list(range(1, 502))] * 20


async def test_a_follower_who_leaves_frees_the_tail(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed: SimpleQueue[None] = SimpleQueue()
    logs = instance.storage.event_log_storage
    real = logs.open_heads

    def open_heads() -> Any:
        watch = real()
        close = watch.close

        def close_and_tell() -> None:
            close()
            freed.put(None)

        monkeypatch.setattr(watch, "close", close_and_tell, raising=False)
        return watch

    monkeypatch.setattr(logs, "open_heads", open_heads)
    with serving(instance) as live:
        run_id = Caller(live).create()
        async with live.connect() as socket:
            await greet(socket)
            stream = follow(socket, runId=run_id)
            await anext(stream)
            Caller(live).report(run_id, line("a"))
            await anext(stream)
            await say(socket, {"type": "complete", "id": "1"})
            await asyncio.to_thread(freed.get, timeout=30)


def test_the_feed_ends_before_the_lanes_that_it_reads_in(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    class TellingFeed(RunFeed):
        async def close(self) -> None:
            await super().close()
            ended.append("feed")

    class TellingLanes(Lanes):
        def close(self) -> None:
            super().close()
            ended.append("lanes")

    monkeypatch.setattr("runwire.server.app.RunFeed", TellingFeed)
    monkeypatch.setattr("runwire.server.app.Lanes", TellingLanes)
    with serving(instance) as live:
        assert live.request("GET", "/livez").status_code == 200
        assert ended == []
    assert ended == ["feed", "lanes"]


def test_a_wrong_argument_is_an_error_with_a_code(live: LiveServer, caller: Caller) -> None:
    run_id = caller.create()
    document = 'query($id: ID!) { run(runId: $id) { events(after: "garbage") { nodes { id } } } }'
    (error,) = live.post(document, variables={"id": run_id}).json()["errors"]
    assert error["extensions"]["code"] == "CURSOR_INVALID"


def test_a_fault_of_the_storage_is_masked_and_logged(
    live: LiveServer,
    instance: Instance,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(instance.storage.run_storage, "get_run_records", broken)
    with caplog.at_level(logging.ERROR):
        answer = live.post(load_document("RunsPage"), operationName="RunsPage")
    (error,) = answer.json()["errors"]
    assert error["extensions"]["code"] == "INTERNAL"
    assert error["extensions"]["errorId"] in caplog.text
    assert "a secret" not in json.dumps(answer.json())
