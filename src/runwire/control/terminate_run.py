"""Stopping a run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from enum import Enum
from typing import Any

from runwire.control.worker_health import try_to_stop
from runwire.error_info import ErrorInfo
from runwire.errors import (
    CodeLocationNotFoundError,
    RunStateConflictError,
    TerminateFailedError,
    UnavailableError,
)
from runwire.events.entry import EventLogEntry
from runwire.events.types import EventType
from runwire.fault_points import fault_point
from runwire.launcher import LaunchRunContext, RunLauncher
from runwire.runs.run import RunRecord
from runwire.runs.status import IN_PROGRESS_STATUSES, UNFINISHED_STATUSES, RunStatus
from runwire.storage.instance_storage import InstanceStorage
from runwire.workspace import WorkerStatus, Workspace


class TerminatePolicy(Enum):
    """How to stop a run."""

    SAFE_TERMINATE = "SAFE_TERMINATE"
    MARK_AS_CANCELED_IMMEDIATELY = "MARK_AS_CANCELED_IMMEDIATELY"


WITHOUT_WORKER = UNFINISHED_STATUSES - IN_PROGRESS_STATUSES
"""Statuses in which no worker of ours exists: the run is CANCELED at once."""

NO_WORKER_MESSAGE = "The run was canceled; no live worker of it is known."


def terminate_run(
    storage: InstanceStorage,
    launcher: RunLauncher,
    workspace: Workspace,
    instance_ref: Mapping[str, Any],
    run_id: str,
    policy: TerminatePolicy = TerminatePolicy.SAFE_TERMINATE,
    known: RunRecord | None = None,
) -> RunRecord:
    """Stops a run that has not ended.

    With SAFE_TERMINATE a live worker is asked to stop: the run is CANCELING until the worker is gone. A run
    without a live worker is CANCELED at once; should a worker of it turn up, its log refuses it. With
    MARK_AS_CANCELED_IMMEDIATELY the run is CANCELED first, and its worker then stopped if it can be.

    Args:
        storage: has the run.
        launcher: knows its worker.
        workspace: the code locations.
        instance_ref: the instance, for whoever stops the worker.
        run_id: the run.
        policy: how to stop it.
        known: the run as the caller has just read it, which spares a look-up.

    Returns:
        The run after that.

    Raises:
        RunNotFoundError: there is no such run.
        RunStateConflictError: the run has ended; nothing was changed.
        TerminateFailedError: nobody can tell whether its worker lives; nothing was changed.
    """
    if policy is TerminatePolicy.MARK_AS_CANCELED_IMMEDIATELY:
        before = storage.get_run_record(run_id)
        _cancel(storage, run_id, UNFINISHED_STATUSES, "The run was marked as canceled.")
        if before.status in IN_PROGRESS_STATUSES:
            try_to_stop(launcher, LaunchRunContext(before, workspace, instance_ref))
        return storage.get_run_record(run_id)
    while True:
        # Only where no worker can have changed meanwhile: all else is checked when it is stored.
        if known is not None and known.status in WITHOUT_WORKER:
            record, known = known, None
        else:
            record = storage.get_run_record(run_id)
        if record.is_finished:
            expected = [status.value for status in RunStatus if status in UNFINISHED_STATUSES]
            raise RunStateConflictError(
                run_id, record.status.value, expected, "it has ended already"
            )
        try:
            _stop_safely(storage, launcher, LaunchRunContext(record, workspace, instance_ref))
        except RunStateConflictError:
            continue  # it moved on meanwhile: look again
        return storage.get_run_record(run_id)


def _stop_safely(
    storage: InstanceStorage, launcher: RunLauncher, context: LaunchRunContext
) -> None:
    """Stops a run as it was read.

    Raises:
        RunStateConflictError: it is not so any more; nothing was changed.
    """
    record = context.record
    if record.status in WITHOUT_WORKER:
        message = "The run was canceled before a worker began it."
        _cancel(storage, record.run_id, {record.status}, message)
    elif not _may_be_alive(launcher, context):
        _cancel(storage, record.run_id, {record.status}, NO_WORKER_MESSAGE)
    else:
        _ask_to_stop(storage, launcher, context)


def _may_be_alive(launcher: RunLauncher, context: LaunchRunContext) -> bool:
    """Whether a worker lives, or is only just being started, or its launcher never knows.

    Raises:
        TerminateFailedError: whoever knows does not answer.
    """
    if not launcher.supports_check_run_worker_health:
        return True
    run_id = context.record.run_id
    try:
        health = launcher.check_run_worker_health(context)
    except (UnavailableError, CodeLocationNotFoundError) as error:
        raise TerminateFailedError(run_id, str(error), ErrorInfo.from_exception(error)) from error
    match health.status:
        case WorkerStatus.UNKNOWN:
            raise TerminateFailedError(run_id, health.message)
        case WorkerStatus.NOT_FOUND:
            return context.record.status is RunStatus.STARTING
        case status:
            return status is WorkerStatus.RUNNING


def _ask_to_stop(
    storage: InstanceStorage, launcher: RunLauncher, context: LaunchRunContext
) -> None:
    record = context.record
    if record.status is not RunStatus.CANCELING:
        asked = EventLogEntry(
            run_id=record.run_id,
            event_type=EventType.RUN_CANCELING,
            message="The worker is asked to stop.",
        )
        storage.store_events(record.run_id, [asked], require={record.status})
        fault_point("terminate.after_canceling")
    if not try_to_stop(launcher, context):
        with suppress(RunStateConflictError):  # whoever saw the worker die ended the run meanwhile
            _cancel(storage, record.run_id, {RunStatus.CANCELING}, NO_WORKER_MESSAGE)


def _cancel(
    storage: InstanceStorage, run_id: str, require: Collection[RunStatus], message: str
) -> None:
    entry = EventLogEntry(run_id=run_id, event_type=EventType.RUN_CANCELED, message=message)
    storage.store_events(run_id, [entry], require=require)
