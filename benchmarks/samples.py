"""What the benchmarks of storages write."""

from __future__ import annotations

from runwire.events.entry import EventLogEntry
from runwire.events.payloads import StepSuccessData
from runwire.events.types import EventType
from runwire.storage.event_log_storage import Append
from runwire.storages.stored_form import stored_events


def step_success(run_id: str) -> EventLogEntry:
    """A durable event that is no other's matter."""
    return EventLogEntry(
        run_id=run_id,
        message='Finished step "extract" in 12.5 ms',
        event_type=EventType.STEP_SUCCESS,
        step_key="extract",
        data=StepSuccessData(12.5),
    )


def step_failure(run_id: str) -> EventLogEntry:
    """A durable event that the instance-wide log has as well."""
    return EventLogEntry(
        run_id=run_id,
        message='Step "extract" failed',
        event_type=EventType.STEP_FAILURE,
        step_key="extract",
    )


def lines(run_id: str, first: int, number: int) -> list[EventLogEntry]:
    """Log lines."""
    return [
        EventLogEntry(
            run_id=run_id,
            message=f"read {first + n} rows of orders.csv so far",
            step_key="extract",
        )
        for n in range(number)
    ]


def raw_row(entry: EventLogEntry) -> tuple[object, ...]:
    """An event as its storage would write it, without its position."""
    [(_, *before, applied, epoch, body)] = stored_events(Append([entry], [True]), 0)
    return (*before, bool(applied), epoch, body)
