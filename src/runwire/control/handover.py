"""The hand-over of a run to a worker: doing it, and finding it in the run's log."""

from __future__ import annotations

from collections.abc import Collection

from runwire.errors import RunStateConflictError
from runwire.events.entry import EventLogEntry, EventLogRecord
from runwire.events.filters import EventFilter
from runwire.events.types import EventType
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.storage.instance_storage import InstanceStorage

_HANDOVERS = EventFilter(event_types=frozenset({EventType.RUN_STARTING, EventType.RUN_WORKER_LOST}))
_LATEST = 50


def hand_over(
    storage: InstanceStorage,
    entry: EventLogEntry,
    *,
    require: Collection[RunStatus],
    fenced_epoch: int | None = None,
) -> RunRecord:
    """Hands a run to a new worker: raises its worker epoch, in one compare-and-set.

    Args:
        storage: keeps the run.
        entry: the run event that tells of it.
        require: the statuses in which this may happen.
        fenced_epoch: the worker epoch that the run must have until then; any when None.

    Returns:
        The run with the epoch of the new worker.

    Raises:
        RunNotFoundError: there is no such run.
        RunStateConflictError: the run is in another status; nothing was changed. Or another hand-over came
            right after this one: then its worker counts, and none may be started for this.
        StaleWorkerError: the epoch is another one; nothing was changed.
    """
    stored = storage.store_events(
        entry.run_id, [entry], epoch=fenced_epoch, require=require, handover=True
    )
    record = storage.get_run_record(entry.run_id)
    if record.worker_epoch != stored[0].epoch:
        raise RunStateConflictError(
            record.run_id, record.status.value, [], "it was handed to another worker meanwhile"
        )
    return record


def find_handover(storage: InstanceStorage, record: RunRecord) -> EventLogRecord | None:
    """The event that handed a run to the worker that it has; None when it has none, or no log.

    RUN_STARTING for a launch, RUN_WORKER_LOST for a resume. It is the first event with its epoch; that the
    worker is lost may be told with the same epoch later.
    """
    page = storage.event_log_storage.get_records(
        record, filter=_HANDOVERS, descending=True, limit=_LATEST
    )
    own = [event for event in page.records if event.epoch == record.worker_epoch]
    return own[-1] if own else None


def was_heard_from(storage: InstanceStorage, record: RunRecord, handover: EventLogRecord) -> bool:
    """Whether the worker of a hand-over has written to the log, or something was written in its name."""
    position = handover.position
    while True:
        page = storage.event_log_storage.get_records(record, after=position)
        if any(event.epoch == handover.epoch for event in page.records):
            return True
        if not page.has_more:
            return False
        position = page.records[-1].position
