"""The events of one asset."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import UNSET

from runwire.api.context import ApiInfo
from runwire.api.events.enums import EventType
from runwire.api.events.pages import DEFAULT_EVENTS, read_instance_page
from runwire.api.events.types import EventPage
from runwire.api.paging import Window
from runwire.api.rows import given
from runwire.api.user_errors import check_texts
from runwire.errors import InputInvalidError
from runwire.events.filters import EventRecordsFilter
from runwire.events.types import ASSET_EVENTS
from runwire.storage import MAX_PAGE, AssetRecord


async def asset_events(
    root: strawberry.Parent[AssetRecord],
    info: ApiInfo,
    event_types: Annotated[
        list[EventType] | None,
        strawberry.argument(
            description="Only events of these asset types; all of them when left out."
        ),
    ] = UNSET,
    partitions: Annotated[
        list[str] | None, strawberry.argument(description="Only events of these partitions.")
    ] = UNSET,
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
    """A page of the events of an asset that come after its wipe, if it was wiped."""
    window = Window.of(
        given(first),
        given(after),
        given(last),
        given(before),
        default=DEFAULT_EVENTS,
        maximum=MAX_PAGE,
    )
    types, wanted = given(event_types), given(partitions)
    its_own = EventRecordsFilter(
        event_types=ASSET_EVENTS if types is None else frozenset(map(_check_type, types)),
        asset_keys=frozenset([root.asset_key]),
        partitions=None if wanted is None else check_texts(wanted, ("partitions",)),
    )
    context = info.context
    return await context.lanes.read(
        read_instance_page, context.instance.storage, its_own, window, root.wiped_position
    )


def _check_type(event_type: EventType) -> EventType:
    if event_type not in ASSET_EVENTS:
        names = ", ".join(sorted(known.value for known in ASSET_EVENTS))
        raise InputInvalidError(
            f"{event_type.value} is no event of an asset; give {names}", ["eventTypes"]
        )
    return event_type
