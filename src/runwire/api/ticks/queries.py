"""Queries of schedules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NamedTuple

import strawberry
from strawberry import UNSET

from runwire.api.context import ApiInfo
from runwire.api.paging import PageInfo, check_limit
from runwire.api.rows import field, given, resolved, view
from runwire.api.tick_loaders import sources_of
from runwire.api.ticks.cursors import format_source_place, parse_source_place, source_place
from runwire.api.ticks.inputs import ScheduleSelector, TickSourceFilter
from runwire.api.ticks.types import Schedule
from runwire.control import ScheduleRecord
from runwire.errors import ScheduleNotFoundError
from runwire.ticks import TickSourceType

DEFAULT_SCHEDULES = 50
MAX_SCHEDULES = 100


class SchedulePage(NamedTuple):
    """A page of schedules, and how many match in all."""

    records: list[ScheduleRecord]
    total: int
    has_next: bool
    has_previous: bool


@view(ScheduleRecord, "A schedule in a page.")
class ScheduleEdge:
    """A schedule in a page; its row is the schedule."""

    cursor: str = field("The cursor of the schedule.", format_source_place)
    node: Schedule = field("The schedule.", lambda record: record)


def _page_info(page: SchedulePage) -> PageInfo:
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=format_source_place(page.records[0]) if page.records else None,
        end_cursor=format_source_place(page.records[-1]) if page.records else None,
    )


@view(SchedulePage, "A page of schedules.")
class ScheduleConnection:
    """A page of schedules."""

    edges: list[ScheduleEdge] = field(
        "The schedules of the page with their cursors.", lambda page: page.records
    )
    nodes: list[Schedule] = field("The schedules of the page.", lambda page: page.records)
    page_info: PageInfo = field("Where the page lies.", _page_info)
    total_count: int = field("The number of matching schedules.", lambda page: page.total)


def _page_of(
    records: list[ScheduleRecord],
    is_wanted: Callable[[ScheduleRecord], bool],
    limit: int,
    after: str | None,
) -> SchedulePage:
    """A page of schedules, which come by place."""
    matching = [record for record in records if is_wanted(record)]
    left = matching
    if after is not None:
        place = parse_source_place(after, TickSourceType.SCHEDULE)
        left = [record for record in matching if source_place(record) > place]
    has_previous = len(left) < len(matching)
    return SchedulePage(left[:limit], len(matching), len(left) > limit, has_previous)


async def _schedule(
    info: ApiInfo,
    selector: Annotated[ScheduleSelector, strawberry.argument(description="Which schedule.")],
) -> ScheduleRecord | None:
    find = sources_of(info.context).find
    try:
        return await info.context.lanes.read(find, selector.to_selector())
    except ScheduleNotFoundError:
        return None


async def _schedules(
    info: ApiInfo,
    filter: Annotated[
        TickSourceFilter | None,
        strawberry.argument(description="Which schedules; all when left out."),
    ] = UNSET,
    first: Annotated[
        int | None, strawberry.argument(description="How many schedules.")
    ] = DEFAULT_SCHEDULES,
    after: Annotated[
        str | None,
        strawberry.argument(description="The cursor of the schedule before the first one wanted."),
    ] = UNSET,
) -> SchedulePage:
    limit = check_limit("first", DEFAULT_SCHEDULES if first is None else first, MAX_SCHEDULES)
    wanted = given(filter) or TickSourceFilter()
    records = await info.context.lanes.read(sources_of(info.context).list_schedules)
    return _page_of(records, wanted.matches, limit, given(after))


@strawberry.type
class TickQueries:
    """Queries of schedules."""

    schedule: Schedule | None = resolved(
        _schedule,
        "Finds a schedule; null when there is none. An ambiguous name is refused with INVALID_ARGUMENT.",
        type=Schedule | None,
    )
    schedules: ScheduleConnection = resolved(
        _schedules, "The schedules of the workspace, by name.", type=ScheduleConnection
    )
