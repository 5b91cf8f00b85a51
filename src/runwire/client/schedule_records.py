"""What the client hands out of schedules and ticks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from runwire.client.records import ErrorInfo, Record, Tag
from runwire.runs.status import RunStatus
from runwire.ticks.source import TickSourceStatus
from runwire.ticks.tick import TickStatus


class TickRun(Record, frozen=True):
    """A run that a tick requested."""

    run_id: str
    status: RunStatus


class TickRuns(Record, frozen=True):
    """How many runs a tick requested, and the first of them."""

    total_count: int
    nodes: tuple[TickRun, ...]


class Tick(Record, frozen=True):
    """One evaluation. `error` is not None when it failed, `skip_reason` when it was skipped with one."""

    status: TickStatus
    due_at: datetime
    started_at: datetime
    attempts: int
    runs: TickRuns
    ended_at: datetime | None = None
    skip_reason: str | None = None
    error: ErrorInfo | None = None


class NamedJob(Record, frozen=True):
    """A job."""

    name: str


class Schedule(Record, frozen=True):
    """A schedule. `cron_schedule` and `timezone` are empty while its definition is not loaded."""

    name: str
    repository_name: str
    location_name: str
    status: TickSourceStatus
    default_status: TickSourceStatus
    cron_schedule: str
    timezone: str
    next_ticks: tuple[datetime, ...]
    jobs: tuple[NamedJob, ...] = ()
    description: str | None = None
    running_since: datetime | None = None


class TickPage(Record, frozen=True):
    """Some ticks, newest first; give `end_cursor` as `after` for older ones."""

    ticks: tuple[Tick, ...]
    end_cursor: str | None
    has_next_page: bool


class ScheduleDetail(Schedule, frozen=True, kw_only=True):
    """A schedule with when it is due next, as it was asked, and some of its ticks, None when they cannot be read."""

    due: tuple[datetime, ...]
    ticks: TickPage | None


class SchedulePage(Record, frozen=True):
    """Some schedules by name; give `end_cursor` as `after` for the next ones."""

    schedules: tuple[Schedule, ...]
    total_count: int
    end_cursor: str | None
    has_next_page: bool


class ExistingRun(Record, frozen=True):
    """The run that a run key has already."""

    run_id: str


class RunRequest(Record, frozen=True):
    """A run that an evaluation asks for; `existing_run` is not None when its run key has one already."""

    job_name: str
    run_config: dict[str, Any]
    tags: tuple[Tag, ...] = ()
    run_key: str | None = None
    partition_key: str | None = None
    existing_run: ExistingRun | None = None


class DryTick(Record, frozen=True):
    """What an evaluation that stored nothing asks for, or what user code raised.

    `cursor` is what a sensor would store.
    """

    run_requests: tuple[RunRequest, ...]
    skip_reason: str | None = None
    cursor: str | None = None
    error: ErrorInfo | None = None
