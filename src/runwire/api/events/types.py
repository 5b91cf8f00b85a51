"""Event records and pages of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import strawberry
from strawberry import ID

from runwire.api.context import ApiContext, ApiInfo
from runwire.api.events.data import EventData
from runwire.api.events.enums import EventType, LogLevel
from runwire.api.events.metadata import ErrorInfo
from runwire.api.nodes import Node, numbered_id
from runwire.api.paging import DEFAULT_COUNT, PageInfo, count_limit
from runwire.api.rows import field, later, resolved, view
from runwire.api.scalars import DateTime
from runwire.events.cursor import CursorScope, cursor_text
from runwire.events.entry import EventLogRecord
from runwire.runs.run import RunRecord
from runwire.storage import InstanceLogRecord

_POSITION = re.compile(r"[1-9]\d{0,17}", re.ASCII)


class EventRow(NamedTuple):
    """An event record and its run, and the entry of the instance-wide log that it was read from, if it was.

    Only an event that was read from there can be without a run: that is deleted.
    """

    record: EventLogRecord
    run: RunRecord | None
    entry: InstanceLogRecord | None = None

    @property
    def log_id(self) -> str:
        """The id of its run's log; the id of no log when that is gone."""
        if self.run is not None:
            return self.run.log_id
        return "" if self.entry is None else f"@{self.entry.position}"


def row_of(entry: InstanceLogRecord, event: EventLogRecord, run: RunRecord | None) -> EventRow:
    """An event of the instance-wide log.

    Args:
        entry: its entry.
        event: what the entry has of it.
        run: the run that has the id of its run now. One that did not get as far is another.
    """
    is_its_run = run is not None and event.position <= run.applied_position
    return EventRow(event, run if is_its_run else None, entry)


def cursor_at(run: RunRecord, position: int) -> str:
    """The cursor of a position in a run's log."""
    return cursor_text(CursorScope.RUN, run.log_id, position)


def cursor_in_run(row: EventRow) -> str:
    """The cursor of an event record in its run's log."""
    return cursor_text(CursorScope.RUN, row.log_id, row.record.position)


def _id(row: EventRow) -> ID:
    record = row.record
    return numbered_id(record.position, "EventRecord", record.run_id, row.log_id)


def _job_name(row: EventRow) -> str | None:
    if row.entry is not None:
        return row.entry.job_name
    return None if row.run is None else row.run.run.job_name


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
        "The cursor of this position in its run's log, whatever list it came in.", cursor_in_run
    )
    run_id: ID = field("The id of its run.", lambda row: row.record.run_id)
    run: Any = field(
        "Its run; null when that was deleted meanwhile.",
        type=later("Run", "runwire.api.runs.types") | None,
    )
    job_name: str | None = field("The name of the job of its run.", _job_name)
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
    """A page of a log, in order.

    Attributes:
        rows: its event records.
        cursor_of: the cursor of an event record in that log.
        count: how many match, counted no further than a limit. Synchronous: runs in a lane.
    """

    rows: list[EventRow]
    has_next: bool
    has_previous: bool
    cursor_of: Callable[[EventRow], str]
    count: Callable[[int], int]


class EventEdgeRow(NamedTuple):
    """An event record in a page, and its cursor there."""

    cursor: str
    node: EventRow


@view(EventEdgeRow, "An event record in a page.")
class EventRecordEdge:
    """An event record in a page."""

    cursor: str = field(
        "The cursor of the record in the scope of this page: its run's log, or the instance-wide feed."
    )
    node: EventRecord = field("The event record.")


def _edges(page: EventPage) -> list[EventEdgeRow]:
    return [EventEdgeRow(page.cursor_of(row), row) for row in page.rows]


def _page_info(page: EventPage) -> PageInfo:
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=page.cursor_of(page.rows[0]) if page.rows else None,
        end_cursor=page.cursor_of(page.rows[-1]) if page.rows else None,
    )


async def _total_count(
    root: strawberry.Parent[EventPage],
    info: ApiInfo,
    limit: Annotated[
        int | None, strawberry.argument(description="Where to stop counting.")
    ] = DEFAULT_COUNT,
) -> int:
    return await info.context.lanes.read(root.count, count_limit(limit))


@view(EventPage, "A page of event records.")
class EventRecordConnection:
    """A page of event records."""

    edges: list[EventRecordEdge] = field(
        "The event records of the page with their cursors.", _edges
    )
    nodes: list[EventRecord] = field("The event records of the page.", lambda page: page.rows)
    page_info: PageInfo = field("Where the page lies.", _page_info)
    total_count: int = resolved(
        _total_count,
        "The number of matching event records, counted no further than `limit`; read an equal number as"
        ' "or more".',
    )
