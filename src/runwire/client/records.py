"""What the client hands out: the parts of the schema that callers use, decoded.

Field names are those of the schema in snake case; `msgspec.json.encode` gives the schema's names back.
Instants are aware UTC datetimes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from runwire.runs.status import RunStatus
from runwire.workspace import CodeLocationStatus


class Record(msgspec.Struct, frozen=True, rename="camel"):
    """What all of them share."""


class Tag(Record, frozen=True):
    """A key and a value on a run."""

    key: str
    value: str


class RunStats(Record, frozen=True):
    """Counts of a run's steps."""

    steps_planned: int
    steps_in_progress: int
    steps_succeeded: int
    steps_failed: int
    steps_skipped: int


class RunFailure(Record, frozen=True):
    """Why a run failed."""

    reason: str
    message: str
    failed_step_keys: tuple[str, ...] = ()


class DetailedRunStats(RunStats, frozen=True):
    """Counts of a run's steps, and how often its worker was replaced."""

    resume_attempts: int


class RunSummary(Record, frozen=True):
    """A run as lists and streams show it. `actions` names what its status lets be done with it."""

    run_id: str
    job_name: str
    status: RunStatus
    created_at: datetime
    actions: tuple[str, ...] = ()
    tags: tuple[Tag, ...] = ()
    updated_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    stats: RunStats | None = None
    failure: RunFailure | None = None


class RunOrigin(Record, frozen=True):
    """What a run was made from. Location and repository are None for a job of an external system."""

    location_name: str | None = None
    repository_name: str | None = None
    step_keys: tuple[str, ...] | None = None
    requested_by: str | None = None


class ConcurrencyLimit(Record, frozen=True):
    """A limit on runs in progress; `key` and `value` are of the tag that it limits, None for all runs, or any value."""

    key: str | None
    value: str | None
    max: int
    used: int


class PoolStep(Record, frozen=True):
    """A step that has a slot of a pool, or waits for one, and since when."""

    run_id: str
    step_key: str
    since: datetime


class PoolSummary(Record, frozen=True):
    """A concurrency pool. `limit` is None when it has none; `slots` and `waiting` have some of its steps."""

    name: str
    limit: int | None
    has_default_limit: bool
    used: int
    waiting_count: int
    slots: tuple[PoolStep, ...] = ()
    waiting: tuple[PoolStep, ...] = ()


class LimitUse(ConcurrencyLimit, frozen=True):
    """A limit, and how many queued runs it blocks."""

    waiting: int


class QueueBlock(Record, frozen=True):
    """One thing that keeps a queued run from being launched. `retry_at` is None when no clock will free it."""

    reason: str
    message: str
    limit: ConcurrencyLimit | None = None
    retry_at: datetime | None = None


class QueueState(Record, frozen=True):
    """The place of a run in the queue, from 1, and all that it waits for."""

    position: int
    priority: int
    enqueued_at: datetime
    attempts: int
    blocked_by: tuple[QueueBlock, ...]


class QueuedRun(Record, frozen=True):
    """A run in the queue; `queue` is None when it was launched meanwhile."""

    run_id: str
    job_name: str
    status: RunStatus
    tags: tuple[Tag, ...] = ()
    queue: QueueState | None = None


class QueuePage(Record, frozen=True):
    """The queue, and some of its runs in their order; give `end_cursor` as `after` for the next ones.

    `max_concurrent_runs` is None when there is no limit, 0 when the queue is paused.
    """

    max_concurrent_runs: int | None
    queued_count: int
    in_progress_count: int
    limits: tuple[LimitUse, ...]
    runs: tuple[QueuedRun, ...]
    end_cursor: str | None
    has_next_page: bool


class WebhookDelivery(Record, frozen=True):
    """A request to a webhook, and how it ended; `status_code` is None when nothing was answered."""

    event_id: str
    delivered: bool
    ended_at: datetime
    duration_seconds: float
    status_code: int | None = None
    error: str | None = None


class WebhookRetry(Record, frozen=True):
    """An event that a webhook did not take yet, and that is sent again."""

    event_id: str
    since: datetime
    failure_count: int
    retry_at: datetime


class Webhook(Record, frozen=True):
    """A receiver of events, and how far it was delivered to; `status` is RUNNING, PAUSED or DISABLED.

    `cursor` and `lag` are None before its daemon has begun with it.
    """

    id: str
    name: str
    url: str
    status: str
    disabled_reason: str | None
    cursor: str | None
    lag: int | None
    delivered_count: int
    failure_count: int
    missed_count: int
    dead_letter_count: int
    last_delivery: WebhookDelivery | None = None
    retry: WebhookRetry | None = None


class WebhookDeadLetter(Record, frozen=True):
    """An event that a webhook did not take and that was given up."""

    event_id: str
    event_type: str
    run_id: str
    failure_count: int
    failed_at: datetime
    status_code: int | None
    error: str
    redelivery_requested: bool


class DeadLettersPage(Record, frozen=True):
    """Some dead letters of a webhook; give `end_cursor` as `after` for the next ones."""

    letters: tuple[WebhookDeadLetter, ...]
    end_cursor: str | None
    has_next_page: bool


class RunDetail(RunSummary, frozen=True, kw_only=True):
    """A run with what it was made from."""

    run_config: dict[str, Any]
    origin: RunOrigin
    stats: DetailedRunStats
    queue: QueueState | None = None


class SubmittedRun(Record, frozen=True):
    """A run, and whether this call made it."""

    run: RunSummary
    created: bool


class RunPage(Record, frozen=True):
    """A page of runs; give `end_cursor` as `after` for the next one. None after the last run.

    `head_cursor` is where `watch_runs` goes on with what happens after the page was made.
    """

    runs: tuple[RunSummary, ...]
    end_cursor: str | None
    has_next_page: bool
    head_cursor: str


class BulkRefusal(Record, frozen=True):
    """Why one of many runs could not be dealt with; `type_name` is the GraphQL type of the error."""

    type_name: str = msgspec.field(name="__typename")
    message: str


class BulkFailure(Record, frozen=True):
    """One of many runs that could not be dealt with."""

    run_id: str
    error: BulkRefusal


class StoppedRun(Record, frozen=True):
    """A run as `terminate_runs` tells of it."""

    run_id: str
    status: RunStatus


class TerminatedRuns(Record, frozen=True):
    """The runs that were stopped, or would be; and how many more there are for another call."""

    runs: tuple[StoppedRun, ...]
    failures: tuple[BulkFailure, ...]
    remaining_count: int


class DeletedRuns(Record, frozen=True):
    """The runs that were deleted, or would be; and how many more there are for another call."""

    run_ids: tuple[str, ...]
    failures: tuple[BulkFailure, ...]
    remaining_count: int


class ErrorInfo(Record, frozen=True):
    """An error as it was raised. `stack` has its lines, outermost call first."""

    message: str
    class_name: str | None = None
    stack: tuple[str, ...] = ()
    causes: tuple[ErrorInfo, ...] = ()


class CodeLocation(Record, frozen=True):
    """A code location. `load_error` tells why it did not load; None unless FAILED or UNREACHABLE."""

    name: str
    status: CodeLocationStatus
    load_error: ErrorInfo | None = None


class DaemonHeartbeat(Record, frozen=True):
    """A sign of life of a daemon's process. `errors` are its latest ones, newest first."""

    daemon_id: str
    hostname: str
    timestamp: datetime
    progress_at: datetime
    errors: tuple[ErrorInfo, ...] = ()


class DaemonStatus(Record, frozen=True):
    """A daemon and whether it does its work.

    `state` is RUNNING, ERRORING, STUCK, STALE or NOT_RUNNING; `healthy` is None for a daemon that is not
    required and does not run; `standbys` are processes that would take over.
    """

    daemon_type: str
    required: bool
    state: str
    healthy: bool | None = None
    last_heartbeat: DaemonHeartbeat | None = None
    standbys: tuple[DaemonHeartbeat, ...] = ()
    lease_expires_at: datetime | None = None


class RunEvent(Record, frozen=True):
    """One entry of a run's event log.

    `event_type` is None for a line that user code logged; `applied` is False for a status event that came too
    late; `data` is what the type adds, as the server sent it, its type under ``__typename``.
    """

    position: int
    cursor: str
    timestamp: datetime
    level: str
    message: str
    step_key: str | None = None
    event_type: str | None = None
    applied: bool = True
    error: ErrorInfo | None = None
    data: dict[str, Any] | None = None

    def __str__(self) -> str:
        """The event as a line: its position, its instant, its step if it has one, and what happened."""
        step = "" if self.step_key is None else f" [{self.step_key}]"
        return f"{self.position} {self.timestamp.isoformat(timespec='milliseconds')}{step} {self.message}"


class StreamBatch(Record, frozen=True, kw_only=True):
    """What all batches of a stream tell.

    It covers the positions after `from_position` up to and with `to_position`; keep `end_cursor` to resume.
    `caught_up` tells whether history is done and what follows is live.
    """

    from_position: int
    to_position: int
    end_cursor: str
    head_cursor: str
    caught_up: bool


class RunEventsBatch(StreamBatch, frozen=True, kw_only=True):
    """Some events of a run, and the run as it is after them."""

    records: tuple[RunEvent, ...]
    run: RunSummary


class InstanceEvent(RunEvent, frozen=True, kw_only=True):
    """One event of any run. `job_name` is None when its run is gone."""

    run_id: str
    job_name: str | None = None


class EventsBatch(StreamBatch, frozen=True, kw_only=True):
    """Some events of all runs, in commit order; its positions are instance-wide, what the filter hides included."""

    records: tuple[InstanceEvent, ...]


class RunChange(Record, frozen=True):
    """A run that came, changed or went: `type` is CREATED, UPDATED or DELETED, and `run` is None for the last.

    `matches_filter` is False once, when the run no longer is what was asked for.
    """

    type: str
    run_id: str
    matches_filter: bool
    run: RunSummary | None = None


class RunChangesBatch(StreamBatch, frozen=True, kw_only=True):
    """Some changes of runs; its positions are instance-wide, what the filter hides included."""

    changes: tuple[RunChange, ...]


class ReportedEvent(Record, frozen=True):
    """Where a reported event came to lie, and whether it took effect."""

    position: int
    cursor: str
    applied: bool
