"""The sensors daemon: each sensor in its interval, each event that one watches once, whatever the clock does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from runwire.daemons import sensors
from runwire.daemons.sensors import SensorsDaemon
from runwire.errors import CodeLocationUnavailableError, TickEvaluationError
from runwire.events.types import EventType
from runwire.instance import Instance
from runwire.runs.run import RunRecord
from runwire.snapshots import RepositorySnapshot, SensorKind, SensorSnapshot
from runwire.testing.left_behind import GENEROUS_SECONDS
from runwire.testing.samples import launch, report
from runwire.ticks import (
    RunRequest,
    Tick,
    TickEvaluation,
    TickSourceOrigin,
    TickSourceStatus,
    TickSourceType,
    TickStatus,
)
from runwire.ticks.evaluation import SensorInput
from tests.control.fakes import FakeLocation, FakeWorkspace

BEGIN = 1_792_000_000.0


def origin(name: str) -> TickSourceOrigin:
    return TickSourceOrigin(
        source_type=TickSourceType.SENSOR,
        location_name="here",
        repository_name="main",
        name=name,
    )


def files(name: str = "files", *, starts_running: bool = False) -> SensorSnapshot:
    return SensorSnapshot(
        name, job_names=("etl",), minimum_interval_seconds=30, starts_running=starts_running
    )


def failed(*, starts_running: bool = False) -> SensorSnapshot:
    return SensorSnapshot(
        "failed",
        kind=SensorKind.RUN_STATUS,
        minimum_interval_seconds=0,
        event_types=(EventType.RUN_FAILURE,),
        starts_running=starts_running,
    )


@dataclass
class World:
    instance: Instance
    here: FakeLocation
    time: float = BEGIN
    passed: float = 0.0
    errors: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.storage = self.instance.storage
        self.schedules = self.storage.schedule_storage
        self.restart()

    def restart(self) -> None:
        self.daemon = SensorsDaemon(
            self.instance, FakeWorkspace(self.here), lambda: self.time, lambda: self.passed
        )

    def define(self, *snapshots: SensorSnapshot) -> None:
        (main,) = self.here.state.repositories
        repository = RepositorySnapshot(main.name, main.jobs, (), snapshots)
        self.here._state = self.here._loaded = replace(
            self.here._loaded, repositories=(repository,)
        )

    def start(self, name: str = "files") -> None:
        self.schedules.set_tick_source_status(origin(name), TickSourceStatus.RUNNING, at=self.time)

    def look(self, seconds: float = 0.0, *, clock: float | None = None) -> None:
        """Lets time pass, and has the daemon look. The clock goes on with it, unless it is set."""
        self.passed += seconds
        self.time = self.time + seconds if clock is None else clock
        self.daemon.run_iteration(self.errors.append, lambda: False)
        self.daemon.wait_until_idle(GENEROUS_SECONDS)

    def ticks(self, name: str = "files") -> list[Tick]:
        return self.schedules.get_ticks(origin(name).source_id, limit=1000).ticks[::-1]

    def a_failed_run(self) -> RunRecord:
        record = launch(self.storage, job_name="etl", location_name="here", repository_name="main")
        report(self.storage, record.run_id, EventType.RUN_FAILURE)
        return record

    def told(self) -> list[str | None]:
        return [given.event.run_id if given.event else None for given in self.here.given]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Instance.from_home(tmp_path) as instance:
        made = World(instance, FakeLocation("here", "etl"))
        yield made
        made.daemon.close()


def test_a_sensor_is_called_when_its_interval_has_passed(world: World) -> None:
    world.define(files(), files("stopped"))
    world.start()
    for _ in range(125):
        world.look(1.0)
    assert [tick.started_at - BEGIN for tick in world.ticks()] == [1, 31, 61, 91, 121]
    assert world.ticks("stopped") == []
    assert world.errors == []


def test_another_daemon_heeds_the_interval_since_the_last_tick(world: World) -> None:
    world.define(files())
    world.start()
    world.look()
    world.restart()
    for _ in range(29):
        world.look(1.0)
    assert len(world.ticks()) == 1
    world.look(1.0)
    assert len(world.ticks()) == 2


@pytest.mark.parametrize("jump", [-1e6, 1e6])
def test_a_clock_that_is_set_neither_stops_nor_hurries_a_sensor(world: World, jump: float) -> None:
    world.define(files())
    world.start()
    world.look()
    world.look(1.0, clock=world.time + jump)
    for _ in range(28):
        world.look(1.0)
    assert len(world.ticks()) == 1
    for _ in range(32):
        world.look(1.0)
    assert len(world.ticks()) == 3
    world.restart()  # who knows of no interval that has begun waits for one at most
    for _ in range(31):
        world.look(1.0)
    assert len(world.ticks()) == 4


def test_a_tick_that_was_left_is_ended_before_the_next_one(world: World) -> None:
    world.define(files())
    world.start()
    source_id = origin("files").source_id
    tick, _ = world.schedules.create_tick(source_id, "after/0", due_at=BEGIN, started_at=BEGIN)
    asked = RunRequest(job_name="etl", run_config={"bad": 1})
    world.schedules.update_tick(replace(tick, requests=(asked,)))
    world.look()
    (tick,) = world.ticks()
    assert (tick.status, world.here.given) == (TickStatus.FAILURE, [])


def test_what_could_not_be_reached_is_tried_again_and_what_raised_has_its_next_turn(
    world: World,
) -> None:
    def fail(error: Exception) -> None:
        def evaluate(_: SensorInput) -> TickEvaluation:
            raise error

        world.here.evaluate_given = evaluate

    world.define(files())
    world.start()
    fail(CodeLocationUnavailableError("here", "gone"))
    for _ in range(5):
        world.look(1.0)
    (tick,) = world.ticks()
    assert (tick.status, tick.failure_count) == (TickStatus.FAILURE, 0)
    assert tick.attempts == 5
    fail(TickEvaluationError("it raised"))
    for _ in range(29):
        world.look(1.0)
    (tick,) = world.ticks()
    assert (tick.failure_count, tick.attempts) == (1, 6)
    for _ in range(3):
        world.look(1.0)
    assert [each.attempts for each in world.ticks()] == [6, 1]


def test_the_default_status_starts_a_sensor_and_its_cursor_stays_while_it_is_gone(
    world: World,
) -> None:
    world.here.evaluate_given = lambda given: TickEvaluation(cursor=f"{given.cursor or ''}+")
    world.define(files(starts_running=True))
    world.look()
    assert world.ticks()[0].cursor == "+"
    world.define()
    world.look(60)
    world.define(files(starts_running=True))
    world.look(60)
    assert [tick.cursor for tick in world.ticks()] == ["+", "++"]
    world.define(files())
    world.look(60)
    assert len(world.ticks()) == 2
    assert world.errors == []


def test_one_that_was_started_and_is_defined_no_more_is_told(world: World) -> None:
    world.start()
    world.look()
    assert ["there is no sensor 'files'" in str(error) for error in world.errors] == [True]


def test_events_are_told_once_and_in_order_whoever_works(world: World) -> None:
    world.define(failed(starts_running=True))
    world.a_failed_run()  # before it was started
    world.look()
    wanted = []
    for turn in range(6):
        wanted += [world.a_failed_run().run_id for _ in range(turn)]
        if turn % 2:
            world.restart()
        world.look(1.0)
        world.look(1.0)
    assert world.told() == wanted
    assert {tick.status for tick in world.ticks("failed")} == {TickStatus.SKIPPED}
    assert world.errors == []


def test_nothing_is_read_while_nothing_happens(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.define(failed(starts_running=True))
    world.look()
    world.look(1.0)

    def never(*_: object) -> None:
        raise AssertionError("it has looked for events")

    monkeypatch.setattr(sensors, "next_watched", never)
    for _ in range(10):
        world.look(1.0)
    assert (world.errors, world.ticks("failed")) == ([], [])
    world.a_failed_run()
    world.look(1.0)
    assert [str(error) for error in world.errors] == ["it has looked for events"]


def test_a_cursor_that_is_set_back_has_events_told_again(world: World) -> None:
    world.define(failed(starts_running=True))
    world.look()
    source_id = origin("failed").source_id
    begin = world.schedules.get_tick_source(source_id).cursor
    record = world.a_failed_run()
    world.look(1.0)
    world.schedules.set_tick_source_cursor(source_id, begin, at=world.time)
    for _ in range(3):
        world.look(1.0)
    assert world.told() == [record.run_id] * 2
    world.schedules.set_tick_source_cursor(source_id, None, at=world.time)
    for _ in range(3):
        world.look(1.0)
    assert world.told() == [record.run_id] * 2
    world.a_failed_run()
    world.look(1.0)
    assert len(world.told()) == 3


def test_what_does_not_concern_it_is_not_looked_at_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "SAVE_AFTER", 3)
    world.define(failed(starts_running=True))
    world.look()
    source_id = origin("failed").source_id
    before = world.schedules.get_tick_source(source_id).cursor
    for _ in range(3):
        launch(world.storage, job_name="other")
    world.look(1.0)
    assert world.schedules.get_tick_source(source_id).cursor != before
    assert world.ticks("failed") == []


def test_events_that_cannot_be_told_now_wait(world: World) -> None:
    world.define(failed(starts_running=True))
    world.look()
    records = [world.a_failed_run() for _ in range(2)]

    def gone(_: SensorInput) -> TickEvaluation:
        raise CodeLocationUnavailableError("here", "gone")

    world.here.evaluate_given = gone
    for _ in range(3):
        world.look(1.0)
    assert world.told() == [records[0].run_id] * 3
    world.here.evaluate_given = lambda given: TickEvaluation(cursor=given.cursor)
    world.look(1.0)
    world.look(1.0)
    assert world.told()[3:] == [each.run_id for each in records]
    assert world.errors == []
