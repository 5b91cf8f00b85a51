"""`resumeRun`: gives a run whose worker died a new one."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import ID, UNSET

from runwire.api.access import Forbidden
from runwire.api.context import ApiInfo
from runwire.api.locations.errors import CodeLocationUnavailable, JobNotFound
from runwire.api.rows import given, result
from runwire.api.runs.errors import LaunchFailed, RunNotFound, RunStateConflict
from runwire.api.runs.types import Run
from runwire.events.entry import storable_text
from runwire.runs.run import RunRecord


@strawberry.input(description="What to resume.")
class ResumeRunInput:
    """What to resume."""

    run_id: ID = strawberry.field(
        description="The id of the run, in STARTING, STARTED or CANCELING."
    )
    attempt_number: int | None = strawberry.field(
        description="The number that this attempt must have, 1 for the first; another is refused. The next one"
        " when left out.",
        default=UNSET,
    )


@result("The run has a new worker.")
class ResumeRunSuccess:
    """The run has a new worker."""

    run: RunRecord = strawberry.field(description="The run.", graphql_type=Run)


ResumeRunResult = Annotated[
    ResumeRunSuccess
    | RunNotFound
    | RunStateConflict
    | JobNotFound
    | CodeLocationUnavailable
    | LaunchFailed
    | Forbidden,
    strawberry.union("ResumeRunResult", description="How `resumeRun` ended."),
]


async def resume_run(
    info: ApiInfo,
    input: Annotated[ResumeRunInput, strawberry.argument(description="What to resume.")],
) -> ResumeRunSuccess:
    """Resumes a run."""
    context = info.context
    run_id, attempt_number = storable_text(input.run_id), given(input.attempt_number)
    record = await context.lanes.call(
        context.instance.resume_run, run_id, context.workspace, attempt_number
    )
    return ResumeRunSuccess(run=record)
