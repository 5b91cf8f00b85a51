"""`reexecuteRun`: runs steps of a run that has ended again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, cast

import strawberry
from strawberry import ID, UNSET

from runwire.api.access import Forbidden
from runwire.api.context import ApiInfo
from runwire.api.locations.errors import (
    CodeLocationUnavailable,
    JobAmbiguous,
    JobNotFound,
    RunConfigInvalid,
)
from runwire.api.rows import given, result
from runwire.api.runs.enums import ReexecutionStrategy
from runwire.api.runs.errors import (
    LaunchFailed,
    OutputNotFound,
    RunAlreadyExists,
    RunNotFound,
    RunStateConflict,
    StepNotFound,
)
from runwire.api.runs.types import Run
from runwire.api.scalars import JSON
from runwire.api.tags import TagInput, pairs
from runwire.api.user_errors import InputInvalid, check_text, input_at
from runwire.control import Reexecution
from runwire.events.entry import storable_text
from runwire.runs.run import RunRecord


@strawberry.input(
    description="Which steps to run again; outputs of the others are reused.", one_of=True
)
class ReexecutionScope:
    """Which steps to run again; outputs of the others are reused."""

    strategy: ReexecutionStrategy | None = strawberry.field(
        description="By how the run ended.", default=UNSET
    )
    step_keys: list[str] | None = strawberry.field(description="These steps.", default=UNSET)
    op_selection: list[str] | None = strawberry.field(
        description="The steps of these ops.", default=UNSET
    )


@strawberry.input(description="What to run again.")
class ReexecuteRunInput:
    """What to run again."""

    run_id: ID = strawberry.field(description="The id of the run, ended.")
    scope: ReexecutionScope = strawberry.field(description="Which of its steps.")
    run_config: JSON | None = strawberry.field(
        description="Another run config; the run's own when left out.", default=UNSET
    )
    tags: list[TagInput] | None = strawberry.field(
        description="Tags over those of the run.", default=UNSET
    )
    idempotency_key: str | None = strawberry.field(
        description="A text that makes the request safe to repeat: with the same key and input the same run"
        " is returned.",
        default=UNSET,
    )

    def to_reexecution(self, requested_by: str) -> Reexecution:
        """The request of the layers below, which check it.

        Raises:
            InputInvalidError: a step key or selection is not valid Unicode.
        """
        return Reexecution(
            run_id=storable_text(self.run_id),
            strategy=given(self.scope.strategy),
            step_keys=_texts(given(self.scope.step_keys), "stepKeys"),
            op_selection=_texts(given(self.scope.op_selection), "opSelection"),
            run_config=cast(Mapping[str, Any] | None, given(self.run_config)),
            tags=pairs(given(self.tags)),
            idempotency_key=given(self.idempotency_key),
            requested_by=requested_by,
        )


def _texts(texts: list[str] | None, name: str) -> list[str] | None:
    if texts is None:
        return None
    return [check_text(text, ("scope", name, str(i))) for i, text in enumerate(texts)]


@result("The new run is with the run coordinator.")
class ReexecuteRunSuccess:
    """The new run is with the run coordinator."""

    run: RunRecord = strawberry.field(description="The new run.", graphql_type=Run)
    created: bool = strawberry.field(
        description="Whether this call made it; false when its idempotency key had it already."
    )


ReexecuteRunResult = Annotated[
    ReexecuteRunSuccess
    | RunNotFound
    | RunStateConflict
    | JobNotFound
    | JobAmbiguous
    | CodeLocationUnavailable
    | RunConfigInvalid
    | StepNotFound
    | OutputNotFound
    | RunAlreadyExists
    | LaunchFailed
    | InputInvalid
    | Forbidden,
    strawberry.union("ReexecuteRunResult", description="How `reexecuteRun` ended."),
]


async def reexecute_run(
    info: ApiInfo,
    input: Annotated[ReexecuteRunInput, strawberry.argument(description="What to run again.")],
) -> ReexecuteRunSuccess:
    """Runs a run again."""
    context = info.context
    with input_at("input"):
        wanted = input.to_reexecution(context.viewer.name)
        record, created = await context.lanes.call(
            context.instance.reexecute_run, wanted, context.workspace
        )
    return ReexecuteRunSuccess(run=record, created=created)
