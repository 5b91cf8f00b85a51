"""Launching a run: one compare-and-set hands it to one worker."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from runwire.control.code_location import location_of_run
from runwire.error_info import ErrorInfo
from runwire.errors import LaunchFailedError, RunStateConflictError
from runwire.events.entry import EventLogEntry
from runwire.events.payloads import RunFailureData, RunFailureReason
from runwire.events.types import EventType
from runwire.launcher import LaunchRunContext, RunLauncher
from runwire.runs.run import RunRecord
from runwire.runs.status import ALLOWED_STATUSES, IN_PROGRESS_STATUSES, RunAction
from runwire.storage.instance_storage import InstanceStorage
from runwire.workspace import Workspace


def launch_run(
    storage: InstanceStorage,
    launcher: RunLauncher,
    workspace: Workspace,
    instance_ref: Mapping[str, Any],
    run_id: str,
) -> RunRecord:
    """Hands a run to the launcher: RUN_STARTING and a new worker epoch, then a worker.

    Of any number of calls for one run, in any processes, one starts a worker.

    Returns:
        The run after the worker's process exists.

    Raises:
        RunNotFoundError, JobNotFoundError, CodeLocationUnavailableError: nothing was changed.
        RunStateConflictError: the run is neither NOT_STARTED nor QUEUED; nothing was changed.
        LaunchFailedError: no worker could be started; the run is in FAILURE, by one RUN_FAILURE.
    """
    record = storage.get_run_record(run_id)
    allowed = ALLOWED_STATUSES[RunAction.LAUNCH]
    if record.status in allowed:
        location_of_run(workspace, record)
    starting = EventLogEntry(
        run_id=run_id, event_type=EventType.RUN_STARTING, message="A worker is being started."
    )
    storage.store_events(run_id, [starting], require=allowed, handover=True)
    record = storage.get_run_record(run_id)
    try:
        launcher.launch_run(LaunchRunContext(record, workspace, instance_ref))
    except Exception as error:
        raise _failed(storage, record, error) from error
    return storage.get_run_record(run_id)


def _failed(storage: InstanceStorage, record: RunRecord, error: Exception) -> LaunchFailedError:
    info = ErrorInfo.from_exception(error)
    failure = EventLogEntry(
        run_id=record.run_id,
        event_type=EventType.RUN_FAILURE,
        message=f"No worker could be started: {info.message}",
        error=info,
        data=RunFailureData(RunFailureReason.LAUNCH_FAILED),
    )
    with suppress(RunStateConflictError):  # ended meanwhile: one cause, one terminal event
        storage.store_events(record.run_id, [failure], require=IN_PROGRESS_STATUSES)
    if isinstance(error, LaunchFailedError):
        return error
    return LaunchFailedError(record.run_id, info.message, info)
