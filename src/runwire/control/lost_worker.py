"""What becomes of a run whose worker ended without ending it."""

from __future__ import annotations

from collections.abc import Collection

from runwire.errors import RunNotFoundError, RunStateConflictError, StaleWorkerError
from runwire.events.entry import EventLogEntry, EventLogRecord
from runwire.events.payloads import RunFailureData, RunFailureReason
from runwire.events.types import EventType
from runwire.runs.run import RunRecord
from runwire.runs.status import IN_PROGRESS_STATUSES, RunStatus
from runwire.storage.instance_storage import InstanceStorage

CANCELING = frozenset({RunStatus.CANCELING})


def report_lost_worker(
    storage: InstanceStorage, run_id: str, epoch: int, ending: str, *, max_resume_attempts: int
) -> EventLogRecord | None:
    """Tells in the name of a lost worker that it is lost; anybody may, any number of times, at once.

    A run in CANCELING is CANCELED. Another one waits to be resumed if attempts are left: RUN_WORKER_LOST, once
    an epoch, changes no status. Else it fails: RUN_FAILURE with reason WORKER_LOST. All of it is written with
    the worker's epoch, so it changes nothing once another worker has the run.

    Args:
        storage: where the run is.
        run_id: the run.
        epoch: the epoch of the worker.
        ending: how the worker ended, as a sentence.
        max_resume_attempts: how often a run is resumed at most.

    Returns:
        The event, which another reporter may have stored before; None when the run had ended, is deleted, has
        another worker, or waits for one.
    """
    while True:
        record = storage.run_storage.find_run_record(run_id)
        if (
            record is None
            or record.worker_epoch != epoch
            or record.status not in IN_PROGRESS_STATUSES
        ):
            return None
        entry, require, key = _event(record, ending, max_resume_attempts)
        try:
            return storage.store_events(
                run_id, [entry], epoch=epoch, require=require, idempotency_key=key
            )[0]
        except RunStateConflictError:
            continue  # it moved on meanwhile: look again
        except (RunNotFoundError, StaleWorkerError):
            return None


def _event(
    record: RunRecord, ending: str, max_resume_attempts: int
) -> tuple[EventLogEntry, Collection[RunStatus], str | None]:
    """The event, the statuses in which it holds, and the key under which it is stored once."""
    if record.status is RunStatus.CANCELING:
        canceled = EventLogEntry(
            run_id=record.run_id,
            event_type=EventType.RUN_CANCELED,
            message=f"The run was canceled. {ending}",
        )
        return canceled, CANCELING, None
    require = IN_PROGRESS_STATUSES - CANCELING
    if record.resume_attempts < max_resume_attempts:
        lost = EventLogEntry(
            run_id=record.run_id,
            event_type=EventType.RUN_WORKER_LOST,
            message=f"The run lost its worker, and waits to be resumed. {ending}",
        )
        return lost, require, f"runwire/worker-lost/{record.worker_epoch}"
    failed = EventLogEntry(
        run_id=record.run_id,
        event_type=EventType.RUN_FAILURE,
        message=f"The run lost its worker. {ending}",
        data=RunFailureData(RunFailureReason.WORKER_LOST),
    )
    return failed, require, None
