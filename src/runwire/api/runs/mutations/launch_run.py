"""`launchRun`: hands a run to the run launcher, past the queue."""

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
from runwire.api.runs.errors import (
    LaunchFailed,
    RunAlreadyExists,
    RunNotFound,
    RunStateConflict,
    StepNotFound,
)
from runwire.api.runs.handover import hand_over
from runwire.api.runs.inputs import RunTarget
from runwire.api.runs.types import Run
from runwire.api.user_errors import InputInvalid
from runwire.runs.run import RunRecord


@strawberry.input(description="What to launch.")
class LaunchRunInput:
    """What to launch."""

    target: RunTarget = strawberry.field(
        description="The run, in NOT_STARTED or QUEUED if it exists."
    )


@result("The run is with the run launcher.")
class LaunchRunSuccess:
    """The run is with the run launcher."""

    run: RunRecord = strawberry.field(description="The run.", graphql_type=Run)
    created: bool = strawberry.field(
        description="Whether this call made it; false for a run that existed."
    )


LaunchRunResult = Annotated[
    LaunchRunSuccess
    | RunNotFound
    | JobNotFound
    | JobAmbiguous
    | CodeLocationUnavailable
    | RunConfigInvalid
    | StepNotFound
    | JobNotPartitioned
    | PartitionNotFound
    | PartitionConfigFailed
    | RunAlreadyExists
    | RunStateConflict
    | LaunchFailed
    | InputInvalid
    | Forbidden,
    strawberry.union("LaunchRunResult", description="How `launchRun` ended."),
]


async def launch_run(
    info: ApiInfo,
    input: Annotated[LaunchRunInput, strawberry.argument(description="What to launch.")],
) -> LaunchRunSuccess:
    """Hands a run to the run launcher."""
    context = info.context
    done = await context.lanes.call(hand_over, context, input.target, context.instance.launch_run)
    return LaunchRunSuccess(run=done.run, created=done.created)
