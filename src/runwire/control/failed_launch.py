"""What becomes of a run for which no worker could be started."""

from __future__ import annotations

from runwire.error_info import ErrorInfo
from runwire.errors import (
    LaunchFailedError,
    RunNotFoundError,
    RunStateConflictError,
    StaleWorkerError,
)
from runwire.events.entry import EventLogEntry
from runwire.events.payloads import RunFailureData, RunFailureReason
from runwire.events.types import EventType
from runwire.runs.run import RunRecord
from runwire.runs.status import IN_PROGRESS_STATUSES, RunStatus
from runwire.storage.instance_storage import InstanceStorage


def end_unlaunched(
    storage: InstanceStorage, record: RunRecord, error: Exception
) -> LaunchFailedError:
    """Ends a run whose launcher raised: FAILURE with reason LAUNCH_FAILED, or CANCELED if that was asked for.

    Args:
        storage: keeps the run.
        record: the run as it was handed over; nothing happens if it has ended since, or has another worker.
        error: what the launcher raised.

    Returns:
        The error to raise.
    """
    info = ErrorInfo.from_exception(error)
    told = f"No worker could be started: {info.message}"
    failed = EventLogEntry(
        run_id=record.run_id,
        event_type=EventType.RUN_FAILURE,
        message=told,
        error=info,
        data=RunFailureData(RunFailureReason.LAUNCH_FAILED),
    )
    canceled = EventLogEntry(
        run_id=record.run_id,
        event_type=EventType.RUN_CANCELED,
        message=f"The run was canceled. {told}",
    )
    canceling = frozenset({RunStatus.CANCELING})
    for entry, require in ((failed, IN_PROGRESS_STATUSES - canceling), (canceled, canceling)):
        try:
            storage.store_events(record.run_id, [entry], epoch=record.worker_epoch, require=require)
            break
        except RunStateConflictError:  # asked to stop meanwhile, or ended
            continue
        except (RunNotFoundError, StaleWorkerError):
            break
    if isinstance(error, LaunchFailedError):
        return error
    return LaunchFailedError(record.run_id, info.message, info)
