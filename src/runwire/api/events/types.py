"""Event records and pages of them."""

from __future__ import annotations

import re
from typing import Annotated, Any, NamedTuple

import strawberry
from strawberry import ID

from runwire.api.context import ApiContext, ApiInfo
from runwire.api.events.data import EventData
from runwire.api.events.enums import EventType, LogLevel
from runwire.api.events.metadata import ErrorInfo
from runwire.api.nodes import Node, global_id
from runwire.api.paging import DEFAULT_COUNT, PageInfo, count_limit
from runwire.api.rows import field, later, resolved, view
from runwire.api.scalars import DateTime
from runwire.events.cursor import Cursor, CursorScope
from runwire.events.entry import EventLogRecord
from runwire.events.filters import EventFilter
from runwire.runs.run import RunRecord

_POSITION = re.compile(r"[1-9]\d{0,17}", re.ASCII)


class EventRow(NamedTuple):
    """An event record and its run."""

    record: EventLogRecord
    run: RunRecord


def cursor_at(run: RunRecord, position: int) -> str:
    """The cursor of a position in a run's log."""
    return str(Cursor(CursorScope.RUN, run.log_id, position))


def _cursor(row: EventRow) -> str:
    return cursor_at(row.run, row.record.position)


def _id(row: EventRow) -> ID:
    return global_id("EventRecord", row.run.run_id, row.run.log_id, str(row.record.position))


async def find_event(context: ApiContext, key: list[str]) -> EventRow | None:
    """The event record of a global id; None when its log is gone."""
    run_id, log_id, position = key
    if not _POSITION.fullmatch(position):
        return None
    run = await context.lanes.read(context.run_storage.find_run_record, run_id)
    if run is None or run.log_id != log_id:
        return None
    page = await context.lanes.read(
        context.event_log_storage.get_records, run, after=int(position) - 1, limit=1
    )
    return next((EventRow(record, run) for record in page.records), None)


@view(EventRow, "One entry of a run's event log.")
class EventRecord(Node):
    """One entry of a run's event log."""

    id: ID = field("The global id of the event record.", _id)
    position: int = field(
        "The position in its run's log: 1, 2, 3, without holes.", lambda row: row.record.position
    )
    cursor: str = field(
        "The cursor of this position in its run's log, whatever list it came in.", _cursor
    )
    run_id: ID = field("The id of its run.", lambda row: row.record.run_id)
    run: Any = field(
        "Its run; null when that was deleted meanwhile.",
        type=later("Run", "runwire.api.runs.types") | None,
    )
    job_name: str | None = field(
        "The name of the job of its run.", lambda row: row.run.run.job_name
    )
    timestamp: DateTime = field(
        "When it happened, by its writer's clock.", lambda row: row.record.timestamp
    )
    level: LogLevel = field("How severe it is.", lambda row: row.record.level)
    message: str = field("What happened, for people.", lambda row: row.record.message)
    step_key: str | None = field(
        "The step that it belongs to; null when it belongs to none.",
        lambda row: row.record.step_key,
    )
    event_type: EventType | None = field(
        "Its type; null for a line that user code logged, and for a type unknown here"
        " (`UnreadableEventData`).",
        lambda row: row.record.event_type,
    )
    applied: bool = field(
        "Whether it took effect; false for a status event that came too late and is kept for the record.",
        lambda row: row.record.applied,
    )
    error: ErrorInfo | None = field(
        "The error that it tells of; null when it tells of none.", lambda row: row.record.error
    )
    data: EventData | None = field(
        "What its type adds; null when the type adds nothing.", lambda row: row.record.data
    )


class EventPage(NamedTuple):
    """A page of a run's log, in order, and what it is a part of."""

    run: RunRecord
    filter: EventFilter | None
    records: list[EventLogRecord]
    has_next: bool
    has_previous: bool


@view(EventRow, "An event record in a page.")
class EventRecordEdge:
    """An event record in a page."""

    cursor: str = field(
        "The cursor of the record in the scope of this page: its run's log, or the instance-wide feed.",
        _cursor,
    )
    node: EventRecord = field("The event record.", lambda row: row)


def _rows(page: EventPage) -> list[EventRow]:
    return [EventRow(record, page.run) for record in page.records]


def _page_info(page: EventPage) -> PageInfo:
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=cursor_at(page.run, page.records[0].position) if page.records else None,
        end_cursor=cursor_at(page.run, page.records[-1].position) if page.records else None,
    )


async def _total_count(
    root: strawberry.Parent[EventPage],
    info: ApiInfo,
    limit: Annotated[
        int | None, strawberry.argument(description="Where to stop counting.")
    ] = DEFAULT_COUNT,
) -> int:
    return await info.context.lanes.read(
        info.context.event_log_storage.get_records_count,
        root.run,
        root.filter,
        limit=count_limit(limit),
    )


@view(EventPage, "A page of event records.")
class EventRecordConnection:
    """A page of event records."""

    edges: list[EventRecordEdge] = field("The event records of the page with their cursors.", _rows)
    nodes: list[EventRecord] = field("The event records of the page.", _rows)
    page_info: PageInfo = field("Where the page lies.", _page_info)
    total_count: int = resolved(
        _total_count,
        "The number of matching event records, counted no further than `limit`; read an equal number as"
        ' "or more".',
    )
