"""`evaluateTick`: evaluates a schedule or sensor without effect."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import strawberry
from strawberry import UNSET

from runwire.api.access import Forbidden
from runwire.api.context import ApiInfo
from runwire.api.events.metadata import ErrorInfo
from runwire.api.locations.errors import CodeLocationUnavailable
from runwire.api.rows import field, given, later, result, view
from runwire.api.scalars import JSON, DateTime
from runwire.api.tags import Tag, tags_of
from runwire.api.ticks.errors import ScheduleNotFound, SensorNotFound
from runwire.api.ticks.inputs import TickSourceSelector
from runwire.api.ticks.instants import check_instant
from runwire.api.user_errors import InputInvalid, input_at
from runwire.control import DryRequest
from runwire.control import evaluate_tick as evaluate
from runwire.error_info import ErrorInfo as ErrorInfoRow
from runwire.errors import CursorInvalidError, InputInvalidError
from runwire.events.entry import storable_text


@strawberry.input(description="What to evaluate, and as of when.")
class EvaluateTickInput:
    """What to evaluate, and as of when."""

    source: TickSourceSelector = strawberry.field(description="The schedule or sensor.")
    due_at: DateTime | None = strawberry.field(
        description="The instant that a schedule is due; now when left out.", default=UNSET
    )
    cursor: str | None = strawberry.field(
        description="The cursor that a sensor sees; its stored one when left out.", default=UNSET
    )


@view(DryRequest, "A run that an evaluation asks for.")
class RunRequest:
    """A run that an evaluation asks for."""

    run_key: str | None = field(
        "The key under which a run is made only once; null for none.",
        lambda row: row.request.run_key,
    )
    job_name: str = field("The name of the job.", lambda row: row.request.job_name)
    run_config: JSON = field(
        "The run config; empty where the job gives it for the partition.",
        lambda row: row.request.run_config,
    )
    tags: list[Tag] = field("The tags of the run.", lambda row: tags_of(row.request.tags))
    partition_key: str | None = field(
        "The partition of the run; null for none.", lambda row: row.request.partition_key
    )
    existing_run: Any = field(
        "The run that the run key has already; null when a run would be made.",
        lambda row: row.existing_run,
        type=later("Run", "runwire.api.runs.types") | None,
    )


@result("The evaluation ended, by an error in user code perhaps.")
class EvaluateTickSuccess:
    """The evaluation ended, by an error in user code perhaps."""

    run_requests: list[DryRequest] = strawberry.field(
        description="The runs that it asks for.", graphql_type=list[RunRequest]
    )
    skip_reason: str | None = strawberry.field(
        description="Why it asks for none; null when it gave no reason."
    )
    error: ErrorInfoRow | None = strawberry.field(
        description="What user code raised; null when it raised nothing.",
        graphql_type=ErrorInfo | None,
    )
    cursor: str | None = strawberry.field(
        description="The cursor that a sensor would store; null for a schedule."
    )


EvaluateTickResult = Annotated[
    EvaluateTickSuccess
    | ScheduleNotFound
    | SensorNotFound
    | CodeLocationUnavailable
    | InputInvalid
    | Forbidden,
    strawberry.union("EvaluateTickResult", description="How `evaluateTick` ended."),
]


async def evaluate_tick(
    info: ApiInfo,
    input: Annotated[
        EvaluateTickInput,
        strawberry.argument(description="What to evaluate."),
    ],
) -> EvaluateTickSuccess:
    """Evaluates a schedule or sensor without effect."""
    context = info.context
    with input_at("input"):
        due_at, cursor = check_instant(given(input.due_at), "dueAt"), given(input.cursor)
        attempt = partial(
            evaluate,
            context.instance.storage,
            context.workspace,
            input.source.to_selector(),
            due_at=due_at,
            cursor=None if cursor is None else storable_text(cursor),
        )
        try:
            with input_at("source"):
                done = await context.lanes.call(attempt)
        except CursorInvalidError as error:
            raise InputInvalidError(str(error), ["cursor"]) from error
    return EvaluateTickSuccess(
        run_requests=list(done.requests),
        skip_reason=done.skip_reason,
        error=done.error,
        cursor=done.cursor,
    )
