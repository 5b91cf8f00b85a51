"""What the client hands out of partitions and backfills."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from runwire.client.records import ErrorInfo, Record, Tag
from runwire.partitions import PartitionsKind
from runwire.runs.status import RunStatus
from runwire.storage import BackfillScope, BackfillStatus


class PartitionRun(Record, frozen=True):
    """The last run of a partition."""

    run_id: str
    status: RunStatus
    created_at: datetime
    ended_at: datetime | None = None


class Partition(Record, frozen=True):
    """A partition of a job. Its window is None where partitions stand for no time."""

    key: str
    window_start: datetime | None = None
    window_end: datetime | None = None
    last_run: PartitionRun | None = None


class PartitionsDefinition(Record, frozen=True):
    """What partitions a job has; only `kind` for static ones."""

    kind: PartitionsKind
    start: str | None = None
    end: str | None = None
    timezone: str | None = None
    has_config: bool = False


class PartitionPage(Record, frozen=True):
    """Some partitions of a job, in order; give `end_cursor` as `after`, or `start_cursor` as `before`, for others."""

    definition: PartitionsDefinition
    partitions: tuple[Partition, ...]
    total_count: int
    start_cursor: str | None
    end_cursor: str | None
    has_previous_page: bool
    has_next_page: bool


class BackfillProgress(Record, frozen=True):
    """How many partitions of a backfill are how far."""

    requested: int
    queued: int
    in_progress: int
    succeeded: int
    failed: int
    canceled: int
    skipped: int


class BackfillOrigin(Record, frozen=True):
    """What a backfill was asked for. `tags` and `run_config` are told by `get_backfill` only."""

    repository_name: str
    location_name: str
    first_partition_key: str
    last_partition_key: str
    scope: BackfillScope
    runs_at_once: int
    requested_by: str | None = None
    run_config: dict[str, Any] | None = None
    tags: tuple[Tag, ...] = ()


class Backfill(Record, frozen=True):
    """Runs of one job for many of its partitions. `waiting_for` tells why it does not go on at the moment."""

    backfill_id: str
    job_name: str
    status: BackfillStatus
    partition_count: int
    attempts: int
    created_at: datetime
    origin: BackfillOrigin
    progress: BackfillProgress
    waiting_for: str | None = None
    ended_at: datetime | None = None
    error: ErrorInfo | None = None


class BackfillFailure(Record, frozen=True):
    """A partition of a backfill whose run could not be made."""

    partition_key: str
    failed_at: datetime
    error: ErrorInfo


class BackfillDetail(Backfill, frozen=True, kw_only=True):
    """A backfill with some of its failures; give `end_cursor` as `after` for the next ones."""

    failures: tuple[BackfillFailure, ...]
    end_cursor: str | None
    has_next_page: bool


class BackfillPage(Record, frozen=True):
    """Some backfills, newest first; give `end_cursor` as `after` for older ones."""

    backfills: tuple[Backfill, ...]
    total_count: int
    end_cursor: str | None
    has_next_page: bool


class CreatedBackfill(Record, frozen=True):
    """A backfill, and whether the call made it."""

    backfill: Backfill
    created: bool
