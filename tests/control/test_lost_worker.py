"""What becomes of a run whose worker ended without ending it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import pytest

from runwire.events.entry import EventLogEntry, EventLogRecord
from runwire.events.payloads import RunFailureData, RunFailureReason
from runwire.events.types import EventType
from runwire.locations.lost_worker import describe_exit, report_lost_worker
from runwire.runs.run import Run, RunFailure
from runwire.runs.status import RunStatus
from runwire.storage.instance_storage import InstanceStorage
from runwire.storages.memory import MemoryStorage

ENDING = "Its process (pid 5) was killed by SIGKILL."


@pytest.fixture
def storage() -> Iterator[InstanceStorage]:
    storage = MemoryStorage()
    yield storage
    storage.dispose()


def _launched(storage: InstanceStorage, *then: EventType) -> str:
    """A run that was handed to a worker with epoch 1, and what happened to it then."""
    record, _ = storage.run_storage.add_run(Run(job_name="sales"), created_at=1.0)
    run_id = record.run_id
    for event_type in (EventType.RUN_STARTING, *then):
        entry = EventLogEntry(run_id=run_id, event_type=event_type, message="")
        storage.store_events(run_id, [entry], handover=event_type is EventType.RUN_STARTING)
    return run_id


def _positions(storage: InstanceStorage, run_id: str) -> int:
    return storage.event_log_storage.get_head(storage.get_run_record(run_id)).position


@pytest.mark.parametrize("then", [[], [EventType.RUN_START]])
def test_a_run_in_progress_fails_with_worker_lost(
    storage: InstanceStorage, then: list[EventType]
) -> None:
    run_id = _launched(storage, *then)
    event = report_lost_worker(storage, run_id, 1, ENDING)
    assert event is not None
    message = "The run lost its worker. Its process (pid 5) was killed by SIGKILL."
    assert (event.event_type, event.applied, event.epoch, event.message, event.data) == (
        EventType.RUN_FAILURE,
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


def test_a_run_that_is_being_canceled_is_canceled(storage: InstanceStorage) -> None:
    run_id = _launched(storage, EventType.RUN_START, EventType.RUN_CANCELING)
    event = report_lost_worker(storage, run_id, 1, ENDING)
    assert event is not None
    assert (event.event_type, event.applied, event.message) == (
        EventType.RUN_CANCELED,
        True,
        "The run was canceled. Its process (pid 5) was killed by SIGKILL.",
    )
    assert storage.get_run_record(run_id).status is RunStatus.CANCELED


def test_a_cancel_request_that_comes_meanwhile_counts(
    storage: InstanceStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = _launched(storage, EventType.RUN_START)
    store = storage.store_events
    asked: list[EventLogEntry] = []

    def store_after_cancel_request(
        run_id: str,
        entries: Sequence[EventLogEntry],
        *,
        epoch: int | None,
        require: Collection[RunStatus],
    ) -> list[EventLogRecord]:
        if not asked and RunStatus.STARTED in require:
            asked.append(
                EventLogEntry(run_id=run_id, event_type=EventType.RUN_CANCELING, message="")
            )
            store(run_id, asked)
        return store(run_id, entries, epoch=epoch, require=require)

    monkeypatch.setattr(storage, "store_events", store_after_cancel_request)
    event = report_lost_worker(storage, run_id, 1, ENDING)
    assert event is not None
    assert event.event_type is EventType.RUN_CANCELED
    assert storage.get_run_record(run_id).status is RunStatus.CANCELED


@pytest.mark.parametrize(
    "end", [EventType.RUN_SUCCESS, EventType.RUN_FAILURE, EventType.RUN_CANCELED]
)
def test_a_run_that_has_ended_is_left_as_it_is(storage: InstanceStorage, end: EventType) -> None:
    run_id = _launched(storage, EventType.RUN_START, end)
    before, positions = storage.get_run_record(run_id), _positions(storage, run_id)
    assert report_lost_worker(storage, run_id, 1, ENDING) is None
    assert (storage.get_run_record(run_id), _positions(storage, run_id)) == (before, positions)


def test_a_run_that_has_another_worker_is_left_as_it_is(storage: InstanceStorage) -> None:
    run_id = _launched(storage, EventType.RUN_START)
    before, positions = storage.get_run_record(run_id), _positions(storage, run_id)
    assert report_lost_worker(storage, run_id, 0, ENDING) is None
    assert (storage.get_run_record(run_id), _positions(storage, run_id)) == (before, positions)


def test_a_run_that_is_deleted_stays_so(storage: InstanceStorage) -> None:
    run_id = _launched(storage)
    storage.delete_run(run_id)
    assert report_lost_worker(storage, run_id, 1, ENDING) is None
    assert storage.run_storage.find_run_record(run_id) is None


@pytest.mark.parametrize(
    ("exit_code", "told"),
    [
        (0, "ended with exit code 0"),
        (3, "ended with exit code 3"),
        (-9, "was killed by SIGKILL"),
        (-11, "was killed by SIGSEGV"),
        (-200, "was killed by signal 200"),
    ],
)
def test_an_exit_code_is_told_in_words(exit_code: int, told: str) -> None:
    assert describe_exit(exit_code) == told
