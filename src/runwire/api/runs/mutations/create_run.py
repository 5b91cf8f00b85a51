"""`createRun`: makes a run."""

from __future__ import annotations

from typing import Annotated

import strawberry

from runwire.api.access import Forbidden
from runwire.api.context import ApiInfo
from runwire.api.locations.errors import (
    CodeLocationUnavailable,
    JobAmbiguous,
    JobNotFound,
    RunConfigInvalid,
)
from runwire.api.partitions.errors import (
    JobNotPartitioned,
    PartitionConfigFailed,
    PartitionNotFound,
)
from runwire.api.rows import result
from runwire.api.runs.errors import RunAlreadyExists, StepNotFound
from runwire.api.runs.inputs import NewRunInput
from runwire.api.runs.types import Run
from runwire.api.user_errors import InputInvalid, input_at
from runwire.runs.run import RunRecord


@strawberry.input(description="What to make.")
class CreateRunInput:
    """What to make."""

    new_run: NewRunInput = strawberry.field(description="The run.")
    managed: bool = strawberry.field(
        description="Whether an external system runs it and reports its events; its job need not be loaded"
        " then.",
        default=False,
    )


@result("The run is made.")
class CreateRunSuccess:
    """The run is made."""

    run: RunRecord = strawberry.field(description="The run.", graphql_type=Run)
    created: bool = strawberry.field(
        description="Whether this call made it; false when its idempotency key had it already."
    )


CreateRunResult = Annotated[
    CreateRunSuccess
    | JobNotFound
    | JobAmbiguous
    | CodeLocationUnavailable
    | RunConfigInvalid
    | StepNotFound
    | JobNotPartitioned
    | PartitionNotFound
    | PartitionConfigFailed
    | RunAlreadyExists
    | InputInvalid
    | Forbidden,
    strawberry.union("CreateRunResult", description="How `createRun` ended."),
]


async def create_run(
    info: ApiInfo,
    input: Annotated[CreateRunInput, strawberry.argument(description="What to make.")],
) -> CreateRunSuccess:
    """Makes a run."""
    context = info.context
    with input_at("input", "newRun"):
        new_run = input.new_run.to_new_run(requested_by=context.viewer.name, managed=input.managed)
        record, created = await context.lanes.call(
            context.instance.create_run, new_run, context.workspace
        )
    return CreateRunSuccess(run=record, created=created)
