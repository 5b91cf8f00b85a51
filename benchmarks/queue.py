"""The run queue: how many no-op runs go through it, how soon a free place is taken, and a queue of 100,000 runs."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from sqlalchemy import insert

from benchmarks.launch import JOBS, Server
from benchmarks.programs import first_line, served
from benchmarks.table import Row
from runwire.control import NewRun
from runwire.coordinators.queued import QueuedRunCoordinator
from runwire.daemons.queue import QueueDaemon
from runwire.events.entry import EventLogEntry
from runwire.events.types import TERMINAL_RUN_EVENTS, EventType
from runwire.instance import Instance
from runwire.runs.queueing import QueueSettings, TagLimit
from runwire.runs.run import Run
from runwire.runs.status import RunStatus
from runwire.storage import EventLogStorage
from runwire.storages.sql.rows import run_values
from runwire.storages.sql.tables import run_tags, runs
from runwire.storages.sqlite import SqliteStorage
from runwire.storages.stored_form import new_record
from runwire.workspace import JobSelector
from tests.control.fakes import FakeLauncher, FakeLocation, FakeWorkspace

RUNS = 50
AT_ONCE = 4
ROUNDS = 3
MANY = 100_000
VALUES = 1000
PASSES = 50
BULK = 5_000

COMMITS = 13
"""Synced commits of a no-op run: of its row, of its mirrored events (two each), of its step's."""

TERMINATED = 1_000

TERMINATE_COMMITS = 2
"""Synced commits of the end of a queued run: of its log, and of its row."""

TERMINATE = """mutation ($input: TerminateRunsInput!) {
  terminateRuns(input: $input) { ... on TerminateRunsSuccess { runs { runId status } } }
}"""

CONFIG = """
run_coordinator:
  module: runwire.coordinators.queued
  class: QueuedRunCoordinator
  config: {max_concurrent_runs: %d}
"""


def run() -> list[Row]:
    """Measures a server with a queue, as `runwire dev` starts it, and the daemon alone over a long queue."""
    return [*_through_the_queue(), *_long_queue(), _terminated()]


def _through_the_queue() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="runwire-bench-") as folder:
        home = Path(folder)
        (home / "jobs.py").write_text(JOBS, encoding="utf-8")
        (home / "runwire.yaml").write_text(CONFIG % AT_ONCE, encoding="utf-8")
        with served(home, "dev", "-f", str(home / "jobs.py")) as (process, endpoint):
            first_line(process, "location  jobs: LOADED")
            with closing(Server(endpoint, process.pid, home)) as server:
                server.wait(server.submit("no_op"))
                rates, floors = [], []
                for _ in range(ROUNDS):
                    rates.append(_rate(server))
                    floors.append(_floor(home))
        with Instance.from_home(home) as instance:
            gaps = list(_gaps(instance.storage.event_log_storage))
    rate, floor, gap = map(statistics.median, (rates, floors, gaps))
    return [
        Row(
            name=f"{RUNS} no-op runs through the queue, {AT_ONCE} at a time, against forks and synced commits",
            measured=rate,
            unit="runs/min",
            floor=floor,
            ratio=rate / floor,
            aim="at least 600 runs/min",
            met=rate >= 600,
        ),
        Row(
            name="a freed place to the next RUN_STARTING",
            measured=gap,
            unit="ms",
            aim="at most 50 ms",
            met=gap <= 50,
        ),
    ]


def _rate(server: Server) -> float:
    """Runs a minute from the first submission to the end of the last run."""
    began = time.perf_counter()
    run_ids = [server.submit("no_op") for _ in range(RUNS)]
    for run_id in run_ids:
        assert server.wait(run_id)["status"] == "SUCCESS"
    return 60 * RUNS / (time.perf_counter() - began)


def _floor(home: Path) -> float:
    """Runs a minute of which each is a fork that ends at once, and so many synced appends to a file."""
    began = time.perf_counter()
    with (home / "floor").open("ab", buffering=0) as file:
        for _ in range(RUNS):
            if (pid := os.fork()) == 0:
                os._exit(0)
            os.waitpid(pid, 0)
            for _ in range(COMMITS):
                file.write(b"x" * 512)
                os.fdatasync(file.fileno())
    return 60 * RUNS / (time.perf_counter() - began)


def _gaps(logs: EventLogStorage) -> Iterator[float]:
    """Milliseconds from the end of each run to the launch in its place, while others waited."""
    freed: deque[float] = deque()
    waiting = in_progress = position = 0
    has_more = True
    while has_more:
        page = logs.get_event_records(after=position)
        for event in (entry.event for entry in page.records if entry.event is not None):
            if event.event_type is EventType.RUN_ENQUEUED:
                waiting += 1
            elif event.event_type is EventType.RUN_STARTING:
                waiting, in_progress = waiting - 1, in_progress + 1
                if freed:
                    yield 1000 * (event.timestamp - freed.popleft())
            elif event.event_type in TERMINAL_RUN_EVENTS:
                if waiting and in_progress == AT_ONCE:
                    freed.append(event.timestamp)
                in_progress -= 1
        has_more = page.has_more
        position = page.records[-1].position if page.records else position


def _long_queue() -> list[Row]:
    """Passes of the daemon, each for one freed place, with runs of which most wait for a limit of their tag."""
    settings = QueueSettings(
        max_concurrent_runs=VALUES + 10,
        tag_limits=(TagLimit(key="customer", is_per_value=True, max=1),),
        dequeue_num_workers=1,
    )
    with (
        tempfile.TemporaryDirectory(prefix="runwire-bench-") as folder,
        _seeded(folder) as instance,
    ):
        instance.run_coordinator = QueuedRunCoordinator(settings)
        instance.run_launcher = launcher = FakeLauncher()
        daemon = QueueDaemon(instance, FakeWorkspace(FakeLocation("here", "etl")))
        loading = _iterate(daemon)
        while len(launcher.launched) < VALUES:
            _iterate(daemon)
        took = []
        for number in range(PASSES):
            _end(instance, launcher.launched[number][0])
            took.append(1000 * _iterate(daemon))
            _wait_for(launcher, VALUES + number + 1)
        daemon.close()
    middle = statistics.median(took)
    return [
        Row(
            name=f"a pass of the daemon that launches one of {MANY:,} queued runs",
            measured=middle,
            unit="ms",
            aim="at most 20 ms",
            met=middle <= 20,
        ),
        Row(name=f"a daemon that takes over {MANY:,} queued runs", measured=loading, unit="s"),
    ]


def _terminated() -> Row:
    """Seconds of one `terminateRuns` over queued runs, each of which has an event log of its own that is not open."""
    workspace = FakeWorkspace(FakeLocation("here", "etl"))
    with tempfile.TemporaryDirectory(prefix="runwire-bench-") as folder:
        home = Path(folder)
        (home / "runwire.yaml").write_text(CONFIG % 0, encoding="utf-8")
        with Instance.from_home(home) as instance:
            for _ in range(TERMINATED):
                new_run = NewRun(job=JobSelector("etl"))
                made, _ = instance.create_run(new_run, workspace)
                instance.submit_run(made.run_id, workspace)
        with (
            served(home) as (process, endpoint),
            closing(Server(endpoint, process.pid, home)) as server,
        ):
            began = time.perf_counter()
            wanted = {"filter": {"statuses": ["QUEUED"]}, "limit": TERMINATED}
            stopped = server.ask(TERMINATE, input=wanted)["terminateRuns"]["runs"]
            took = time.perf_counter() - began
        assert {each["status"] for each in stopped} == {"CANCELED"}
        assert len(stopped) == TERMINATED
        return Row(
            name=f"terminateRuns of {TERMINATED:,} queued runs, against as many synced commits",
            measured=took,
            unit="s",
            floor=(floor := _commits(home, TERMINATED * TERMINATE_COMMITS)),
            ratio=took / floor,
            aim="at most 5 s",
            met=took <= 5,
        )


def _commits(home: Path, count: int) -> float:
    """Seconds of synced appends to a file."""
    began = time.perf_counter()
    with (home / "floor").open("ab", buffering=0) as file:
        for _ in range(count):
            file.write(b"x" * 512)
            os.fdatasync(file.fileno())
    return time.perf_counter() - began


def _iterate(daemon: QueueDaemon) -> float:
    """Seconds of one pass."""

    def fail(error: BaseException) -> None:
        raise error

    began = time.perf_counter()
    daemon.run_iteration(fail, lambda: False)
    return time.perf_counter() - began


def _wait_for(launcher: FakeLauncher, number: int) -> None:
    """Waits until so many runs were launched, and the thread that launches is free."""
    while len(launcher.launched) < number:
        time.sleep(0.001)
    time.sleep(0.01)


def _end(instance: Instance, run_id: str) -> None:
    entry = EventLogEntry(run_id=run_id, event_type=EventType.RUN_FAILURE, message="It ends.")
    instance.storage.store_events(run_id, [entry])


@contextmanager
def _seeded(folder: str) -> Iterator[Instance]:
    """An instance with many queued runs, whose rows are inserted by the thousand."""
    with Instance.from_home(Path(folder)) as instance:
        storage = instance.storage
        assert isinstance(storage, SqliteStorage)
        for first in range(1, MANY + 1, BULK):
            run_rows, tag_rows = [], []
            for number in range(first, first + BULK):
                value = f"customer {number % VALUES}"
                run_made = Run(
                    job_name="etl",
                    tags={"customer": value},
                    location_name="here",
                    repository_name="main",
                )
                made = new_record(number, run_made, 1000.0 + number)
                made = replace(made, status=RunStatus.QUEUED, enqueued_at=made.created_at)
                run_rows.append(run_values(made, None) | {"storage_id": number})
                tag = {"storage_id": number, "key": "customer", "value": value}
                tag_rows.append(tag | {"created_at": made.created_at})
            with storage.run_storage.writing(durable=False) as connection:
                connection.execute(insert(runs), run_rows)
                connection.execute(insert(run_tags), tag_rows)
        yield instance
