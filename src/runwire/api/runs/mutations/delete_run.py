"""`deleteRun`: deletes a run with all that it left."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import ID

from runwire.api.access import Forbidden
from runwire.api.context import ApiInfo
from runwire.api.nodes import global_id
from runwire.api.rows import result
from runwire.api.runs.errors import RunNotFound, RunStateConflict
from runwire.events.entry import storable_text


@strawberry.input(description="What to delete.")
class DeleteRunInput:
    """What to delete."""

    run_id: ID = strawberry.field(description="The id of the run.")
    force: bool = strawberry.field(
        description="Whether to delete it although it has not ended; its worker is killed.",
        default=False,
    )


@result("The run is deleted.")
class DeleteRunSuccess:
    """The run is deleted."""

    run_id: ID = strawberry.field(description="The id that the run had.")
    deleted_id: ID = strawberry.field(
        description="The global id that the run had, for client caches."
    )


DeleteRunResult = Annotated[
    DeleteRunSuccess | RunNotFound | RunStateConflict | Forbidden,
    strawberry.union("DeleteRunResult", description="How `deleteRun` ended."),
]


async def delete_run(
    info: ApiInfo,
    input: Annotated[DeleteRunInput, strawberry.argument(description="What to delete.")],
) -> DeleteRunSuccess:
    """Deletes a run."""
    context = info.context
    record = await context.lanes.call(
        context.instance.delete_run,
        storable_text(input.run_id),
        context.workspace,
        force=input.force,
    )
    return DeleteRunSuccess(run_id=ID(record.run_id), deleted_id=global_id("Run", record.run_id))
