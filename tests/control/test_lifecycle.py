"""Launch, submit, terminate, delete, tag: preconditions hold, and one cause makes one terminal event."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Self

import pytest

from runwire.control import (
    NewRun,
    TerminatePolicy,
    add_run_tags,
    create_run,
    delete_run,
    launch_run,
    submit_run,
    terminate_run,
)
from runwire.coordinator import RunCoordinator, SubmitRunContext
from runwire.errors import (
    CodeLocationUnavailableError,
    InputInvalidError,
    LaunchFailedError,
    RunNotFoundError,
    RunStateConflictError,
    RunwireError,
    StorageDamagedError,
    TerminateFailedError,
)
from runwire.events import EventLogEntry, EventType
from runwire.events.payloads import RunFailureReason
from runwire.runs import RunRecord, RunStatus
from runwire.runs.status import IN_PROGRESS_STATUSES, TERMINAL_STATUSES
from runwire.storages.memory import MemoryStorage
from runwire.workspace import CodeLocationStatus, JobSelector, Workspace

T = EventType
WAYS: dict[RunStatus, list[EventType]] = {
    RunStatus.NOT_STARTED: [],
    RunStatus.QUEUED: [T.RUN_ENQUEUED],
    RunStatus.STARTING: [T.RUN_STARTING],
    RunStatus.STARTED: [T.RUN_STARTING, T.RUN_START],
    RunStatus.CANCELING: [T.RUN_STARTING, T.RUN_START, T.RUN_CANCELING],
    RunStatus.SUCCESS: [T.RUN_STARTING, T.RUN_START, T.RUN_SUCCESS],
    RunStatus.FAILURE: [T.RUN_FAILURE],
    RunStatus.CANCELED: [T.RUN_CANCELED],
    RunStatus.MANAGED: [],
}


class Immediate(RunCoordinator):
    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> Self:
        return cls()

    def submit_run(self, context: SubmitRunContext) -> RunRecord:
        return context.launch()


def run_in(storage: MemoryStorage, workspace: Workspace, status: RunStatus) -> str:
    new_run = NewRun(job=JobSelector("etl"), managed=status is RunStatus.MANAGED)
    record, _ = create_run(storage, workspace, new_run)
    for event_type in WAYS[status]:
        entry = EventLogEntry(run_id=record.run_id, event_type=event_type, message="m")
        storage.store_events(record.run_id, [entry], handover=event_type is T.RUN_STARTING)
    assert storage.get_run_record(record.run_id).status is status
    return record.run_id


def types_of(storage: MemoryStorage, run_id: str) -> list[EventType | None]:
    page = storage.event_log_storage.get_records(storage.get_run_record(run_id))
    return [event.event_type for event in page.records]


def launch(storage: MemoryStorage, launcher: Any, workspace: Workspace, run_id: str) -> RunRecord:
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


def test_of_many_launches_at_once_one_starts_a_worker(
    storage: MemoryStorage, launcher: Any, workspace: Workspace
) -> None:
    run_id = run_in(storage, workspace, RunStatus.NOT_STARTED)

    def attempt(_: int) -> bool:
        try:
            launch(storage, launcher, workspace, run_id)
        except RunStateConflictError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(attempt, range(50))) == 1
    assert launcher.launched == [(run_id, 1)]
    assert types_of(storage, run_id) == [T.RUN_STARTING]


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
    record = terminate_run(storage, launcher, workspace, run_id)
    assert record.status is RunStatus.CANCELING
    assert launcher.stopped == [run_id]
    assert types_of(storage, run_id) == [*WAYS[status], T.RUN_CANCELING]
    again = terminate_run(storage, launcher, workspace, run_id)
    assert again.status is RunStatus.CANCELING
    assert launcher.stopped == [run_id, run_id]


@pytest.mark.parametrize("status", [RunStatus.STARTING, RunStatus.STARTED, RunStatus.CANCELING])
def test_a_run_whose_worker_is_gone_is_canceled_at_once(
    storage: MemoryStorage, launcher: Any, workspace: Workspace, status: RunStatus
) -> None:
    run_id = run_in(storage, workspace, status)
    launcher.alive = False
    assert terminate_run(storage, launcher, workspace, run_id).status is RunStatus.CANCELED


def test_a_run_that_its_reaper_ends_while_it_is_terminated_is_canceled_all_the_same(
    storage: MemoryStorage, launcher: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)

    def die(record: RunRecord, workspace: Workspace) -> bool:
        ended = EventLogEntry(run_id=run_id, event_type=T.RUN_CANCELED, message="gone")
        storage.store_events(run_id, [ended], epoch=1)
        return False

    monkeypatch.setattr(launcher, "terminate", die)
    assert terminate_run(storage, launcher, workspace, run_id).status is RunStatus.CANCELED
    assert types_of(storage, run_id)[-2:] == [T.RUN_CANCELING, T.RUN_CANCELED]


@pytest.mark.parametrize("status", [RunStatus.NOT_STARTED, RunStatus.QUEUED, RunStatus.MANAGED])
def test_a_run_without_a_worker_is_canceled_at_once(
    storage: MemoryStorage, launcher: Any, workspace: Workspace, status: RunStatus
) -> None:
    run_id = run_in(storage, workspace, status)
    assert terminate_run(storage, launcher, workspace, run_id).status is RunStatus.CANCELED
    assert types_of(storage, run_id) == [*WAYS[status], T.RUN_CANCELED]
    assert launcher.stopped == []


def test_a_worker_that_cannot_be_asked_leaves_the_status_alone(
    storage: MemoryStorage, launcher: Any, workspace: Workspace
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    before = storage.get_run_record(run_id)
    launcher.reachable = False
    with pytest.raises(TerminateFailedError, match="MARK_AS_CANCELED_IMMEDIATELY"):
        terminate_run(storage, launcher, workspace, run_id)
    assert storage.get_run_record(run_id) == before


@pytest.mark.parametrize("status", sorted(set(RunStatus) - TERMINAL_STATUSES, key=str))
def test_marking_cancels_any_unfinished_run_and_then_stops_its_worker(
    storage: MemoryStorage, launcher: Any, workspace: Workspace, status: RunStatus
) -> None:
    run_id = run_in(storage, workspace, status)
    policy = TerminatePolicy.MARK_AS_CANCELED_IMMEDIATELY
    record = terminate_run(storage, launcher, workspace, run_id, policy)
    assert record.status is RunStatus.CANCELED
    assert launcher.stopped == ([run_id] if status in IN_PROGRESS_STATUSES else [])


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
        terminate_run(storage, launcher, workspace, run_id, policy)
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
        delete_run, storage, launcher, workspace, run_id, force=force, delete_files=deleted.append
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


def test_a_live_run_whose_log_is_damaged_is_deleted_by_force_and_its_worker_stopped(
    storage: MemoryStorage, launcher: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)

    def refuse(*args: object, **kwargs: object) -> None:
        raise StorageDamagedError("not a log any more")

    monkeypatch.setattr(storage.event_log_storage, "append", refuse)
    delete = partial(delete_run, storage, launcher, workspace, run_id, delete_files=lambda _: None)
    assert delete(force=True).run_id == run_id
    assert launcher.stopped == [run_id]
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
        "terminate": lambda: terminate_run(storage, launcher, workspace, "no"),
        "delete": lambda: delete_run(
            storage, launcher, workspace, "no", force=True, delete_files=lambda _: None
        ),
        "tag": lambda: add_run_tags(storage, "no", [("a", "b")]),
    }
    with pytest.raises(RunNotFoundError) as refused:
        actions[action]()
    assert isinstance(refused.value, RunwireError)
