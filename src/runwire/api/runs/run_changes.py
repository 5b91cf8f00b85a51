"""`runs`: the runs that match a filter, live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import strawberry
from strawberry import ID, UNSET

from runwire.api.access import Forbidden
from runwire.api.changes import ChangeType
from runwire.api.context import ApiContext, ApiInfo
from runwire.api.events.errors import CursorExpired, CursorInvalid
from runwire.api.events.types import EventRecord, EventRow, row_of
from runwire.api.nodes import global_id
from runwire.api.rows import field, given, result, view
from runwire.api.runs.inputs import RunsFilter
from runwire.api.runs.types import Run
from runwire.api.scalars import Long
from runwire.api.streams import StreamBatch, covering, instance_cursor, instance_position
from runwire.api.user_errors import InputInvalid
from runwire.errors import CursorExpiredError, CursorInvalidError, InputInvalidError
from runwire.feed import CHANGES_OF_RUNS, Coverage, InstanceTailBatch, RunChanges
from runwire.feed import RunChange as ChangeRow


def _deleted_id(change: ChangeRow) -> ID | None:
    return global_id("Run", change.run_id) if change.type is ChangeType.DELETED else None


def _record(change: ChangeRow) -> EventRow | None:
    event = change.entry.event
    return None if event is None else row_of(change.entry, event, change.run)


@view(ChangeRow, "A change of a run.")
class RunChange:
    """A change of a run."""

    type: ChangeType = field("What happened to the run.")
    run_id: ID = field("The id of the run.")
    run: Run | None = field("The run as it is now; null when it is deleted.")
    deleted_id: ID | None = field(
        "The global id that the run had, for client caches; null unless DELETED.", _deleted_id
    )
    matches_filter: bool = field(
        "Whether the run matches the filter now; sent once as false when it ceases to, or may have.",
        lambda change: change.matches,
    )
    record: EventRecord | None = field(
        "The event that changed its status; null when something else changed.", _record
    )


@result("Some changes of runs.")
class RunChangeBatch(StreamBatch):
    """Some changes of runs."""

    changes: list[ChangeRow] = strawberry.field(
        description="The changes, in commit order; empty when only the cursors move.",
        graphql_type=list[RunChange],
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

    @classmethod
    def of(cls, batch: InstanceTailBatch, changes: list[ChangeRow], start: int) -> RunChangeBatch:
        """The message that covers a batch of the feed, and those before it from a position on."""
        return cls(
            changes=changes,
            from_position=Long(start),
            to_position=Long(batch.to_position),
            end_cursor=instance_cursor(batch.log_id, batch.to_position),
            head_cursor=instance_cursor(batch.log_id, batch.head_position),
            caught_up=batch.caught_up,
        )


RunsPayload = Annotated[
    RunChangeBatch | CursorInvalid | CursorExpired | InputInvalid | Forbidden,
    strawberry.union("RunsPayload", description="A message of `runs`."),
]


async def runs(
    info: ApiInfo,
    filter: Annotated[
        RunsFilter | None, strawberry.argument(description="Which runs; all when left out.")
    ] = UNSET,
    after: Annotated[
        str | None,
        strawberry.argument(
            description="The cursor after which to start, from the instance-wide feed; from the first change when"
            ' left out, `"HEAD"` for new ones only.'
        ),
    ] = UNSET,
) -> AsyncGenerator[RunChangeBatch | CursorInvalid | CursorExpired | InputInvalid, None]:
    """Follows the runs that match a filter; a refusal is the last message."""
    context, wanted = info.context, given(filter)
    try:
        changes = RunChanges(None if wanted is None else wanted.to_filter())
        position = await instance_position(context, given(after))
        async with aclosing(_batches(context, position, changes)) as batches:
            async for batch in batches:
                yield batch
    except InputInvalidError as error:
        yield InputInvalid.of(error)
    except CursorInvalidError as error:
        yield CursorInvalid.of(error)
    except CursorExpiredError as error:
        yield CursorExpired.of(error)


async def _batches(
    context: ApiContext, position: int, changes: RunChanges
) -> AsyncGenerator[RunChangeBatch, None]:
    feed, loop = context.instance_feed, asyncio.get_running_loop()
    coverage = Coverage(position, feed.checkpoint_seconds)
    async with aclosing(feed.follow_log(position, CHANGES_OF_RUNS)) as batches:
        async for batch in batches:
            # What was loaded for a batch is old by the next one.
            context.renew()
            found = changes.of(batch)
            start = coverage.extend(batch, is_empty=not found, now=loop.time())
            if start is not None:
                yield covering(context, RunChangeBatch.of(batch, found, start), batch.to_position)
