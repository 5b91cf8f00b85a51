"""Launching a run: one compare-and-set hands it to one worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runwire.control.code_location import location_of_run
from runwire.control.failed_launch import end_unlaunched
from runwire.control.handover import hand_over
from runwire.events.entry import EventLogEntry
from runwire.events.types import EventType
from runwire.fault_points import fault_point
from runwire.launcher import LaunchRunContext, RunLauncher
from runwire.runs.run import RunRecord
from runwire.runs.status import ALLOWED_STATUSES, RunAction
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
        RunStateConflictError: the run is neither NOT_STARTED nor QUEUED, and nothing was changed; or it was
            resumed before its worker was started.
        LaunchFailedError: no worker could be started; the run has ended, by one event: a RUN_FAILURE, or
            RUN_CANCELED if it was to be canceled.
    """
    record = storage.get_run_record(run_id)
    allowed = ALLOWED_STATUSES[RunAction.LAUNCH]
    if record.status in allowed:
        location_of_run(workspace, record)
    starting = EventLogEntry(
        run_id=run_id, event_type=EventType.RUN_STARTING, message="A worker is being started."
    )
    record = hand_over(storage, starting, require=allowed)
    fault_point("launch.after_run_starting")
    try:
        start_worker(launcher, LaunchRunContext(record, workspace, instance_ref))
    except Exception as error:
        raise end_unlaunched(storage, record, error) from error
    return storage.get_run_record(run_id)


def start_worker(launcher: RunLauncher, context: LaunchRunContext) -> None:
    """Has a worker started for a run that was handed over; raises as `RunLauncher.launch_run`."""
    launcher.launch_run(context)
    fault_point("launch.after_worker_started")
