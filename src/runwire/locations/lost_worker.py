"""What becomes of a run whose worker ended without ending it."""

from __future__ import annotations

import signal

from runwire.errors import RunNotFoundError, RunStateConflictError, StaleWorkerError
from runwire.events.entry import EventLogEntry, EventLogRecord
from runwire.events.payloads import RunFailureData, RunFailureReason
from runwire.events.types import EventType
from runwire.runs.status import UNFINISHED_STATUSES, RunStatus
from runwire.storage.instance_storage import InstanceStorage


def describe_exit(exit_code: int) -> str:
    """How a process ended, by its exit code as `subprocess` tells it: negative for a signal."""
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    try:
        return f"was killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was killed by signal {-exit_code}"


def report_lost_worker(
    storage: InstanceStorage, run_id: str, epoch: int, ending: str
) -> EventLogRecord | None:
    """Ends a run in the name of its lost worker: CANCELED if it is CANCELING, else FAILURE.

    It is written with the worker's epoch, so it does nothing once another worker has the run.

    Args:
        storage: where the run is.
        run_id: the run.
        epoch: the epoch of the worker.
        ending: how the worker ended, as a sentence.

    Returns:
        The event; None when the run had ended, is deleted, or has another worker.
    """
    canceled = EventLogEntry(
        run_id=run_id,
        event_type=EventType.RUN_CANCELED,
        message=f"The run was canceled. {ending}",
    )
    failed = EventLogEntry(
        run_id=run_id,
        event_type=EventType.RUN_FAILURE,
        message=f"The run lost its worker. {ending}",
        data=RunFailureData(RunFailureReason.WORKER_LOST),
    )
    canceling = frozenset({RunStatus.CANCELING})
    # CANCELING is never left but by an end, so two rounds find every status that the run can get into.
    for entry, require in (
        (canceled, canceling),
        (failed, UNFINISHED_STATUSES - canceling),
        (canceled, canceling),
    ):
        try:
            return storage.store_events(run_id, [entry], epoch=epoch, require=require)[0]
        except RunStateConflictError:
            continue
        except (RunNotFoundError, StaleWorkerError):
            return None
    return None
