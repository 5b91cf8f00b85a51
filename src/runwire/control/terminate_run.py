"""Stopping a run."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from enum import Enum

from runwire.error_info import ErrorInfo
from runwire.errors import (
    CodeLocationNotFoundError,
    RunStateConflictError,
    TerminateFailedError,
    UnavailableError,
)
from runwire.events.entry import EventLogEntry
from runwire.events.types import EventType
from runwire.launcher import RunLauncher
from runwire.runs.run import RunRecord
from runwire.runs.status import IN_PROGRESS_STATUSES, UNFINISHED_STATUSES, RunStatus
from runwire.storage.instance_storage import InstanceStorage
from runwire.workspace import Workspace


class TerminatePolicy(Enum):
    """How to stop a run."""

    SAFE_TERMINATE = "SAFE_TERMINATE"
    MARK_AS_CANCELED_IMMEDIATELY = "MARK_AS_CANCELED_IMMEDIATELY"


WITHOUT_WORKER = UNFINISHED_STATUSES - IN_PROGRESS_STATUSES
"""Statuses in which no worker of ours exists: the run is CANCELED at once."""

ASKABLE = frozenset({RunStatus.STARTING, RunStatus.STARTED})


def terminate_run(
    storage: InstanceStorage,
    launcher: RunLauncher,
    workspace: Workspace,
    run_id: str,
    policy: TerminatePolicy = TerminatePolicy.SAFE_TERMINATE,
) -> RunRecord:
    """Stops a run that has not ended.

    With SAFE_TERMINATE a live worker is asked to stop: the run is CANCELING until the worker is gone. A run
    without a live worker is CANCELED at once; should a worker of it turn up, its log refuses it. With
    MARK_AS_CANCELED_IMMEDIATELY the run is CANCELED first, and its worker then stopped if it can be.

    Returns:
        The run after that.

    Raises:
        RunNotFoundError: there is no such run.
        RunStateConflictError: the run has ended; nothing was changed.
        TerminateFailedError: the worker could not be asked; nothing was changed.
    """
    if policy is TerminatePolicy.MARK_AS_CANCELED_IMMEDIATELY:
        before = storage.get_run_record(run_id)
        _cancel(storage, run_id, UNFINISHED_STATUSES, "The run was marked as canceled.")
        if before.status in IN_PROGRESS_STATUSES:
            try_to_stop(launcher, workspace, before)
        return storage.get_run_record(run_id)
    while True:
        record = storage.get_run_record(run_id)
        if record.is_finished:
            expected = [status.value for status in RunStatus if status in UNFINISHED_STATUSES]
            raise RunStateConflictError(
                run_id, record.status.value, expected, "it has ended already"
            )
        try:
            _stop_safely(storage, launcher, workspace, record)
        except RunStateConflictError:
            continue  # it moved on meanwhile: look again
        return storage.get_run_record(run_id)


def _stop_safely(
    storage: InstanceStorage, launcher: RunLauncher, workspace: Workspace, record: RunRecord
) -> None:
    if record.status in WITHOUT_WORKER:
        _cancel(
            storage,
            record.run_id,
            {record.status},
            "The run was canceled before a worker began it.",
        )
        return
    try:
        alive = launcher.has_worker(record, workspace)
    except (UnavailableError, CodeLocationNotFoundError) as error:
        raise TerminateFailedError(
            record.run_id, str(error), ErrorInfo.from_exception(error)
        ) from error
    if record.status in ASKABLE:
        asked = EventLogEntry(
            run_id=record.run_id,
            event_type=EventType.RUN_CANCELING,
            message="The worker is asked to stop.",
        )
        storage.store_events(record.run_id, [asked], require={record.status})
    if alive and try_to_stop(launcher, workspace, record):
        return
    with suppress(RunStateConflictError):  # whoever saw the worker die ended the run meanwhile
        _cancel(
            storage,
            record.run_id,
            {RunStatus.CANCELING},
            "The run was canceled; no live worker of it is known.",
        )


def _cancel(
    storage: InstanceStorage, run_id: str, require: Collection[RunStatus], message: str
) -> None:
    entry = EventLogEntry(run_id=run_id, event_type=EventType.RUN_CANCELED, message=message)
    storage.store_events(run_id, [entry], require=require)


def try_to_stop(launcher: RunLauncher, workspace: Workspace, record: RunRecord) -> bool:
    """Whether a live worker was asked. One that cannot be asked finds out by its refused writes."""
    try:
        return launcher.terminate(record, workspace)
    except (UnavailableError, CodeLocationNotFoundError):
        return False
