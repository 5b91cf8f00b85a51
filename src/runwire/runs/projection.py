"""What the events of a run's log make of its record: a pure fold.

Storing, repair after a crash, and readers that are a step ahead of the record all use this one function,
so they cannot disagree.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from runwire.events.entry import EventLogRecord
from runwire.events.payloads import RunFailureData, RunFailureReason
from runwire.events.types import RUN_EVENTS, EventType
from runwire.runs.run import RunFailure, RunRecord
from runwire.runs.status import status_after

_INSTANTS = {
    EventType.RUN_ENQUEUED: "enqueued_at",
    EventType.RUN_STARTING: "launched_at",
    EventType.RUN_START: "started_at",
}


def project(record: RunRecord, event: EventLogRecord) -> RunRecord:
    """The record after an event of its log.

    An event at or before `applied_position` changes nothing, so replaying is harmless. An event that is
    stored with ``applied = False`` only moves `applied_position`. Instants are taken from the event, so a
    replay gives what the first projection gave.
    """
    if event.position <= record.applied_position:
        return record
    changes: dict[str, Any] = {"applied_position": event.position}
    if event.applied and event.event_type in RUN_EVENTS:
        changes |= _run_event(record, event, event.event_type)
    return replace(record, **changes)


def _run_event(record: RunRecord, event: EventLogRecord, event_type: EventType) -> dict[str, Any]:
    status = status_after(record.status, event_type)
    if status is None:
        raise ValueError(
            f"{event_type.value} at position {event.position} of run {record.run_id!r} is marked as"
            f" applied, but does not apply in {record.status.value}"
        )
    changes: dict[str, Any] = {
        "status": status,
        "updated_at": max(record.updated_at, event.timestamp),
    }
    if event.epoch is not None and event.epoch > record.worker_epoch:
        changes["worker_epoch"] = event.epoch
        if event_type is EventType.RUN_WORKER_LOST:
            changes["resume_attempts"] = record.resume_attempts + 1
    if event_type in _INSTANTS:
        changes[_INSTANTS[event_type]] = event.timestamp
    if event_type is EventType.RUN_FAILURE:
        changes["failure"] = _failure(event)
    if status.is_terminal:
        changes["ended_at"] = event.timestamp
    return changes


def _failure(event: EventLogRecord) -> RunFailure:
    data = event.data
    if not isinstance(data, RunFailureData):  # of another version, or damaged
        data = RunFailureData(RunFailureReason.RUN_EXCEPTION)
    return RunFailure(
        reason=data.reason,
        message=event.message,
        error=event.error,
        failed_step_keys=data.failed_step_keys,
    )
