"""Retention: what is deleted when, in small steps, by any number of daemons, and what stays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from runwire import clock
from runwire.config import ConfigurableClassData
from runwire.daemons import purging, retention
from runwire.daemons.retention import RetentionDaemon
from runwire.daemons.runner import DaemonRunner
from runwire.error_info import ErrorInfo
from runwire.errors import StorageDamagedError, StorageUnavailableError
from runwire.events import EventLogEntry, EventType
from runwire.instance import Instance, InstanceRef
from runwire.instance.retention import RetentionSettings
from runwire.instance.settings import Settings, default_components
from runwire.runs import RunStatus
from runwire.runs.run import new_run_id
from runwire.storage import ScheduleStorage
from runwire.storage.instance_log import InstanceEventKind
from runwire.storage.run_storage import DaemonHeartbeat
from runwire.testing.left_behind import eventually
from runwire.ticks.source import (
    TickSourceOrigin,
    TickSourceState,
    TickSourceStatus,
    TickSourceType,
)
from runwire.ticks.tick import TickStatus
from tests.control.fakes import FakeLauncher, FakeLocation, FakeWorkspace
from tests.control.ways import run_in

S, K, T = RunStatus, InstanceEventKind, TickStatus
DAY = 24 * 60 * 60.0
KEPT_UNLESS_NAMED = set(RunStatus) - {S.SUCCESS, S.FAILURE, S.CANCELED}


@dataclass
class World:
    """An instance with a retention daemon, and a clock that a test moves."""

    instance: Instance
    workspace: FakeWorkspace
    passed: float = 0.0
    errors: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.daemon = self.another_daemon()
        self.storage = self.instance.storage
        self.logs = self.storage.event_log_storage

    def another_daemon(self) -> RetentionDaemon:
        return RetentionDaemon(self.instance, self.workspace, self.now)

    def now(self) -> float:
        return clock.timestamp() + self.passed

    def run_in(self, status: RunStatus) -> str:
        """A run in a status, with an outputs folder."""
        run_id = run_in(self.storage, self.workspace, status)
        (self.folder(run_id) / "outputs").mkdir(parents=True)
        return run_id

    def folder(self, run_id: str) -> Path:
        return self.instance.local_artifact_storage.run_dir(run_id)

    def look(self, *, after_days: float = 0.0) -> int:
        """One pass of the daemon, after some days; returns in how many iterations."""
        self.passed += after_days * DAY
        for number in range(1, 1000):
            self.daemon.run_iteration(self.errors.append, lambda: False)
            if self.daemon.interval_seconds != self.instance.settings.retention.pause_seconds:
                return number
        raise AssertionError("it does not come to an end")

    def left(self, *run_ids: str) -> list[str]:
        return [run_id for run_id in run_ids if self.instance.get_run_by_id(run_id) is not None]

    def log(self, *kinds: InstanceEventKind) -> list[int]:
        """The positions of the instance-wide log that are there."""
        after = self.logs.get_instance_log_span().purged_position
        page = self.logs.get_event_records(after=after, kinds=kinds or tuple(InstanceEventKind))
        return [entry.position for entry in page.records]


MakeWorld = Callable[..., World]


@pytest.fixture(params=["sharded", "consolidated"])
def make_world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[MakeWorld]:
    """Makes the one world of a test, by the settings of its retention."""
    made: list[World] = []

    def make(**retention: Any) -> World:
        settings = Settings(retention=RetentionSettings(pause_seconds=0.01, **retention))
        place = {"base_dir": str(tmp_path), "layout": request.param}
        storage = ConfigurableClassData("runwire.storages.sqlite", "SqliteStorage", place)
        components = {**default_components(tmp_path), "storage": storage}
        ref = InstanceRef.of(settings, tmp_path, components)
        instance = Instance(ref, settings, {})
        instance.run_launcher = FakeLauncher()
        made.append(World(instance, FakeWorkspace(FakeLocation("here", "etl"))))
        return made[-1]

    yield make
    for world in made:
        world.instance.dispose()


# ---------------------------------------------------------------- runs


def test_runs_that_have_ended_go_with_all_that_they_left_when_their_time_is_up(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    world = make_world(runs={"purge_after_days": 30})
    made = {status: world.run_in(status) for status in RunStatus}
    records = {run_id: world.storage.get_run_record(run_id) for run_id in made.values()}
    world.look(after_days=29)
    assert world.left(*made.values()) == list(made.values())
    world.look(after_days=2)
    kept = [run_id for status, run_id in made.items() if status in KEPT_UNLESS_NAMED]
    assert world.left(*made.values()) == kept
    gone = [run_id for run_id in made.values() if run_id not in kept]
    assert not any(world.folder(run_id).exists() for run_id in gone)
    assert not any(world.logs.get_head(records[run_id]).position for run_id in gone)
    assert [path for path in tmp_path.rglob("*") if any(run in path.name for run in gone)] == []
    assert len(world.log(K.RUN_DELETED)) == len(gone) == 3
    assert world.errors == []


def test_each_status_has_its_time(make_world: MakeWorld) -> None:
    world = make_world(runs={"purge_after_days": {"FAILURE": 9, "NOT_STARTED": 2}})
    failed, waiting, done = map(world.run_in, (S.FAILURE, S.NOT_STARTED, S.SUCCESS))
    world.look(after_days=3)
    assert world.left(failed, waiting, done) == [failed, done]
    world.look(after_days=7)
    assert world.left(failed, waiting, done) == [done]


def test_a_run_that_starts_while_it_is_due_stays(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(runs={"purge_after_days": {"NOT_STARTED": 1}})
    run_id = world.run_in(S.NOT_STARTED)
    delete = world.instance.delete_run

    def start_before(deleted: str, *args: Any, **kwargs: Any) -> Any:
        for event_type in (EventType.RUN_STARTING, EventType.RUN_START, EventType.RUN_SUCCESS):
            entry = EventLogEntry(run_id=deleted, event_type=event_type, message="m")
            world.storage.store_events(deleted, [entry])
        return delete(deleted, *args, **kwargs)

    monkeypatch.setattr(world.instance, "delete_run", start_before)
    world.look(after_days=2)
    assert (world.left(run_id), world.errors) == ([run_id], [])


def test_a_run_that_cannot_be_deleted_keeps_no_other_from_it_and_is_told(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(runs={"purge_after_days": 1})
    made = [world.run_in(S.SUCCESS) for _ in range(3)]
    delete, torn = world.instance.delete_run, StorageDamagedError("torn")

    def delete_unless_torn(run_id: str, *args: Any, **kwargs: Any) -> Any:
        if run_id == made[0]:
            raise torn
        return delete(run_id, *args, **kwargs)

    monkeypatch.setattr(world.instance, "delete_run", delete_unless_torn)
    world.look(after_days=2)
    assert (world.left(*made), world.errors) == ([made[0]], [torn])


# ---------------------------------------------------------------- small steps


def test_an_iteration_is_a_few_steps_and_the_next_comes_after_a_pause(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "PAGE", 2)
    world = make_world(runs={"purge_after_days": 1}, batch_size=3, poll_interval_seconds=77)
    made = [world.run_in(S.SUCCESS) for _ in range(7)]
    world.passed = 2 * DAY
    left = []
    for _ in range(2):
        world.daemon.run_iteration(world.errors.append, lambda: False)
        left.append(len(world.left(*made)))
        assert world.daemon.interval_seconds == 0.01
    assert left == [4, 1]
    world.look()
    assert (world.left(*made), world.daemon.interval_seconds) == ([], 77)


def test_an_iteration_begins_no_step_when_its_time_is_up(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ITERATION_SECONDS", 0.0)
    world = make_world(runs={"purge_after_days": 1}, batch_size=100)
    made = [world.run_in(S.SUCCESS) for _ in range(3)]
    world.passed = 2 * DAY
    world.daemon.run_iteration(world.errors.append, lambda: False)
    assert world.left(*made) == made[1:]
    world.look()
    assert (world.left(*made), world.errors) == ([], [])


def test_it_stops_between_two_steps(make_world: MakeWorld) -> None:
    world = make_world(runs={"purge_after_days": 1})
    made = [world.run_in(S.SUCCESS) for _ in range(5)]
    world.passed = 2 * DAY
    world.daemon.run_iteration(world.errors.append, lambda: len(world.left(*made)) <= 3)
    assert world.left(*made) == made[2:]
    world.look()
    assert world.left(*made) == []


def test_two_daemons_at_once_do_it_once(make_world: MakeWorld) -> None:
    world = make_world(runs={"purge_after_days": 1}, events={"purge_after_days": 9}, batch_size=1)
    made = [world.run_in(S.SUCCESS) for _ in range(5)]
    world.passed = 2 * DAY
    daemons = [world.daemon, world.another_daemon()]
    for _ in range(30):
        for daemon in daemons:
            daemon.run_iteration(world.errors.append, lambda: False)
    assert (world.left(*made), world.errors) == ([], [])
    assert len(world.log(K.RUN_DELETED)) == 5


def test_a_storage_that_does_not_answer_ends_one_kind_of_work_and_is_asked_again(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(runs={"purge_after_days": {"SUCCESS": 1}})
    run_id = world.run_in(S.SUCCESS)
    away = StorageUnavailableError("away")

    def refuse(*_: Any, **__: Any) -> Any:
        raise away

    with monkeypatch.context() as patch:
        patch.setattr(world.storage.run_storage, "get_run_records", refuse)
        world.look(after_days=2)
    assert away in world.errors
    assert world.left(run_id) == [run_id]
    world.look()
    assert world.left(run_id) == []


def test_it_runs_beside_the_others_with_heartbeats(make_world: MakeWorld) -> None:
    world = make_world(runs={"purge_after_days": 1}, batch_size=1)
    made = [world.run_in(S.SUCCESS) for _ in range(5)]
    world.passed = 2 * DAY
    runner = DaemonRunner(world.instance, [world.daemon])
    with runner:
        assert runner.wait_until_working("RETENTION", 60)
        eventually(lambda: not world.left(*made), "all are deleted")
        beat = world.instance.get_daemon_heartbeats()["RETENTION"]
        assert (beat.daemon_id, beat.errors) == (runner.daemon_id, ())
    assert world.instance.get_daemon_heartbeats()["RETENTION"].stopped


# ---------------------------------------------------------------- the instance-wide log


def test_the_beginning_of_the_instance_wide_log_goes_when_its_time_is_up(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "PAGE", 3)
    world = make_world(events={"purge_after_days": 10})
    old = world.run_in(S.SUCCESS)
    before = world.log()
    assert len(before) > 3
    world.look(after_days=9)
    assert world.log() == before
    monkeypatch.setattr(clock, "timestamp", lambda now=clock.timestamp, by=world.passed: now() + by)
    world.passed = 0.0
    world.run_in(S.CANCELED)
    fresh = world.log()[len(before) :]
    assert len(fresh) > 1
    world.look(after_days=2)
    assert world.log() == fresh
    span = world.logs.get_instance_log_span()
    assert (span.purged_position, span.head) == (before[-1], fresh[-1])
    assert world.left(old) == [old]  # its own log goes with it, not before
    assert world.logs.get_records(world.storage.get_run_record(old)).records
    world.look(after_days=20)
    assert world.log() == []
    assert world.errors == []


def test_an_entry_that_claims_to_be_of_the_future_keeps_none(make_world: MakeWorld) -> None:
    world = make_world(events={"purge_after_days": 10})
    run_id = world.run_in(S.MANAGED)
    late = clock.timestamp() + 1000 * DAY
    entry = EventLogEntry(
        run_id=run_id, event_type=EventType.RUN_START, message="m", timestamp=late
    )
    world.storage.store_events(run_id, [entry])
    world.run_in(S.SUCCESS)
    world.look(after_days=11)
    assert world.log() == []


# ---------------------------------------------------------------- ticks, daemons


def test_ticks_go_by_status_and_age_but_never_one_that_is_being_evaluated(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "PAGE", 2)
    world = make_world(ticks={"purge_after_days": 9}, batch_size=1)
    schedules, now = world.storage.schedule_storage, world.now()
    source, _ = schedules.add_tick_source(origin(), TickSourceStatus.RUNNING, at=now)
    made = {status: [tick(schedules, source, status, now) for _ in range(3)] for status in T}
    late = [tick(schedules, source, status, now + DAY) for status in T]

    def left() -> list[int]:
        page = schedules.get_ticks(source.source_id, limit=100)
        return sorted(each.tick_id for each in page.ticks)

    everything = sorted(each for some in (*made.values(), late) for each in some)
    world.look(after_days=8.5)
    assert left() == everything
    world.look(after_days=1)
    assert left() == [*made[T.STARTED], *late]
    world.look(after_days=1)
    assert left() == [*made[T.STARTED], late[0]]
    assert world.errors == []


def test_ticks_without_a_time_stay(make_world: MakeWorld) -> None:
    world = make_world(ticks={"purge_after_days": {"SKIPPED": 1}})
    schedules, now = world.storage.schedule_storage, world.now()
    source, _ = schedules.add_tick_source(origin(), TickSourceStatus.RUNNING, at=now)
    made = [tick(schedules, source, status, now) for status in (T.SUCCESS, T.SKIPPED, T.FAILURE)]
    world.look(after_days=100)
    assert [schedules.find_tick(each) is not None for each in made] == [True, False, True]


def test_daemons_that_are_gone_are_forgotten(make_world: MakeWorld) -> None:
    world = make_world(daemons={"purge_after_days": 2})
    runs = world.storage.run_storage
    for daemon_type, at in (("MONITORING", 0.0), ("RETENTION", DAY)):
        runs.add_daemon_heartbeat(beat(daemon_type, world.now() + at))
        runs.claim_daemon_lease(daemon_type, "1", now=world.now() + at, lease_seconds=10.0)
    world.look(after_days=1)
    assert len(runs.list_daemon_heartbeats()) == len(runs.get_daemon_leases()) == 2
    world.look(after_days=1.5)
    assert [each.daemon_type for each in runs.list_daemon_heartbeats()] == ["RETENTION"]
    assert list(runs.get_daemon_leases()) == ["RETENTION"]
    assert world.errors == []


def origin() -> TickSourceOrigin:
    return TickSourceOrigin(
        source_type=TickSourceType.SENSOR, location_name="here", repository_name="r", name="s"
    )


def tick(
    schedules: ScheduleStorage, source: TickSourceState, status: TickStatus, due_at: float
) -> int:
    """A tick in a status; returns its id."""
    made, _ = schedules.create_tick(
        source.source_id, new_run_id(), due_at=due_at, started_at=due_at
    )
    if status is TickStatus.STARTED:
        return made.tick_id
    error = ErrorInfo(message="m", class_name="E") if status is TickStatus.FAILURE else None
    return schedules.update_tick(replace(made, status=status, ended_at=due_at, error=error)).tick_id


def beat(daemon_type: str, at: float) -> DaemonHeartbeat:
    return DaemonHeartbeat(
        daemon_type=daemon_type, daemon_id="1", hostname="h", timestamp=at, progress_at=at
    )


# ---------------------------------------------------------------- what a crash left


def test_files_of_a_run_that_is_gone_go_after_a_day(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "WINDOW", 4)
    world = make_world(runs={"purge_after_days": 100})
    gone, again, living = (world.run_in(S.SUCCESS) for _ in range(3))
    for run_id in (gone, again):
        world.storage.delete_run(run_id)  # and the process dies before it comes to the files
    run = world.storage.get_run_record(living).run
    world.storage.run_storage.add_run(
        type(run)(run_id=again, job_name="etl", managed=True), created_at=1.0
    )
    foreign = world.folder("of-another-instance")
    foreign.mkdir()
    os.utime(foreign, (1, 1))
    folders = [world.folder(run_id) for run_id in (gone, again, living)]
    world.look(after_days=0.5)
    assert [folder.exists() for folder in (*folders, foreign)] == [True] * 4
    world.look(after_days=1)
    assert [folder.exists() for folder in (*folders, foreign)] == [False, True, True, True]
    assert world.errors == []


def test_tombstones_are_heeded_before_they_are_purged(make_world: MakeWorld) -> None:
    world = make_world(events={"purge_after_days": 0.1})
    gone = world.run_in(S.SUCCESS)
    world.storage.delete_run(gone)
    world.look(after_days=0.5)
    assert world.folder(gone).exists()
    assert len(world.log(K.RUN_DELETED)) == 1
    world.look(after_days=1)
    assert not world.folder(gone).exists()
    assert world.log() == []


def test_logs_of_runs_that_are_gone_go_after_a_day(make_world: MakeWorld) -> None:
    world = make_world(orphans={"purge_after_days": 1})
    gone, living = world.run_in(S.SUCCESS), world.run_in(S.SUCCESS)
    records = [world.storage.get_run_record(run_id) for run_id in (gone, living)]
    with world.storage.run_storage.hold_run(gone) as held:
        held.delete()  # and the process dies before it comes to the log
    heads = [world.logs.get_head(record).position for record in records]
    assert heads[0] == heads[1] > 0
    world.look(after_days=2)
    assert [world.logs.get_head(record).position for record in records] == [0, heads[1]]
    assert world.errors == []
