"""`runEvents`: the live event log of one run."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import strawberry
from strawberry import ID, UNSET

from runwire.api.access import Forbidden
from runwire.api.context import ApiContext, ApiInfo
from runwire.api.events.errors import CursorExpired, CursorInvalid
from runwire.api.events.inputs import EventFilter
from runwire.api.events.types import EventRecord, EventRow, cursor_at
from runwire.api.rows import given, result
from runwire.api.runs.errors import RunNotFound
from runwire.api.runs.running_counts import RunningCounts
from runwire.api.runs.types import Run
from runwire.api.selections import selects
from runwire.api.streams import StreamBatch, covering
from runwire.errors import CursorExpiredError, CursorInvalidError, RunNotFoundError
from runwire.events.cursor import HEAD, Cursor, CursorScope
from runwire.events.entry import storable_text
from runwire.events.filters import EventFilter as EventFilterRow
from runwire.feed import RunTailBatch
from runwire.runs.run import RunRecord


@result("Some event records of a run, and the run as it is after them.")
class RunEventBatch(StreamBatch):
    """Some event records of a run, and the run as it is after them."""

    records: list[EventRow] = strawberry.field(
        description="The event records that match the filter, in order; empty when only the cursors move.",
        graphql_type=list[EventRecord],
    )
    from_position: int = strawberry.field(
        description="The position before the first one that the batch covers: the last one of the batch before"
        " it, filtered or not."
    )
    to_position: int = strawberry.field(
        description="The last position that the batch covers, filtered or not."
    )
    end_cursor: str = strawberry.field(description="The cursor of `toPosition`.")
    head_cursor: str = strawberry.field(
        description="The cursor of the newest position that existed when the batch was made."
    )
    caught_up: bool = strawberry.field(
        description="Whether the batch reaches the head, so that history is done and what follows is live."
    )
    run: RunRecord = strawberry.field(description="The run.", graphql_type=Run)

    @classmethod
    def of(cls, batch: RunTailBatch, wanted: EventFilterRow | None) -> RunEventBatch:
        """A batch of the feed, filtered."""
        run = batch.run
        return cls(
            records=[
                EventRow(record, run)
                for record in batch.records
                if wanted is None or wanted.matches(record)
            ],
            from_position=batch.from_position,
            to_position=batch.to_position,
            end_cursor=cursor_at(run, batch.to_position),
            head_cursor=cursor_at(run, batch.head_position),
            caught_up=batch.caught_up,
            run=run,
        )


RunEventsPayload = Annotated[
    RunEventBatch | RunNotFound | CursorInvalid | CursorExpired | Forbidden,
    strawberry.union("RunEventsPayload", description="A message of `runEvents`."),
]


async def run_events(
    info: ApiInfo,
    run_id: Annotated[ID, strawberry.argument(description="The run to follow.")],
    after: Annotated[
        str | None,
        strawberry.argument(
            description="The cursor after which to start, from this run's log; from the first event when left"
            ' out, `"HEAD"` for new ones only.'
        ),
    ] = UNSET,
    filter: Annotated[
        EventFilter | None,
        strawberry.argument(description="Which event records are sent; all when left out."),
    ] = UNSET,
) -> AsyncGenerator[RunEventBatch | RunNotFound | CursorInvalid | CursorExpired, None]:
    """Follows the event log of one run; a refusal is the last message."""
    wanted, context = given(filter), info.context
    matching = None if wanted is None else wanted.to_filter()
    running = RunningCounts(context) if selects(info, "stats") else None
    try:
        record = await context.lanes.catch_up(
            context.instance.storage.get_run_record, storable_text(run_id)
        )
        position = await _position(context, record, given(after))
        if running is not None:
            await running.begin(record, position)
        async with aclosing(context.feed.follow_run(record, position)) as batches:
            async for batch in batches:
                # What was loaded for a batch is old by the next one.
                context.renew()
                if running is not None:
                    running.go_on(batch.run, batch.records)
                yield covering(context, RunEventBatch.of(batch, matching), batch.to_position)
    except RunNotFoundError as error:
        yield RunNotFound.of(error)
    except CursorInvalidError as error:
        yield CursorInvalid.of(error)
    except CursorExpiredError as error:
        yield CursorExpired.of(error)


async def _position(context: ApiContext, record: RunRecord, after: str | None) -> int:
    after = context.resume_after or after
    if after is None:
        return 0
    head = (await context.feed.head(record)).position
    if after == HEAD:
        return head
    return Cursor.position_in(after, CursorScope.RUN, record.log_id, head)
