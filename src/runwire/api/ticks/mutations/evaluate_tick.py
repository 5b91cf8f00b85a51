"""`evaluateTick`: evaluates a schedule without effect."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import strawberry
from strawberry import UNSET

from runwire.api.access import Forbidden
from runwire.api.context import ApiInfo
from runwire.api.events.metadata import ErrorInfo
from runwire.api.locations.errors import CodeLocationUnavailable
from runwire.api.rows import field, given, result, view
from runwire.api.scalars import JSON, DateTime
from runwire.api.tags import Tag, tags_of
from runwire.api.ticks.errors import ScheduleNotFound
from runwire.api.ticks.inputs import TickSourceSelector
from runwire.api.ticks.instants import check_instant
from runwire.api.user_errors import InputInvalid, input_at
from runwire.control import evaluate_tick as evaluate
from runwire.error_info import ErrorInfo as ErrorInfoRow
from runwire.ticks import RunRequest as RunRequestRow


@strawberry.input(description="What to evaluate, and as of when.")
class EvaluateTickInput:
    """What to evaluate, and as of when."""

    source: TickSourceSelector = strawberry.field(description="The schedule or sensor.")
    due_at: DateTime | None = strawberry.field(
        description="The instant that a schedule is due; now when left out.", default=UNSET
    )


@view(RunRequestRow, "A run that an evaluation asks for.")
class RunRequest:
    """A run that an evaluation asks for."""

    job_name: str = field("The name of the job.")
    run_config: JSON = field("The run config.")
    tags: list[Tag] = field("The tags of the run.", lambda request: tags_of(request.tags))


@result("The evaluation ended, by an error in user code perhaps.")
class EvaluateTickSuccess:
    """The evaluation ended, by an error in user code perhaps."""

    run_requests: list[RunRequestRow] = strawberry.field(
        description="The runs that it asks for.", graphql_type=list[RunRequest]
    )
    skip_reason: str | None = strawberry.field(
        description="Why it asks for none; null when it gave no reason."
    )
    error: ErrorInfoRow | None = strawberry.field(
        description="What user code raised; null when it raised nothing.",
        graphql_type=ErrorInfo | None,
    )


EvaluateTickResult = Annotated[
    EvaluateTickSuccess | ScheduleNotFound | CodeLocationUnavailable | InputInvalid | Forbidden,
    strawberry.union("EvaluateTickResult", description="How `evaluateTick` ended."),
]


async def evaluate_tick(
    info: ApiInfo,
    input: Annotated[
        EvaluateTickInput,
        strawberry.argument(description="What to evaluate."),
    ],
) -> EvaluateTickSuccess:
    """Evaluates a schedule without effect."""
    context = info.context
    with input_at("input"):
        due_at = check_instant(given(input.due_at), "dueAt")
        schedule = given(input.source.schedule)
        assert schedule is not None  # noqa: S101 - the only member so far
        with input_at("source"):
            done = await context.lanes.call(
                partial(
                    evaluate,
                    context.instance.storage,
                    context.workspace,
                    schedule.to_selector(),
                    due_at=due_at,
                )
            )
    return EvaluateTickSuccess(
        run_requests=list(done.evaluation.requests),
        skip_reason=done.evaluation.skip_reason,
        error=done.error,
    )
