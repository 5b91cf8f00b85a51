"""Runs and events to test storages with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from runwire.error_info import ErrorInfo
from runwire.events.entry import EventLogEntry, EventLogRecord
from runwire.events.payloads import (
    AnyPayload,
    AssetEventData,
    ExpectationData,
    HandledOutputData,
    LoadedInputData,
    LogsCapturedData,
    StepInputData,
    StepOutputData,
)
from runwire.events.types import ASSET_EVENTS, RUN_EVENTS, EventType
from runwire.runs.run import Run, RunRecord
from runwire.runs.status import RunStatus
from runwire.storage.instance_storage import InstanceStorage
from runwire.storage.schedule_storage import ScheduleStorage
from runwire.ticks.source import (
    TickSourceOrigin,
    TickSourceState,
    TickSourceStatus,
    TickSourceType,
)
from runwire.ticks.tick import Tick, TickStatus

LONE_SURROGATE = "before \udc80 after"
"""A text that no UTF-8 holds."""

ESCAPED_SURROGATE = "before \\udc80 after"
"""The form in which it is stored."""

RUN_EVENT_TYPES = tuple(sorted(RUN_EVENTS, key=lambda event_type: event_type.value))

WAYS: dict[RunStatus, tuple[EventType, ...]] = {
    RunStatus.NOT_STARTED: (),
    RunStatus.MANAGED: (),
    RunStatus.QUEUED: (EventType.RUN_ENQUEUED,),
    RunStatus.STARTING: (EventType.RUN_STARTING,),
    RunStatus.STARTED: (EventType.RUN_STARTING, EventType.RUN_START),
    RunStatus.CANCELING: (EventType.RUN_STARTING, EventType.RUN_CANCELING),
    RunStatus.SUCCESS: (EventType.RUN_STARTING, EventType.RUN_START, EventType.RUN_SUCCESS),
    RunStatus.FAILURE: (EventType.RUN_FAILURE,),
    RunStatus.CANCELED: (EventType.RUN_CANCELED,),
}
"""The events that bring a new run to each status; to MANAGED, a run that is made so."""

_DATA: dict[EventType, AnyPayload] = {
    EventType.STEP_INPUT: StepInputData("rows"),
    EventType.LOADED_INPUT: LoadedInputData("rows", "io"),
    EventType.STEP_OUTPUT: StepOutputData("result"),
    EventType.HANDLED_OUTPUT: HandledOutputData("result", "io"),
    EventType.STEP_EXPECTATION_RESULT: ExpectationData(success=True),
    EventType.LOGS_CAPTURED: LogsCapturedData("key"),
    **dict.fromkeys(ASSET_EVENTS, AssetEventData(("sales", "daily"))),
}


def event(run_id: str, event_type: EventType | None = None, **fields: Any) -> EventLogEntry:
    """An entry; with the least data that its type takes, unless some is given."""
    fields.setdefault("message", event_type.value if event_type else "a line")
    if event_type is not None:
        fields.setdefault("data", _DATA.get(event_type))
    return EventLogEntry(run_id=run_id, event_type=event_type, **fields)


def lines(run_id: str, number: int, **fields: Any) -> list[EventLogEntry]:
    """Log lines, numbered from 1."""
    return [event(run_id, message=f"line {n}", **fields) for n in range(1, number + 1)]


def add_run(storage: InstanceStorage, created_at: float = 1000.0, **fields: Any) -> RunRecord:
    """Adds a run of the job ``daily``, unless another is given."""
    run = Run(**{"job_name": "daily", **fields})
    record, is_new = storage.run_storage.add_run(run, created_at=created_at)
    assert is_new
    return record


def add_run_in(storage: InstanceStorage, status: RunStatus, **fields: Any) -> RunRecord:
    """Adds a run and brings it to a status."""
    managed = status is RunStatus.MANAGED
    record = add_run(storage, managed=managed, **fields)
    for event_type in WAYS[status]:
        report(storage, record.run_id, event_type)
    record = storage.get_run_record(record.run_id)
    assert record.status is status
    return record


def launch(storage: InstanceStorage, **fields: Any) -> RunRecord:
    """Adds a run and hands it to its first worker, whose epoch is 1."""
    record = add_run(storage, **fields)
    starting = event(record.run_id, EventType.RUN_STARTING)
    storage.store_events(record.run_id, [starting], handover=True)
    record = storage.get_run_record(record.run_id)
    assert record.worker_epoch == 1
    return record


def report(
    storage: InstanceStorage, run_id: str, *event_types: EventType | None, **fields: Any
) -> list[EventLogRecord]:
    """Stores events of some types in one call, as an outsider."""
    return storage.store_events(run_id, [event(run_id, each, **fields) for each in event_types])


def read_log(storage: InstanceStorage, record: RunRecord) -> list[EventLogRecord]:
    """All records of a run's log that fit on one page."""
    page = storage.event_log_storage.get_records(record)
    assert not page.has_more
    return page.records


def messages(records: Sequence[EventLogRecord]) -> list[str]:
    """The messages of records."""
    return [record.message for record in records]


def positions(records: Sequence[EventLogRecord]) -> list[int]:
    """The positions of records."""
    return [record.position for record in records]


def an_error() -> ErrorInfo:
    """An error with all its fields."""
    behind = ErrorInfo("disk full", "OSError")
    return ErrorInfo("no rows", "ValueError", ("line 1", "line 2"), (behind,))


def an_origin(**fields: Any) -> TickSourceOrigin:
    """Where the schedule ``nightly`` is defined, unless something else is given."""
    usual = {
        "source_type": TickSourceType.SCHEDULE,
        "location_name": "jobs.py",
        "repository_name": "shop",
        "name": "nightly",
    }
    return TickSourceOrigin(**{**usual, **fields})


def start_source(
    schedules: ScheduleStorage, origin: TickSourceOrigin | None = None, at: float = 1.0
) -> TickSourceState:
    """Starts a schedule or sensor."""
    return schedules.set_tick_source_status(origin or an_origin(), TickSourceStatus.RUNNING, at=at)


def make_tick(
    schedules: ScheduleStorage,
    source_id: str,
    due_at: float,
    *,
    key: str | None = None,
    started_at: float = 1000.0,
) -> Tick:
    """Makes a tick; its key is the instant, unless one is given."""
    tick, is_new = schedules.create_tick(
        source_id, str(due_at) if key is None else key, due_at=due_at, started_at=started_at
    )
    assert is_new
    return tick


def ended(tick: Tick, status: TickStatus) -> Tick:
    """The tick in a status, with the least that it takes."""
    return replace(
        tick,
        status=status,
        ended_at=None if status is TickStatus.STARTED else 2000.0,
        skip_reason=None,
        error=an_error() if status is TickStatus.FAILURE else None,
    )


def in_threads(number: int, work: Callable[[int], None]) -> None:
    """Runs work in threads that begin together; raises the first error of any."""
    barrier = threading.Barrier(number)
    errors: list[BaseException] = []

    def run(index: int) -> None:
        try:
            barrier.wait(30)
            work(index)
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
