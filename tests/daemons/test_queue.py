"""The queue daemon: it launches what may go, at once when it may, and forgets nothing that somebody left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from runwire import clock, control
from runwire.control import claim_run
from runwire.coordinators.queued import QueuedRunCoordinator
from runwire.daemons.monitoring import MonitoringDaemon
from runwire.daemons.queue import LOOK_AFTER_SECONDS, QueueDaemon
from runwire.daemons.run_monitor import UNSEEN_SECONDS
from runwire.daemons.runner import DaemonRunner
from runwire.errors import (
    CodeLocationUnavailableError,
    LaunchFailedError,
    StorageDamagedError,
)
from runwire.events import EventType
from runwire.instance import Instance, InstanceRef
from runwire.instance.settings import Settings, default_components
from runwire.launcher import LaunchRunContext
from runwire.runs.filters import RunsFilter
from runwire.runs.queueing import QueueSettings, TagLimit
from runwire.runs.run import RunRecord
from runwire.runs.status import IN_PROGRESS_STATUSES, RunStatus
from runwire.storage import InstanceStorage
from runwire.storages.sql.held_run import SqlHeldRun
from runwire.workspace import CodeLocationStatus, WorkerStatus
from tests.control.fakes import FakeLauncher, FakeLocation, FakeWorkspace
from tests.control.ways import run_in, tell, types_of

T, S = EventType, RunStatus
PATIENCE_SECONDS = 20.0
_IN_PROGRESS = RunsFilter(statuses=IN_PROGRESS_STATUSES)


@dataclass
class World:
    """An instance whose runs are queued, a launcher that does what a test says, and clocks."""

    instance: Instance
    launcher: FakeLauncher
    workspace: FakeWorkspace
    passed: float = 0.0
    errors: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.storage = self.instance.storage
        self.daemon = self.new_daemon()

    def new_daemon(self) -> QueueDaemon:
        return QueueDaemon(
            self.instance, self.workspace, self.now, lambda: time.monotonic() + self.passed
        )

    def now(self) -> float:
        return clock.timestamp() + self.passed

    @property
    def settings(self) -> QueueSettings:
        settings = self.instance.run_coordinator.queue
        assert settings is not None
        return settings

    def submit(self) -> str:
        return run_in(self.storage, self.workspace, S.QUEUED)

    def look(self, *, after: float = 0.0) -> None:
        """One pass of the daemon, after some seconds, and the end of the launches that it began."""
        self.passed += after
        self.daemon.run_iteration(self.errors.append, lambda: False)
        for launch in list(self.daemon._launching.values()):
            launch.result(PATIENCE_SECONDS)

    def end(self, run_id: str) -> None:
        tell(self.storage, run_id, T.RUN_FAILURE)

    def status(self, run_id: str) -> RunStatus:
        return self.storage.get_run_record(run_id).status

    def launched(self) -> list[str]:
        return [run_id for run_id, _ in self.launcher.launched]


MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[MakeWorld]:
    """Makes the one world of a test, by the settings of its queue."""
    made: list[World] = []

    def make(**queue: Any) -> World:
        settings = Settings()
        ref = InstanceRef.of(settings, tmp_path, default_components(tmp_path))
        instance = Instance(ref, settings, {})
        instance.run_launcher = launcher = FakeLauncher()
        instance.run_coordinator = QueuedRunCoordinator(
            QueueSettings(**{"dequeue_num_workers": 1, **queue})
        )
        workspace = FakeWorkspace(FakeLocation("here", "etl"), FakeLocation("there", "other"))
        made.append(World(instance, launcher, workspace))
        return made[-1]

    yield make
    for world in made:
        world.daemon.close()
        world.instance.dispose()


def test_runs_are_launched_in_order_as_far_as_the_limit_goes(make_world: MakeWorld) -> None:
    world = make_world(max_concurrent_runs=2)
    first, second, third = (world.submit() for _ in range(3))
    for _ in range(4):
        world.look()
    assert world.launched() == [first, second]
    assert world.status(third) is S.QUEUED
    world.end(first)
    world.look()
    assert world.launched() == [first, second, third]
    assert world.errors == []


def test_a_submitted_run_goes_through_the_queue(make_world: MakeWorld) -> None:
    world = make_world()
    run_id = run_in(world.storage, world.workspace, S.NOT_STARTED)
    record = world.instance.submit_run(run_id, world.workspace)
    assert record.status is S.QUEUED
    assert record.enqueued_at is not None
    world.look()
    assert types_of(world.storage, run_id) == [T.RUN_ENQUEUED, T.RUN_DEQUEUED, T.RUN_STARTING]


def test_a_paused_queue_launches_nothing_and_is_looked_at_as_if_it_were_empty(
    make_world: MakeWorld,
) -> None:
    world = make_world(max_concurrent_runs=0)
    idle = world.daemon.interval_seconds
    run_id = world.submit()
    world.look()
    assert world.status(run_id) is S.QUEUED
    assert world.daemon.interval_seconds == idle


def test_it_looks_more_often_while_runs_wait_and_no_less_often_than_it_is_told(
    make_world: MakeWorld,
) -> None:
    world = make_world(max_concurrent_runs=1)
    idle = world.daemon.interval_seconds
    world.submit()
    world.submit()
    world.look()
    assert world.daemon.interval_seconds < idle
    world.daemon._settings = replace(world.settings, dequeue_interval_seconds=0.001)
    assert world.daemon.interval_seconds == 0.001


def test_a_canceled_or_deleted_run_is_passed_by_and_takes_no_place(make_world: MakeWorld) -> None:
    world = make_world(max_concurrent_runs=1)
    canceled, deleted, third = (world.submit() for _ in range(3))
    world.daemon._mirror.sync()
    world.instance.terminate_run(canceled, world.workspace)
    world.storage.delete_run(deleted)
    world.daemon.run_iteration(world.errors.append, lambda: False)
    world.look()
    assert world.launched() == [third]
    assert world.status(canceled) is S.CANCELED


def test_a_run_that_went_away_after_it_was_chosen_takes_no_place(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(max_concurrent_runs=1)
    canceled, second = world.submit(), world.submit()
    world.daemon._mirror.sync()
    world.instance.terminate_run(canceled, world.workspace)
    monkeypatch.setattr(world.daemon._mirror, "sync", lambda: None)
    world.look()
    assert world.launched() == [second]


def test_a_place_that_somebody_else_took_is_noticed(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(max_concurrent_runs=1)
    first, second = world.submit(), world.submit()
    world.daemon._mirror.sync()
    other = world.submit()
    tell(world.storage, other, T.RUN_STARTING)
    with monkeypatch.context() as patch:
        patch.setattr(world.daemon._mirror, "sync", lambda: None)
        world.look()
    assert world.launched() == []
    world.look()
    assert world.launched() == []
    world.end(other)
    world.look()
    assert world.launched() == [first]
    assert world.status(second) is S.QUEUED


def test_launches_that_hang_keep_other_runs_waiting_only_when_all_workers_are_busy(
    make_world: MakeWorld,
) -> None:
    world = make_world(dequeue_num_workers=2)
    going_on = threading.Event()
    first, second, third = (world.submit() for _ in range(3))

    def hang(context: LaunchRunContext) -> None:
        if context.record.run_id == first:
            going_on.wait(PATIENCE_SECONDS)

    world.launcher.on_start = hang
    world.daemon.run_iteration(world.errors.append, lambda: False)
    _until(lambda: second in world.launched())
    world.daemon.run_iteration(world.errors.append, lambda: False)
    _until(lambda: third in world.launched())
    assert first not in world.launched()
    going_on.set()
    _until(lambda: first in world.launched())


def test_a_code_location_that_does_not_answer_is_left_alone_for_a_while(
    make_world: MakeWorld,
) -> None:
    world = make_world(user_code_failure_retry_delay=30.0)
    run_id = world.submit()
    world.launcher.broken = CodeLocationUnavailableError("here", "no answer")
    world.look()
    world.look()
    assert types_of(world.storage, run_id).count(T.RUN_STARTING) == 1
    assert world.status(run_id) is S.QUEUED
    world.launcher.broken = None
    world.look(after=29.0)
    assert world.status(run_id) is S.QUEUED
    world.look(after=2.0)
    world.look()
    assert world.status(run_id) is S.STARTING
    assert world.launched() == [run_id]


def test_a_code_location_that_is_not_loaded_is_waited_for_and_costs_no_attempt(
    make_world: MakeWorld,
) -> None:
    world = make_world(max_user_code_failure_retries=0)
    run_id = world.submit()
    location = world.workspace.get_location("here")
    for status in (CodeLocationStatus.LOADING, CodeLocationStatus.FAILED):
        location.turn(status)
        world.look()
        assert types_of(world.storage, run_id) == [T.RUN_ENQUEUED]
    location.turn(CodeLocationStatus.LOADED)
    world.look()
    assert world.launched() == [run_id]


def test_a_run_whose_log_is_damaged_keeps_no_other_one_waiting(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(max_concurrent_runs=1)
    damaged, second = world.submit(), world.submit()

    def claim(storage: InstanceStorage, settings: QueueSettings, run_id: str) -> RunRecord:
        if run_id == damaged:
            raise StorageDamagedError("its file holds something else")
        return claim_run(storage, settings, run_id)

    with monkeypatch.context() as patch:
        patch.setattr(control, "claim_run", claim)
        world.look()
        world.look()
    assert world.launched() == [second]
    assert [str(error) for error in world.errors] == ["its file holds something else"]
    world.end(second)
    world.look(after=LOOK_AFTER_SECONDS)
    world.look()
    assert world.launched() == [second, damaged]


def test_a_run_is_taken_only_when_somebody_is_free_to_launch_it(make_world: MakeWorld) -> None:
    world = make_world(dequeue_num_workers=1)
    going_on = threading.Event()
    world.launcher.on_start = lambda context: going_on.wait(PATIENCE_SECONDS)
    first, second = world.submit(), world.submit()
    for _ in range(3):
        world.daemon.run_iteration(world.errors.append, lambda: False)
    assert [world.status(run_id) for run_id in (first, second)] == [S.STARTING, S.QUEUED]
    going_on.set()


def test_its_end_waits_for_runs_that_are_being_launched(make_world: MakeWorld) -> None:
    world = make_world()
    begun = threading.Event()

    def start(context: LaunchRunContext) -> None:
        begun.set()
        time.sleep(0.2)

    world.launcher.on_start = start
    run_id = world.submit()
    world.daemon.run_iteration(world.errors.append, lambda: False)
    assert begun.wait(PATIENCE_SECONDS)
    world.daemon.close()
    assert world.launched() == [run_id]


def test_a_run_that_cannot_be_launched_fails_and_frees_its_place(make_world: MakeWorld) -> None:
    world = make_world(max_concurrent_runs=1)
    first, second = world.submit(), world.submit()
    world.launcher.broken = LaunchFailedError(first, "no memory")
    world.look()
    assert world.status(first) is S.FAILURE
    world.launcher.broken = None
    world.look()
    assert world.launched() == [second]


# ------------------------------------------------------------------ what somebody left behind


def test_a_run_that_a_daemon_took_before_it_died_is_put_back_at_once_by_the_next(
    make_world: MakeWorld,
) -> None:
    world = make_world(max_concurrent_runs=1)
    world.launcher.health = WorkerStatus.NOT_FOUND
    run_id = world.submit()
    claim_run(world.storage, world.settings, run_id)
    world.look()
    world.look()
    assert world.launched() == [run_id]
    assert world.storage.get_run_record(run_id).worker_epoch == 3
    assert types_of(world.storage, run_id).count(T.RUN_ENQUEUED) == 2


def _die(held: SqlHeldRun, *_: object) -> None:
    raise SystemError("killed between the two files")


def test_a_run_that_was_taken_in_its_log_alone_is_put_back_as_well(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(max_concurrent_runs=1)
    world.launcher.health = WorkerStatus.NOT_FOUND
    run_id, second = world.submit(), world.submit()
    with monkeypatch.context() as patch:
        patch.setattr(SqlHeldRun, "apply", _die)
        with pytest.raises(SystemError):
            claim_run(world.storage, world.settings, run_id)
    assert types_of(world.storage, run_id)[-1] is T.RUN_STARTING
    assert world.status(run_id) is S.QUEUED
    for _ in range(3):
        world.look()
    assert world.launched() == [second]  # which is in front now
    world.end(second)
    world.look()
    assert world.launched() == [second, run_id]


def test_a_daemon_that_goes_on_counts_a_run_that_was_taken_in_its_log_alone(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(max_concurrent_runs=1)
    world.launcher.health = WorkerStatus.NOT_FOUND
    world.look()
    run_id, second = world.submit(), world.submit()
    with monkeypatch.context() as patch:
        patch.setattr(SqlHeldRun, "apply", _die)
        with pytest.raises(SystemError):
            claim_run(world.storage, world.settings, run_id)
    for _ in range(3):
        world.look()
    assert (world.status(run_id), world.launched()) == (S.STARTING, [])
    world.look(after=UNSEEN_SECONDS + 1)
    for _ in range(2):
        world.look()
    assert world.launched() == [second]


@pytest.mark.parametrize(
    "health", [each for each in WorkerStatus if each is not WorkerStatus.NOT_FOUND], ids=str
)
def test_a_run_whose_worker_was_started_is_left_alone(
    make_world: MakeWorld, health: WorkerStatus
) -> None:
    world = make_world()
    world.launcher.health = health
    run_id = world.submit()
    claim_run(world.storage, world.settings, run_id)
    world.look(after=UNSEEN_SECONDS + 1)
    assert types_of(world.storage, run_id) == [T.RUN_ENQUEUED, T.RUN_DEQUEUED, T.RUN_STARTING]


def test_a_run_that_somebody_launches_past_the_queue_has_time_until_its_worker_is_seen(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    world.launcher.health = WorkerStatus.NOT_FOUND
    run_id = world.submit()
    tell(world.storage, run_id, T.RUN_STARTING)
    world.look()
    assert world.status(run_id) is S.STARTING
    world.look(after=UNSEEN_SECONDS + 1)
    world.look()
    assert world.launched() == [run_id]


def test_monitoring_leaves_a_run_that_the_queue_puts_back_alone(make_world: MakeWorld) -> None:
    world = make_world()
    world.launcher.health = WorkerStatus.NOT_FOUND
    run_id = world.submit()
    claim_run(world.storage, world.settings, run_id)
    world.passed = UNSEEN_SECONDS + 1
    monitoring = MonitoringDaemon(world.instance, world.workspace, world.now)
    monitoring.run_iteration(world.errors.append, lambda: False)
    assert world.status(run_id) is S.STARTING
    world.passed = world.instance.settings.run_monitoring.start_timeout_seconds + 1
    monitoring.run_iteration(world.errors.append, lambda: False)
    assert world.status(run_id) is S.FAILURE


# ------------------------------------------------------------------------------------- together


def test_it_works_by_itself_and_two_of_them_work_together(make_world: MakeWorld) -> None:
    world = make_world(
        max_concurrent_runs=3,
        tag_limits=(TagLimit(key="team", max=1),),
        dequeue_num_workers=4,
        dequeue_interval_seconds=0.01,
    )
    together = 0

    def begin(context: LaunchRunContext) -> None:
        nonlocal together
        runs = world.storage.run_storage.get_runs_count
        together = max(together, runs(_IN_PROGRESS))
        time.sleep(0.005)
        world.end(context.record.run_id)

    world.launcher.on_start = begin
    daemons = [world.daemon, world.new_daemon()]
    stopping = threading.Event()
    loops = [threading.Thread(target=_loop, args=(each, world, stopping)) for each in daemons]
    for loop in loops:
        loop.start()
    run_ids = [world.submit() for _ in range(40)]
    try:
        _until(lambda: all(world.status(run_id) is S.FAILURE for run_id in run_ids))
    finally:
        stopping.set()
        for loop in loops:
            loop.join()
    assert sorted(world.launched()) == sorted(run_ids)
    assert together <= 3
    daemons[1].close()


def test_the_runner_runs_it(make_world: MakeWorld) -> None:
    world = make_world()
    with DaemonRunner(world.instance, [world.daemon]):
        run_id = world.submit()
        _until(lambda: world.launched() == [run_id])


def _loop(daemon: QueueDaemon, world: World, stopping: threading.Event) -> None:
    while not stopping.is_set():
        daemon.run_iteration(world.errors.append, lambda: False)
        time.sleep(daemon.interval_seconds)


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)
