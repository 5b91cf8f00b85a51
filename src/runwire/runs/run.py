"""A run as it is made (`Run`) and as it is stored (`RunRecord`)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from runwire.error_info import ErrorInfo
from runwire.events.payloads import RunFailureReason
from runwire.runs.status import RunStatus


def new_run_id() -> str:
    """A fresh run id: a random UUID."""
    return str(uuid.uuid4())


@dataclass(frozen=True, kw_only=True)
class Run:
    """One execution of a job, as whoever made it asked for it; all but `tags` never changes.

    Attributes:
        run_id: its id, at most 128 characters of ``[A-Za-z0-9._-]``, not beginning with a dot.
        job_name: the job that it executes.
        tags: texts by key.
        run_config: what its ops and resources are configured with.
        managed: whether an external system runs it and reports its events.
        location_name, repository_name: where its job is; None for a job of an external system.
        step_keys: the steps that were asked for; None for all.
        plan_snapshot_id: the snapshot of its plan; None for a job of an external system.
        job_snapshot_id: the snapshot of its job; None for a job of an external system.
        steps_planned: the number of steps of its plan.
        parent_run_id, root_run_id: the run that it re-executes, and the first run of its group; None when it
            re-executes none. Storages keep them as tags as well (`runwire.runs.tags`).
        requested_by: the name of the principal that asked for it; None when the system did.

    Raises:
        ValueError: it has a parent and no root, or the other way round, or is its own.
    """

    job_name: str
    run_id: str = field(default_factory=new_run_id)
    tags: dict[str, str] = field(default_factory=dict)
    run_config: dict[str, Any] = field(default_factory=dict)
    managed: bool = False
    location_name: str | None = None
    repository_name: str | None = None
    step_keys: tuple[str, ...] | None = None
    plan_snapshot_id: str | None = None
    job_snapshot_id: str | None = None
    steps_planned: int = 0
    parent_run_id: str | None = None
    root_run_id: str | None = None
    requested_by: str | None = None

    def __post_init__(self) -> None:
        if (self.parent_run_id is None) is not (self.root_run_id is None):
            raise ValueError(f"run {self.run_id}: give parent_run_id and root_run_id, or neither")
        if self.run_id in (self.parent_run_id, self.root_run_id):
            raise ValueError(f"run {self.run_id}: a run does not re-execute itself")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailure:
    """Why a run failed. At most 25 failed steps."""

    reason: RunFailureReason
    message: str
    error: ErrorInfo | None = None
    failed_step_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCounts:
    """Counts over a run's event log.

    Attributes:
        planned: steps of the plan, or the distinct steps that events of `STEP_STATS_EVENTS` name if those
            are more.
        in_progress: steps that began and have not ended; 0 once the run has ended.
        succeeded, failed, skipped: distinct steps that ended so.
        materializations, expectations: events of these types.
    """

    planned: int = 0
    in_progress: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    materializations: int = 0
    expectations: int = 0


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A run as it is stored. Instants are epoch seconds.

    Attributes:
        storage_id: the order of its making, larger for later runs.
        run: what was asked for, with its current tags.
        status: its status.
        log_id: the id of its event log, new for each log, part of every cursor.
        created_at: when it was made.
        updated_at: when its status or tags last changed.
        started_at: when its worker began, or an external system said so.
        ended_at: when it ended.
        enqueued_at, launched_at: when it was last queued, and handed to the launcher.
        worker_epoch: raised by each hand-over to a worker; 0 before the first.
        resume_attempts: how often its worker was replaced.
        applied_position: the last position of its log that this record reflects.
        failure: why it failed; None unless FAILURE.
        counts: counts of its event log, as of the last mirrored event; exact once the run has ended. For
            a run that has not, ask the event log.
    """

    storage_id: int
    run: Run
    status: RunStatus
    log_id: str
    created_at: float
    updated_at: float
    started_at: float | None = None
    ended_at: float | None = None
    enqueued_at: float | None = None
    launched_at: float | None = None
    worker_epoch: int = 0
    resume_attempts: int = 0
    applied_position: int = 0
    failure: RunFailure | None = None
    counts: StepCounts = StepCounts()

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.run.run_id

    @property
    def root_run_id(self) -> str:
        """The id of the first run of its group: its own when it re-executes none."""
        return self.run.root_run_id or self.run.run_id

    @property
    def is_finished(self) -> bool:
        """Whether the run has ended."""
        return self.status.is_terminal
