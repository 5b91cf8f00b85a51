"""Taking a run from the queue, and putting it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runwire.control.code_location import location_of_run
from runwire.control.failed_launch import end_unlaunched
from runwire.control.launch_run import start_worker
from runwire.error_info import ErrorInfo
from runwire.errors import (
    CodeLocationUnavailableError,
    ConcurrencyLimitReachedError,
    RunNotFoundError,
    RunStateConflictError,
    StaleWorkerError,
)
from runwire.events.entry import EventLogEntry
from runwire.events.filters import EventFilter
from runwire.events.types import EventType
from runwire.fault_points import fault_point
from runwire.launcher import LaunchRunContext, RunLauncher
from runwire.runs.filters import TagFilter
from runwire.runs.queueing import Limit, QueueSettings
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.storage.instance_storage import InstanceStorage
from runwire.storage.run_storage import HeldRun
from runwire.workspace import Workspace

_ENQUEUED = EventFilter(event_types=frozenset({EventType.RUN_ENQUEUED}))
_COUNTED = 1000


def claim_run(storage: InstanceStorage, settings: QueueSettings, run_id: str) -> RunRecord:
    """Takes a run from the queue and hands it to a worker that is to be started: STARTING, with a new worker epoch.

    In one transaction it is made sure that the run still waits and that every limit has room, counting all runs in
    progress, however they came to be so. Others who take runs wait meanwhile, in all processes.

    Returns:
        The run with the epoch of its worker.

    Raises:
        RunNotFoundError, RunStateConflictError: it does not wait any more; nothing was changed.
        ConcurrencyLimitReachedError: a limit is reached; nothing was changed.
    """

    def admit(held: HeldRun) -> None:
        full = find_full(held, settings.limits_of(held.record.run.tags))
        if full is not None:
            raise ConcurrencyLimitReachedError(run_id, full.describe())

    dequeued = EventLogEntry(
        run_id=run_id, event_type=EventType.RUN_DEQUEUED, message="The run leaves the queue."
    )
    starting = EventLogEntry(
        run_id=run_id, event_type=EventType.RUN_STARTING, message="A worker is being started."
    )
    stored = storage.store_events(
        run_id, [dequeued, starting], require={RunStatus.QUEUED}, handover=True, admit=admit
    )
    record = storage.get_run_record(run_id)
    if record.worker_epoch != stored[-1].epoch:
        raise RunStateConflictError(
            run_id, record.status.value, [], "it was handed to another worker meanwhile"
        )
    return record


def find_full(held: HeldRun, limits: tuple[Limit, ...]) -> Limit | None:
    """The first of some limits that lets no other run be in progress."""
    if not limits:
        return None
    tagged = [limit for limit in limits if limit.key is not None]
    total, *with_tags = held.count_in_progress([_tag_of(limit) for limit in tagged])
    used = dict(zip(tagged, with_tags, strict=True))
    return next((limit for limit in limits if used.get(limit, total) >= limit.max), None)


def launch_claimed(
    storage: InstanceStorage,
    launcher: RunLauncher,
    workspace: Workspace,
    instance_ref: Mapping[str, Any],
    record: RunRecord,
    *,
    max_retries: int,
) -> CodeLocationUnavailableError | None:
    """Starts the worker of a run that was taken from the queue.

    A run whose code location does not answer is put back, unless that was done so often already.

    Args:
        storage: keeps the run.
        launcher: starts the worker.
        workspace: the code locations.
        instance_ref: how the worker opens the instance: `InstanceRef.to_dict()`.
        record: the run as `claim_run` returned it.
        max_retries: how often it is put back.

    Returns:
        None when the worker's process exists; else why the run was put back, or has gone another way meanwhile.

    Raises:
        LaunchFailedError: no worker could be started; the run has ended, by one event.
    """
    fault_point("queue.after_claim")
    try:
        try:
            location_of_run(workspace, record)
            start_worker(launcher, LaunchRunContext(record, workspace, instance_ref))
        except CodeLocationUnavailableError as error:
            if count_failures(storage, record) >= max_retries or not put_back(
                storage, record, f"The run waits in the queue again: {error}", error
            ):
                raise
            return error
    except Exception as error:
        raise end_unlaunched(storage, record, error) from error
    return None


def put_back(
    storage: InstanceStorage, record: RunRecord, message: str, error: Exception | None = None
) -> bool:
    """Puts a run in STARTING, whose worker did not begin it, back into the queue; returns whether that was done.

    Should the worker turn up, its log refuses it.

    Args:
        storage: keeps the run.
        record: the run; nothing is done if it is not as this says any more.
        message: why.
        error: what is to blame; such an event counts as an attempt that failed (`count_failures`).
    """
    enqueued = EventLogEntry(
        run_id=record.run_id,
        event_type=EventType.RUN_ENQUEUED,
        message=message,
        error=None if error is None else ErrorInfo.from_exception(error),
    )
    try:
        storage.store_events(
            record.run_id,
            [enqueued],
            epoch=record.worker_epoch,
            require={RunStatus.STARTING},
            handover=True,
        )
    except (RunNotFoundError, RunStateConflictError, StaleWorkerError):
        return False
    return True


def count_failures(storage: InstanceStorage, record: RunRecord) -> int:
    """How often a run was put back because of an error."""
    page = storage.event_log_storage.get_records(record, filter=_ENQUEUED, limit=_COUNTED)
    return sum(event.applied and event.error is not None for event in page.records)


def count_attempts(record: RunRecord) -> int:
    """How often a run that waits was taken from the queue and put back: both raise its worker epoch."""
    return record.worker_epoch // 2


def _tag_of(limit: Limit) -> TagFilter:
    values = None if limit.value is None else frozenset({limit.value})
    return TagFilter(limit.key or "", values)
