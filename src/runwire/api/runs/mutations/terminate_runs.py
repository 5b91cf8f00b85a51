"""`terminateRuns`: stops the runs that match a filter."""

from __future__ import annotations

from typing import Annotated

import strawberry

from runwire import control
from runwire.api.access import Forbidden
from runwire.api.context import ApiInfo
from runwire.api.rows import result
from runwire.api.runs.bulk import DEFAULT_BULK_RUNS, BulkFailure, in_chunks, tell_failures
from runwire.api.runs.enums import TerminatePolicy
from runwire.api.runs.inputs import RunsFilter
from runwire.api.runs.types import Run
from runwire.api.user_errors import InputInvalid, input_at
from runwire.errors import RunNotFoundError, RunStateConflictError
from runwire.runs.run import RunRecord

_NOTHING_LEFT_TO_STOP = (RunNotFoundError, RunStateConflictError)


@strawberry.input(description="Which runs to stop.")
class TerminateRunsInput:
    """Which runs to stop."""

    filter: RunsFilter = strawberry.field(
        description="Which runs; those that ended are passed over, and with SAFE_TERMINATE those in CANCELING,"
        " which were asked already. An empty filter is refused."
    )
    policy: TerminatePolicy = strawberry.field(
        description="How to stop them.", default=TerminatePolicy.SAFE_TERMINATE
    )
    dry_run: bool = strawberry.field(
        description="Whether only to tell which runs it would be.", default=False
    )
    limit: int = strawberry.field(
        description="How many runs at most in this call, oldest first; at most 10,000.",
        default=DEFAULT_BULK_RUNS,
    )


@result("The runs are dealt with, or told of on a dry run.")
class TerminateRunsSuccess:
    """The runs are dealt with, or told of on a dry run."""

    dry_run: bool = strawberry.field(description="Whether nothing was changed.")
    runs: list[RunRecord] = strawberry.field(
        description="The runs that are stopped, or would be.", graphql_type=list[Run]
    )
    failures: list[BulkFailure] = strawberry.field(
        description="The runs that could not be stopped."
    )
    remaining_count: int = strawberry.field(
        description="The number of runs that match and were left for the next call."
    )


TerminateRunsResult = Annotated[
    TerminateRunsSuccess | InputInvalid | Forbidden,
    strawberry.union("TerminateRunsResult", description="How `terminateRuns` ended."),
]


async def terminate_runs(
    info: ApiInfo,
    input: Annotated[TerminateRunsInput, strawberry.argument(description="What to stop.")],
) -> TerminateRunsSuccess:
    """Stops runs."""
    context = info.context
    with input_at("input"):
        selected = await context.lanes.read(
            control.select_to_terminate,
            context.run_storage,
            input.filter.to_filter(),
            input.policy,
            input.limit,
        )
    if input.dry_run:
        return TerminateRunsSuccess(
            dry_run=True,
            runs=selected.records,
            failures=[],
            remaining_count=selected.remaining_count,
        )

    def terminate(record: RunRecord) -> RunRecord:
        return context.instance.terminate_run(
            record.run_id, context.workspace, input.policy, known=record
        )

    outcome = await in_chunks(
        selected.records,
        lambda chunk: context.lanes.call(
            control.for_each, chunk, terminate, passed_over=_NOTHING_LEFT_TO_STOP
        ),
    )
    return TerminateRunsSuccess(
        dry_run=False,
        runs=outcome.records,
        failures=await tell_failures(outcome.failures, context),
        remaining_count=selected.remaining_count,
    )
