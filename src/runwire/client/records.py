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


class RunDetail(RunSummary, frozen=True, kw_only=True):
    """A run with what it was made from."""

    run_config: dict[str, Any]
    origin: RunOrigin
    stats: DetailedRunStats


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
