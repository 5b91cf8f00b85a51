"""The rules of monitoring: what is done about one run."""

from __future__ import annotations

from collections.abc import Callable

from runwire import control
from runwire.control.handover import find_handover
from runwire.daemons.max_runtime import max_runtime_of
from runwire.errors import CodeLocationNotFoundError, CodeLocationUnavailableError, JobNotFoundError
from runwire.events.entry import EventLogEntry, EventLogRecord
from runwire.events.filters import EventFilter
from runwire.events.payloads import RunFailureData, RunFailureReason
from runwire.events.types import EventType
from runwire.fault_points import fault_point
from runwire.instance import Instance
from runwire.launcher import LaunchRunContext
from runwire.runs.queueing import came_from_queue
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.workspace import (
    CheckRunHealthResult,
    CodeLocationStatus,
    WorkerStatus,
    Workspace,
)

UNSEEN_SECONDS = 15.0
"""How long after a hand-over there may be no trace of a worker: longer than a launch waits for a code server."""

_GONE = frozenset({WorkerStatus.FAILED, WorkerStatus.SUCCESS, WorkerStatus.NOT_FOUND})
_CANCELING_EVENTS = EventFilter(event_types=frozenset({EventType.RUN_CANCELING}))


class RunMonitor:
    """Does what is due for a run as it was read.

    Time-outs hold whether or not anybody can tell of the worker; otherwise a worker of which nobody can tell
    is left alone.
    """

    def __init__(self, instance: Instance, workspace: Workspace, now: Callable[[], float]) -> None:
        self._instance = instance
        self._storage = instance.storage
        self._settings = instance.settings.run_monitoring
        self._workspace = workspace
        self._instance_ref = instance.ref.to_dict()
        self._now = now

    def look_at(self, record: RunRecord) -> None:
        """Looks at one run, and does what is due.

        Raises:
            RunStateConflictError, StaleWorkerError, RunNotFoundError: somebody else did something with the
                run meanwhile; nothing was changed.
            LaunchFailedError: no worker could be started to resume the run, which has ended by that.
        """
        rules = {
            RunStatus.NOT_STARTED: self._look_at_leftover,
            RunStatus.STARTING: self._look_at_starting,
            RunStatus.STARTED: self._look_at_started,
            RunStatus.CANCELING: self._look_at_canceling,
        }
        rules[record.status](record)

    # ------------------------------------------------------------ by status

    def _look_at_leftover(self, record: RunRecord) -> None:
        timeout = self._settings.not_started_timeout_seconds
        if timeout is not None and self._age(record.created_at) > timeout:
            message = f"The run was not launched within {timeout:g} s."
            self._fail(record, RunFailureReason.START_TIMEOUT, message)

    def _look_at_starting(self, record: RunRecord) -> None:
        timeout = self._settings.start_timeout_seconds
        if self._age(self._handed_over_at(record)) > timeout:
            message = f"The worker did not begin the run within {timeout:g} s; it was stopped."
            self._fail(record, RunFailureReason.START_TIMEOUT, message)
            self._kill_worker(record)
        else:
            self._look_at_worker(record)

    def _look_at_started(self, record: RunRecord) -> None:
        limit = max_runtime_of(self._storage, record, self._settings.max_runtime_seconds)
        if limit is not None and self._age(record.started_at) > limit:
            message = f"The run took longer than {limit:g} s; its worker was stopped."
            self._fail(record, RunFailureReason.MAX_RUNTIME, message)
            self._kill_worker(record)
        else:
            self._look_at_worker(record)

    def _look_at_canceling(self, record: RunRecord) -> None:
        timeout = self._settings.cancel_timeout_seconds
        if self._age(self._canceling_since(record)) > timeout:
            ending = f"Its worker did not end within {timeout:g} s."
            self._kill_worker(record)
            self._report_lost(record, ending)
        else:
            self._look_at_worker(record)

    # ------------------------------------------------------------ lost workers

    def _look_at_worker(self, record: RunRecord) -> None:
        health = self._health(record)
        if health.status not in _GONE:
            return
        if health.status is WorkerStatus.NOT_FOUND:
            if self._age(self._handed_over_at(record)) <= UNSEEN_SECONDS:
                return
            if self._is_for_the_queue(record):
                return
            if record.status is RunStatus.STARTING:
                health = CheckRunHealthResult(health.status, "Its worker was never seen.")
        if self._is_as_it_was(record):
            self._give_up_worker(record, health.message or "Its worker is gone.")

    def _is_for_the_queue(self, record: RunRecord) -> bool:
        """Whether the queue daemon puts the run back, whose worker was never seen."""
        return came_from_queue(record) and self._instance.run_coordinator.queue is not None

    def _health(self, record: RunRecord) -> CheckRunHealthResult:
        if record.run.location_name is None:  # whoever made it executes it, without a launcher
            return CheckRunHealthResult(WorkerStatus.UNKNOWN)
        return control.worker_health(self._instance.run_launcher, self._context(record))

    def _is_as_it_was(self, record: RunRecord) -> bool:
        """Whether the run still is what its worker's health was asked for: a worker ends its run, then itself."""
        current = self._storage.run_storage.find_run_record(record.run_id)
        return (
            current is not None
            and current.status is record.status
            and current.worker_epoch == record.worker_epoch
        )

    def _give_up_worker(self, record: RunRecord, ending: str) -> None:
        self._kill_worker(record)  # what is left of it, and of those before it
        if (
            record.status is not RunStatus.CANCELING
            and record.resume_attempts >= self._settings.max_resume_run_attempts
        ):
            fault_point("monitoring.before_failure")
        lost = self._report_lost(record, ending)
        if lost is not None and lost.event_type is EventType.RUN_WORKER_LOST:
            self._resume(record, lost)

    def _report_lost(self, record: RunRecord, ending: str) -> EventLogRecord | None:
        return control.report_lost_worker(
            self._storage,
            record.run_id,
            record.worker_epoch,
            ending,
            max_resume_attempts=self._settings.max_resume_run_attempts,
        )

    def _resume(self, record: RunRecord, lost: EventLogRecord) -> None:
        """Resumes a run; if its code location or job cannot be used, that is tried again for a while."""
        try:
            self._check_loaded(record)
            fault_point("monitoring.before_resume")
            attempt = record.resume_attempts + 1
            self._instance.resume_run(record.run_id, self._workspace, attempt)
        except (
            CodeLocationNotFoundError,
            CodeLocationUnavailableError,
            JobNotFoundError,
        ) as error:
            if self._age(lost.timestamp) > self._settings.start_timeout_seconds:
                message = f"The run lost its worker and could not be resumed: {error}"
                self._fail(record, RunFailureReason.WORKER_LOST, message)
        else:
            fault_point("monitoring.after_resume")

    def _check_loaded(self, record: RunRecord) -> None:
        """Refuses a location that is only being loaded, for which `resume_run` would wait."""
        name = record.run.location_name or ""
        status = self._workspace.get_location(name).state.status
        if status is CodeLocationStatus.LOADING:
            raise CodeLocationUnavailableError(name, f"it is {status.value}")

    # ------------------------------------------------------------ ending

    def _fail(self, record: RunRecord, reason: RunFailureReason, message: str) -> None:
        failed = EventLogEntry(
            run_id=record.run_id,
            event_type=EventType.RUN_FAILURE,
            message=message,
            data=RunFailureData(reason),
        )
        fault_point("monitoring.before_failure")
        self._storage.store_events(
            record.run_id, [failed], epoch=record.worker_epoch, require={record.status}
        )

    def _kill_worker(self, record: RunRecord) -> None:
        """Kills the worker, if it can be reached; else it finds out by its refused writes."""
        control.try_to_stop(self._instance.run_launcher, self._context(record), force=True)

    def _context(self, record: RunRecord) -> LaunchRunContext:
        return LaunchRunContext(record, self._workspace, self._instance_ref)

    # ------------------------------------------------------------ instants

    def _age(self, instant: float | None) -> float:
        return 0.0 if instant is None else self._now() - instant

    def _handed_over_at(self, record: RunRecord) -> float | None:
        if record.resume_attempts == 0:
            return record.launched_at
        handover = find_handover(self._storage, record)
        return record.launched_at if handover is None else handover.timestamp

    def _canceling_since(self, record: RunRecord) -> float:
        page = self._storage.event_log_storage.get_records(
            record, filter=_CANCELING_EVENTS, limit=1
        )
        return page.records[0].timestamp if page.records else record.updated_at
