"""Followers that outlive servers and tokens: real processes, killed without a word."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import runwire
from runwire import clock
from runwire.api.access import Role
from runwire.client import (
    CursorExpiredError,
    NotAuthorizedError,
    Outage,
    RunwireClient,
    TokenExpiredError,
)
from runwire.instance import Instance
from runwire.server.app import create_app
from runwire.server.auth import AcceptedToken
from runwire.server.settings import AppSettings, Limits
from tests.end_to_end.conftest import STORAGES, Server, report, server
from tests.server.conftest import run_app
from tests.server.serving import EmptyWorkspace

__all__ = ["server"]

BATCH = 20


class Follower(threading.Thread):
    """Follows a run to its end by the client, and remembers all that it got."""

    def __init__(self, url: str, run_id: str) -> None:
        super().__init__(daemon=True)
        self.url, self.run_id = url, run_id
        self.positions: list[int] = []
        self.messages: list[str] = []
        self.outages = 0

    def run(self) -> None:
        with RunwireClient(self.url) as client:
            for batch in client.follow_run(self.run_id, on_outage=self.count):
                self.positions += [event.position for event in batch.records]
                self.messages += [event.message for event in batch.records]

    def count(self, outage: Outage) -> None:
        self.outages += outage.attempt == 1

    def wait_for(self, position: int) -> None:
        while len(self.positions) < position:
            assert self.is_alive(), "it has ended"
            self.join(0.01)


class Writer(threading.Thread):
    """Reports lines through every outage until it was told to end, and the end of the run after them."""

    def __init__(self, server: Server, run_id: str) -> None:
        super().__init__(daemon=True)
        self.server, self.run_id = server, run_id
        self.lines: list[str] = []
        self._enough = threading.Event()

    def run(self) -> None:
        while not self._enough.wait(0.01):
            lines = [f"line {len(self.lines) + n}" for n in range(BATCH)]
            self._report([{"message": line} for line in lines])
            self.lines += lines
        self._report([{"message": "done", "eventType": "RUN_SUCCESS"}])

    def end(self) -> None:
        self._enough.set()
        self.join()

    def _report(self, events: list[dict[str, Any]]) -> None:
        report(self.server, self.run_id, events, f"after {len(self.lines)}")


def assert_everything_once(follower: Follower, writer: Writer) -> None:
    follower.join(100)
    assert follower.messages == [*writer.lines, "done"]
    assert follower.positions == list(range(1, len(writer.lines) + 2))


def test_a_server_that_is_killed_under_load_costs_no_event_and_doubles_none(server: Server) -> None:
    server.start()
    run_id = server.create_managed_run()
    follower, writer = Follower(server.url, run_id), Writer(server, run_id)
    follower.start()
    writer.start()
    for number in range(1, 4):
        follower.wait_for(len(follower.positions) + 2 * BATCH)
        server.kill()
        while follower.outages < number:
            follower.join(0.01)
        server.start()
    writer.end()
    assert_everything_once(follower, writer)


class Relay:
    """A load balancer: hands each connection to the first of its servers that takes it.

    A connection ends with its server.
    """

    def __init__(self, *ports: int) -> None:
        self.ports = ports
        self.taken: list[int] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for port in self.ports:
            try:
                behind, before = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                continue
            self.taken.append(port)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, before))
                group.create_task(self._pass(behind, writer))
            return
        writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            try:
                while data := await reader.read(65_536):
                    writer.write(data)
                    await writer.drain()
            except OSError:
                pass


@contextmanager
def relaying(*ports: int) -> Iterator[Relay]:
    relay = Relay(*ports)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> asyncio.Server:
        listening = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
        relay.port = listening.sockets[0].getsockname()[1]
        return listening

    async def stop(listening: asyncio.Server) -> None:
        listening.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    listening = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    try:
        yield relay
    finally:
        asyncio.run_coroutine_threadsafe(stop(listening), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def two_servers(folder: Path) -> Iterator[tuple[Server, Server]]:
    """Two processes that serve one PostgreSQL."""
    servers = []
    for name in ("one", "two"):
        (folder / name).mkdir()
        (folder / name / "runwire.yaml").write_text(STORAGES["postgres"])
        servers.append(Server(folder / name))
    one, two = servers
    try:
        one.start()
        two.start()
        yield one, two
    finally:
        for each in servers:
            if each.process is not None and each.process.poll() is None:
                each.stop()


def test_another_process_goes_on_where_the_one_that_was_killed_stopped(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTGRES_URL", postgres_url)
    with (
        two_servers(tmp_path) as (one, two),
        relaying(one.port, two.port) as relay,
    ):
        run_id = one.create_managed_run()
        follower = Follower(f"http://127.0.0.1:{relay.port}", run_id)
        writer = Writer(two, run_id)
        follower.start()
        writer.start()
        follower.wait_for(5 * BATCH)
        one.kill()
        follower.wait_for(len(follower.positions) + 5 * BATCH)
        writer.end()
        assert_everything_once(follower, writer)
        assert relay.taken == [one.port, two.port]


class Tokens:
    """Gives a token that is about to expire, and from then on one that never does; time stands still but here."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_800_000_000.0
        self.given: list[str] = []
        self.accepted = (
            AcceptedToken("old", _digest("old"), Role.ADMIN, self.now),
            AcceptedToken("new", _digest("new"), Role.ADMIN),
        )
        monkeypatch.setattr(clock, "timestamp", lambda: self.now)

    def __call__(self) -> str:
        self.now += -0.2 if not self.given else 0.2
        self.given.append("new" if self.given else "old")
        return self.given[-1]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@contextmanager
def guarded(instance: Instance, tokens: Tokens) -> Iterator[str]:
    settings = AppSettings(tokens=tokens.accepted)
    with run_app(create_app(instance, EmptyWorkspace(), settings=settings), Limits()) as url:
        yield url


def test_a_stream_whose_token_expires_goes_on_with_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens(monkeypatch)
    with (
        Instance.ephemeral(tmp_path) as instance,
        guarded(instance, tokens) as url,
        runwire.connect(url, "new") as admin,
        runwire.connect(url, tokens) as client,
    ):
        run_id = admin.create_run("outside", managed=True).run.run_id
        admin.report_events(run_id, [{"message": "before"}])
        received: list[str] = []

        def end(_: object) -> None:
            admin.report_events(run_id, [{"message": "after"}])
            admin.report_events(run_id, [{"message": "done", "eventType": "RUN_SUCCESS"}])

        for batch in client.follow_run(run_id, on_outage=end):
            received += [event.message for event in batch.records]
        assert received == ["before", "after", "done"]
        assert tokens.given == ["old", "new"]


def test_a_stream_whose_token_expires_ends_where_there_is_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens(monkeypatch)
    with (
        Instance.ephemeral(tmp_path) as instance,
        guarded(instance, tokens) as url,
        runwire.connect(url, "new") as admin,
        runwire.connect(url, tokens()) as client,
    ):
        run_id = admin.create_run("outside", managed=True).run.run_id
        with pytest.raises(TokenExpiredError, match="the token has expired"):
            list(client.follow(run_id))
        tokens()
        with pytest.raises(TokenExpiredError, match="the token 'old' expired at"):
            client.list_runs()


def test_a_token_that_is_not_known_and_one_that_is_missing_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens(monkeypatch)
    with Instance.ephemeral(tmp_path) as instance, guarded(instance, tokens) as url:
        for token in ("other", None):
            with runwire.connect(url, token) as client:
                for ask in (client.list_runs, partial(next, client.follow("r1"))):
                    with pytest.raises(NotAuthorizedError) as refused:
                        ask()
                    assert not isinstance(refused.value, TokenExpiredError)


def test_a_cursor_whose_events_are_purged_tells_where_there_are_some(tmp_path: Path) -> None:
    app_settings = AppSettings()
    with (
        Instance.ephemeral(tmp_path) as instance,
        run_app(create_app(instance, EmptyWorkspace(), settings=app_settings), Limits()) as url,
        runwire.connect(url) as client,
    ):
        run_id = client.create_run("outside", managed=True).run.run_id
        begin = next(client.watch_events(["RUN_SUCCESS"], "HEAD")).end_cursor
        client.report_events(run_id, [{"message": "done", "eventType": "RUN_SUCCESS"}])
        end = next(client.watch_events(["RUN_SUCCESS"], begin))
        assert [event.message for event in end.records] == ["done"]
        instance.storage.event_log_storage.purge_instance_log(end.to_position)
        with pytest.raises(CursorExpiredError) as expired:
            next(client.watch_events(["RUN_SUCCESS"], begin))
        on = next(client.watch_events(["RUN_SUCCESS"], expired.value.earliest_cursor))
        assert (on.from_position, on.records) == (end.to_position, ())
