"""Resuming: one worker at a time, one worker an attempt."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from runwire import clock
from runwire.config import ConfigurableClassData
from runwire.control import report_lost_worker, resume_run
from runwire.errors import (
    CodeLocationUnavailableError,
    JobNotFoundError,
    LaunchFailedError,
    RunNotFoundError,
    RunStateConflictError,
    StaleWorkerError,
)
from runwire.events import EventLogEntry, EventType
from runwire.events.payloads import RunFailureReason
from runwire.launcher import LaunchRunContext
from runwire.runs import RunRecord, RunStatus
from runwire.runs.status import IN_PROGRESS_STATUSES, TERMINAL_STATUSES
from runwire.storage import InstanceStorage
from runwire.storages.memory import MemoryStorage
from runwire.storages.sqlite import SqliteStorage
from runwire.testing.launcher_place import launcher_place
from runwire.testing.left_behind import is_alive, nothing_left_behind
from runwire.workspace import CodeLocationStatus, WorkerStatus, Workspace
from tests.control.ways import WAYS, events_of, run_in, tell, types_of

T = EventType
START_TIMEOUT = 60.0
REFUSING = sorted(set(RunStatus) - IN_PROGRESS_STATUSES, key=str)


def resume(
    storage: InstanceStorage,
    launcher: Any,
    workspace: Workspace,
    run_id: str,
    attempt: int | None = None,
    *,
    later: float = 0.0,
) -> RunRecord:
    """Resumes a run, some seconds later than it is."""
    return resume_run(
        storage,
        launcher,
        workspace,
        {},
        run_id,
        attempt,
        start_timeout_seconds=START_TIMEOUT,
        now=lambda: clock.timestamp() + later,
    )


@pytest.mark.parametrize("attempt", [None, 1])
@pytest.mark.parametrize("health", WorkerStatus)
@pytest.mark.parametrize("status", sorted(IN_PROGRESS_STATUSES, key=str))
def test_a_run_in_progress_gets_a_new_worker_whatever_its_old_one_does(
    storage: MemoryStorage,
    launcher: Any,
    workspace: Workspace,
    status: RunStatus,
    health: WorkerStatus,
    attempt: int | None,
) -> None:
    run_id = run_in(storage, workspace, status)
    launcher.health = health
    record = resume(storage, launcher, workspace, run_id, attempt)
    assert (record.status, record.worker_epoch, record.resume_attempts) == (status, 2, 1)
    assert launcher.stopped == [(run_id, 1, True)]
    assert launcher.resumed == [(run_id, 2, 1)]
    assert types_of(storage, run_id) == [*WAYS[status], T.RUN_WORKER_LOST]


def test_the_hand_over_is_told_with_the_new_epoch_before_anything_is_stopped_or_started(
    storage: MemoryStorage, launcher: Any, workspace: Workspace
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    seen: list[tuple[str, int | None]] = []
    launcher.on_terminate = lambda _: seen.append(("stop", events_of(storage, run_id)[-1].epoch))
    launcher.on_start = lambda _: seen.append(("start", events_of(storage, run_id)[-1].epoch))
    resume(storage, launcher, workspace, run_id)
    assert seen == [("stop", 2), ("start", 2)]
    assert (
        events_of(storage, run_id)[-1].message == "The run is resumed by a new worker, attempt 1."
    )


def test_the_old_worker_is_fenced(
    storage: MemoryStorage, launcher: Any, workspace: Workspace
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    resume(storage, launcher, workspace, run_id)
    before = events_of(storage, run_id)
    with pytest.raises(StaleWorkerError):
        tell(storage, run_id, T.RUN_SUCCESS, epoch=1)
    assert events_of(storage, run_id) == before
    assert storage.get_run_record(run_id).status is RunStatus.STARTED


@pytest.mark.parametrize("attempt", [None, 1])
@pytest.mark.parametrize("status", REFUSING)
def test_a_run_in_another_status_is_not_resumed(
    storage: MemoryStorage,
    launcher: Any,
    workspace: Workspace,
    status: RunStatus,
    attempt: int | None,
) -> None:
    run_id = run_in(storage, workspace, status)
    before, events = storage.get_run_record(run_id), events_of(storage, run_id)
    with pytest.raises(RunStateConflictError) as refused:
        resume(storage, launcher, workspace, run_id, attempt)
    assert refused.value.expected == ("STARTING", "STARTED", "CANCELING")
    hint = "it has ended; reexecuteRun runs it again"
    assert str(refused.value).endswith(hint) is (status in TERMINAL_STATUSES)
    assert (storage.get_run_record(run_id), events_of(storage, run_id)) == (before, events)
    assert (launcher.checked, launcher.stopped, launcher.resumed) == ([], [], [])


@pytest.mark.parametrize("attempt", [-1, 0, 2, 7])
def test_an_attempt_that_is_not_the_next_is_refused_and_the_next_is_told(
    storage: MemoryStorage, launcher: Any, workspace: Workspace, attempt: int
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    before = storage.get_run_record(run_id)
    with pytest.raises(RunStateConflictError) as refused:
        resume(storage, launcher, workspace, run_id, attempt)
    assert str(refused.value) == (
        f"run {run_id!r} is STARTED; attempt {attempt} is not the next; the next attempt is 1"
    )
    assert storage.get_run_record(run_id) == before
    assert (launcher.stopped, launcher.resumed) == ([], [])


def test_an_attempt_is_made_once_and_the_next_by_its_number(
    storage: MemoryStorage, launcher: Any, workspace: Workspace
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    resume(storage, launcher, workspace, run_id, 1)
    with pytest.raises(RunStateConflictError, match="the next attempt is 2"):
        resume(storage, launcher, workspace, run_id, 1)
    resume(storage, launcher, workspace, run_id, 2)
    assert launcher.resumed == [(run_id, 2, 1), (run_id, 3, 2)]
    assert launcher.stopped == [(run_id, 1, True), (run_id, 2, True)]


Happening = Callable[[InstanceStorage, str], object]


def _nothing(storage: InstanceStorage, run_id: str) -> None:
    pass


def _worker_writes(storage: InstanceStorage, run_id: str) -> None:
    entry = EventLogEntry(run_id=run_id, event_type=T.ENGINE_EVENT, message="Started process.")
    storage.store_events(run_id, [entry], epoch=2)


def _others_write(storage: InstanceStorage, run_id: str) -> None:
    tell(storage, run_id, T.ENGINE_EVENT)


def _worker_is_lost(storage: InstanceStorage, run_id: str) -> None:
    report_lost_worker(storage, run_id, 2, "It is gone.", max_resume_attempts=9)


@pytest.mark.parametrize(
    ("health", "happened", "later", "does"),
    [
        (WorkerStatus.RUNNING, _worker_writes, 0.0, "running"),
        (WorkerStatus.RUNNING, _worker_writes, 3600.0, "running"),
        (WorkerStatus.NOT_FOUND, _nothing, 0.0, "being started"),
        (WorkerStatus.NOT_FOUND, _others_write, 0.0, "being started"),
        (WorkerStatus.NOT_FOUND, _nothing, 50.0, "being started"),
        (WorkerStatus.UNKNOWN, _nothing, 0.0, "being started"),
        (WorkerStatus.UNKNOWN, _worker_writes, 0.0, "being started"),
    ],
)
def test_a_worker_that_a_resume_has_just_started_is_replaced_only_by_number(
    storage: MemoryStorage,
    launcher: Any,
    workspace: Workspace,
    health: WorkerStatus,
    happened: Happening,
    later: float,
    does: str,
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    resume(storage, launcher, workspace, run_id)
    happened(storage, run_id)
    launcher.health = health
    before, events = storage.get_run_record(run_id), events_of(storage, run_id)
    with pytest.raises(RunStateConflictError) as refused:
        resume(storage, launcher, workspace, run_id, later=later)
    assert str(refused.value) == (
        f"run {run_id!r} is STARTED; attempt 1 is {does}; give attempt_number 2 to replace it"
    )
    assert (storage.get_run_record(run_id), events_of(storage, run_id)) == (before, events)
    assert launcher.resumed == [(run_id, 2, 1)]
    assert resume(storage, launcher, workspace, run_id, 2).resume_attempts == 2


@pytest.mark.parametrize(
    ("health", "happened", "later"),
    [
        (WorkerStatus.FAILED, _nothing, 0.0),
        (WorkerStatus.FAILED, _worker_writes, 0.0),
        (WorkerStatus.NOT_FOUND, _worker_writes, 0.0),
        (WorkerStatus.NOT_FOUND, _worker_is_lost, 0.0),
        (WorkerStatus.SUCCESS, _worker_writes, 0.0),
        (WorkerStatus.NOT_FOUND, _nothing, 70.0),
        (WorkerStatus.UNKNOWN, _nothing, 70.0),
    ],
)
def test_a_worker_that_a_resume_has_started_and_that_is_gone_is_replaced(
    storage: MemoryStorage,
    launcher: Any,
    workspace: Workspace,
    health: WorkerStatus,
    happened: Happening,
    later: float,
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    resume(storage, launcher, workspace, run_id)
    happened(storage, run_id)
    launcher.health = health
    record = resume(storage, launcher, workspace, run_id, later=later)
    assert (record.worker_epoch, record.resume_attempts) == (3, 2)
    assert launcher.resumed == [(run_id, 2, 1), (run_id, 3, 2)]


def test_a_worker_that_is_first_heard_from_while_it_is_looked_for_is_being_started(
    storage: MemoryStorage, launcher: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    resume(storage, launcher, workspace, run_id)
    launcher.health = WorkerStatus.NOT_FOUND
    look = launcher.check_run_worker_health

    def look_for_a_while(context: LaunchRunContext) -> Any:
        found = look(context)
        _worker_writes(storage, run_id)
        return found

    monkeypatch.setattr(launcher, "check_run_worker_health", look_for_a_while)
    with pytest.raises(RunStateConflictError, match="attempt 1 is being started"):
        resume(storage, launcher, workspace, run_id)
    assert launcher.resumed == [(run_id, 2, 1)]


def _outcomes(attempt: Callable[[], object], count: int) -> list[str]:
    """How many attempts at once end, by class name of the error."""
    together = Barrier(count)

    def outcome(_: int) -> str:
        together.wait()
        try:
            attempt()
        except Exception as error:  # noqa: BLE001 - told by its name
            return type(error).__name__
        return "worker"

    with ThreadPoolExecutor(count) as pool:
        return sorted(pool.map(outcome, range(count)))


@pytest.mark.parametrize("attempt", [None, 1], ids=["without number", "with number"])
@pytest.mark.parametrize("health", [WorkerStatus.NOT_FOUND, WorkerStatus.RUNNING])
@pytest.mark.parametrize("status", sorted(IN_PROGRESS_STATUSES, key=str))
def test_of_fifty_resumes_at_once_one_starts_a_worker(
    sqlite_storage: SqliteStorage,
    launcher: Any,
    workspace: Workspace,
    status: RunStatus,
    health: WorkerStatus,
    attempt: int | None,
) -> None:
    run_id = run_in(sqlite_storage, workspace, status)
    launcher.health = health
    one = partial(resume, sqlite_storage, launcher, workspace, run_id, attempt)
    assert _outcomes(one, 50) == ["RunStateConflictError"] * 49 + ["worker"]
    assert launcher.resumed == [(run_id, 2, 1)]
    assert types_of(sqlite_storage, run_id) == [*WAYS[status], T.RUN_WORKER_LOST]
    record = sqlite_storage.get_run_record(run_id)
    assert (record.status, record.worker_epoch, record.resume_attempts) == (status, 2, 1)


def test_a_resume_that_is_overtaken_before_its_worker_is_started_starts_none(
    storage: MemoryStorage, launcher: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    store = storage.store_events

    def store_then_resume(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(storage, "store_events", store)
        stored = store(*args, **options)
        resume(storage, launcher, workspace, run_id, 2)
        return stored

    monkeypatch.setattr(storage, "store_events", store_then_resume)
    with pytest.raises(RunStateConflictError, match="the next attempt is 3"):
        resume(storage, launcher, workspace, run_id, 1)
    assert launcher.resumed == [(run_id, 3, 2)]


@pytest.mark.parametrize("attempt", [None, 1])
def test_a_run_that_ends_while_it_is_to_be_resumed_stays_so(
    storage: MemoryStorage,
    launcher: Any,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    attempt: int | None,
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    store = storage.store_events

    def end_then_store(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(storage, "store_events", store)
        tell(storage, run_id, T.RUN_SUCCESS, epoch=1)
        return store(*args, **options)

    monkeypatch.setattr(storage, "store_events", end_then_store)
    with pytest.raises(RunStateConflictError, match="reexecuteRun runs it again"):
        resume(storage, launcher, workspace, run_id, attempt)
    assert types_of(storage, run_id) == [T.RUN_STARTING, T.RUN_START, T.RUN_SUCCESS]
    assert (launcher.stopped, launcher.resumed) == ([], [])


@pytest.mark.parametrize(
    ("status", "end"),
    [
        (RunStatus.STARTING, T.RUN_FAILURE),
        (RunStatus.STARTED, T.RUN_FAILURE),
        (RunStatus.CANCELING, T.RUN_CANCELED),
    ],
)
def test_a_launcher_that_fails_ends_the_run_by_one_event(
    storage: MemoryStorage,
    launcher: Any,
    workspace: Workspace,
    status: RunStatus,
    end: EventType,
) -> None:
    run_id = run_in(storage, workspace, status)
    launcher.broken = OSError("no processes left")
    with pytest.raises(LaunchFailedError, match="no processes left"):
        resume(storage, launcher, workspace, run_id)
    assert types_of(storage, run_id) == [*WAYS[status], T.RUN_WORKER_LOST, end]
    record = storage.get_run_record(run_id)
    reason = None if record.failure is None else record.failure.reason
    assert reason is (RunFailureReason.LAUNCH_FAILED if end is T.RUN_FAILURE else None)


def test_an_old_worker_that_cannot_be_reached_does_not_keep_the_run_from_being_resumed(
    storage: MemoryStorage, launcher: Any, workspace: Workspace
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    launcher.reachable = False
    resume(storage, launcher, workspace, run_id)
    assert (launcher.stopped, launcher.resumed) == ([], [(run_id, 2, 1)])


@pytest.mark.parametrize("attempt", [None, 1])
@pytest.mark.parametrize("health", [WorkerStatus.RUNNING, WorkerStatus.FAILED])
@pytest.mark.parametrize(
    ("change", "error"),
    [
        (
            lambda locations: locations["here"].turn(CodeLocationStatus.UNREACHABLE),
            CodeLocationUnavailableError,
        ),
        (lambda locations: locations.pop("here"), JobNotFoundError),
        (lambda locations: locations["here"].load(other=["etl"]), JobNotFoundError),
        (lambda locations: locations["here"].load(main=["other"]), JobNotFoundError),
    ],
    ids=["not loaded", "no location", "no repository", "no job"],
)
def test_a_run_whose_job_cannot_be_had_is_not_resumed_and_keeps_its_worker(
    storage: MemoryStorage,
    launcher: Any,
    workspace: Any,
    change: Callable[[Any], object],
    error: type[Exception],
    health: WorkerStatus,
    attempt: int | None,
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    launcher.health = health
    before, events = storage.get_run_record(run_id), events_of(storage, run_id)
    change(workspace.locations)
    with pytest.raises(error):
        resume(storage, launcher, workspace, run_id, attempt)
    assert (storage.get_run_record(run_id), events_of(storage, run_id)) == (before, events)
    assert (launcher.stopped, launcher.resumed) == ([], [])


def test_a_worker_goes_on_when_its_job_is_gone_and_a_resume_is_refused(tmp_path: Path) -> None:
    """With a real code server and a real worker."""
    launcher = ConfigurableClassData("runwire.launchers.default", "DefaultRunLauncher")
    with nothing_left_behind(), launcher_place(tmp_path, launcher) as place:
        run_id = place.launch("two_steps")
        pid = place.wait_for_note("second of 2")
        jobs = place.folder / "jobs.py"
        jobs.write_text(jobs.read_text(encoding="utf-8").replace("two_steps", "renamed"))
        [location] = place.workspace.list_locations()
        location.reload()
        before = place.record(run_id)
        with pytest.raises(JobNotFoundError, match="there are: cleaning, ignoring, renamed"):
            place.instance.resume_run(run_id, place.workspace)
        assert place.record(run_id) == before
        assert is_alive(pid)
        place.go_on()
        assert place.wait_for_end(run_id) is RunStatus.SUCCESS
        assert place.endings(run_id) == [(T.RUN_SUCCESS, True, 1)]


def test_an_unknown_run_is_told(
    storage: MemoryStorage, launcher: Any, workspace: Workspace
) -> None:
    with pytest.raises(RunNotFoundError):
        resume(storage, launcher, workspace, "no")


def test_a_launcher_gets_the_run_with_its_new_epoch_and_how_to_open_the_instance(
    storage: MemoryStorage, launcher: Any, workspace: Workspace
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    contexts: list[LaunchRunContext] = []
    launcher.on_start = contexts.append
    resume_run(
        storage, launcher, workspace, {"name": "x"}, run_id, 1, start_timeout_seconds=START_TIMEOUT
    )
    (context,) = contexts
    assert context.record == storage.get_run_record(run_id)
    assert (context.workspace, context.instance_ref) == (workspace, {"name": "x"})
