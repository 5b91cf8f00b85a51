"""`resumeBackfill`: submits again what did not succeed."""

from __future__ import annotations

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


@strawberry.input(description="Which backfill to resume.")
class ResumeBackfillInput:
    """Which backfill to resume."""

    backfill_id: ID = strawberry.field(description="The id of the backfill, which has ended.")


@result("The backfill goes on.")
class ResumeBackfillSuccess:
    """The backfill goes on."""

    backfill: BackfillRow = strawberry.field(
        description="The backfill, in REQUESTED.", graphql_type=Backfill
    )


ResumeBackfillResult = Annotated[
    ResumeBackfillSuccess | BackfillNotFound | BackfillStateConflict | Forbidden,
    strawberry.union("ResumeBackfillResult", description="How `resumeBackfill` ended."),
]


async def resume_backfill(
    info: ApiInfo,
    input: Annotated[ResumeBackfillInput, strawberry.argument(description="Which backfill.")],
) -> ResumeBackfillSuccess:
    """Submits again the partitions whose last run of a backfill did not succeed."""
    context = info.context
    backfill = await context.lanes.call(
        context.instance.resume_backfill, storable_text(input.backfill_id)
    )
    return ResumeBackfillSuccess(backfill=backfill)
