"""Retention: what is deleted when, in small steps, by any number of daemons, and what stays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runwire import clock
from runwire.config import ConfigurableClassData
from runwire.daemons import purging
from runwire.daemons.retention import RetentionDaemon
from runwire.daemons.runner import DaemonRunner
from runwire.errors import StorageDamagedError, StorageUnavailableError
from runwire.events import EventLogEntry, EventType
from runwire.instance import Instance, InstanceRef
from runwire.instance.retention import RetentionSettings
from runwire.instance.settings import Settings, default_components
from runwire.runs import RunStatus
from runwire.storage.instance_log import InstanceEventKind
from runwire.testing.left_behind import eventually
from tests.control.fakes import FakeLauncher, FakeLocation, FakeWorkspace
from tests.control.ways import run_in

S, K = RunStatus, InstanceEventKind
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
        page = self.logs.get_event_records(kinds=kinds or tuple(InstanceEventKind))
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


def test_it_stops_between_two_steps(make_world: MakeWorld) -> None:
    world = make_world(runs={"purge_after_days": 1})
    made = [world.run_in(S.SUCCESS) for _ in range(5)]
    world.passed = 2 * DAY
    world.daemon.run_iteration(world.errors.append, lambda: len(world.left(*made)) <= 3)
    assert world.left(*made) == made[2:]
    world.look()
    assert world.left(*made) == []


def test_two_daemons_at_once_do_it_once(make_world: MakeWorld) -> None:
    world = make_world(runs={"purge_after_days": 1}, batch_size=1)
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
