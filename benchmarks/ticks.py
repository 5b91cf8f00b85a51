"""Schedules: how soon after it is due a run begins, and a round of 1,000 schedules that are due at once.

The clock of the daemon is ahead of the machine's by so much that the next minute is about to begin.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.table import Row
from runwire import clock
from runwire.daemons.runner import DaemonRunner
from runwire.daemons.scheduler import SchedulerDaemon
from runwire.events.filters import EventFilter
from runwire.events.types import EventType
from runwire.instance import Instance
from runwire.locations.target import LocationTarget
from runwire.locations.workspace import LocalWorkspace
from runwire.storage import ScheduleStorage
from runwire.ticks import TickSourceOrigin, TickSourceStatus, TickSourceType, TickStatus

SAMPLES = 10
MANY = 1000
ROUNDS = 3
PATIENCE_SECONDS = 60.0

JOBS = """
from runwire import RunRequest, ScheduleDefinition, SkipReason, job, op, schedule

@op
def nothing() -> None: ...

@job
def no_op():
    nothing()

@schedule("* * * * *", job=no_op)
def one():
    return RunRequest()

for number in range({many}):
    globals()[f"each_{{number}}"] = ScheduleDefinition(
        f"each_{{number}}", cron_schedule="* * * * *", job=no_op, execution_fn=lambda: SkipReason("nothing new")
    )
"""

COMMITS = 17
"""Synced commits of a tick with a no-op run: the run's, the tick's, what it asks for, the request, the end."""

TICK_COMMITS = 2
"""Commits of a tick without a run."""


class AheadClock:
    """The machine's clock, ahead by as much as was said last."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        """The instant, in epoch seconds."""
        return clock.timestamp() + self.ahead

    def go_to_end_of_minute(self, seconds_left: float) -> float:
        """Puts it ahead until so many seconds before a minute; returns when that begins."""
        due = (self.now() // 60 + 1) * 60
        self.ahead = due - seconds_left - clock.timestamp()
        return due


def run() -> list[Row]:
    """Measures a daemon with real code servers and run workers, on SQLite."""
    return [_latency(), _round()]


@contextmanager
def _scheduler(many: int) -> Iterator[tuple[Instance, LocalWorkspace, AheadClock]]:
    with tempfile.TemporaryDirectory(prefix="runwire-bench-") as folder:
        home = Path(folder)
        (home / "jobs.py").write_text(JOBS.format(many=many), encoding="utf-8")
        target = LocationTarget(python_file=home / "jobs.py")
        with Instance.from_home(home) as instance, LocalWorkspace([target]) as workspace:
            (location,) = workspace.list_locations()
            assert location.wait_until_settled(PATIENCE_SECONDS)
            yield instance, workspace, AheadClock()


def _origin(name: str) -> TickSourceOrigin:
    return TickSourceOrigin(
        source_type=TickSourceType.SCHEDULE,
        location_name="jobs",
        repository_name="__repository__",
        name=name,
    )


def _latency() -> Row:
    latencies, floors = [], []
    with _scheduler(0) as (instance, workspace, ahead):
        schedules = instance.storage.schedule_storage
        schedules.set_tick_source_status(_origin("one"), TickSourceStatus.RUNNING, at=ahead.now())
        daemon = SchedulerDaemon(instance, workspace, ahead.now)
        with DaemonRunner(instance, [daemon]):
            for _ in range(SAMPLES + 1):
                due = ahead.go_to_end_of_minute(1.5)
                latencies.append(1000 * (_run_start_after(instance, due) + ahead.ahead - due))
                floors.append(_floor(Path(instance.ref.home)))
    measured, floor = statistics.median(latencies[1:]), statistics.median(floors)
    return Row(
        name="a due second to RUN_START, against a fork and synced commits",
        measured=measured,
        unit="ms",
        floor=floor,
        ratio=measured / floor,
        aim="at most 150 ms",
        met=measured <= 150,
    )


def _run_start_after(instance: Instance, due: float) -> float:
    """When the run began that the tick of a due instant requested, by the machine's clock."""
    end = time.monotonic() + PATIENCE_SECONDS
    storage = instance.storage
    while time.monotonic() < end:
        ticks = storage.schedule_storage.get_ticks(_origin("one").source_id, limit=1).ticks
        if ticks and ticks[0].due_at == due and ticks[0].run_ids:
            record = storage.get_run_record(ticks[0].run_ids[0])
            begun = storage.event_log_storage.get_records(
                record, filter=EventFilter(event_types=frozenset({EventType.RUN_START}))
            ).records
            if begun and record.is_finished:
                return begun[0].timestamp
        time.sleep(0.01)
    raise TimeoutError("no run began")


def _floor(home: Path, commits: int = COMMITS, forks: int = 1) -> float:
    """Milliseconds that forks which end at once, and synced appends to a file, take."""
    began = time.perf_counter()
    with (home / "floor").open("ab", buffering=0) as file:
        for _ in range(forks):
            if (pid := os.fork()) == 0:
                os._exit(0)
            os.waitpid(pid, 0)
        for _ in range(commits):
            file.write(b"x" * 512)
            os.fdatasync(file.fileno())
    return 1000 * (time.perf_counter() - began)


def _round() -> Row:
    rounds, floors = [], []
    with _scheduler(MANY) as (instance, workspace, ahead):
        schedules = instance.storage.schedule_storage
        for number in range(MANY):
            origin = _origin(f"each_{number}")
            schedules.set_tick_source_status(origin, TickSourceStatus.RUNNING, at=ahead.now())
        daemon = SchedulerDaemon(instance, workspace, ahead.now)
        errors: list[BaseException] = []
        daemon.run_iteration(errors.append, lambda: False)
        for _ in range(ROUNDS):
            due = ahead.go_to_end_of_minute(0.0)
            began = time.perf_counter()
            daemon.run_iteration(errors.append, lambda: False)
            daemon.wait_until_idle(PATIENCE_SECONDS)
            rounds.append(time.perf_counter() - began)
            floors.append(_floor(Path(instance.ref.home), MANY * TICK_COMMITS, 0) / 1000)
            _check(schedules, due)
        assert not errors, errors
        daemon.close()
    measured, floor = statistics.median(rounds), statistics.median(floors)
    return Row(
        name=f"{MANY:,} schedules that are due at once, against two synced commits each",
        measured=measured,
        unit="s",
        floor=floor,
        ratio=measured / floor,
        aim="at most 2 s",
        met=measured <= 2,
    )


def _check(schedules: ScheduleStorage, due: float) -> None:
    """Each of them has had its tick."""
    ids = [_origin(f"each_{number}").source_id for number in range(MANY)]
    for (newest,) in schedules.get_batch_ticks(ids, limit=1).values():
        assert (newest.due_at, newest.status) == (due, TickStatus.SKIPPED)
