"""The scheduler: each due time gives one tick, whatever happens to the clock and the process meanwhile."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from runwire.daemons.scheduler import SchedulerDaemon
from runwire.errors import CodeLocationUnavailableError, TickEvaluationError
from runwire.instance import Instance
from runwire.snapshots import RepositorySnapshot, ScheduleSnapshot
from runwire.testing.left_behind import GENEROUS_SECONDS
from runwire.ticks import (
    RunRequest,
    Tick,
    TickEvaluation,
    TickSourceOrigin,
    TickSourceStatus,
    TickSourceType,
    TickStatus,
)
from runwire.ticks.cron import CronSchedule
from tests.control.fakes import FakeLocation, FakeWorkspace

BEGIN = 1_792_000_000.0
DAY = 86_400.0


def origin(name: str) -> TickSourceOrigin:
    return TickSourceOrigin(
        source_type=TickSourceType.SCHEDULE,
        location_name="here",
        repository_name="main",
        name=name,
    )


@dataclass
class World:
    instance: Instance
    here: FakeLocation
    time: float = BEGIN
    passed: float = 0.0
    errors: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.schedules = self.instance.storage.schedule_storage
        self.restart()

    def restart(self) -> None:
        self.daemon = SchedulerDaemon(
            self.instance, FakeWorkspace(self.here), lambda: self.time, lambda: self.passed
        )

    def define(self, *snapshots: ScheduleSnapshot) -> None:
        (main,) = self.here.state.repositories
        self.here._state = replace(
            self.here.state, repositories=(RepositorySnapshot(main.name, main.jobs, snapshots),)
        )

    def start(self, name: str) -> None:
        self.schedules.set_tick_source_status(origin(name), TickSourceStatus.RUNNING, at=self.time)

    def look(self, at: float | None = None) -> None:
        at = self.time if at is None else at
        self.passed += abs(at - self.time)
        self.time = at
        self.daemon.run_iteration(self.errors.append, lambda: False)
        self.daemon.wait_until_idle(GENEROUS_SECONDS)

    def ticks(self, name: str) -> list[Tick]:
        page = self.schedules.get_ticks(origin(name).source_id, limit=1000)
        return page.ticks[::-1]


def hourly(name: str = "hourly", *, starts_running: bool = False) -> ScheduleSnapshot:
    return ScheduleSnapshot(name, "etl", "0 * * * *", starts_running=starts_running)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Instance.from_home(tmp_path) as instance:
        yield World(instance, FakeLocation("here", "etl"))


def test_a_month_with_restarts_gives_each_due_time_one_tick(world: World) -> None:
    daily = ScheduleSnapshot("daily", "etl", "30 1 * * *", "America/Chicago")
    world.define(daily, hourly())
    world.start("daily")
    world.start("hourly")
    chance = random.Random(7)
    end = BEGIN + 31 * DAY
    while world.time < end:
        world.look(world.time + chance.uniform(60, 3599))
        if chance.random() < 0.1:
            world.restart()
    for name, cron in (
        ("daily", CronSchedule("30 1 * * *", "America/Chicago")),
        ("hourly", CronSchedule("0 * * * *")),
    ):
        expected = [due for due in cron.next_after(BEGIN, 1000) if due <= world.time]
        assert [tick.due_at for tick in world.ticks(name)] == expected
    assert world.errors == []


def test_it_wakes_when_the_next_one_is_due(world: World) -> None:
    world.define(hourly())
    world.start("hourly")
    due = CronSchedule("0 * * * *").next_after(BEGIN, 1)[0]
    world.look(due - 0.25)
    assert world.daemon.interval_seconds == pytest.approx(0.25)
    assert world.ticks("hourly") == []
    world.look(due)
    assert [tick.due_at for tick in world.ticks("hourly")] == [due]
    assert world.daemon.interval_seconds == 1.0


def test_after_a_pause_only_the_latest_due_time_gets_a_tick(world: World) -> None:
    world.define(hourly())
    world.start("hourly")
    world.look(BEGIN + 10 * DAY)
    assert [tick.due_at for tick in world.ticks("hourly")] == [
        CronSchedule("0 * * * *").latest(BEGIN, world.time)
    ]
    world.look(BEGIN + DAY)  # the clock is set back
    assert len(world.ticks("hourly")) == 1


def test_a_stopped_schedule_and_one_that_nobody_started_make_none(world: World) -> None:
    world.define(hourly("never"), hourly("stopped"))
    world.start("stopped")
    world.schedules.set_tick_source_status(origin("stopped"), TickSourceStatus.STOPPED, at=BEGIN)
    world.look(BEGIN + DAY)
    assert world.ticks("never") == world.ticks("stopped") == []


def test_the_default_status_starts_and_drops_a_schedule(world: World) -> None:
    world.define(hourly(starts_running=True))
    world.look()
    state = world.schedules.get_tick_source(origin("hourly").source_id)
    assert (state.is_running, state.by_default, state.running_since) == (True, True, BEGIN)
    world.look(BEGIN + 3600)
    assert len(world.ticks("hourly")) == 1
    world.define()
    world.look(world.time + 60)
    assert world.schedules.find_tick_source(origin("hourly").source_id) is None
    assert world.errors == []


def test_a_schedule_that_was_started_and_is_defined_no_more_is_told(world: World) -> None:
    world.start("hourly")
    world.look()
    assert ["there is no schedule 'hourly'" in str(error) for error in world.errors] == [True]
    assert world.schedules.get_tick_source(origin("hourly").source_id).is_running


def test_what_failed_is_tried_again_as_often_as_it_may_be(world: World) -> None:
    def fail(error: Exception) -> None:
        def evaluate(_: str) -> TickEvaluation:
            raise error

        world.here.evaluate = evaluate

    world.define(hourly())
    world.start("hourly")
    fail(CodeLocationUnavailableError("here", "gone"))
    world.look(BEGIN + 3600)
    for _ in range(3):
        world.look(world.time + 11)
    (tick,) = world.ticks("hourly")
    assert (tick.status, tick.attempts, tick.failure_count) == (TickStatus.FAILURE, 4, 0)
    fail(TickEvaluationError("it raised"))
    for _ in range(3):
        world.look(world.time + 11)
    (tick,) = world.ticks("hourly")
    assert (tick.status, tick.attempts, tick.failure_count) == (TickStatus.FAILURE, 5, 1)


def test_a_tick_that_was_left_unended_is_taken_up_again(world: World) -> None:
    world.define(hourly())
    world.start("hourly")
    source_id = origin("hourly").source_id
    tick, _ = world.schedules.create_tick(source_id, "1", due_at=BEGIN + 1, started_at=BEGIN + 1)
    asked = RunRequest(job_name="etl", run_config={"bad": 1})
    world.schedules.update_tick(replace(tick, requests=(asked,)))
    world.look(BEGIN + 2)
    (tick,) = world.ticks("hourly")
    assert tick.status is TickStatus.FAILURE
    assert tick.error is not None
    assert "run request 1 of schedule 'hourly' is refused" in tick.error.message
    assert world.here.evaluated == []
