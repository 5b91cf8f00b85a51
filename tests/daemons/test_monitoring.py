"""Monitoring: what is done about runs whose worker is gone or too slow, by one event for one cause."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runwire import clock, fault_points
from runwire.config import MAX_SECONDS
from runwire.control import report_lost_worker, resume_run
from runwire.daemons import run_monitor
from runwire.daemons.monitoring import PAGE_SIZE, MonitoringDaemon
from runwire.errors import LaunchFailedError
from runwire.events import EventLogEntry, EventLogRecord, EventType, LogLevel
from runwire.events.payloads import RunFailureReason
from runwire.instance import Instance, InstanceRef
from runwire.instance.settings import RunMonitoringSettings, Settings, default_components
from runwire.launcher import LaunchRunContext
from runwire.runs import RunRecord, RunStatus
from runwire.runs.run import Run
from runwire.runs.status import IN_PROGRESS_STATUSES
from runwire.runs.tags import MAX_RUNTIME_TAG
from runwire.workspace import CodeLocationStatus, WorkerStatus
from tests.control.fakes import FakeLauncher, FakeLocation, FakeWorkspace
from tests.control.ways import WAYS, events_of, run_in, tell, types_of

T, S, H = EventType, RunStatus, WorkerStatus
GONE = [H.FAILED, H.SUCCESS, H.NOT_FOUND]
SOON, LATER = 1.0, 16.0  # before and after a worker must have been seen


@dataclass
class World:
    """An instance with a monitoring daemon, a launcher that does what a test says, and a clock."""

    instance: Instance
    launcher: FakeLauncher
    workspace: FakeWorkspace
    passed: float = 0.0
    errors: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.daemon = MonitoringDaemon(self.instance, self.workspace, self.now)
        self.storage = self.instance.storage

    def now(self) -> float:
        return clock.timestamp() + self.passed

    def run_in(self, status: RunStatus) -> str:
        return run_in(self.storage, self.workspace, status)

    def look(self, *, after: float = 0.0) -> None:
        """One pass of the daemon, after some seconds."""
        self.passed += after
        self.daemon.run_iteration(self.errors.append, lambda: False)

    def record(self, run_id: str) -> RunRecord:
        return self.storage.get_run_record(run_id)

    def types(self, run_id: str) -> list[EventType | None]:
        return types_of(self.storage, run_id)

    def last(self, run_id: str) -> EventLogRecord:
        return events_of(self.storage, run_id)[-1]

    def reason(self, run_id: str) -> RunFailureReason | None:
        failure = self.record(run_id).failure
        return None if failure is None else failure.reason

    def everything(self, run_id: str) -> tuple[RunRecord, list[EventLogRecord]]:
        """All that is stored of a run."""
        return self.record(run_id), events_of(self.storage, run_id)


MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[MakeWorld]:
    """Makes the one world of a test, by the settings of its monitoring."""
    made: list[World] = []

    def make(**monitoring: Any) -> World:
        settings = Settings(run_monitoring=RunMonitoringSettings(**monitoring))
        ref = InstanceRef.of(settings, tmp_path, default_components(tmp_path))
        instance = Instance(ref, settings, {})
        instance.run_launcher = launcher = FakeLauncher()
        made.append(World(instance, launcher, FakeWorkspace(FakeLocation("here", "etl"))))
        return made[-1]

    yield make
    for world in made:
        world.instance.dispose()


# ---------------------------------------------------------------- what is left alone


@pytest.mark.parametrize("status", RunStatus)
def test_a_run_that_is_well_is_left_alone(make_world: MakeWorld, status: RunStatus) -> None:
    world = make_world()
    run_id = world.run_in(status)
    before = world.everything(run_id)
    world.look(after=LATER)
    assert world.everything(run_id) == before
    assert (world.launcher.stopped, world.errors) == ([], [])
    assert len(world.launcher.checked) == (1 if status in IN_PROGRESS_STATUSES else 0)


@pytest.mark.parametrize("status", sorted(set(RunStatus) - IN_PROGRESS_STATUSES, key=str))
def test_a_run_that_no_worker_has_waits_for_ever(make_world: MakeWorld, status: RunStatus) -> None:
    world = make_world(max_runtime_seconds=1)
    run_id = world.run_in(status)
    before = world.everything(run_id)
    world.look(after=1e9)
    assert world.everything(run_id) == before
    assert world.errors == []


@pytest.mark.parametrize("reachable", [False, True])
@pytest.mark.parametrize("status", sorted(IN_PROGRESS_STATUSES, key=str))
def test_a_worker_of_which_nobody_can_tell_is_left_alone(
    make_world: MakeWorld, status: RunStatus, reachable: bool
) -> None:
    world = make_world()
    run_id = world.run_in(status)
    before = world.everything(run_id)
    world.launcher.reachable, world.launcher.health = reachable, H.UNKNOWN
    world.look(after=LATER)
    assert world.everything(run_id) == before
    assert world.errors == []


def test_a_launcher_that_never_knows_is_not_asked(make_world: MakeWorld) -> None:
    world = make_world()
    run_id = world.run_in(S.STARTED)
    before = world.everything(run_id)
    world.launcher.supports_check_run_worker_health = False
    world.launcher.health = H.FAILED
    world.look(after=LATER)
    assert world.everything(run_id) == before
    assert (world.launcher.checked, world.errors) == ([], [])


def test_a_run_that_names_no_code_location_has_no_worker_to_look_for(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    record, _ = world.storage.run_storage.add_run(Run(job_name="x"), created_at=world.now())
    tell(world.storage, record.run_id, T.RUN_START)
    world.launcher.health = H.NOT_FOUND
    before = world.everything(record.run_id)
    world.look(after=LATER)
    assert world.everything(record.run_id) == before
    assert world.launcher.checked == []


def test_a_pass_without_anything_to_do_asks_for_one_page(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()
    for status in (S.NOT_STARTED, S.QUEUED, S.MANAGED, S.SUCCESS, S.FAILURE, S.CANCELED):
        world.run_in(status)
    asked: list[str] = []
    for storage in (world.storage.run_storage, world.storage.event_log_storage):
        for name in dir(storage):
            if name.startswith(("get_", "find_", "list_", "hold_", "append")):
                monkeypatch.setattr(storage, name, _noting(asked, name, getattr(storage, name)))
    world.look(after=1e6)
    assert asked == ["get_run_records"]


def _noting(asked: list[str], name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    def note(*args: Any, **options: Any) -> Any:
        asked.append(name)
        return method(*args, **options)

    return note


# ---------------------------------------------------------------- starting


def test_a_run_that_does_not_begin_in_time_fails_and_its_worker_is_killed(
    make_world: MakeWorld,
) -> None:
    world = make_world(start_timeout_seconds=60)
    run_id = world.run_in(S.STARTING)
    world.look(after=59)
    assert world.types(run_id) == [T.RUN_STARTING]
    world.look(after=2)
    assert world.types(run_id) == [T.RUN_STARTING, T.RUN_FAILURE]
    assert world.reason(run_id) is RunFailureReason.START_TIMEOUT
    assert world.last(run_id).message == (
        "The worker did not begin the run within 60 s; it was stopped."
    )
    assert world.launcher.stopped == [(run_id, 1, True)]
    world.look(after=100)
    assert world.types(run_id) == [T.RUN_STARTING, T.RUN_FAILURE]


def test_a_start_timeout_needs_nobody_to_tell_of_the_worker(make_world: MakeWorld) -> None:
    world = make_world(start_timeout_seconds=60)
    run_id = world.run_in(S.STARTING)
    world.launcher.reachable = False
    world.look(after=61)
    assert world.reason(run_id) is RunFailureReason.START_TIMEOUT


def test_a_resumed_run_has_its_start_timeout_anew(make_world: MakeWorld) -> None:
    world = make_world(start_timeout_seconds=60)
    run_id = world.run_in(S.STARTING)
    world.passed = 50
    _hand_over(world, run_id)
    world.look(after=59)
    assert world.types(run_id) == [T.RUN_STARTING, T.RUN_WORKER_LOST]
    world.look(after=2)
    assert world.types(run_id) == [T.RUN_STARTING, T.RUN_WORKER_LOST, T.RUN_FAILURE]
    assert world.reason(run_id) is RunFailureReason.START_TIMEOUT
    assert world.launcher.stopped == [(run_id, 2, True)]


def _hand_over(world: World, run_id: str) -> None:
    """What a resume tells, at the time that the world has."""
    entry = EventLogEntry(
        run_id=run_id, event_type=T.RUN_WORKER_LOST, message="m", timestamp=world.now()
    )
    world.storage.store_events(run_id, [entry], handover=True)


def _resume(world: World, run_id: str, attempt: int) -> None:
    resume_run(
        world.storage,
        world.launcher,
        world.workspace,
        {},
        run_id,
        attempt,
        start_timeout_seconds=60,
    )


# ---------------------------------------------------------------- lost workers


@pytest.mark.parametrize("health", [H.FAILED, H.SUCCESS])
@pytest.mark.parametrize("status", [S.STARTING, S.STARTED])
def test_a_worker_that_is_gone_is_lost_at_once(
    make_world: MakeWorld, status: RunStatus, health: WorkerStatus
) -> None:
    world = make_world()
    run_id = world.run_in(status)
    world.launcher.health = health
    world.look()
    assert world.types(run_id) == [*WAYS[status], T.RUN_FAILURE]
    assert world.reason(run_id) is RunFailureReason.WORKER_LOST
    assert world.last(run_id).message == f"The run lost its worker. It is {health.value}."
    world.look(after=100)
    assert world.types(run_id) == [*WAYS[status], T.RUN_FAILURE]


@pytest.mark.parametrize("status", [S.STARTING, S.STARTED])
def test_a_worker_of_which_there_is_no_trace_is_lost_after_a_while(
    make_world: MakeWorld, status: RunStatus
) -> None:
    world = make_world()
    run_id = world.run_in(status)
    world.launcher.health = H.NOT_FOUND
    world.look(after=SOON)
    assert world.types(run_id) == WAYS[status]
    world.look(after=LATER)
    assert world.types(run_id) == [*WAYS[status], T.RUN_FAILURE]
    assert world.reason(run_id) is RunFailureReason.WORKER_LOST
    told = "Its worker was never seen." if status is S.STARTING else "It is NOT_FOUND."
    assert world.last(run_id).message == f"The run lost its worker. {told}"


def test_a_worker_that_has_just_resumed_may_take_a_while_until_it_is_seen(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    run_id = world.run_in(S.STARTED)
    world.passed = 100
    _hand_over(world, run_id)
    world.launcher.health = H.NOT_FOUND
    world.look(after=SOON)
    assert world.types(run_id) == [*WAYS[S.STARTED], T.RUN_WORKER_LOST]
    world.look(after=LATER)
    assert world.types(run_id) == [*WAYS[S.STARTED], T.RUN_WORKER_LOST, T.RUN_FAILURE]


@pytest.mark.parametrize("status", [S.STARTING, S.STARTED])
@pytest.mark.parametrize("health", GONE)
def test_a_run_with_attempts_left_is_resumed(
    make_world: MakeWorld, status: RunStatus, health: WorkerStatus
) -> None:
    world = make_world(max_resume_run_attempts=1)
    run_id = world.run_in(status)
    world.launcher.health = health
    world.look(after=LATER)
    lost = [T.RUN_WORKER_LOST, T.RUN_WORKER_LOST]
    assert world.types(run_id) == [*WAYS[status], *lost]
    assert [event.epoch for event in events_of(world.storage, run_id)][-2:] == [1, 2]
    assert world.launcher.resumed == [(run_id, 2, 1)]
    record = world.record(run_id)
    assert (record.status, record.worker_epoch, record.resume_attempts) == (status, 2, 1)
    world.launcher.health = H.FAILED
    world.look()
    assert world.types(run_id) == [*WAYS[status], *lost, T.RUN_FAILURE]
    assert world.reason(run_id) is RunFailureReason.WORKER_LOST
    assert (world.launcher.resumed, world.errors) == ([(run_id, 2, 1)], [])


def test_a_loss_that_somebody_else_told_of_is_picked_up(make_world: MakeWorld) -> None:
    world = make_world(max_resume_run_attempts=1)
    run_id = world.run_in(S.STARTED)
    report_lost_worker(world.storage, run_id, 1, "It is dead.", max_resume_attempts=1)
    world.launcher.health = H.FAILED
    world.look()
    lost = [T.RUN_WORKER_LOST, T.RUN_WORKER_LOST]
    assert world.types(run_id) == [*WAYS[S.STARTED], *lost]
    assert world.launcher.resumed == [(run_id, 2, 1)]


def _unreachable(world: World) -> None:
    world.workspace.locations["here"].turn(CodeLocationStatus.UNREACHABLE)


def _loading(world: World) -> None:
    """Waiting for it does not change that."""
    location = world.workspace.locations["here"]
    location.becomes = CodeLocationStatus.LOADING
    location.turn(CodeLocationStatus.LOADING)


def _without_location(world: World) -> None:
    del world.workspace.locations["here"]


def _without_repository(world: World) -> None:
    world.workspace.locations["here"].load(other=["etl"])


def _without_job(world: World) -> None:
    world.workspace.locations["here"].load(main=["other"])


@pytest.mark.parametrize("lose_job", [_without_repository, _without_job])
@pytest.mark.parametrize("status", [S.STARTING, S.STARTED])
def test_a_live_worker_whose_job_is_gone_is_left_alone(
    make_world: MakeWorld, status: RunStatus, lose_job: Callable[[World], None]
) -> None:
    world = make_world(max_resume_run_attempts=1)
    run_id = world.run_in(status)
    lose_job(world)
    before = world.everything(run_id)
    world.look(after=LATER)
    assert world.everything(run_id) == before
    assert (world.launcher.stopped, world.launcher.resumed, world.errors) == ([], [], [])


@pytest.mark.parametrize(
    ("break_place", "told"),
    [
        (_unreachable, "code location 'here' is not available: it is UNREACHABLE"),
        (_loading, "code location 'here' is not available: it is LOADING"),
        (_without_location, "the workspace has no code location 'here'"),
        (_without_repository, "there is no job 'etl' in repository 'main' of code location 'here'"),
        (_without_job, "there is no job 'etl' in repository 'main' of code location 'here'"),
    ],
)
def test_a_job_that_cannot_be_had_is_tried_again_until_it_takes_too_long(
    make_world: MakeWorld, break_place: Callable[[World], None], told: str
) -> None:
    world = make_world(max_resume_run_attempts=1, start_timeout_seconds=60)
    run_id = world.run_in(S.STARTED)
    break_place(world)
    world.launcher.health = H.FAILED
    waiting = [*WAYS[S.STARTED], T.RUN_WORKER_LOST]
    for seconds in (0, 30, 29):
        world.look(after=seconds)
        assert world.types(run_id) == waiting
    world.look(after=2)
    assert world.types(run_id) == [*waiting, T.RUN_FAILURE]
    assert world.reason(run_id) is RunFailureReason.WORKER_LOST
    assert world.last(run_id).message.startswith(
        f"The run lost its worker and could not be resumed: {told}"
    )
    assert world.record(run_id).worker_epoch == 1
    assert (world.launcher.resumed, world.errors) == ([], [])


def test_a_location_that_comes_back_in_time_resumes_the_run(make_world: MakeWorld) -> None:
    world = make_world(max_resume_run_attempts=1)
    run_id = world.run_in(S.STARTED)
    _loading(world)
    world.launcher.health = H.FAILED
    world.look()
    assert world.workspace.locations["here"].waits == []
    world.workspace.locations["here"].turn(CodeLocationStatus.LOADED)
    world.look()
    assert world.launcher.resumed == [(run_id, 2, 1)]


def test_a_job_that_comes_back_in_time_is_resumed(make_world: MakeWorld) -> None:
    world = make_world(max_resume_run_attempts=1)
    run_id = world.run_in(S.STARTED)
    _without_job(world)
    world.launcher.health = H.FAILED
    world.look()
    assert world.types(run_id) == [*WAYS[S.STARTED], T.RUN_WORKER_LOST]
    world.workspace.locations["here"].load(main=["etl"])
    world.look()
    assert world.launcher.resumed == [(run_id, 2, 1)]


def test_a_resume_that_fails_ends_the_run_and_is_told_of(make_world: MakeWorld) -> None:
    world = make_world(max_resume_run_attempts=5)
    run_id = world.run_in(S.STARTED)
    world.launcher.health = H.FAILED
    world.launcher.broken = OSError("no processes left")
    world.look()
    world.look()
    lost = [T.RUN_WORKER_LOST, T.RUN_WORKER_LOST]
    assert world.types(run_id) == [*WAYS[S.STARTED], *lost, T.RUN_FAILURE]
    assert world.reason(run_id) is RunFailureReason.LAUNCH_FAILED
    assert [type(error) for error in world.errors] == [LaunchFailedError]


# ---------------------------------------------------------------- what happens meanwhile


@pytest.mark.parametrize("attempts", [0, 1])
@pytest.mark.parametrize("end", [T.RUN_SUCCESS, T.RUN_FAILURE, T.RUN_CANCELED])
@pytest.mark.parametrize("health", GONE)
@pytest.mark.parametrize("status", sorted(IN_PROGRESS_STATUSES, key=str))
def test_a_worker_that_ends_its_run_while_it_is_looked_for_is_not_lost(
    make_world: MakeWorld,
    status: RunStatus,
    health: WorkerStatus,
    end: EventType,
    attempts: int,
) -> None:
    world = make_world(max_resume_run_attempts=attempts)
    run_id = world.run_in(status)

    def end_run(context: LaunchRunContext) -> None:
        if status is S.STARTING:
            tell(world.storage, run_id, T.RUN_START, epoch=1)
        tell(world.storage, run_id, end, epoch=1)
        world.launcher.health = health

    world.launcher.on_check = end_run
    world.look(after=LATER)
    begun = [T.RUN_START] if status is S.STARTING else []
    assert world.types(run_id) == [*WAYS[status], *begun, end]
    assert (world.launcher.stopped, world.launcher.resumed) == ([], [])
    assert world.errors == []


@pytest.mark.parametrize("attempts", [0, 3])
def test_a_run_that_is_resumed_while_its_worker_is_looked_for_is_left_alone(
    make_world: MakeWorld, attempts: int
) -> None:
    world = make_world(max_resume_run_attempts=attempts)
    run_id = world.run_in(S.STARTED)
    world.launcher.health = H.FAILED
    world.launcher.on_check = lambda _: _resume(world, run_id, 1)
    world.look()
    assert world.types(run_id) == [*WAYS[S.STARTED], T.RUN_WORKER_LOST]
    assert (world.launcher.resumed, world.errors) == ([(run_id, 2, 1)], [])


def test_a_run_that_begins_while_it_is_looked_at_is_left_alone(make_world: MakeWorld) -> None:
    world = make_world()
    run_id = world.run_in(S.STARTING)
    world.launcher.health = H.NOT_FOUND
    world.launcher.on_check = lambda _: tell(world.storage, run_id, T.RUN_START, epoch=1)
    world.look(after=LATER)
    assert world.types(run_id) == WAYS[S.STARTED]


def test_a_run_that_is_deleted_while_it_is_looked_at_stays_so(make_world: MakeWorld) -> None:
    world = make_world(max_resume_run_attempts=1)
    run_id = world.run_in(S.STARTED)
    world.launcher.health = H.FAILED
    world.launcher.on_check = lambda _: world.storage.delete_run(run_id)
    world.look()
    assert world.instance.get_run_by_id(run_id) is None
    assert world.errors == []


@pytest.mark.parametrize("meanwhile", [T.RUN_SUCCESS, T.RUN_CANCELING, T.RUN_CANCELED])
@pytest.mark.parametrize("status", [S.STARTING, S.STARTED])
def test_a_timeout_does_nothing_to_a_run_that_has_moved_on(
    make_world: MakeWorld,
    monkeypatch: pytest.MonkeyPatch,
    status: RunStatus,
    meanwhile: EventType,
) -> None:
    world = make_world(start_timeout_seconds=60, max_runtime_seconds=60)
    run_id = world.run_in(status)
    moved = [T.RUN_START, meanwhile] if status is S.STARTING else [meanwhile]

    def move_on(name: str) -> None:
        for event_type in moved:
            tell(world.storage, run_id, event_type, epoch=1)

    monkeypatch.setattr(run_monitor, "fault_point", move_on)
    world.look(after=61)
    assert world.types(run_id) == [*WAYS[status], *moved]
    assert (world.launcher.stopped, world.errors) == ([], [])


def test_a_timeout_does_nothing_to_a_run_that_was_resumed_meanwhile(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(start_timeout_seconds=60)
    run_id = world.run_in(S.STARTING)
    monkeypatch.setattr(run_monitor, "fault_point", lambda _: _resume(world, run_id, 1))
    world.look(after=61)
    assert world.types(run_id) == [T.RUN_STARTING, T.RUN_WORKER_LOST]
    assert world.launcher.stopped == [(run_id, 1, True)]  # by the resume
    assert world.errors == []


def test_two_daemons_resume_a_run_once(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(max_resume_run_attempts=5)
    run_id = world.run_in(S.STARTED)
    world.launcher.health = H.FAILED
    other = MonitoringDaemon(world.instance, world.workspace, world.now)

    def other_is_faster(name: str) -> None:
        if name == "monitoring.before_resume":
            monkeypatch.setattr(run_monitor, "fault_point", lambda _: None)
            other.run_iteration(world.errors.append, lambda: False)

    monkeypatch.setattr(run_monitor, "fault_point", other_is_faster)
    world.look()
    assert world.launcher.resumed == [(run_id, 2, 1)]
    lost = [T.RUN_WORKER_LOST, T.RUN_WORKER_LOST]
    assert world.types(run_id) == [*WAYS[S.STARTED], *lost]
    assert world.errors == []


# ---------------------------------------------------------------- running for too long


def test_a_run_that_takes_too_long_fails_and_its_worker_is_killed(make_world: MakeWorld) -> None:
    world = make_world(max_runtime_seconds=100)
    run_id = world.run_in(S.STARTED)
    world.look(after=99)
    assert world.types(run_id) == WAYS[S.STARTED]
    world.look(after=2)
    assert world.types(run_id) == [*WAYS[S.STARTED], T.RUN_FAILURE]
    assert world.reason(run_id) is RunFailureReason.MAX_RUNTIME
    assert world.last(run_id).message == "The run took longer than 100 s; its worker was stopped."
    assert world.launcher.stopped == [(run_id, 1, True)]


def test_the_reaper_of_a_worker_that_took_too_long_adds_nothing(make_world: MakeWorld) -> None:
    world = make_world(max_runtime_seconds=100)
    run_id = world.run_in(S.STARTED)
    world.launcher.on_terminate = lambda _: report_lost_worker(
        world.storage, run_id, 1, "It was killed.", max_resume_attempts=3
    )
    world.look(after=101)
    assert world.types(run_id) == [*WAYS[S.STARTED], T.RUN_FAILURE]
    assert world.reason(run_id) is RunFailureReason.MAX_RUNTIME


@pytest.mark.parametrize(
    ("tag", "usual", "seconds", "fails"),
    [
        ("50", None, 51, True),
        ("50.5", 10, 49, False),
        ("50", 10, 49, False),
        ("50", 1000, 51, True),
        ("1e3", 10, 999, False),
        ("1e300", 10, MAX_SECONDS - 1, False),
        ("1e300", None, MAX_SECONDS + 1, True),
    ],
)
def test_the_tag_of_a_run_holds_over_the_instance(
    make_world: MakeWorld, tag: str, usual: float | None, seconds: float, fails: bool
) -> None:
    world = make_world(max_runtime_seconds=usual)
    run_id = world.run_in(S.STARTED)
    world.instance.add_run_tags(run_id, [(MAX_RUNTIME_TAG, tag)])
    world.look(after=seconds)
    assert world.reason(run_id) is (RunFailureReason.MAX_RUNTIME if fails else None)


@pytest.mark.parametrize("tag", ["", "soon", "0", "-1", "nan", "inf", "1 h"])
def test_a_malformed_tag_is_told_once_and_the_instance_holds(
    make_world: MakeWorld, tag: str
) -> None:
    world = make_world(max_runtime_seconds=100)
    run_id = world.run_in(S.STARTED)
    world.instance.add_run_tags(run_id, [(MAX_RUNTIME_TAG, tag)])
    world.look()
    world.look()
    assert world.types(run_id) == [*WAYS[S.STARTED], T.ENGINE_EVENT]
    warning = world.last(run_id)
    assert (warning.level, warning.epoch) == (LogLevel.WARNING, None)
    assert warning.message == (
        f"Tag runwire/max_runtime_seconds is {tag!r}, which is not a positive number of seconds;"
        " 100 s hold."
    )
    world.look(after=101)
    assert world.types(run_id) == [*WAYS[S.STARTED], T.ENGINE_EVENT, T.RUN_FAILURE]
    assert world.errors == []


# ---------------------------------------------------------------- canceling


def test_a_run_that_does_not_cancel_in_time_is_killed_and_canceled(make_world: MakeWorld) -> None:
    world = make_world(cancel_timeout_seconds=20)
    run_id = world.run_in(S.CANCELING)
    world.look(after=19)
    assert world.types(run_id) == WAYS[S.CANCELING]
    world.look(after=2)
    assert world.types(run_id) == [*WAYS[S.CANCELING], T.RUN_CANCELED]
    assert world.last(run_id).message == (
        "The run was canceled. Its worker did not end within 20 s."
    )
    assert world.launcher.stopped == [(run_id, 1, True)]


def test_a_resume_does_not_give_a_cancel_more_time(make_world: MakeWorld) -> None:
    world = make_world(cancel_timeout_seconds=20)
    run_id = world.run_in(S.CANCELING)
    world.passed = 19
    _hand_over(world, run_id)
    world.look(after=2)
    assert world.record(run_id).status is S.CANCELED
    assert world.launcher.stopped == [(run_id, 2, True)]


def test_a_cancel_timeout_needs_nobody_to_tell_of_the_worker(make_world: MakeWorld) -> None:
    world = make_world(cancel_timeout_seconds=20)
    run_id = world.run_in(S.CANCELING)
    world.launcher.reachable = False
    world.look(after=21)
    assert world.types(run_id) == [*WAYS[S.CANCELING], T.RUN_CANCELED]


def test_a_worker_that_ends_by_being_killed_cancels_its_run_once(make_world: MakeWorld) -> None:
    world = make_world(cancel_timeout_seconds=20)
    run_id = world.run_in(S.CANCELING)
    world.launcher.on_terminate = lambda _: report_lost_worker(
        world.storage, run_id, 1, "It was killed.", max_resume_attempts=0
    )
    world.look(after=21)
    assert world.types(run_id) == [*WAYS[S.CANCELING], T.RUN_CANCELED]
    assert world.last(run_id).message == "The run was canceled. It was killed."


@pytest.mark.parametrize("attempts", [0, 1])
@pytest.mark.parametrize("health", GONE)
def test_a_run_in_canceling_whose_worker_is_gone_is_canceled(
    make_world: MakeWorld, health: WorkerStatus, attempts: int
) -> None:
    world = make_world(max_resume_run_attempts=attempts)
    run_id = world.run_in(S.CANCELING)
    world.launcher.health = health
    world.look(after=LATER)
    assert world.types(run_id) == [*WAYS[S.CANCELING], T.RUN_CANCELED]
    assert world.launcher.stopped == [(run_id, 1, True)]
    assert world.launcher.resumed == []


# ---------------------------------------------------------------- not started


def test_a_run_that_is_not_launched_in_time_fails_if_that_is_asked_for(
    make_world: MakeWorld,
) -> None:
    world = make_world(not_started_timeout_seconds=300)
    run_ids = [world.run_in(status) for status in (S.NOT_STARTED, S.QUEUED, S.MANAGED)]
    world.look(after=299)
    assert [world.types(run_id) for run_id in run_ids] == [[], [T.RUN_ENQUEUED], []]
    world.look(after=2)
    assert [world.types(run_id) for run_id in run_ids] == [
        [T.RUN_FAILURE],
        [T.RUN_ENQUEUED],
        [],
    ]
    assert world.reason(run_ids[0]) is RunFailureReason.START_TIMEOUT
    assert world.last(run_ids[0]).message == "The run was not launched within 300 s."
    assert (world.launcher.checked, world.launcher.stopped) == ([], [])


# ---------------------------------------------------------------- passes


def test_an_error_about_one_run_is_reported_and_the_others_are_looked_after(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    run_ids = [world.run_in(S.STARTED) for _ in range(3)]
    world.launcher.health = H.FAILED
    problem = OSError("cannot look")

    def fail_for_second(context: LaunchRunContext) -> None:
        if context.record.run_id == run_ids[1]:
            raise problem

    world.launcher.on_check = fail_for_second
    world.look()
    statuses = [world.record(run_id).status for run_id in run_ids]
    assert statuses == [S.FAILURE, S.STARTED, S.FAILURE]
    assert world.errors == [problem]


def test_more_runs_than_a_page_holds_are_all_looked_at_oldest_first(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()
    monkeypatch.setattr("runwire.daemons.monitoring.PAGE_SIZE", 2)
    assert PAGE_SIZE == 100
    run_ids = [world.run_in(status) for status in (S.STARTED, S.STARTING, S.CANCELING, S.STARTED)]
    world.launcher.health = H.FAILED
    world.look()
    assert [run_id for run_id, _ in world.launcher.checked] == run_ids
    assert all(world.record(run_id).is_finished for run_id in run_ids)


def test_a_pass_that_is_to_stop_stops_before_the_next_run(make_world: MakeWorld) -> None:
    world = make_world()
    run_ids = [world.run_in(S.STARTED) for _ in range(3)]
    calls = itertools.count()
    world.daemon.run_iteration(world.errors.append, lambda: next(calls) >= 2)
    assert [run_id for run_id, _ in world.launcher.checked] == run_ids[:2]


def test_the_interval_and_the_type_are_those_of_monitoring(make_world: MakeWorld) -> None:
    world = make_world(poll_interval_seconds=0.25)
    assert (world.daemon.daemon_type, world.daemon.interval_seconds) == ("MONITORING", 0.25)


@pytest.mark.parametrize(
    ("attempts", "points"),
    [
        (0, ["monitoring.before_failure"]),
        (1, ["monitoring.before_resume", "monitoring.after_resume"]),
    ],
)
def test_the_fault_points_are_passed_in_order(
    make_world: MakeWorld,
    monkeypatch: pytest.MonkeyPatch,
    attempts: int,
    points: list[str],
) -> None:
    world = make_world(max_resume_run_attempts=attempts)
    world.run_in(S.STARTED)
    world.launcher.health = H.FAILED
    passed: list[str] = []
    monkeypatch.setattr(run_monitor, "fault_point", passed.append)
    world.look()
    assert passed == points
    assert set(passed) <= set(fault_points.FAULT_POINTS)
