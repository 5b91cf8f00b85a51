"""Backfills and pages of them."""

from __future__ import annotations

from collections.abc import Awaitable
from enum import Enum
from typing import Annotated, NamedTuple

import strawberry
from strawberry import ID, UNSET

from runwire.api.backfill_loaders import (
    BackfillProgresses,
    BackfillsById,
    ProgressRow,
    backfill_storage_of,
)
from runwire.api.context import ApiContext, ApiInfo
from runwire.api.events.metadata import ErrorInfo
from runwire.api.loaders import JobKey, JobRow, LoadedJobs
from runwire.api.locations.types import Job
from runwire.api.nodes import Node, global_id
from runwire.api.opaque import pack, shown, unpack
from runwire.api.paging import DEFAULT_COUNT, PageInfo, check_limit, count_limit
from runwire.api.rows import describe_enum, field, given, loaded, resolved, view
from runwire.api.scalars import JSON, DateTime
from runwire.api.tags import Tag, tags_of
from runwire.errors import CursorInvalidError
from runwire.storage import Backfill as BackfillRow
from runwire.storage import BackfillFailure as FailureRow
from runwire.storage import BackfillScope, BackfillsFilter, BackfillStatus

DEFAULT_FAILURES = 25
MAX_FAILURES = 100

_VERSION = 1


class BackfillAction(Enum):
    """Something that the status of a backfill lets be done with it."""

    CANCEL = "CANCEL"
    RESUME = "RESUME"


describe_enum(
    BackfillStatus,
    "How far a backfill has come.",
    {
        "REQUESTED": "It was asked for; the daemon BACKFILLS has not begun it.",
        "IN_PROGRESS": "Its runs are made, or have not all ended.",
        "COMPLETED": "All of its runs have ended, whichever way.",
        "FAILED": "It cannot go on, as when its job is gone; `resumeBackfill` tries again.",
        "CANCELING": "It is being ended.",
        "CANCELED": "It was ended.",
    },
)
describe_enum(
    BackfillScope,
    "Which of the chosen partitions get a run.",
    {
        "MISSING": "Those whose last run did not succeed, and those without any.",
        "ALL": "All.",
    },
)
describe_enum(
    BackfillAction,
    "Something that the status of a backfill lets be done with it.",
    {"CANCEL": "`cancelBackfill`.", "RESUME": "`resumeBackfill`."},
)


class OriginRow(NamedTuple):
    """A backfill as it was asked for."""

    backfill: BackfillRow


class FailurePage(NamedTuple):
    """Some failures of a backfill."""

    backfill_id: str
    failures: list[FailureRow]
    has_next: bool
    has_previous: bool


class BackfillPage(NamedTuple):
    """Some backfills, newest first."""

    filter: BackfillsFilter
    backfills: list[BackfillRow]
    has_next: bool
    has_previous: bool


async def find_backfill(context: ApiContext, key: list[str]) -> BackfillRow | None:
    """The backfill of a global id."""
    (backfill_id,) = key
    return await context.loader(BackfillsById).find(backfill_id)


async def find_origin(context: ApiContext, key: list[str]) -> OriginRow | None:
    """The origin of a global id."""
    found = await find_backfill(context, key)
    return None if found is None else OriginRow(found)


async def find_progress(context: ApiContext, key: list[str]) -> ProgressRow | None:
    """The progress of a global id."""
    found = await find_backfill(context, key)
    return None if found is None else await context.loader(BackfillProgresses).load(found)


async def _job(row: OriginRow, context: ApiContext) -> JobRow | None:
    backfill = row.backfill
    key = JobKey(backfill.location_name, backfill.repository_name, backfill.job_name)
    return await context.loader(LoadedJobs).find_job(key)


def _first_key(row: OriginRow) -> str:
    return row.backfill.selection.key_at(0)


def _last_key(row: OriginRow) -> str:
    selection = row.backfill.selection
    return selection.key_at(selection.count - 1)


@view(OriginRow, "What a backfill was asked for.")
class BackfillOrigin(Node):
    """What a backfill was asked for."""

    id: ID = field(
        "The global id of the origin.",
        lambda row: global_id("BackfillOrigin", row.backfill.backfill_id),
    )
    job: Job | None = loaded(
        _job, "The job as it is loaded now; null when it is not.", type=Job | None
    )
    repository_name: str = field(
        "The name of the repository of its job.", lambda row: row.backfill.repository_name
    )
    location_name: str = field(
        "The name of the code location of its job.", lambda row: row.backfill.location_name
    )
    first_partition_key: str = field("The key of the first of its partitions.", _first_key)
    last_partition_key: str = field("The key of the last of its partitions.", _last_key)
    scope: BackfillScope = field(
        "Which of its partitions get a run.", lambda row: row.backfill.scope
    )
    runs_at_once: int = field(
        "How many of its runs there are at most that have not ended.",
        lambda row: row.backfill.runs_at_once,
    )
    run_config: JSON | None = field(
        "The run config of its runs; null for that of each partition.",
        lambda row: row.backfill.run_config,
    )
    tags: list[Tag] = field(
        "The tags of its runs, over those of the job.", lambda row: tags_of(row.backfill.tags)
    )
    requested_by: str | None = field(
        "The name of the principal that asked for it; null when the system did.",
        lambda row: row.backfill.requested_by,
    )


@view(
    ProgressRow,
    "How many partitions of a backfill are how far, by their newest run of the backfill; together all of them, until"
    " runs are deleted.",
)
class BackfillProgress(Node):
    """How many partitions of a backfill are how far."""

    id: ID = field(
        "The global id of the progress.", lambda row: global_id("BackfillProgress", row.backfill_id)
    )
    requested: int = field(
        "Those that wait for their run to be made.", lambda row: row.progress.requested
    )
    queued: int = field(
        "Those whose run waits, in NOT_STARTED or QUEUED.", lambda row: row.progress.queued
    )
    in_progress: int = field(
        "Those whose run is in STARTING, STARTED or CANCELING.",
        lambda row: row.progress.in_progress,
    )
    succeeded: int = field("Those whose run succeeded.", lambda row: row.progress.succeeded)
    failed: int = field(
        "Those whose run failed, or could not be made.", lambda row: row.progress.failed
    )
    canceled: int = field("Those whose run was canceled.", lambda row: row.progress.canceled)
    skipped: int = field(
        "Those that needed no run, because their last one had succeeded.",
        lambda row: row.progress.skipped,
    )


@view(FailureRow, "A partition of a backfill whose run could not be made.")
class BackfillFailure:
    """A partition of a backfill whose run could not be made."""

    partition_key: str = field("Its key.")
    error: ErrorInfo = field("Why.")
    failed_at: DateTime = field("When that was.")


def _failure_cursor(backfill_id: str, position: int) -> str:
    return pack(_VERSION, "backfillFailures", backfill_id, position)


def _page_info_of_failures(page: FailurePage) -> PageInfo:
    cursors = [_failure_cursor(page.backfill_id, each.position) for each in page.failures]
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )


class FailureEdgeRow(NamedTuple):
    """A failure and its backfill."""

    backfill_id: str
    failure: FailureRow


@view(FailureEdgeRow, "A failure in a page.")
class BackfillFailureEdge:
    """A failure in a page."""

    cursor: str = field(
        "The cursor of the failure.",
        lambda row: _failure_cursor(row.backfill_id, row.failure.position),
    )
    node: BackfillFailure = field("The failure.", lambda row: row.failure)


@view(FailurePage, "A page of failures of a backfill, in the order of its partitions.")
class BackfillFailureConnection:
    """A page of failures."""

    edges: list[BackfillFailureEdge] = field(
        "The failures of the page with their cursors.",
        lambda page: [FailureEdgeRow(page.backfill_id, each) for each in page.failures],
    )
    nodes: list[BackfillFailure] = field("The failures of the page.", lambda page: page.failures)
    page_info: PageInfo = field("Where the page lies.", _page_info_of_failures)


async def _failures(
    root: strawberry.Parent[BackfillRow],
    info: ApiInfo,
    first: Annotated[
        int | None, strawberry.argument(description="How many failures, at most 100.")
    ] = DEFAULT_FAILURES,
    after: Annotated[
        str | None,
        strawberry.argument(description="The cursor of the failure before the first one wanted."),
    ] = UNSET,
) -> FailurePage:
    limit = check_limit("first", DEFAULT_FAILURES if first is None else first, MAX_FAILURES)
    cursor = given(after)
    position = -1 if cursor is None else _parse_failure_cursor(cursor, root.backfill_id)
    page = await info.context.lanes.read(
        backfill_storage_of(info.context).get_backfill_failures,
        root.backfill_id,
        after=position,
        limit=limit,
    )
    return FailurePage(root.backfill_id, page.failures, page.has_more, cursor is not None)


def _parse_failure_cursor(cursor: str, backfill_id: str) -> int:
    match unpack(cursor):
        case [1, "backfillFailures", str(found), int(position)] if (
            found == backfill_id and not isinstance(position, bool) and 0 <= position < 2**31
        ):
            return position
        case _:
            raise CursorInvalidError(
                f"{shown(cursor)} is not a cursor of the failures of this backfill"
            )


def _actions(backfill: BackfillRow) -> list[BackfillAction]:
    return [BackfillAction.RESUME if backfill.status.is_terminal else BackfillAction.CANCEL]


def _progress(backfill: BackfillRow, context: ApiContext) -> Awaitable[ProgressRow]:
    return context.loader(BackfillProgresses).load(backfill)


@view(BackfillRow, "Runs of one job for many of its partitions.")
class Backfill(Node):
    """Runs of one job for many of its partitions. Its runs are those of `runs` with its `backfillId`."""

    id: ID = field(
        "The global id of the backfill.", lambda row: global_id("Backfill", row.backfill_id)
    )
    backfill_id: ID = field("The id of the backfill, a UUID.")
    job_name: str = field("The name of its job.")
    status: BackfillStatus = field("How far it has come.")
    actions: list[BackfillAction] = field("What its status lets be done with it.", _actions)
    origin: BackfillOrigin = field("What it was asked for.", OriginRow)
    partition_count: int = field(
        "How many partitions were chosen.", lambda row: row.selection.count
    )
    progress: BackfillProgress = loaded(
        _progress, "How many of its partitions are how far.", type=BackfillProgress
    )
    failures: BackfillFailureConnection = resolved(
        _failures,
        "Its partitions whose run could not be made.",
        type=BackfillFailureConnection,
    )
    attempts: int = field(
        "How often it was begun: once, and by each resume.", lambda row: row.attempt + 1
    )
    waiting_for: str | None = field(
        "Why it does not go on at the moment, as while its code location is not loaded; null when it does.",
        lambda row: row.waiting,
    )
    error: ErrorInfo | None = field("Why it failed; null unless FAILED.")
    created_at: DateTime = field("When it was made.")
    ended_at: DateTime | None = field("When it ended; null before.")


def backfill_cursor(backfill: BackfillRow) -> str:
    """The cursor of a backfill."""
    return pack(_VERSION, "backfills", backfill.number)


def parse_backfill_cursor(cursor: str) -> int:
    """The number of the backfill of a cursor; raises CursorInvalidError when it is none."""
    match unpack(cursor):
        case [1, "backfills", int(number)] if not isinstance(number, bool) and 0 <= number < 2**63:
            return number
        case _:
            raise CursorInvalidError(f"{shown(cursor)} is not a cursor of a list of backfills")


@view(BackfillRow, "A backfill in a page.")
class BackfillEdge:
    """A backfill in a page; its row is the backfill."""

    cursor: str = field("The cursor of the backfill.", backfill_cursor)
    node: Backfill = field("The backfill.", lambda row: row)


def _page_info(page: BackfillPage) -> PageInfo:
    cursors = list(map(backfill_cursor, page.backfills))
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )


async def _total_count(
    root: strawberry.Parent[BackfillPage],
    info: ApiInfo,
    limit: Annotated[
        int | None, strawberry.argument(description="Where to stop counting.")
    ] = DEFAULT_COUNT,
) -> int:
    return await info.context.lanes.read(
        backfill_storage_of(info.context).get_backfills_count, root.filter, limit=count_limit(limit)
    )


@view(BackfillPage, "A page of backfills, newest first.")
class BackfillConnection:
    """A page of backfills."""

    edges: list[BackfillEdge] = field(
        "The backfills of the page with their cursors.", lambda page: page.backfills
    )
    nodes: list[Backfill] = field("The backfills of the page.", lambda page: page.backfills)
    page_info: PageInfo = field("Where the page lies.", _page_info)
    total_count: int = resolved(
        _total_count,
        "The number of matching backfills, counted no further than `limit`; read an equal number as"
        ' "or more".',
    )
