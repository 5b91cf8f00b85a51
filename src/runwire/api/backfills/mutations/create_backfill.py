"""`createBackfill`: asks for runs of many partitions."""

from __future__ import annotations

from typing import Annotated

import strawberry

from runwire.api.access import Forbidden
from runwire.api.backfills.errors import BackfillAlreadyExists
from runwire.api.backfills.inputs import CreateBackfillInput
from runwire.api.backfills.types import Backfill
from runwire.api.context import ApiInfo
from runwire.api.locations.errors import CodeLocationUnavailable, JobAmbiguous, JobNotFound
from runwire.api.partitions.errors import JobNotPartitioned, PartitionNotFound
from runwire.api.rows import result
from runwire.api.user_errors import InputInvalid, input_at
from runwire.storage import Backfill as BackfillRow


@result("The backfill is made; the daemon BACKFILLS works on it.")
class CreateBackfillSuccess:
    """The backfill is made."""

    backfill: BackfillRow = strawberry.field(description="The backfill.", graphql_type=Backfill)
    created: bool = strawberry.field(
        description="Whether this call made it; false when its idempotency key had it already."
    )


CreateBackfillResult = Annotated[
    CreateBackfillSuccess
    | JobNotFound
    | JobAmbiguous
    | CodeLocationUnavailable
    | JobNotPartitioned
    | PartitionNotFound
    | BackfillAlreadyExists
    | InputInvalid
    | Forbidden,
    strawberry.union("CreateBackfillResult", description="How `createBackfill` ended."),
]


async def create_backfill(
    info: ApiInfo,
    input: Annotated[CreateBackfillInput, strawberry.argument(description="What to make.")],
) -> CreateBackfillSuccess:
    """Asks for runs of many partitions."""
    context = info.context
    with input_at("input"):
        wanted = input.to_new_backfill(requested_by=context.viewer.name)
        backfill, created = await context.lanes.call(
            context.instance.create_backfill, wanted, context.workspace
        )
    return CreateBackfillSuccess(backfill=backfill, created=created)
