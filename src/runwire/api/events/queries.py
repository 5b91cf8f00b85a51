"""Queries of events across runs."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import UNSET

from runwire.api.context import ApiInfo
from runwire.api.events.inputs import EventRecordsFilter
from runwire.api.events.pages import DEFAULT_EVENTS, read_instance_page
from runwire.api.events.types import EventPage, EventRecordConnection
from runwire.api.paging import Window
from runwire.api.rows import given, resolved
from runwire.storage import MAX_PAGE


async def _event_records(
    info: ApiInfo,
    filter: Annotated[EventRecordsFilter, strawberry.argument(description="Which event records.")],
    first: Annotated[
        int | None, strawberry.argument(description="How many records from the start.")
    ] = UNSET,
    after: Annotated[
        str | None,
        strawberry.argument(description="The cursor of the record before the first one wanted."),
    ] = UNSET,
    last: Annotated[
        int | None, strawberry.argument(description="How many records from the end.")
    ] = UNSET,
    before: Annotated[
        str | None,
        strawberry.argument(description="The cursor of the record after the last one wanted."),
    ] = UNSET,
) -> EventPage:
    window = Window.of(
        given(first),
        given(after),
        given(last),
        given(before),
        default=DEFAULT_EVENTS,
        maximum=MAX_PAGE,
    )
    context = info.context
    return await context.lanes.read(
        read_instance_page, context.instance.storage, filter.to_filter(), window
    )


@strawberry.type
class EventQueries:
    """Queries of events across runs."""

    event_records: EventRecordConnection = resolved(
        _event_records,
        "Event records of all runs, oldest first, of the types that carry an instance-wide position: the events of"
        " runs themselves, STEP_FAILURE and asset events.",
        type=EventRecordConnection,
    )
