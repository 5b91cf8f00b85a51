"""Daemons and code locations, live over a real websocket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from runwire import clock
from runwire.documents import load_document
from runwire.instance import Instance
from runwire.server.app import create_app
from runwire.server.settings import AppSettings, Limits
from runwire.storage import DaemonHeartbeat
from tests.api.conftest import FakeLocation, FakeWorkspace
from tests.server.conftest import LiveServer, greet, hear, run_app, say, subscribe


@pytest.fixture
def workspace() -> FakeWorkspace:
    return FakeWorkspace(FakeLocation("here", main=["etl"]))


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    (tmp_path / "runwire.yaml").write_text("backfills: {enabled: false}\n")
    with Instance.from_home(tmp_path) as made:
        yield made


@pytest.fixture
def live(instance: Instance, workspace: FakeWorkspace) -> Iterator[LiveServer]:
    app = create_app(instance, workspace, settings=AppSettings())
    with run_app(app, Limits()) as url:
        yield LiveServer(url, [], SimpleQueue())


async def follow(socket: ClientConnection, name: str) -> AsyncGenerator[Any, None]:
    """The payloads of a subscription without variables."""
    await subscribe(socket, load_document(name), operationName=name)
    while True:
        message = await hear(socket)
        assert message["type"] == "next", message
        assert message["payload"].keys() == {"data"}, message
        (value,) = message["payload"]["data"].values()
        yield value


def beat(daemon_id: str, **values: Any) -> DaemonHeartbeat:
    now = clock.timestamp()
    return DaemonHeartbeat(
        **{
            "daemon_type": "MONITORING",
            "daemon_id": daemon_id,
            "hostname": "here",
            "timestamp": now,
            "progress_at": now,
            **values,
        }
    )


async def until(stream: AsyncGenerator[Any, None], is_it: Callable[[Any], bool]) -> Any:
    """The first message that is it; what changes in several writes may be told in between."""
    async for status in stream:
        if is_it(status):
            return status
    raise AssertionError("the stream has ended")


async def test_a_takeover_is_told_to_everybody(live: LiveServer, instance: Instance) -> None:
    storage = instance.storage.run_storage

    def lease(daemon_id: str, seconds: float) -> None:
        storage.claim_daemon_lease(
            "MONITORING", daemon_id, now=clock.timestamp(), lease_seconds=seconds
        )

    async with live.connect() as one, live.connect() as two:
        streams = []
        for socket in (one, two):
            await greet(socket)
            streams.append(follow(socket, "WatchDaemons"))
            first = await anext(streams[-1])
            assert (first["daemonType"], first["state"]) == ("MONITORING", "NOT_RUNNING")

        lease("first", 0.001)
        storage.add_daemon_heartbeat(beat("first"))
        storage.add_daemon_heartbeat(beat("second"))
        for stream in streams:
            status = await until(stream, lambda status: bool(status["standbys"]))
            assert status["lastHeartbeat"]["daemonId"] == "first"
            assert [each["daemonId"] for each in status["standbys"]] == ["second"]

        lease("second", 3600)
        for stream in streams:
            status = await until(stream, lambda s: s["lastHeartbeat"]["daemonId"] == "second")
            assert (status["state"], status["healthy"]) == ("RUNNING", True)


async def test_a_location_that_is_reloaded_is_told(
    live: LiveServer, workspace: FakeWorkspace
) -> None:
    async with live.connect() as socket:
        await greet(socket)
        stream = follow(socket, "WatchCodeLocations")
        first = await anext(stream)
        assert (first["type"], first["name"]) == ("CREATED", "here")

        workspace.get_location("here").broken = True
        document = load_document("ReloadCodeLocation")
        answer = await asyncio.to_thread(
            live.post,
            document,
            operationName="ReloadCodeLocation",
            variables={"input": {"name": "here"}},
        )
        reloaded = answer.json()["data"]["reloadCodeLocation"]["codeLocation"]
        told = await anext(stream)
        assert (told["type"], told["codeLocation"]) == ("UPDATED", reloaded)
        assert reloaded["status"] == "FAILED"


async def test_who_leaves_is_forgotten(live: LiveServer, workspace: FakeWorkspace) -> None:
    ended = threading.Event()
    end_watch = workspace.end_watch

    def end_and_tell(callback: Any) -> None:
        end_watch(callback)
        ended.set()

    workspace.end_watch = end_and_tell  # type: ignore[method-assign]
    async with live.connect() as socket:
        await greet(socket)
        await anext(follow(socket, "WatchCodeLocations"))
        assert len(workspace.watchers) == 1
        await say(socket, {"type": "complete", "id": "1"})
        assert await asyncio.to_thread(ended.wait, 30)
    assert workspace.watchers == []


async def test_a_server_that_ends_ends_the_streams(
    instance: Instance, workspace: FakeWorkspace
) -> None:
    app = create_app(instance, workspace, settings=AppSettings())
    served = run_app(app, Limits())
    server = LiveServer(await asyncio.to_thread(served.__enter__), [], SimpleQueue())
    async with server.connect() as one, server.connect() as two:
        for socket, name in ((one, "WatchDaemons"), (two, "WatchCodeLocations")):
            await greet(socket)
            await anext(follow(socket, name))
        async with asyncio.timeout(30):
            await asyncio.to_thread(served.__exit__, None, None, None)
            await one.wait_closed()
            await two.wait_closed()
    assert workspace.watchers == []
