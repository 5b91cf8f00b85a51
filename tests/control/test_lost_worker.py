"""What becomes of a run whose worker ended without ending it."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

import pytest

from runwire.control import report_lost_worker, resume_run
from runwire.events import EventLogEntry, EventLogRecord, EventType
from runwire.events.payloads import RunFailureData, RunFailureReason
from runwire.runs import RunFailure, RunStatus
from runwire.runs.status import IN_PROGRESS_STATUSES, RunAction, actions_in
from runwire.storage import InstanceStorage
from runwire.storages.memory import MemoryStorage
from runwire.storages.sqlite import SqliteStorage
from runwire.workspace import Workspace
from tests.control.ways import events_of, run_in, tell, types_of

T = EventType
ENDING = "Its process (pid 5) was killed by SIGKILL."


def report(
    storage: InstanceStorage, run_id: str, epoch: int = 1, attempts: int = 0
) -> EventLogRecord | None:
    return report_lost_worker(storage, run_id, epoch, ENDING, max_resume_attempts=attempts)


@pytest.mark.parametrize("status", [RunStatus.STARTING, RunStatus.STARTED])
def test_a_run_that_is_not_to_be_resumed_fails(
    storage: MemoryStorage, workspace: Workspace, status: RunStatus
) -> None:
    run_id = run_in(storage, workspace, status)
    event = report(storage, run_id)
    assert event is not None
    message = "The run lost its worker. Its process (pid 5) was killed by SIGKILL."
    assert (event.event_type, event.applied, event.epoch, event.message, event.data) == (
        T.RUN_FAILURE,
        True,
        1,
        message,
        RunFailureData(RunFailureReason.WORKER_LOST),
    )
    record = storage.get_run_record(run_id)
    assert (record.status, record.failure) == (
        RunStatus.FAILURE,
        RunFailure(reason=RunFailureReason.WORKER_LOST, message=message),
    )


@pytest.mark.parametrize("status", [RunStatus.STARTING, RunStatus.STARTED])
def test_a_run_with_attempts_left_stays_as_it_is_and_can_be_resumed(
    storage: MemoryStorage, workspace: Workspace, status: RunStatus
) -> None:
    run_id = run_in(storage, workspace, status)
    event = report(storage, run_id, attempts=1)
    assert event is not None
    assert (event.event_type, event.applied, event.epoch, event.message) == (
        T.RUN_WORKER_LOST,
        True,
        1,
        f"The run lost its worker, and waits to be resumed. {ENDING}",
    )
    record = storage.get_run_record(run_id)
    assert (record.status, record.worker_epoch, record.resume_attempts) == (status, 1, 0)
    assert RunAction.RESUME in actions_in(record.status)


def test_that_a_worker_is_lost_is_told_once(storage: MemoryStorage, workspace: Workspace) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    first = report(storage, run_id, attempts=1)
    assert report(storage, run_id, attempts=1) == first
    assert types_of(storage, run_id) == [T.RUN_STARTING, T.RUN_START, T.RUN_WORKER_LOST]


def test_that_a_worker_is_lost_is_old_news_once_another_has_the_run(
    storage: MemoryStorage, launcher: Any, workspace: Workspace
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    report(storage, run_id, attempts=1)
    resume_run(storage, launcher, workspace, {}, run_id, 1, start_timeout_seconds=60)
    before = events_of(storage, run_id)
    assert report(storage, run_id, attempts=1) is None
    assert events_of(storage, run_id) == before


def test_each_lost_worker_is_told_of_until_no_attempt_is_left(
    storage: MemoryStorage, launcher: Any, workspace: Workspace
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    for attempt in (1, 2):
        report(storage, run_id, epoch=attempt, attempts=2)
        resume_run(storage, launcher, workspace, {}, run_id, attempt, start_timeout_seconds=60)
    report(storage, run_id, epoch=3, attempts=2)
    assert [(event.event_type, event.epoch) for event in events_of(storage, run_id)] == [
        (T.RUN_STARTING, 1),
        (T.RUN_START, None),
        (T.RUN_WORKER_LOST, 1),
        (T.RUN_WORKER_LOST, 2),
        (T.RUN_WORKER_LOST, 2),
        (T.RUN_WORKER_LOST, 3),
        (T.RUN_FAILURE, 3),
    ]


@pytest.mark.parametrize("attempts", [0, 1])
def test_a_run_that_is_being_canceled_is_canceled(
    storage: MemoryStorage, workspace: Workspace, attempts: int
) -> None:
    run_id = run_in(storage, workspace, RunStatus.CANCELING)
    event = report(storage, run_id, attempts=attempts)
    assert event is not None
    assert (event.event_type, event.applied, event.epoch, event.message) == (
        T.RUN_CANCELED,
        True,
        1,
        "The run was canceled. Its process (pid 5) was killed by SIGKILL.",
    )
    assert storage.get_run_record(run_id).status is RunStatus.CANCELED


def just_before_storing(
    storage: InstanceStorage, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]
) -> None:
    """Makes something happen between a decision and its being stored."""
    store = storage.store_events

    def act_then_store(
        run_id: str, entries: Sequence[EventLogEntry], **options: Any
    ) -> list[EventLogRecord]:
        monkeypatch.setattr(storage, "store_events", store)
        act()
        return store(run_id, entries, **options)

    monkeypatch.setattr(storage, "store_events", act_then_store)


@pytest.mark.parametrize("attempts", [0, 1])
def test_a_cancel_request_that_comes_meanwhile_counts(
    storage: MemoryStorage,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    attempts: int,
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    just_before_storing(storage, monkeypatch, partial(tell, storage, run_id, T.RUN_CANCELING))
    event = report(storage, run_id, attempts=attempts)
    assert event is not None
    assert event.event_type is T.RUN_CANCELED
    assert types_of(storage, run_id)[2:] == [T.RUN_CANCELING, T.RUN_CANCELED]


@pytest.mark.parametrize("attempts", [0, 1])
@pytest.mark.parametrize("end", [T.RUN_SUCCESS, T.RUN_FAILURE, T.RUN_CANCELED])
def test_an_end_that_comes_meanwhile_counts(
    storage: MemoryStorage,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    end: EventType,
    attempts: int,
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    just_before_storing(storage, monkeypatch, partial(tell, storage, run_id, end, 1))
    assert report(storage, run_id, attempts=attempts) is None
    assert types_of(storage, run_id)[2:] == [end]


def test_a_resume_that_comes_meanwhile_counts(
    storage: MemoryStorage, launcher: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    resume = partial(resume_run, storage, launcher, workspace, {}, run_id, 1)
    just_before_storing(storage, monkeypatch, partial(resume, start_timeout_seconds=60))
    assert report(storage, run_id) is None
    assert types_of(storage, run_id)[2:] == [T.RUN_WORKER_LOST]
    assert storage.get_run_record(run_id).worker_epoch == 2


@pytest.mark.parametrize("attempts", [0, 1])
@pytest.mark.parametrize("status", sorted(set(RunStatus) - IN_PROGRESS_STATUSES, key=str))
def test_a_run_that_is_not_in_progress_is_left_as_it_is(
    storage: MemoryStorage, workspace: Workspace, status: RunStatus, attempts: int
) -> None:
    run_id = run_in(storage, workspace, status)
    before, events = storage.get_run_record(run_id), events_of(storage, run_id)
    assert report(storage, run_id, before.worker_epoch, attempts) is None
    assert (storage.get_run_record(run_id), events_of(storage, run_id)) == (before, events)


@pytest.mark.parametrize("attempts", [0, 1])
@pytest.mark.parametrize("epoch", [0, 2])
def test_a_run_that_has_another_worker_is_left_as_it_is(
    storage: MemoryStorage, workspace: Workspace, epoch: int, attempts: int
) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    before, events = storage.get_run_record(run_id), events_of(storage, run_id)
    assert report(storage, run_id, epoch, attempts) is None
    assert (storage.get_run_record(run_id), events_of(storage, run_id)) == (before, events)


def test_a_run_that_is_deleted_stays_so(storage: MemoryStorage, workspace: Workspace) -> None:
    run_id = run_in(storage, workspace, RunStatus.STARTED)
    storage.delete_run(run_id)
    assert report(storage, run_id) is None
    assert storage.run_storage.find_run_record(run_id) is None


@pytest.mark.parametrize(
    ("attempts", "told"), [(0, T.RUN_FAILURE), (1, T.RUN_WORKER_LOST)], ids=["end", "wait"]
)
def test_of_many_who_report_it_at_once_one_is_heard(
    sqlite_storage: SqliteStorage, workspace: Workspace, attempts: int, told: EventType
) -> None:
    run_id = run_in(sqlite_storage, workspace, RunStatus.STARTED)
    together = Barrier(16)

    def attempt(_: int) -> None:
        together.wait()
        report(sqlite_storage, run_id, attempts=attempts)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(attempt, range(16)))
    assert types_of(sqlite_storage, run_id) == [T.RUN_STARTING, T.RUN_START, told]
