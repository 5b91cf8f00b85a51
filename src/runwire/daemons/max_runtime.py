"""For how long a run may run."""

from __future__ import annotations

import math

from runwire.config import MAX_SECONDS
from runwire.events.entry import EventLogEntry
from runwire.events.types import EventType, LogLevel
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.runs.tags import MAX_RUNTIME_TAG
from runwire.storage.instance_storage import InstanceStorage

WARNING_KEY = "runwire/max-runtime-tag"
"""The key under which the warning is stored once in a run's log."""


def max_runtime_of(
    storage: InstanceStorage, record: RunRecord, usual_seconds: float | None
) -> float | None:
    """For how many seconds a run may be STARTED: what its tag says, or as usual; None for ever.

    A tag of more than `MAX_SECONDS` counts as that. One that is not a positive number is told in the run's
    log, once.

    Raises:
        RunStateConflictError, RunNotFoundError: the run is not STARTED any more, and the tag is malformed.
    """
    written = record.run.tags.get(MAX_RUNTIME_TAG)
    if written is None:
        return usual_seconds
    seconds = _positive(written)
    if seconds is not None:
        return seconds
    if storage.event_log_storage.find_batch(record, WARNING_KEY) is None:
        _warn(storage, record, written, usual_seconds)
    return usual_seconds


def _positive(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return min(number, MAX_SECONDS) if math.isfinite(number) and number > 0 else None


def _warn(
    storage: InstanceStorage, record: RunRecord, written: str, usual_seconds: float | None
) -> None:
    instead = "no limit holds" if usual_seconds is None else f"{usual_seconds:g} s hold"
    warning = EventLogEntry(
        run_id=record.run_id,
        event_type=EventType.ENGINE_EVENT,
        level=LogLevel.WARNING,
        message=f"Tag {MAX_RUNTIME_TAG} is {written!r}, which is not a positive number of seconds; {instead}.",
    )
    storage.store_events(
        record.run_id, [warning], require={RunStatus.STARTED}, idempotency_key=WARNING_KEY
    )
