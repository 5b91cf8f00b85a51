"""Ticks of sensors: cursor and runs go together, each run key has one run, each event one tick."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import msgspec
import pytest

from runwire import DailyPartitions
from runwire.control import (
    ScheduleSelector,
    SensorSelector,
    TickRunner,
    TickSources,
    evaluate_tick,
    launch_run,
    run_tick,
    set_sensor_cursor,
    start_sensor,
    stop_sensor,
)
from runwire.errors import (
    CodeLocationUnavailableError,
    CursorInvalidError,
    InputInvalidError,
    SensorAmbiguousError,
    SensorNotFoundError,
    TickEvaluationError,
    TickSourceStoppedError,
)
from runwire.events.payloads import AssetEventData
from runwire.events.types import EventType
from runwire.fault_points import TICK_FAULT_POINTS
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.snapshots import RepositorySnapshot, SensorKind, SensorSnapshot
from runwire.storages.sqlite import SqliteStorage
from runwire.testing.samples import add_run, event, launch, report
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
from tests.control.fakes import FakeLauncher, FakeLocation, FakeWorkspace, keeps_cursor

ORIGIN = TickSourceOrigin(
    source_type=TickSourceType.SENSOR, location_name="here", repository_name="main", name="files"
)
FILES = SensorSnapshot("files", job_names=("etl", "both"))
FAILED = SensorSnapshot(
    "files",
    kind=SensorKind.RUN_STATUS,
    minimum_interval_seconds=0,
    event_types=(EventType.RUN_FAILURE,),
)
FRESH = SensorSnapshot(
    "files",
    kind=SensorKind.ASSET,
    minimum_interval_seconds=0,
    event_types=(EventType.ASSET_MATERIALIZATION,),
    asset_key=("sales",),
)
TWO = (RunRequest(job_name="etl", run_key="a"), RunRequest(job_name="both", run_key="b"))


class Killed(BaseException):
    """Stands for the end of the process."""


class Sensor:
    """A sensor whose ticks are made one after the other."""

    def __init__(
        self, storage: SqliteStorage, workspace: FakeWorkspace, launcher: FakeLauncher
    ) -> None:
        self.storage = storage
        self.schedules = storage.schedule_storage
        self.workspace = workspace
        self.here: FakeLocation = workspace.get_location("here")
        self.launcher = launcher
        self.time = 1000.0
        self.define(FILES)
        self.start()

    def define(self, *sensors: SensorSnapshot) -> None:
        (main,) = self.here.state.repositories
        repository = RepositorySnapshot(main.name, main.jobs, (), sensors)
        self.here._state = self.here._loaded = replace(
            self.here._loaded, repositories=(repository,)
        )

    def start(self) -> None:
        start_sensor(self.storage, self.workspace, SensorSelector("files"), at=self.time)

    def runner(self) -> TickRunner:
        def submit(run_id: str) -> RunRecord:
            return launch_run(self.storage, self.launcher, self.workspace, {}, run_id)

        return TickRunner(self.storage, self.workspace, submit, lambda: self.time)

    def latest(self) -> Tick | None:
        ticks = self.schedules.get_ticks(ORIGIN.source_id, limit=1).ticks
        return ticks[0] if ticks else None

    def tick(self) -> Tick:
        """Makes the next tick, or goes on with the last one where it is not ended."""
        latest, runner = self.latest(), self.runner()
        if latest is not None and latest.status is TickStatus.STARTED:
            return runner.go_on(ORIGIN, latest)
        self.time += 30
        return runner.run_next(ORIGIN, latest)

    @property
    def cursor(self) -> str | None:
        return self.schedules.get_tick_source(ORIGIN.source_id).cursor

    def runs(self) -> list[tuple[str, str | None, RunStatus]]:
        page = self.storage.run_storage.get_run_records(limit=100)
        return sorted(
            (each.run.job_name, each.run.tags.get("runwire/run_key"), each.status)
            for each in page.records
        )


@pytest.fixture
def sensor(
    sqlite_storage: SqliteStorage, workspace: FakeWorkspace, launcher: FakeLauncher
) -> Sensor:
    return Sensor(sqlite_storage, workspace, launcher)


def counting(*requests: RunRequest) -> Callable[[SensorInput], TickEvaluation]:
    def evaluate(given: SensorInput) -> TickEvaluation:
        return TickEvaluation(requests=requests, cursor=str(int(given.cursor or 0) + 1))

    return evaluate


def test_a_tick_stores_its_cursor_and_makes_its_runs(sensor: Sensor) -> None:
    sensor.here.evaluate_given = counting(*TWO)
    tick = sensor.tick()
    assert (tick.status, tick.cursor, tick.run_keys) == (TickStatus.SUCCESS, "1", ("a", "b"))
    assert sensor.cursor == "1"
    records = [sensor.storage.get_run_record(run_id) for run_id in tick.run_ids]
    assert records[0].run.tags == {
        "team": "a", "kind": "etl", "runwire/sensor_name": "files", "runwire/run_key": "a",
        "runwire/tick_id": str(tick.tick_id),
    }  # fmt: skip
    assert {record.status for record in records} == {RunStatus.STARTING}
    assert sensor.here.given == [SensorInput()]
    sensor.tick()
    assert sensor.here.given[1] == SensorInput(cursor="1", last_run_key="b", last_tick_at=1030.0)


def test_a_run_key_has_one_run_for_all_ticks_and_within_one(sensor: Sensor) -> None:
    sensor.here.evaluate_given = counting(*TWO, TWO[0])
    first = sensor.tick()
    assert len(first.run_ids) == 2
    again = sensor.tick()
    assert (again.status, again.run_ids, again.cursor) == (TickStatus.SKIPPED, (), "2")
    assert again.skip_reason == "the run keys that it asked with have their runs"
    changed = RunRequest(job_name="both", run_key="a", run_config={"now": "other"})
    sensor.here.evaluate_given = counting(changed, RunRequest(job_name="both", run_key="c"))
    third = sensor.tick()
    assert (third.status, len(third.run_ids)) == (TickStatus.SUCCESS, 1)
    assert [key for _, key, _ in sensor.runs()] == ["b", "c", "a"]


def test_a_run_that_is_deleted_frees_its_key(sensor: Sensor) -> None:
    sensor.here.evaluate_given = counting(TWO[0])
    (run_id,) = sensor.tick().run_ids
    sensor.storage.delete_run(run_id)
    (other,) = sensor.tick().run_ids
    assert other != run_id


def test_requests_without_a_key_make_a_run_each_time(sensor: Sensor) -> None:
    sensor.here.evaluate_given = counting(RunRequest(job_name="etl"), RunRequest(job_name="etl"))
    assert [len(sensor.tick().run_ids) for _ in range(2)] == [2, 2]


@pytest.mark.parametrize("point", TICK_FAULT_POINTS)
@pytest.mark.parametrize("reached", [1, 2])
def test_a_tick_that_was_cut_off_anywhere_moves_the_cursor_once_and_gives_each_run_once(
    sensor: Sensor, monkeypatch: pytest.MonkeyPatch, point: str, reached: int
) -> None:
    requests = (TWO[0], RunRequest(job_name="both"))
    sensor.here.evaluate_given = counting(*requests)
    left = [reached]

    def die(name: str) -> None:
        left[0] -= name == point
        if name == point and left[0] == 0:
            raise Killed

    monkeypatch.setattr(run_tick, "fault_point", die)
    many = point in ("tick.after_run_created", "tick.after_run_submitted")
    if reached == 1 or many:
        with pytest.raises(Killed):
            sensor.tick()
        left = [0]
        tick = sensor.tick()
    else:
        tick = sensor.tick()
    assert (tick.status, len(tick.run_ids), sensor.cursor) == (TickStatus.SUCCESS, 2, "1")
    assert sensor.runs() == [("both", None, RunStatus.STARTING), ("etl", "a", RunStatus.STARTING)]


def test_a_cursor_that_is_set_meanwhile_has_it_evaluated_anew(sensor: Sensor) -> None:
    def evaluate(given: SensorInput) -> TickEvaluation:
        if given.cursor is None:
            set_sensor_cursor(
                sensor.storage, sensor.workspace, SensorSelector("files"), "9", at=sensor.time
            )
        return TickEvaluation(
            requests=(RunRequest(job_name="etl", tags={"from": given.cursor or "none"}),),
            cursor=f"{given.cursor}+1",
        )

    sensor.here.evaluate_given = evaluate
    (run_id,) = sensor.tick().run_ids
    assert sensor.cursor == "9+1"
    assert sensor.storage.get_run_record(run_id).run.tags["from"] == "9"


def test_one_whose_cursor_is_set_each_time_fails_and_is_tried_again(sensor: Sensor) -> None:
    def evaluate(given: SensorInput) -> TickEvaluation:
        sensor.schedules.set_tick_source_cursor(ORIGIN.source_id, "x", at=1.0)
        return TickEvaluation(cursor="mine")

    sensor.here.evaluate_given = evaluate
    tick = sensor.tick()
    assert (tick.status, tick.failure_count, len(sensor.here.given)) == (TickStatus.FAILURE, 0, 5)
    assert tick.error is not None
    assert "its cursor was set 5 times" in tick.error.message


@pytest.mark.parametrize(
    ("error", "counts"),
    [(TickEvaluationError("it raised"), 1), (CodeLocationUnavailableError("here", "gone"), 0)],
)
def test_a_function_that_fails_leaves_the_cursor(
    sensor: Sensor, error: Exception, counts: int
) -> None:
    sensor.here.evaluate_given = counting()
    sensor.tick()

    def fail(_: SensorInput) -> TickEvaluation:
        raise error

    sensor.here.evaluate_given = fail
    tick = sensor.tick()
    assert (tick.status, tick.failure_count, sensor.cursor) == (TickStatus.FAILURE, counts, "1")
    sensor.here.evaluate_given = counting(TWO[0])
    tried = sensor.runner().retry(ORIGIN, tick)
    assert (tried.status, tried.attempts, sensor.cursor) == (TickStatus.SUCCESS, 2, "2")


def test_a_request_that_is_refused_fails_the_tick_and_leaves_the_others(sensor: Sensor) -> None:
    bad = RunRequest(job_name="etl", run_key="bad", run_config={"bad": 1})
    sensor.here.evaluate_given = counting(bad, TWO[1])
    tick = sensor.tick()
    assert (tick.status, len(tick.run_ids)) == (TickStatus.FAILURE, 1)
    assert tick.error is not None
    assert "run request 1 of sensor 'files' is refused" in tick.error.message


def test_a_request_may_name_a_partition(sensor: Sensor) -> None:
    days = DailyPartitions("2026-01-01", "2026-01-03").snapshot()
    partitions = msgspec.structs.replace(days, has_config=True)
    sensor.here.partition("etl", partitions)
    sensor.define(FILES)
    wanted = (
        RunRequest(job_name="etl", partition_key="2026-01-02"),
        RunRequest(job_name="etl", partition_key="2026-01-01", run_config={"given": 1}),
        RunRequest(job_name="etl", partition_key="2026-01-09"),
        RunRequest(job_name="both", partition_key="2026-01-01"),
    )
    sensor.here.evaluate_given = counting(*wanted)
    tick = sensor.tick()
    records = [sensor.storage.get_run_record(run_id).run for run_id in tick.run_ids]
    assert [(each.tags["runwire/partition"], each.run_config) for each in records] == [
        ("2026-01-02", {"of": "2026-01-02"}),
        ("2026-01-01", {"given": 1}),
    ]
    assert tick.error is not None
    assert "run request 3 of sensor 'files' is refused" in tick.error.message


def test_a_clock_that_is_set_back_keeps_the_order_of_ticks(sensor: Sensor) -> None:
    first = sensor.tick()
    sensor.time -= 5000
    second = sensor.tick()
    third = sensor.tick()
    page = sensor.schedules.get_ticks(ORIGIN.source_id, limit=9)
    assert page.ticks == [third, second, first]
    assert third.due_at == second.due_at == first.due_at


def test_a_sensor_that_is_stopped_makes_none(sensor: Sensor) -> None:
    stop_sensor(sensor.storage, sensor.workspace, SensorSelector("files"), at=1.0)
    with pytest.raises(TickSourceStoppedError):
        sensor.tick()


# ---------------------------------------------------------------------- those that watch events


def of_here(sensor: Sensor, job_name: str = "etl", **fields: object) -> RunRecord:
    places = {"location_name": "here", "repository_name": "main", **fields}
    return launch(sensor.storage, job_name=job_name, **places)


def fail_run(sensor: Sensor, record: RunRecord) -> None:
    broke = event(record.run_id, EventType.RUN_FAILURE, message="it broke")
    sensor.storage.store_events(record.run_id, [broke])


def told(sensor: Sensor) -> list[str | None]:
    return [each.event.run_id if each.event else None for each in sensor.here.given]


def watch(sensor: Sensor, snapshot: SensorSnapshot) -> None:
    sensor.here.evaluate_given = keeps_cursor
    sensor.define(snapshot)
    sensor.start()


def test_it_is_told_of_each_event_once_from_its_start_on(sensor: Sensor) -> None:
    fail_run(sensor, of_here(sensor))
    watch(sensor, FAILED)
    first, second = of_here(sensor), of_here(sensor, "both")
    for record in (first, second):
        fail_run(sensor, record)
    sensor.here.evaluate_given = lambda given: TickEvaluation(
        requests=(RunRequest(job_name="etl"),), cursor=given.cursor
    )
    ticks = [sensor.tick() for _ in range(3)]
    assert told(sensor) == [first.run_id, second.run_id]
    assert [tick.status.value for tick in ticks] == ["SUCCESS", "SUCCESS", "SKIPPED"]
    assert ticks[2].skip_reason == "nothing has happened that it watches"
    (given, _) = sensor.here.given
    assert given.run == first.run
    assert given.event is not None
    assert given.event.message == "it broke"


def test_it_is_not_told_of_other_repositories_nor_of_its_own_runs(sensor: Sensor) -> None:
    watch(sensor, FAILED)
    own = of_here(sensor, tags={"runwire/sensor_name": "files"})
    elsewhere = of_here(sensor, location_name="there")
    wanted = of_here(sensor)
    for record in (own, elsewhere, wanted):
        fail_run(sensor, record)
    sensor.tick()
    sensor.tick()
    assert told(sensor) == [wanted.run_id]
    everything = SensorSnapshot(
        "files", FAILED.kind, event_types=FAILED.event_types, monitors_all=True
    )
    sensor.here.given.clear()
    set_sensor_cursor(
        sensor.storage, sensor.workspace, SensorSelector("files"), None, at=sensor.time
    )
    sensor.define(everything)
    external = add_run(sensor.storage, job_name="external", managed=True)
    report(sensor.storage, external.run_id, EventType.RUN_FAILURE)
    sensor.tick()
    assert told(sensor) == [external.run_id]


def test_monitored_jobs_leave_out_the_others(sensor: Sensor) -> None:
    watch(
        sensor,
        SensorSnapshot(
            "files", FAILED.kind, event_types=FAILED.event_types, monitored_jobs=("both",)
        ),
    )
    for job in ("etl", "both"):
        fail_run(sensor, of_here(sensor, job, run_id=job))
    sensor.tick()
    assert told(sensor) == ["both"]


def test_one_that_raises_is_moved_on_and_one_that_cannot_be_reached_is_not(sensor: Sensor) -> None:
    watch(sensor, FAILED)
    records = [of_here(sensor) for _ in range(2)]
    for record in records:
        fail_run(sensor, record)

    def gone(_: SensorInput) -> TickEvaluation:
        raise CodeLocationUnavailableError("here", "gone")

    def raises(_: SensorInput) -> TickEvaluation:
        raise TickEvaluationError("it raised")

    begin = sensor.cursor
    sensor.here.evaluate_given = gone
    tick = sensor.tick()
    assert (tick.status, tick.failure_count, sensor.cursor) == (TickStatus.FAILURE, 0, begin)
    sensor.here.evaluate_given = raises
    tick = sensor.runner().retry(ORIGIN, tick)
    assert (tick.status, tick.failure_count) == (TickStatus.FAILURE, 1)
    assert sensor.cursor == tick.cursor != begin
    sensor.here.evaluate_given = keeps_cursor
    sensor.tick()
    assert told(sensor) == [records[0].run_id, records[0].run_id, records[1].run_id]


def test_an_asset_sensor_is_told_of_its_asset_even_when_the_run_is_gone(sensor: Sensor) -> None:
    watch(sensor, FRESH)
    record = of_here(sensor)
    for key, partition in (("costs", None), ("sales", "2026-01-01")):
        data = AssetEventData((key,), partition)
        report(
            sensor.storage,
            record.run_id,
            EventType.ASSET_MATERIALIZATION,
            data=data,
            step_key="load",
        )
    fail_run(sensor, record)
    sensor.storage.delete_run(record.run_id)
    sensor.tick()
    sensor.tick()
    (given,) = sensor.here.given
    assert given.run is None
    assert given.event is not None
    assert given.event.data == AssetEventData(("sales",), "2026-01-01")


def test_entries_that_were_purged_are_passed_over(sensor: Sensor) -> None:
    watch(sensor, FAILED)
    fail_run(sensor, of_here(sensor))
    logs = sensor.storage.event_log_storage
    logs.purge_instance_log(logs.get_instance_log_span().head)
    late = of_here(sensor)
    fail_run(sensor, late)
    sensor.tick()
    assert told(sensor) == [late.run_id]


# ---------------------------------------------------------------------- what people do with them


def test_a_sensor_is_started_stopped_and_keeps_its_cursor(sensor: Sensor) -> None:
    sensor.here.evaluate_given = counting()
    sensor.tick()
    select = SensorSelector("files")
    stopped = stop_sensor(sensor.storage, sensor.workspace, select, at=5.0)
    assert (stopped.status, stopped.cursor) == (TickSourceStatus.STOPPED, "1")
    assert stopped.next_tick_at is None
    started = start_sensor(sensor.storage, sensor.workspace, select, at=sensor.time + 100)
    assert (started.status, started.cursor) == (TickSourceStatus.RUNNING, "1")
    assert started.next_tick_at == sensor.time + 100
    set_cursor = partial(set_sensor_cursor, sensor.storage, sensor.workspace, select, at=9.0)
    assert set_cursor("7").cursor == "7"
    assert set_cursor(None).cursor is None
    with pytest.raises(InputInvalidError, match="at most 1,000,000 characters"):
        set_cursor("\udc80")
    sensor.define(FAILED)
    with pytest.raises(InputInvalidError, match="this is no place in the log of that"):
        set_cursor("7")
    assert set_cursor(None).cursor is not None


def test_a_sensor_that_is_not_there_is_told_with_those_that_are(sensor: Sensor) -> None:
    with pytest.raises(SensorNotFoundError, match="no sensor 'none'; there are: files"):
        start_sensor(sensor.storage, sensor.workspace, SensorSelector("none"), at=1.0)
    there = sensor.workspace.get_location("there")
    there._state = there._loaded = replace(
        there._loaded, repositories=(RepositorySnapshot("main", (), (), (FILES,)),)
    )
    with pytest.raises(SensorAmbiguousError, match="sensor 'files' is in here/main, there/main"):
        stop_sensor(sensor.storage, sensor.workspace, SensorSelector("files"), at=1.0)
    sources = TickSources(sensor.schedules, sensor.workspace)
    places = [each.origin.location_name for each in sources.list_sensors()]
    assert (places, sources.list_schedules()) == (["here", "there"], [])
    with pytest.raises(Exception, match="no schedule 'files'"):
        sources.find(ScheduleSelector("files"))


def test_an_evaluation_that_is_only_tried_stores_nothing(sensor: Sensor) -> None:
    sensor.here.evaluate_given = counting(*TWO)
    attempt = partial(
        evaluate_tick, sensor.storage, sensor.workspace, SensorSelector("files"), due_at=0.0
    )
    tried = attempt()
    assert [each.request for each in tried.requests] == list(TWO)
    assert (tried.cursor, attempt(cursor="8").cursor) == ("1", "9")
    assert (sensor.cursor, sensor.latest(), sensor.runs()) == (None, None, [])
    (run_id, _) = sensor.tick().run_ids
    known = [each.existing_run for each in attempt().requests]
    assert [each.run.tags["runwire/run_key"] for each in known if each] == ["a", "b"]
    sensor.storage.delete_run(run_id)
    assert attempt().requests[0].existing_run is None
    watch(sensor, FAILED)
    set_sensor_cursor(
        sensor.storage, sensor.workspace, SensorSelector("files"), None, at=sensor.time
    )
    nothing = attempt()
    assert (nothing.skip_reason, nothing.cursor) == (
        "nothing has happened that it watches",
        sensor.cursor,
    )
    with pytest.raises(CursorInvalidError):
        attempt(cursor="8")
    record = of_here(sensor)
    fail_run(sensor, record)
    assert attempt().cursor == attempt().cursor != sensor.cursor
    assert told(sensor)[-2:] == [record.run_id] * 2
