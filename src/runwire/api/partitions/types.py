"""Partitions and pages of them."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from strawberry import ID

from runwire.api.backfill_loaders import PartitionKey, PartitionRuns
from runwire.api.context import ApiContext
from runwire.api.loaders import JobKey, LoadedJobs
from runwire.api.nodes import Node, global_id
from runwire.api.paging import PageInfo
from runwire.api.partitions.pages import PartitionPage, PartitionRow, cursor_of, find_row
from runwire.api.rows import describe_enum, field, later, loaded, view
from runwire.api.scalars import DateTime
from runwire.partitions import PartitionsKind, PartitionsSnapshot
from runwire.runs.run import RunRecord

describe_enum(
    PartitionsKind,
    "What the partitions of a job stand for.",
    {
        "DAILY": "Days from midnight to midnight in their time zone.",
        "HOURLY": "Hours of 60 minutes, named in their time zone.",
        "STATIC": "Names.",
    },
)


async def find_partition(context: ApiContext, key: list[str]) -> PartitionRow | None:
    """The partition of a global id."""
    location_name, repository_name, job_name, partition_key = key
    job = await context.loader(LoadedJobs).find_job(
        JobKey(location_name, repository_name, job_name)
    )
    return None if job is None else find_row(job, partition_key)


@view(PartitionsSnapshot, "What partitions a job has.")
class PartitionsDefinition:
    """What partitions a job has."""

    kind: PartitionsKind = field("What they stand for.")
    start: str | None = field(
        "Where the first begins, in local ISO form; null for STATIC.",
        lambda snapshot: snapshot.start or None,
    )
    end: str | None = field("Where the last ends at the latest; null for never, and for STATIC.")
    timezone: str | None = field(
        "Their time zone, such as `Europe/Berlin`; null for STATIC.",
        lambda snapshot: None if snapshot.kind is PartitionsKind.STATIC else snapshot.timezone,
    )
    has_config: bool = field("Whether a function of the job gives the run config of each.")


def _last_run(row: PartitionRow, context: ApiContext) -> Awaitable[RunRecord | None]:
    return context.loader(PartitionRuns).find(PartitionKey(row.place, row.key))


@view(PartitionRow, "A part of what a job works on, such as a day: one run is for one of them.")
class Partition(Node):
    """A partition of a job."""

    id: ID = field(
        "The global id of the partition.",
        lambda row: global_id(
            "Partition",
            row.place.location_name,
            row.place.repository_name,
            row.place.job_name,
            row.key,
        ),
    )
    key: str = field("Its key, unique among those of its job, such as `2026-01-31`.")
    window_start: DateTime | None = field(
        "When its span of time begins; null where partitions stand for no time.",
        lambda row: None if row.window is None else row.window.start.timestamp(),
    )
    window_end: DateTime | None = field(
        "The first instant after its span of time; null where partitions stand for no time.",
        lambda row: None if row.window is None else row.window.end.timestamp(),
    )
    last_run: Any = loaded(
        _last_run,
        "Its newest run of the job; null when it has none.",
        type=later("Run", "runwire.api.runs.types") | None,
    )


@view(PartitionRow, "A partition in a page.")
class PartitionEdge:
    """A partition in a page; its row is the partition."""

    cursor: str = field("The cursor of the partition.", cursor_of)
    node: Partition = field("The partition.", lambda row: row)


def _page_info(page: PartitionPage) -> PageInfo:
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=cursor_of(page.rows[0]) if page.rows else None,
        end_cursor=cursor_of(page.rows[-1]) if page.rows else None,
    )


@view(PartitionPage, "A page of the partitions of a job, in order.")
class PartitionConnection:
    """A page of partitions."""

    definition: PartitionsDefinition = field("What partitions the job has.")
    edges: list[PartitionEdge] = field(
        "The partitions of the page with their cursors.", lambda page: page.rows
    )
    nodes: list[Partition] = field("The partitions of the page.", lambda page: page.rows)
    page_info: PageInfo = field("Where the page lies.", _page_info)
    total_count: int = field("The number of partitions that exist now.", lambda page: page.total)
