"""`deleteRuns`: deletes the runs that match a filter, with all that they left."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import ID

from runwire import control
from runwire.api.access import Forbidden
from runwire.api.context import ApiInfo
from runwire.api.nodes import global_id
from runwire.api.rows import result
from runwire.api.runs.bulk import DEFAULT_BULK_RUNS, BulkFailure, in_chunks, tell_failures
from runwire.api.runs.inputs import RunsFilter
from runwire.api.user_errors import InputInvalid, input_at
from runwire.runs.run import RunRecord


@strawberry.input(description="Which runs to delete.")
class DeleteRunsInput:
    """Which runs to delete."""

    filter: RunsFilter = strawberry.field(
        description="Which runs; those that have not ended fail. An empty filter is refused."
    )
    dry_run: bool = strawberry.field(
        description="Whether only to tell which runs it would be.", default=False
    )
    limit: int = strawberry.field(
        description="How many runs at most in this call, oldest first, those that can be deleted before those"
        " that fail; at most 10,000.",
        default=DEFAULT_BULK_RUNS,
    )


@result("The runs are dealt with, or told of on a dry run.")
class DeleteRunsSuccess:
    """The runs are dealt with, or told of on a dry run."""

    dry_run: bool = strawberry.field(description="Whether nothing was changed.")
    run_ids: list[ID] = strawberry.field(
        description="The ids of the runs that are deleted, or would be."
    )
    deleted_ids: list[ID] = strawberry.field(
        description="Their global ids, for client caches; empty on a dry run."
    )
    failures: list[BulkFailure] = strawberry.field(
        description="The runs that could not be deleted, or could not be now."
    )
    remaining_count: int = strawberry.field(
        description="The number of runs that match and were left for the next call."
    )


DeleteRunsResult = Annotated[
    DeleteRunsSuccess | InputInvalid | Forbidden,
    strawberry.union("DeleteRunsResult", description="How `deleteRuns` ended."),
]


async def delete_runs(
    info: ApiInfo,
    input: Annotated[DeleteRunsInput, strawberry.argument(description="What to delete.")],
) -> DeleteRunsSuccess:
    """Deletes runs."""
    context = info.context
    with input_at("input"):
        selected = await context.lanes.read(
            control.select_to_delete,
            context.run_storage,
            input.filter.to_filter(),
            input.limit,
        )
    if input.dry_run:
        outcome = control.would_delete(selected.records)
    else:

        def delete(record: RunRecord) -> RunRecord:
            return context.instance.delete_run(record.run_id, context.workspace)

        outcome = await in_chunks(
            selected.records,
            lambda chunk: context.lanes.call(control.for_each, chunk, delete),
        )
    run_ids = [record.run_id for record in outcome.records]
    return DeleteRunsSuccess(
        dry_run=input.dry_run,
        run_ids=[ID(run_id) for run_id in run_ids],
        deleted_ids=[] if input.dry_run else [global_id("Run", run_id) for run_id in run_ids],
        failures=await tell_failures(outcome.failures, context),
        remaining_count=selected.remaining_count,
    )
