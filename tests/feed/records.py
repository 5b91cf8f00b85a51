"""Runs and records for the tests of the feed, built without a storage."""

from __future__ import annotations

from runwire.events.entry import EventLogRecord
from runwire.events.types import EventType, LogLevel
from runwire.runs.run import Run, RunRecord
from runwire.runs.status import RunStatus


def run_record(run_id: str = "r1", log_id: str = "log1") -> RunRecord:
    return RunRecord(
        storage_id=1,
        run=Run(job_name="job", run_id=run_id, managed=True),
        status=RunStatus.MANAGED,
        log_id=log_id,
        created_at=1.0,
        updated_at=1.0,
    )


def line(position: int, *, size: int = 0, run_id: str = "r1") -> EventLogRecord:
    return EventLogRecord(
        run_id=run_id,
        position=position,
        timestamp=float(position),
        level=LogLevel.INFO,
        stored_type=None,
        message="",
        body=b"x" * size or None,
    )


def success(position: int, *, applied: bool = True) -> EventLogRecord:
    return EventLogRecord(
        run_id="r1",
        position=position,
        timestamp=float(position),
        level=LogLevel.INFO,
        stored_type=EventType.RUN_SUCCESS.value,
        message="",
        applied=applied,
    )


def lines(first: int, last: int, *, size: int = 0) -> list[EventLogRecord]:
    return [line(position, size=size) for position in range(first, last + 1)]
