"""What all resumable streams share."""

from __future__ import annotations

from typing import TypeVar

import strawberry

from runwire.api.context import ApiContext, Covered
from runwire.events.cursor import HEAD, Cursor, CursorScope


@strawberry.interface(
    description="A message of a resumable stream: keep `endCursor` and give it as `after` when connecting"
    " again. Cursors are opaque and belong to one scope: a run's log, a compute log, or the instance-wide feed."
)
class StreamBatch:
    """The interface of the messages of resumable streams."""

    end_cursor: str = strawberry.field(
        description="The cursor up to which the stream is covered by this message, filtered items included."
    )
    head_cursor: str = strawberry.field(
        description="The cursor of the newest item that existed when the message was made."
    )
    caught_up: bool = strawberry.field(
        description="Whether the message reaches the head, so that history is done and what follows is live."
    )


B = TypeVar("B", bound=StreamBatch)


def covering(context: ApiContext, message: B, position: int) -> B:
    """A message, having told the server how far the stream has come with it: to a position, that of its end."""
    context.covered = Covered(message.end_cursor, position, message.caught_up)
    return message


async def instance_position(context: ApiContext, after: str | None) -> int:
    """The position of the instance-wide log after which a stream starts.

    Args:
        context: that of the stream.
        after: a cursor; None for the first one that is there, `HEAD` for the newest.

    Raises:
        CursorInvalidError: it is malformed, of another log, or ahead of this one.
    """
    place, after = await context.instance_feed.place(), context.resume_after or after
    if after is None:
        return place.purged_position
    if after == HEAD:
        return place.head
    return Cursor.position_in(after, CursorScope.INSTANCE, place.log_id, place.head)


def instance_cursor(log_id: str, position: int) -> str:
    """The cursor of a position in the instance-wide log."""
    return str(Cursor(CursorScope.INSTANCE, log_id, position))
