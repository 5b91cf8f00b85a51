"""`eventRecords`: the live events of all runs that the instance-wide log has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import strawberry
from strawberry import UNSET

from runwire.api.access import Forbidden
from runwire.api.context import ApiContext, ApiInfo
from runwire.api.events.errors import CursorExpired, CursorInvalid
from runwire.api.events.inputs import EventRecordsFilter
from runwire.api.events.types import EventRecord, EventRow, row_of
from runwire.api.rows import given, result
from runwire.api.scalars import Long
from runwire.api.streams import StreamBatch, covering, instance_cursor, instance_position
from runwire.api.user_errors import InputInvalid
from runwire.errors import CursorExpiredError, CursorInvalidError, InputInvalidError
from runwire.feed import Coverage, InstanceTailBatch, Wanted
from runwire.storage import InstanceEventKind


@result("Some event records of all runs.")
class EventRecordBatch(StreamBatch):
    """Some event records of all runs."""

    records: list[EventRow] = strawberry.field(
        description="The event records that match the filter, in commit order; empty when only the cursors move.",
        graphql_type=list[EventRecord],
    )
    from_position: Long = strawberry.field(
        description="The instance-wide position before the first one that the batch covers: the last one of the"
        " batch before it, filtered or not."
    )
    to_position: Long = strawberry.field(
        description="The last instance-wide position that the batch covers, filtered or not."
    )
    end_cursor: str = strawberry.field(description="The cursor of `toPosition`.")
    head_cursor: str = strawberry.field(
        description="The cursor of the newest position that existed when the batch was made."
    )
    caught_up: bool = strawberry.field(
        description="Whether the batch reaches the head, so that history is done and what follows is live."
    )


EventRecordsPayload = Annotated[
    EventRecordBatch | CursorInvalid | CursorExpired | InputInvalid | Forbidden,
    strawberry.union("EventRecordsPayload", description="A message of `eventRecords`."),
]


async def event_records(
    info: ApiInfo,
    filter: Annotated[
        EventRecordsFilter, strawberry.argument(description="Which event records are sent.")
    ],
    after: Annotated[
        str | None,
        strawberry.argument(
            description="The cursor after which to start, from the instance-wide feed; from the first event when"
            ' left out, `"HEAD"` for new ones only.'
        ),
    ] = UNSET,
) -> AsyncGenerator[EventRecordBatch | CursorInvalid | CursorExpired | InputInvalid, None]:
    """Follows the events of all runs; a refusal is the last message."""
    context = info.context
    try:
        wanted = Wanted(frozenset({InstanceEventKind.EVENT}), filter.to_filter())
        position = await instance_position(context, given(after))
        async with aclosing(_batches(context, position, wanted)) as batches:
            async for batch in batches:
                yield batch
    except InputInvalidError as error:
        yield InputInvalid.of(error)
    except CursorInvalidError as error:
        yield CursorInvalid.of(error)
    except CursorExpiredError as error:
        yield CursorExpired.of(error)


async def _batches(
    context: ApiContext, position: int, wanted: Wanted
) -> AsyncGenerator[EventRecordBatch, None]:
    feed, loop = context.instance_feed, asyncio.get_running_loop()
    coverage = Coverage(position, feed.checkpoint_seconds)
    async with aclosing(feed.follow_log(position, wanted)) as batches:
        async for batch in batches:
            # What was loaded for a batch is old by the next one.
            context.renew()
            start = coverage.extend(batch, is_empty=not batch.entries, now=loop.time())
            if start is not None:
                yield covering(context, _message(batch, start), batch.to_position)


def _message(batch: InstanceTailBatch, start: int) -> EventRecordBatch:
    return EventRecordBatch(
        records=[
            row_of(entry, entry.event, batch.runs.get(entry.run_id))
            for entry in batch.entries
            if entry.event is not None
        ],
        from_position=Long(start),
        to_position=Long(batch.to_position),
        end_cursor=instance_cursor(batch.log_id, batch.to_position),
        head_cursor=instance_cursor(batch.log_id, batch.head_position),
        caught_up=batch.caught_up,
    )
