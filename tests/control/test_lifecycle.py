"""Launch, submit, terminate, delete, tag: preconditions hold, and one cause makes one terminal event."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any, Self

import pytest

from runwire import clock
from runwire.control import (
    TerminatePolicy,
    add_run_tags,
    delete_run,
    launch_run,
    resume_run,
    submit_run,
    terminate_run,
)
from runwire.control.code_location import LOADING_SECONDS
from runwire.coordinator import RunCoordinator, SubmitRunContext
from runwire.errors import (
    CodeLocationUnavailableError,
    InputInvalidError,
    JobNotFoundError,
    LaunchFailedError,
    RunNotFoundError,
    RunStateConflictError,
    RunwireError,
    StorageDamagedError,
    TerminateFailedError,
)
from runwire.events import EventLogRecord, EventType
from runwire.events.payloads import RunFailureReason
from runwire.launcher import LaunchRunContext
from runwire.runs import RunRecord, RunStatus
from runwire.runs.status import IN_PROGRESS_STATUSES, TERMINAL_STATUSES
from runwire.storage import InstanceStorage
from runwire.storages.memory import MemoryStorage
from runwire.storages.sqlite import SqliteStorage
from runwire.workspace import CodeLocationStatus, WorkerStatus, Workspace
from tests.control.ways import WAYS, run_in, tell, types_of

T = EventType


class Immediate(RunCoordinator):
    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> Self:
        return cls()

    def submit_run(self, context: SubmitRunContext) -> RunRecord:
        return context.launch()


def launch(storage: InstanceStorage, launcher: Any, workspace: Workspace, run_id: str) -> RunRecord:
    return launch_run(storage, launcher, workspace, {}, run_id)


@pytest.mark.parametrize("status", [RunStatus.NOT_STARTED, RunStatus.QUEUED])
def test_a_launch_hands_the_run_to_one_worker_with_a_new_epoch(
    storage: MemoryStorage, launcher: Any, workspace: Workspace, status: RunStatus
) -> None:
    run_id = run_in(storage, workspace, status)
    record = launch(storage, launcher, workspace, run_id)
    assert (record.status, record.worker_epoch) == (RunStatus.STARTING, 1)
    assert launcher.launched == [(run_id, 1)]


@pytest.mark.parametrize(
    "status", sorted(set(RunStatus) - {RunStatus.NOT_STARTED, RunStatus.QUEUED}, key=str)
)
def test_a_run_in_another_status_is_not_launched(
    storage: MemoryStorage, launcher: Any, workspace: Workspace, status: RunStatus
) -> None:
    run_id = run_in(storage, workspace, status)
    before, events = storage.get_run_record(run_id), types_of(storage, run_id)
    with pytest.raises(RunStateConflictError) as refused:
        launch(storage, launcher, workspace, run_id)
    assert refused.value.expected == ("NOT_STARTED", "QUEUED")
    assert storage.get_run_record(run_id) == before
    assert types_of(storage, run_id) == events
    assert launcher.launched == []


def test_of_fifty_launches_at_once_one_starts_a_worker(
    sqlite_storage: SqliteStorage, launcher: Any, workspace: Workspace
) -> None:
    run_id = run_in(sqlite_storage, workspace, RunStatus.NOT_STARTED)
    together = Barrier(50)

    def attempt(_: int) -> bool:
        together.wait()
        try:
            launch(sqlite_storage, launcher, workspace, run_id)
        except RunStateConflictError:
            return False
        return True

    with ThreadPoolExecutor(50) as pool:
        assert sum(pool.map(attempt, range(50))) == 1
    assert launcher.launched == [(run_id, 1)]
    assert types_of(sqlite_storage, run_id) == [T.RUN_STARTING]


def test_a_run_that_is_resumed_before_its_first_worker_is_started_gets_one_worker(
    storage: MemoryStorage, launcher: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = run_in(storage, workspace, RunStatus.NOT_STARTED)
    store = storage.store_events

    def store_then_resume(*args: Any, **options: Any) -> list[EventLogRecord]:
        monkeypatch.setattr(storage, "store_events", store)
        stored = store(*args, **options)
        resume_run(storage, launcher, workspace, {}, run_id, 1, start_timeout_seconds=60)
        return stored

    monkeypatch.setattr(storage, "store_events", store_then_resume)
    with pytest.raises(RunStateConflictError, match="handed to another worker meanwhile"):
        launch(storage, launcher, workspace, run_id)
    assert (launcher.launched, launcher.resumed) == ([], [(run_id, 2, 1)])


def test_a_launch_that_fails_after_a_resume_leaves_the_new_worker_alone(
    storage: MemoryStorage, launcher: Any, workspace: Workspace
) -> None:
    run_id = run_in(storage, workspace, RunStatus.NOT_STARTED)

    def resumed_meanwhile(context: LaunchRunContext) -> None:
        launcher.on_start = lambda _: None
        resume_run(storage, launcher, workspace, {}, run_id, 1, start_timeout_seconds=60)
        launcher.broken = OSError("no processes left")

    launcher.on_start = resumed_meanwhile
    with pytest.raises(LaunchFailedError):
        launch(storage, launcher, workspace, run_id)
    assert types_of(storage, run_id) == [T.RUN_STARTING, T.RUN_WORKER_LOST]
    assert storage.get_run_record(run_id).status is RunStatus.STARTING


def test_a_run_that_is_to_be_canceled_is_canceled_when_its_launch_fails(
    storage: MemoryStorage, launcher: Any, workspace: Workspace
) -> None:
    run_id = run_in(storage, workspace, RunStatus.NOT_STARTED)
    launcher.on_start = lambda _: tell(storage, run_id, T.RUN_CANCELING)
    launcher.broken = OSError("no processes left")
    with pytest.raises(LaunchFailedError):
        launch(storage, launcher, workspace, run_id)
    assert types_of(storage, run_id) == [T.RUN_STARTING, T.RUN_CANCELING, T.RUN_CANCELED]


def test_a_location_that_is_being_loaded_is_waited_for(
    storage: MemoryStorage, launcher: Any, workspace: Any
) -> None:
    run_id = run_in(storage, workspace, RunStatus.NOT_STARTED)
    location = workspace.get_location("here")
    location.turn(CodeLocationStatus.LOADING)
    assert launch(storage, launcher, workspace, run_id).status is RunStatus.STARTING
    assert location.waits == [LOADING_SECONDS]


@pytest.mark.parametrize("becomes", [CodeLocationStatus.FAILED, CodeLocationStatus.LOADING])
def test_a_location_that_does_not_load_in_time_refuses_and_changes_nothing(
    storage: MemoryStorage, launcher: Any, workspace: Any, becomes: CodeLocationStatus
) -> None:
    run_id = run_in(storage, workspace, RunStatus.NOT_STARTED)
    before, location = storage.get_run_record(run_id), workspace.get_location("here")
    location.turn(CodeLocationStatus.LOADING)
    location.becomes = becomes
    with pytest.raises(CodeLocationUnavailableError, match=f"it is {becomes.value}"):
        launch(storage, launcher, workspace, run_id)
    assert storage.get_run_record(run_id) == before


def test_a_launcher_that_fails_makes_one_failure(
    storage: MemoryStorage, launcher: Any, workspace: Workspace
) -> None:
    run_id = run_in(storage, workspace, RunStatus.NOT_STARTED)
    launcher.broken = OSError("no processes left")
    with pytest.raises(LaunchFailedError, match="no processes left"):
        submit_run(
            storage,
            Immediate(),
            workspace,
            run_id,
            partial(launch, storage, launcher, workspace, run_id),
        )
    record = storage.get_run_record(run_id)
    assert types_of(storage, run_id) == [T.RUN_STARTING, T.RUN_FAILURE]
    assert record.failure is not None
    assert record.failure.reason is RunFailureReason.LAUNCH_FAILED
    assert record.failure.error is not None
    assert record.failure.error.class_name == "OSError"


@pytest.mark.parametrize("action", ["launch", "submit"])
def test_a_location_that_is_not_loaded_refuses_and_changes_nothing(
    storage: MemoryStorage, launcher: Any, workspace: Any, action: str
) -> None:
    run_id = run_in(storage, workspace, RunStatus.NOT_STARTED)
    before = storage.get_run_record(run_id)
    workspace.get_location("here").turn(CodeLocationStatus.UNREACHABLE)
    start = partial(launch, storage, launcher, workspace, run_id)
    submit = partial(submit_run, storage, Immediate(), workspace, run_id, start)
    with pytest.raises(CodeLocationUnavailableError):
        (start if action == "launch" else submit)()
    assert storage.get_run_record(run_id) == before


@pytest.mark.parametrize("action", ["launch", "submit"])
def test_a_location_that_has_lost_the_job_refuses_and_changes_nothing(
    storage: MemoryStorage, launcher: Any, workspace: Any, action: str
) -> None:
    run_id = run_in(storage, workspace, RunStatus.NOT_STARTED)
    before = storage.get_run_record(run_id)
    workspace.get_location("here").load(main=["both"])
    start = partial(launch, storage, launcher, workspace, run_id)
    submit = partial(submit_run, storage, Immediate(), workspace, run_id, start)
    with pytest.raises(JobNotFoundError):
        (start if action == "launch" else submit)()
    assert storage.get_run_record(run_id) == before
    assert launcher.launched == []


@pytest.mark.parametrize("status", sorted(set(RunStatus) - {RunStatus.NOT_STARTED}, key=str))
def test_only_a_run_that_is_not_started_is_submitted(
    storage: MemoryStorage, launcher: Any, workspace: Workspace, status: RunStatus
) -> None:
    run_id = run_in(storage, workspace, status)
    before = storage.get_run_record(run_id)
    start = partial(launch, storage, launcher, workspace, run_id)
    with pytest.raises(RunStateConflictError):
        submit_run(storage, Immediate(), workspace, run_id, start)
    assert storage.get_run_record(run_id) == before


@pytest.mark.parametrize("status", [RunStatus.STARTING, RunStatus.STARTED])
def test_a_live_worker_is_asked_to_stop(
    storage: MemoryStorage, launcher: Any, workspace: Workspace, status: RunStatus
) -> None:
    run_id = run_in(storage, workspace, status)
    record = terminate_run(storage, launcher, workspace, {}, run_id)
    assert record.status is RunStatus.CANCELING
    assert launcher.stopped == [(run_id, 1, False)]
    assert types_of(storage, run_id) == [*WAYS[status], T.RUN_CANCELING]
    again = terminate_run(storage, launcher, workspace, {}, run_id)
    assert again.status is RunStatus.CANCELING
    assert launcher.stopped == [(run_id, 1, False)] * 2
    assert types_of(storage, run_id) == [*WAYS[status], T.RUN_CANCELING]


GONE = [WorkerStatus.FAILED, WorkerStatus.SUCCESS, WorkerStatus.NOT_FOUND]


@pytest.mark.parametrize("health", GONE)
@pytest.mark.parametrize("status", [RunStatus.STARTING, RunStatus.STARTED, RunStatus.CANCELING])
def test_a_run_whose_worker_is_gone_is_canceled_at_once(
    storage: MemoryStorage,
    launcher: Any,
    workspace: Workspace,
    status: RunStatus,
    health: WorkerStatus,
) -> None:
    run_id = run_in(storage, workspace, status)
    launcher.health = health
    record = terminate_run(storage, launcher, workspace, {}, run_id)
    assert record.status is RunStatus.CANCELED
    # A worker of which there is no trace yet may be only just starting, and is asked all the same.
    just_starting = status is RunStatus.STARTING and health is WorkerStatus.NOT_FOUND
    asked = [T.RUN_CANCELING] if just_starting else []
    assert types_of(storage, run_id) == [*WAYS[status], *asked, T.RUN_CANCELED]
    assert launcher.stopped == ([(run_id, 1, False)] if just_starting else [])


def test_a_worker_that_turns_up_while_it_is_looked_for_is_asked_to_stop(
    storage: MemoryStorage, launcher: Any, workspace: Workspace
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTING)
    launcher.health = WorkerStatus.NOT_FOUND
    launcher.on_terminate = lambda _: setattr(launcher, "health", WorkerStatus.RUNNING)
    record = terminate_run(storage, launcher, workspace, {}, run_id)
    assert record.status is RunStatus.CANCELING
    assert launcher.stopped == [(run_id, 1, False)]


def test_a_launcher_that_never_knows_whether_workers_live_is_asked_to_stop_them(
    storage: MemoryStorage, launcher: Any, workspace: Workspace
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    launcher.supports_check_run_worker_health = False
    record = terminate_run(storage, launcher, workspace, {}, run_id)
    assert record.status is RunStatus.CANCELING
    assert (launcher.checked, launcher.stopped) == ([], [(run_id, 1, False)])


@pytest.mark.parametrize("end", [T.RUN_SUCCESS, T.RUN_FAILURE, T.RUN_CANCELED])
def test_a_run_that_ends_while_its_worker_is_looked_for_stays_as_it_ended(
    storage: MemoryStorage, launcher: Any, workspace: Workspace, end: EventType
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    launcher.health = WorkerStatus.SUCCESS
    launcher.on_check = lambda _: tell(storage, run_id, end, epoch=1)
    with pytest.raises(RunStateConflictError, match="it has ended already"):
        terminate_run(storage, launcher, workspace, {}, run_id)
    assert types_of(storage, run_id) == [T.RUN_STARTING, T.RUN_START, end]


def test_a_run_that_its_reaper_ends_while_it_is_terminated_is_canceled_all_the_same(
    storage: MemoryStorage, launcher: Any, workspace: Workspace
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)

    def die(context: LaunchRunContext) -> None:
        launcher.health = WorkerStatus.FAILED
        tell(storage, run_id, T.RUN_CANCELED, epoch=1)

    launcher.on_terminate = die
    record = terminate_run(storage, launcher, workspace, {}, run_id)
    assert record.status is RunStatus.CANCELED
    assert types_of(storage, run_id)[-2:] == [T.RUN_CANCELING, T.RUN_CANCELED]


@pytest.mark.parametrize("status", [RunStatus.NOT_STARTED, RunStatus.QUEUED, RunStatus.MANAGED])
def test_a_run_without_a_worker_is_canceled_at_once(
    storage: MemoryStorage, launcher: Any, workspace: Workspace, status: RunStatus
) -> None:
    run_id = run_in(storage, workspace, status)
    record = terminate_run(storage, launcher, workspace, {}, run_id)
    assert record.status is RunStatus.CANCELED
    assert types_of(storage, run_id) == [*WAYS[status], T.RUN_CANCELED]
    assert (launcher.checked, launcher.stopped) == ([], [])


@pytest.mark.parametrize("reachable", [False, True])
def test_a_worker_of_which_nobody_can_tell_leaves_the_status_alone(
    storage: MemoryStorage, launcher: Any, workspace: Workspace, reachable: bool
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    before = storage.get_run_record(run_id)
    launcher.reachable, launcher.health = reachable, WorkerStatus.UNKNOWN
    with pytest.raises(TerminateFailedError, match="MARK_AS_CANCELED_IMMEDIATELY") as refused:
        terminate_run(storage, launcher, workspace, {}, run_id)
    cause = None if refused.value.error is None else refused.value.error.class_name
    assert cause == (None if reachable else "CodeLocationUnavailableError")
    assert storage.get_run_record(run_id) == before
    assert launcher.stopped == []


@pytest.mark.parametrize("status", sorted(set(RunStatus) - TERMINAL_STATUSES, key=str))
def test_marking_cancels_any_unfinished_run_and_then_stops_its_worker(
    storage: MemoryStorage, launcher: Any, workspace: Workspace, status: RunStatus
) -> None:
    run_id = run_in(storage, workspace, status)
    policy = TerminatePolicy.MARK_AS_CANCELED_IMMEDIATELY
    record = terminate_run(storage, launcher, workspace, {}, run_id, policy)
    assert record.status is RunStatus.CANCELED
    in_progress = status in IN_PROGRESS_STATUSES
    assert launcher.stopped == ([(run_id, 1, False)] if in_progress else [])


@pytest.mark.parametrize("policy", TerminatePolicy)
@pytest.mark.parametrize("status", sorted(TERMINAL_STATUSES, key=str))
def test_an_ended_run_is_not_terminated(
    storage: MemoryStorage,
    launcher: Any,
    workspace: Workspace,
    status: RunStatus,
    policy: TerminatePolicy,
) -> None:
    run_id = run_in(storage, workspace, status)
    before = storage.get_run_record(run_id)
    with pytest.raises(RunStateConflictError):
        terminate_run(storage, launcher, workspace, {}, run_id, policy)
    assert storage.get_run_record(run_id) == before
    assert launcher.stopped == []


@pytest.mark.parametrize("status", RunStatus)
@pytest.mark.parametrize("force", [False, True])
def test_a_live_run_is_deleted_only_by_force(
    storage: MemoryStorage, launcher: Any, workspace: Workspace, status: RunStatus, force: bool
) -> None:
    run_id = run_in(storage, workspace, status)
    deleted: list[str] = []
    delete = partial(
        delete_run,
        storage,
        launcher,
        workspace,
        {},
        run_id,
        force=force,
        delete_files=deleted.append,
    )
    if force or status in TERMINAL_STATUSES | {RunStatus.NOT_STARTED}:
        assert delete().run_id == run_id
        assert storage.run_storage.find_run_record(run_id) is None
        assert deleted == [run_id]
    else:
        before = storage.get_run_record(run_id)
        with pytest.raises(RunStateConflictError):
            delete()
        assert storage.get_run_record(run_id) == before
        assert deleted == []


def test_the_worker_is_killed_before_its_files_are_deleted(
    storage: MemoryStorage, launcher: Any, workspace: Workspace
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    delete_run(
        storage,
        launcher,
        workspace,
        {},
        run_id,
        force=True,
        delete_files=lambda run_id: launcher.stopped.append((run_id, 0, False)),
    )
    assert launcher.stopped == [(run_id, 1, False), (run_id, 1, True), (run_id, 0, False)]


@pytest.mark.parametrize("seconds", [0, 3600])
def test_a_worker_that_may_linger_after_the_end_of_its_run_is_killed(
    storage: MemoryStorage,
    launcher: Any,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    seconds: int,
) -> None:
    run_id = run_in(storage, workspace, RunStatus.SUCCESS)
    now = clock.timestamp() + seconds
    monkeypatch.setattr(clock, "timestamp", lambda: now)
    delete = partial(delete_run, storage, launcher, workspace, {}, run_id, force=False)
    assert delete(delete_files=lambda _: None).run_id == run_id
    assert launcher.stopped == ([(run_id, 1, True)] if seconds == 0 else [])


def test_a_worker_that_cannot_be_reached_does_not_keep_its_run_from_being_deleted(
    storage: MemoryStorage, launcher: Any, workspace: Workspace
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    launcher.reachable = False
    delete = partial(delete_run, storage, launcher, workspace, {}, run_id, force=True)
    assert delete(delete_files=lambda _: None).run_id == run_id
    assert storage.run_storage.find_run_record(run_id) is None


def test_a_live_run_whose_log_is_damaged_is_deleted_by_force_and_its_worker_stopped(
    storage: MemoryStorage, launcher: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)

    def refuse(*args: object, **kwargs: object) -> None:
        raise StorageDamagedError("not a log any more")

    monkeypatch.setattr(storage.event_log_storage, "append", refuse)
    delete = partial(
        delete_run, storage, launcher, workspace, {}, run_id, delete_files=lambda _: None
    )
    assert delete(force=True).run_id == run_id
    assert launcher.stopped == [(run_id, 1, True)]
    assert storage.run_storage.find_run_record(run_id) is None


def test_tags_are_merged_and_the_limit_counts_those_there_are(
    storage: MemoryStorage, workspace: Workspace
) -> None:
    run_id = run_in(storage, workspace, RunStatus.NOT_STARTED)
    record = add_run_tags(storage, run_id, [("kind", "new"), ("more", "1")])
    assert record.run.tags == {"team": "a", "kind": "new", "more": "1"}
    assert storage.get_run_record(run_id) == record
    with pytest.raises(InputInvalidError, match="at most 200"):
        add_run_tags(storage, run_id, [(f"t{i}", "") for i in range(198)])
    assert storage.get_run_record(run_id) == record


@pytest.mark.parametrize("action", ["launch", "terminate", "delete", "tag"])
def test_an_unknown_run_is_told(
    storage: MemoryStorage, launcher: Any, workspace: Workspace, action: str
) -> None:
    actions: dict[str, Any] = {
        "launch": lambda: launch(storage, launcher, workspace, "no"),
        "terminate": lambda: terminate_run(storage, launcher, workspace, {}, "no"),
        "delete": lambda: delete_run(
            storage, launcher, workspace, {}, "no", force=True, delete_files=lambda _: None
        ),
        "tag": lambda: add_run_tags(storage, "no", [("a", "b")]),
    }
    with pytest.raises(RunNotFoundError) as refused:
        actions[action]()
    assert isinstance(refused.value, RunwireError)
