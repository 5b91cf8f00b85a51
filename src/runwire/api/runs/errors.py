"""Refusals that tell of runs."""

from __future__ import annotations

from typing import Self

import strawberry
from strawberry import ID

from runwire.api.context import ApiContext
from runwire.api.events.metadata import ErrorInfo
from runwire.api.rows import result
from runwire.api.runs.enums import RunStatus
from runwire.api.runs.types import Run
from runwire.api.user_errors import MESSAGE, UserError
from runwire.error_info import ErrorInfo as ErrorInfoRow
from runwire.errors import (
    LaunchFailedError,
    OutputNotFoundError,
    RunAlreadyExistsError,
    RunNotFoundError,
    RunStateConflictError,
    StepNotFoundError,
    TerminateFailedError,
)
from runwire.events.entry import storable_text
from runwire.runs.run import RunRecord


async def _record(run_id: str, context: ApiContext) -> RunRecord | None:
    return await context.lanes.read(context.run_storage.find_run_record, run_id)


@result("There is no such run.")
class RunNotFound(UserError):
    """There is no such run."""

    message: str = strawberry.field(description=MESSAGE)
    run_id: ID = strawberry.field(description="The id that was asked for.")

    @classmethod
    def of(cls, error: RunNotFoundError) -> Self:
        """Tells of an error."""
        return cls(message=str(error), run_id=ID(storable_text(error.run_id)))


@result("The status of the run does not allow it; nothing was changed.")
class RunStateConflict(UserError):
    """The status of the run does not allow it; nothing was changed."""

    message: str = strawberry.field(description=MESSAGE)
    run: RunRecord = strawberry.field(description="The run as it is.", graphql_type=Run)
    expected_statuses: list[RunStatus] = strawberry.field(
        description="The statuses that would allow it."
    )

    @classmethod
    async def of(cls, error: RunStateConflictError, context: ApiContext) -> Self | RunNotFound:
        """Tells of an error."""
        run = await _record(error.run_id, context)
        if run is None:
            return RunNotFound.of(RunNotFoundError(error.run_id))
        statuses = [RunStatus(name) for name in error.expected]
        return cls(message=str(error), run=run, expected_statuses=statuses)


@result("The run id or the idempotency key belongs to another run; nothing was changed.")
class RunAlreadyExists(UserError):
    """The run id or the idempotency key belongs to another run; nothing was changed."""

    message: str = strawberry.field(description=MESSAGE)
    run: RunRecord = strawberry.field(description="The run that has it.", graphql_type=Run)

    @classmethod
    async def of(cls, error: RunAlreadyExistsError, context: ApiContext) -> Self | None:
        """Tells of an error; None when the run was deleted meanwhile."""
        run = await _record(error.run_id, context)
        return None if run is None else cls(message=str(error), run=run)


@result("The run launcher could not start a worker; the run is in FAILURE.")
class LaunchFailed(UserError):
    """The run launcher could not start a worker; the run is in FAILURE."""

    message: str = strawberry.field(description=MESSAGE)
    run: RunRecord = strawberry.field(description="The run.", graphql_type=Run)
    error: ErrorInfoRow | None = strawberry.field(
        description="What the run launcher raised; null when it raised nothing.",
        graphql_type=ErrorInfo | None,
    )

    @classmethod
    async def of(cls, error: LaunchFailedError, context: ApiContext) -> Self | RunNotFound:
        """Tells of an error."""
        run = await _record(error.run_id, context)
        if run is None:
            return RunNotFound.of(RunNotFoundError(error.run_id))
        return cls(message=str(error), run=run, error=error.error)


@result("The run's worker could not be asked to stop; the run's status is unchanged.")
class TerminateFailed(UserError):
    """The run's worker could not be asked to stop; the run's status is unchanged."""

    message: str = strawberry.field(description=MESSAGE)
    run: RunRecord = strawberry.field(description="The run.", graphql_type=Run)
    error: ErrorInfoRow | None = strawberry.field(
        description="What the run launcher raised; null when it raised nothing.",
        graphql_type=ErrorInfo | None,
    )

    @classmethod
    async def of(cls, error: TerminateFailedError, context: ApiContext) -> Self | RunNotFound:
        """Tells of an error."""
        run = await _record(error.run_id, context)
        if run is None:
            return RunNotFound.of(RunNotFoundError(error.run_id))
        return cls(message=str(error), run=run, error=error.error)


@result("The run has no such steps.")
class StepNotFound(UserError):
    """The run has no such steps."""

    message: str = strawberry.field(description=MESSAGE)
    step_keys: list[str] = strawberry.field(description="The keys that it does not have.")

    @classmethod
    def of(cls, error: StepNotFoundError) -> Self:
        """Tells of an error."""
        return cls(message=str(error), step_keys=list(error.step_keys))


@result("An output that the steps need was never stored, or is gone.")
class OutputNotFound(UserError):
    """An output that the steps need was never stored, or is gone."""

    message: str = strawberry.field(description=MESSAGE)
    step_key: str = strawberry.field(description="The step that should have given it.")
    output_name: str = strawberry.field(description="The name of the output.")

    @classmethod
    def of(cls, error: OutputNotFoundError) -> Self:
        """Tells of an error."""
        return cls(message=str(error), step_key=error.step_key, output_name=error.output_name)
