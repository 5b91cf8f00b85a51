"""Several processes serve one PostgreSQL; one is killed under load: who comes back has lost and doubled nothing."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_worker_serving import is_gone, workers_of
from tests.end_to_end.conftest import (
    STORAGES,
    Endpoint,
    Server,
    Subscriber,
    report,
    wait_until,
)
from tests.torture import FULL

pytestmark = [pytest.mark.torture, pytest.mark.timeout(900)]

SUBSCRIBERS = 200 if FULL else 40
WRITERS = 4
BATCH = 5
PAUSE_SECONDS = 0.1
"""Some 200 events a second come together, of which each subscriber gets every one."""
STRETCH = 500 if FULL else 200
"""How many events everybody gets between two kills."""


class InTurn:
    """Servers of one instance: whoever comes goes to the next one, so that who comes back goes to another."""

    def __init__(self, *servers: Server) -> None:
        self._servers = itertools.cycle(servers)

    @property
    def url(self) -> str:
        return next(self._servers).url

    def execute(self, query: str, **variables: Any) -> dict[str, Any]:
        return next(self._servers).execute(query, **variables)


class Writer(threading.Thread):
    """Reports lines until it was told to end; a report that is not acknowledged is repeated elsewhere."""

    def __init__(self, endpoint: Endpoint, run_id: str, number: int) -> None:
        super().__init__(daemon=True)
        self.lines: list[str] = []
        self._endpoint, self._run_id, self._number = endpoint, run_id, number
        self._enough = threading.Event()

    def run(self) -> None:
        while not self._enough.wait(PAUSE_SECONDS):
            lines = [f"{self._number}-{len(self.lines) + n}" for n in range(BATCH)]
            report(self._endpoint, self._run_id, [{"message": each} for each in lines], lines[0])
            self.lines += lines

    def end(self) -> None:
        self._enough.set()
        self.join()


class Crowd:
    """Subscribers and writers of one run."""

    def __init__(self, *servers: Server) -> None:
        self.run_id = servers[0].create_managed_run()
        self._end = InTurn(*servers)
        firsts = [servers[n % len(servers) :] + servers[: n % len(servers)] for n in range(1000)]
        self.writers = [Writer(InTurn(*firsts[n]), self.run_id, n) for n in range(WRITERS)]
        self.subscribers = [Subscriber(InTurn(*firsts[n]), self.run_id) for n in range(SUBSCRIBERS)]
        for thread in (*self.subscribers, *self.writers):
            thread.start()

    def go_on(self) -> None:
        """Returns once everybody has got many more events."""
        wanted = max(len(each.positions) for each in self.subscribers) + STRETCH

        def has_come() -> bool:
            assert all(each.is_alive() for each in self.writers), "a writer failed"
            return all(len(each.positions) >= wanted or each.failure for each in self.subscribers)

        wait_until(has_come, "everybody to go on")

    def finish(self) -> None:
        """Ends the run, and sees that each subscriber was told of all, once and in order, and of the end."""
        for writer in self.writers:
            writer.end()
        report(self._end, self.run_id, [{"eventType": "RUN_SUCCESS", "message": "done"}], "end")
        for subscriber in self.subscribers:
            subscriber.join(200)
        written = [line for writer in self.writers for line in writer.lines]
        told = self.subscribers[0].messages
        assert sorted(told) == sorted([*written, "done"])
        for each in self.subscribers:
            assert each.failure is None
            assert each.positions == list(range(1, len(written) + 2))
            assert each.messages == told
            assert each.ranges_are_contiguous
            assert each.statuses[-1] == "SUCCESS"
            assert not each.is_alive(), "its stream did not complete"


@contextmanager
def servers_of_one_database(folder: Path) -> Iterator[tuple[Server, Server]]:
    """Two processes that know of each other by their PostgreSQL only."""
    made = (Server(folder / "one"), Server(folder / "two"))
    try:
        for each in made:
            each.home.mkdir()
            (each.home / "runwire.yaml").write_text(STORAGES["postgres"])
            each.start()
        yield made
    finally:
        for each in made:
            if each.process is not None and each.process.poll() is None:
                each.kill()


def test_who_loses_a_server_goes_on_at_the_other_with_each_position_once(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTGRES_URL", postgres_url)
    with servers_of_one_database(tmp_path) as (one, two):
        crowd = Crowd(one, two)
        crowd.go_on()
        one.kill()
        crowd.go_on()
        assert all(each.connections >= 2 for each in crowd.subscribers[::2])
        assert {each.connections for each in crowd.subscribers[1::2]} == {1}
        one.start()
        two.kill()
        crowd.go_on()
        crowd.finish()
        assert all(each.connections >= 2 for each in crowd.subscribers)


def test_who_loses_a_worker_goes_on_at_another_with_each_position_once(
    server: Server, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTGRES_URL", postgres_url)
    (server.home / "runwire.yaml").write_text(STORAGES["postgres"])
    server.start("serve", "--workers", "2")
    assert server.process is not None
    pid = server.process.pid
    wait_until(lambda: len(workers_of(pid)) == 2, "both workers")
    crowd = Crowd(server)
    for worker in workers_of(pid):
        crowd.go_on()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: is_gone(worker) and len(workers_of(pid)) == 2, "another worker")  # noqa: B023 - waited for at once
    crowd.go_on()
    crowd.finish()
    # Each was at one of the two that were killed.
    assert all(each.connections >= 2 for each in crowd.subscribers)
    assert server.stop() == 0
