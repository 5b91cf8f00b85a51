"""Queries of schedules and sensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple, TypeVar

import strawberry
from strawberry import UNSET

from runwire.api.context import ApiInfo
from runwire.api.paging import PageInfo, check_limit
from runwire.api.rows import field, given, resolved, view
from runwire.api.tick_loaders import sources_of
from runwire.api.ticks.cursors import format_source_place, parse_source_place, source_place
from runwire.api.ticks.inputs import ScheduleSelector, SensorSelector, TickSourceFilter
from runwire.api.ticks.types import Schedule, Sensor
from runwire.control import ScheduleRecord, SensorRecord, TickSourceRecord
from runwire.errors import ScheduleNotFoundError, SensorNotFoundError
from runwire.ticks import TickSourceType

DEFAULT_SOURCES = 50
MAX_SOURCES = 100


class SourcePage(NamedTuple):
    """A page of schedules or sensors, and how many match in all."""

    records: Sequence[TickSourceRecord]
    total: int
    has_next: bool
    has_previous: bool


class SchedulePage(SourcePage):
    """A page of schedules."""


class SensorPage(SourcePage):
    """A page of sensors."""


P = TypeVar("P", bound=SourcePage)


@view(ScheduleRecord, "A schedule in a page.")
class ScheduleEdge:
    """A schedule in a page; its row is the schedule."""

    cursor: str = field("The cursor of the schedule.", format_source_place)
    node: Schedule = field("The schedule.", lambda record: record)


@view(SensorRecord, "A sensor in a page.")
class SensorEdge:
    """A sensor in a page; its row is the sensor."""

    cursor: str = field("The cursor of the sensor.", format_source_place)
    node: Sensor = field("The sensor.", lambda record: record)


def _page_info(page: SourcePage) -> PageInfo:
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


@view(SensorPage, "A page of sensors.")
class SensorConnection:
    """A page of sensors."""

    edges: list[SensorEdge] = field(
        "The sensors of the page with their cursors.", lambda page: page.records
    )
    nodes: list[Sensor] = field("The sensors of the page.", lambda page: page.records)
    page_info: PageInfo = field("Where the page lies.", _page_info)
    total_count: int = field("The number of matching sensors.", lambda page: page.total)


async def _page_of(
    page_type: type[P],
    info: ApiInfo,
    read: Callable[[], Sequence[TickSourceRecord]],
    source_type: TickSourceType,
    wanted: TickSourceFilter | None,
    first: int | None,
    after: str | None,
) -> P:
    """A page of schedules or sensors, which come by place."""
    limit = check_limit("first", DEFAULT_SOURCES if first is None else first, MAX_SOURCES)
    is_wanted = (wanted or TickSourceFilter()).matches
    records = await info.context.lanes.read(read)
    matching = [record for record in records if is_wanted(record)]
    left = matching
    if after is not None:
        place = parse_source_place(after, source_type)
        left = [record for record in matching if source_place(record) > place]
    has_previous = len(left) < len(matching)
    return page_type(left[:limit], len(matching), len(left) > limit, has_previous)


async def _schedule(
    info: ApiInfo,
    selector: Annotated[ScheduleSelector, strawberry.argument(description="Which schedule.")],
) -> ScheduleRecord | None:
    try:
        return await info.context.lanes.read(sources_of(info.context).find, selector.to_selector())
    except ScheduleNotFoundError:
        return None


async def _sensor(
    info: ApiInfo,
    selector: Annotated[SensorSelector, strawberry.argument(description="Which sensor.")],
) -> SensorRecord | None:
    try:
        return await info.context.lanes.read(sources_of(info.context).find, selector.to_selector())
    except SensorNotFoundError:
        return None


async def _schedules(
    info: ApiInfo,
    filter: Annotated[
        TickSourceFilter | None,
        strawberry.argument(description="Which schedules; all when left out."),
    ] = UNSET,
    first: Annotated[
        int | None, strawberry.argument(description="How many schedules.")
    ] = DEFAULT_SOURCES,
    after: Annotated[
        str | None,
        strawberry.argument(description="The cursor of the schedule before the first one wanted."),
    ] = UNSET,
) -> SchedulePage:
    read, wanted = sources_of(info.context).list_schedules, given(filter)
    return await _page_of(
        SchedulePage, info, read, TickSourceType.SCHEDULE, wanted, first, given(after)
    )


async def _sensors(
    info: ApiInfo,
    filter: Annotated[
        TickSourceFilter | None,
        strawberry.argument(description="Which sensors; all when left out."),
    ] = UNSET,
    first: Annotated[
        int | None, strawberry.argument(description="How many sensors.")
    ] = DEFAULT_SOURCES,
    after: Annotated[
        str | None,
        strawberry.argument(description="The cursor of the sensor before the first one wanted."),
    ] = UNSET,
) -> SensorPage:
    read, wanted = sources_of(info.context).list_sensors, given(filter)
    return await _page_of(
        SensorPage, info, read, TickSourceType.SENSOR, wanted, first, given(after)
    )


@strawberry.type
class TickQueries:
    """Queries of schedules and sensors."""

    schedule: Schedule | None = resolved(
        _schedule,
        "Finds a schedule; null when there is none. An ambiguous name is refused with INVALID_ARGUMENT.",
        type=Schedule | None,
    )
    schedules: ScheduleConnection = resolved(
        _schedules, "The schedules of the workspace, by name.", type=ScheduleConnection
    )
    sensor: Sensor | None = resolved(
        _sensor,
        "Finds a sensor; null when there is none. An ambiguous name is refused with INVALID_ARGUMENT.",
        type=Sensor | None,
    )
    sensors: SensorConnection = resolved(
        _sensors, "The sensors of the workspace, by name.", type=SensorConnection
    )
