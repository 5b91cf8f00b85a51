"""`terminateRun`: stops a run that has not ended."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import ID

from runwire.api.access import Forbidden
from runwire.api.context import ApiInfo
from runwire.api.rows import result
from runwire.api.runs.enums import TerminatePolicy
from runwire.api.runs.errors import RunNotFound, RunStateConflict, TerminateFailed
from runwire.api.runs.types import Run
from runwire.events.entry import storable_text
from runwire.runs.run import RunRecord


@strawberry.input(description="What to stop.")
class TerminateRunInput:
    """What to stop."""

    run_id: ID = strawberry.field(description="The id of the run.")
    policy: TerminatePolicy = strawberry.field(
        description="How to stop it.", default=TerminatePolicy.SAFE_TERMINATE
    )


@result("The run is CANCELED, or CANCELING until its worker is gone.")
class TerminateRunSuccess:
    """The run is CANCELED, or CANCELING until its worker is gone."""

    run: RunRecord = strawberry.field(description="The run.", graphql_type=Run)


TerminateRunResult = Annotated[
    TerminateRunSuccess | RunNotFound | RunStateConflict | TerminateFailed | Forbidden,
    strawberry.union("TerminateRunResult", description="How `terminateRun` ended."),
]


async def terminate_run(
    info: ApiInfo,
    input: Annotated[TerminateRunInput, strawberry.argument(description="What to stop.")],
) -> TerminateRunSuccess:
    """Stops a run."""
    context = info.context
    record = await context.lanes.call(
        context.instance.terminate_run,
        storable_text(input.run_id),
        context.workspace,
        input.policy,
    )
    return TerminateRunSuccess(run=record)
