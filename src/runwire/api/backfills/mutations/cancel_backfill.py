"""`cancelBackfill`: has a backfill end."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import strawberry
from strawberry import ID

from runwire.api.access import Forbidden
from runwire.api.backfills.errors import BackfillNotFound, BackfillStateConflict
from runwire.api.backfills.types import Backfill
from runwire.api.context import ApiInfo
from runwire.api.rows import result
from runwire.events.entry import storable_text
from runwire.storage import Backfill as BackfillRow


@strawberry.input(description="Which backfill to end, and how.")
class CancelBackfillInput:
    """Which backfill to end, and how."""

    backfill_id: ID = strawberry.field(description="The id of the backfill.")
    terminate_runs: bool = strawberry.field(
        description="Whether its runs in progress are terminated as well; those that wait always are.",
        default=False,
    )


@result("The backfill is being ended: no run of it is made any more.")
class CancelBackfillSuccess:
    """The backfill is being ended."""

    backfill: BackfillRow = strawberry.field(
        description="The backfill, in CANCELING.", graphql_type=Backfill
    )


CancelBackfillResult = Annotated[
    CancelBackfillSuccess | BackfillNotFound | BackfillStateConflict | Forbidden,
    strawberry.union("CancelBackfillResult", description="How `cancelBackfill` ended."),
]


async def cancel_backfill(
    info: ApiInfo,
    input: Annotated[CancelBackfillInput, strawberry.argument(description="Which backfill.")],
) -> CancelBackfillSuccess:
    """Has a backfill end."""
    context = info.context
    cancel = partial(context.instance.cancel_backfill, terminate_runs=input.terminate_runs)
    backfill = await context.lanes.call(cancel, storable_text(input.backfill_id))
    return CancelBackfillSuccess(backfill=backfill)
