"""Resuming a run: one compare-and-set fences its worker and hands the run to another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runwire import clock
from runwire.control.code_location import location_of_run
from runwire.control.failed_launch import end_unlaunched
from runwire.control.handover import find_handover, hand_over, was_heard_from
from runwire.control.worker_health import try_to_stop, worker_health
from runwire.errors import RunStateConflictError, StaleWorkerError, StorageUnavailableError
from runwire.events.entry import EventLogEntry
from runwire.events.types import EventType
from runwire.fault_points import fault_point
from runwire.launcher import LaunchRunContext, ResumeRunContext, RunLauncher
from runwire.runs.run import RunRecord
from runwire.runs.status import ALLOWED_STATUSES, RunAction, RunStatus
from runwire.storage.instance_storage import InstanceStorage
from runwire.workspace import WorkerStatus, Workspace

_HINTS = {
    RunStatus.NOT_STARTED: "launchRun starts it",
    RunStatus.QUEUED: "it is launched when its turn comes",
    RunStatus.MANAGED: "whoever reports its events runs it",
}


def resume_run(
    storage: InstanceStorage,
    launcher: RunLauncher,
    workspace: Workspace,
    instance_ref: Mapping[str, Any],
    run_id: str,
    attempt_number: int | None = None,
    *,
    start_timeout_seconds: float,
    now: Callable[[], float] = clock.timestamp,
) -> RunRecord:
    """Hands a run in progress to a new worker, whatever its present one does, which is fenced and killed.

    Of any number of calls for one attempt, in any processes, one starts a worker. Calls without an attempt
    number are for the next attempt, unless that would replace a worker that a resume has just started.

    Args:
        storage: keeps the run.
        launcher: starts the new worker.
        workspace: the code locations.
        instance_ref: how the worker opens the instance: `InstanceRef.to_dict()`.
        run_id: the run.
        attempt_number: which attempt this is, 1 for the first; refused unless it is the next one.
        start_timeout_seconds: how long a worker that was started may take until it is heard from.
        now: tells the time, in epoch seconds.

    Returns:
        The run after the new worker's process exists.

    Raises:
        RunNotFoundError, JobNotFoundError, CodeLocationUnavailableError: nothing was changed.
        RunStateConflictError: the run is not in progress, the attempt is not the next one, another call was
            faster, or the launcher cannot resume runs; nothing was changed.
        LaunchFailedError: no worker could be started; the run has ended, by one event.
    """
    before = storage.get_run_record(run_id)
    _check_status(before)
    if not launcher.supports_resume_run:
        raise _refusal(before, f"{type(launcher).__name__} cannot resume runs")
    _check_attempt(before, attempt_number)
    location_of_run(workspace, before)
    fenced = LaunchRunContext(before, workspace, instance_ref)
    if attempt_number is None:
        _check_not_just_resumed(storage, launcher, fenced, now() - start_timeout_seconds)
    attempt = before.resume_attempts + 1
    try:
        record = _hand_over(storage, before, attempt)
    except StorageUnavailableError:
        # The worker may have been stopped in the middle of a transaction, and keep everybody from its log.
        if not try_to_stop(launcher, fenced, force=True):
            raise
        record = _hand_over(storage, before, attempt)
    fault_point("resume.after_handover")
    try:
        try_to_stop(launcher, fenced, force=True)
        launcher.resume_run(ResumeRunContext(record, workspace, instance_ref, attempt))
    except Exception as error:
        raise end_unlaunched(storage, record, error) from error
    return storage.get_run_record(run_id)


def _hand_over(storage: InstanceStorage, before: RunRecord, attempt: int) -> RunRecord:
    """Hands the run over, if nobody else did meanwhile; the run as it is then."""
    resumed = EventLogEntry(
        run_id=before.run_id,
        event_type=EventType.RUN_WORKER_LOST,
        message=f"The run is resumed by a new worker, attempt {attempt}.",
    )
    allowed = ALLOWED_STATUSES[RunAction.RESUME]
    try:
        return hand_over(storage, resumed, require=allowed, fenced_epoch=before.worker_epoch)
    except (StaleWorkerError, RunStateConflictError):
        record = storage.get_run_record(before.run_id)
        _check_status(record)
        raise _refusal(
            record, f"it was handed to another worker meanwhile; {_next_attempt(record)}"
        ) from None


def _check_status(record: RunRecord) -> None:
    if record.is_finished:
        raise _refusal(record, "it has ended; reexecuteRun runs it again")
    if record.status not in ALLOWED_STATUSES[RunAction.RESUME]:
        raise _refusal(record, _HINTS[record.status])


def _check_attempt(record: RunRecord, attempt_number: int | None) -> None:
    if attempt_number not in {None, record.resume_attempts + 1}:
        raise _refusal(record, f"attempt {attempt_number} is not the next; {_next_attempt(record)}")


def _check_not_just_resumed(
    storage: InstanceStorage, launcher: RunLauncher, context: LaunchRunContext, too_old: float
) -> None:
    """Refuses to replace a worker that a resume started, and that lives or may be just starting."""
    record = context.record
    handover = find_handover(storage, record)
    if handover is None or handover.event_type is not EventType.RUN_WORKER_LOST:
        return
    # Asked before its health: one that was heard from has been there, one that is heard from later may come yet.
    was_heard = was_heard_from(storage, record, handover)
    health = worker_health(launcher, context).status
    may_be_starting = handover.timestamp > too_old and (
        health is WorkerStatus.UNKNOWN or (health is not WorkerStatus.FAILED and not was_heard)
    )
    if health is WorkerStatus.RUNNING or may_be_starting:
        does = "running" if health is WorkerStatus.RUNNING else "being started"
        raise _refusal(
            record,
            f"attempt {record.resume_attempts} is {does};"
            f" give attempt_number {record.resume_attempts + 1} to replace it",
        )


def _next_attempt(record: RunRecord) -> str:
    return f"the next attempt is {record.resume_attempts + 1}"


def _refusal(record: RunRecord, hint: str) -> RunStateConflictError:
    allowed = ALLOWED_STATUSES[RunAction.RESUME]
    expected = [status.value for status in RunStatus if status in allowed]
    return RunStateConflictError(record.run_id, record.status.value, expected, hint)
