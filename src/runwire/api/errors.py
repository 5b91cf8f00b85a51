"""The one mapping from the errors of runwire to what clients see.

Expected refusals become members of a mutation's union, where the union has the member. Whatever else reaches
the edge becomes a GraphQL error with a code in its extensions; what nobody expected is masked as INTERNAL,
with an id that the log carries beside the traceback.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from graphql import ExecutionResult, GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.types.execution import ExecutionResult as StrawberryExecutionResult
from strawberry.types.execution import StreamExecutionResult
from strawberry.types.field import StrawberryField
from strawberry.types.info import Info

from runwire import errors
from runwire.api.backfills.errors import (
    BackfillAlreadyExists,
    BackfillNotFound,
    BackfillStateConflict,
)
from runwire.api.context import ApiContext
from runwire.api.locations.errors import (
    CodeLocationNotFound,
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
from runwire.api.pools.errors import PoolNotFound
from runwire.api.runs.errors import (
    LaunchFailed,
    OutputNotFound,
    RunAlreadyExists,
    RunNotFound,
    RunStateConflict,
    StepNotFound,
    TerminateFailed,
)
from runwire.api.ticks.errors import ScheduleNotFound, SensorNotFound
from runwire.api.user_errors import InputInvalid, UserError
from runwire.api.webhooks.errors import WebhookNotFound

logger = logging.getLogger(__name__)

Teller = Callable[[Any, ApiContext], UserError | Awaitable[UserError | None] | None]
"""Makes the union member that tells of an error; None when there is nothing left to tell of."""


class Refusal:
    """Turns one kind of error into one union member, in every union that has the member.

    It is a `strawberry.schema.ExceptionHandler`.
    """

    def __init__(
        self, exception_type: type[Exception], error_type: type[UserError], tell: Teller
    ) -> None:
        self.exception_type = exception_type
        self.error_type = error_type
        self._tell = tell

    def handle(
        self,
        exception: Exception,
        *,
        field: StrawberryField,
        info: Info[ApiContext, None],
    ) -> Any:
        return self._tell(exception, info.context)


REFUSALS = [
    Refusal(errors.RunNotFoundError, RunNotFound, lambda error, _: RunNotFound.of(error)),
    Refusal(errors.RunAlreadyExistsError, RunAlreadyExists, RunAlreadyExists.of),
    Refusal(errors.RunStateConflictError, RunStateConflict, RunStateConflict.of),
    Refusal(errors.LaunchFailedError, LaunchFailed, LaunchFailed.of),
    Refusal(errors.TerminateFailedError, TerminateFailed, TerminateFailed.of),
    Refusal(errors.JobNotFoundError, JobNotFound, lambda error, _: JobNotFound.of(error)),
    Refusal(errors.JobAmbiguousError, JobAmbiguous, JobAmbiguous.of),
    Refusal(
        errors.CodeLocationNotFoundError,
        CodeLocationNotFound,
        lambda error, _: CodeLocationNotFound.of(error),
    ),
    Refusal(
        errors.CodeLocationUnavailableError, CodeLocationUnavailable, CodeLocationUnavailable.of
    ),
    Refusal(
        errors.RunConfigInvalidError, RunConfigInvalid, lambda error, _: RunConfigInvalid.of(error)
    ),
    Refusal(errors.StepNotFoundError, StepNotFound, lambda error, _: StepNotFound.of(error)),
    Refusal(errors.PoolNotFoundError, PoolNotFound, lambda error, _: PoolNotFound.of(error)),
    Refusal(
        errors.JobNotPartitionedError,
        JobNotPartitioned,
        lambda error, _: JobNotPartitioned.of(error),
    ),
    Refusal(
        errors.PartitionNotFoundError,
        PartitionNotFound,
        lambda error, _: PartitionNotFound.of(error),
    ),
    Refusal(
        errors.PartitionConfigError,
        PartitionConfigFailed,
        lambda error, _: PartitionConfigFailed.of(error),
    ),
    Refusal(
        errors.BackfillNotFoundError, BackfillNotFound, lambda error, _: BackfillNotFound.of(error)
    ),
    Refusal(errors.BackfillStateConflictError, BackfillStateConflict, BackfillStateConflict.of),
    Refusal(errors.BackfillAlreadyExistsError, BackfillAlreadyExists, BackfillAlreadyExists.of),
    Refusal(errors.OutputNotFoundError, OutputNotFound, lambda error, _: OutputNotFound.of(error)),
    Refusal(
        errors.ScheduleNotFoundError,
        ScheduleNotFound,
        lambda error, _: ScheduleNotFound.of(error),
    ),
    Refusal(errors.SensorNotFoundError, SensorNotFound, lambda error, _: SensorNotFound.of(error)),
    Refusal(
        errors.WebhookNotFoundError, WebhookNotFound, lambda error, _: WebhookNotFound.of(error)
    ),
    Refusal(errors.InputInvalidError, InputInvalid, lambda error, _: InputInvalid.of(error)),
]
"""Which error becomes which union member."""

CODES: list[tuple[type[errors.RunwireError], str]] = [
    (errors.CursorInvalidError, "CURSOR_INVALID"),
    (errors.CursorExpiredError, "CURSOR_EXPIRED"),
    (errors.InputInvalidError, "INVALID_ARGUMENT"),
    (errors.RunConfigInvalidError, "INVALID_ARGUMENT"),
    (errors.JobAmbiguousError, "INVALID_ARGUMENT"),
    (errors.ForbiddenError, "FORBIDDEN"),
    (errors.UnavailableError, "UNAVAILABLE"),
]
"""The code of a GraphQL error, by what was raised; the first that fits. INTERNAL for all else."""


def public_error(error: GraphQLError) -> GraphQLError:
    """A GraphQL error as clients may see it: with a code, and masked if nobody expected it.

    An error of a request itself, such as of its syntax, stays as it is.
    """
    cause = _cause(error)
    if isinstance(cause, GraphQLError):
        return error
    if isinstance(cause, errors.RunwireError):
        for kind, code in CODES:
            if isinstance(cause, kind):
                return _coded(error, str(cause), {"code": code, **_details(cause)})
    return _masked(error, cause)


def _cause(error: GraphQLError) -> Exception:
    """What was raised first, a GraphQL error if nothing else was."""
    cause: Exception = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _details(cause: errors.RunwireError) -> dict[str, Any]:
    match cause:
        case errors.CursorExpiredError():
            return {"earliestCursor": cause.earliest}
        case errors.InputInvalidError():
            return {"argument": list(cause.path)}
        case _:
            return {}


def _masked(error: GraphQLError, cause: Exception) -> GraphQLError:
    error_id = uuid.uuid4().hex
    logger.error(
        "internal error %s at %s",
        error_id,
        error.path,
        exc_info=cause,
        extra={"error_id": error_id},
    )
    message = f"Something went wrong in the server; its log tells more under {error_id}."
    return _coded(error, message, {"code": "INTERNAL", "errorId": error_id})


def _coded(error: GraphQLError, message: str, extensions: dict[str, Any]) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )


class PublicErrors(SchemaExtension):
    """Maps the errors of every result, whatever transport it leaves by."""

    _is_valid = False
    _streams = False

    def on_validate(self) -> Iterator[None]:
        """Takes note whether the document is valid: what is wrong after that is in its variables."""
        yield
        self._is_valid = not self.execution_context.pre_execution_errors

    def on_operation(self) -> Iterator[None]:
        """Maps the errors of a query or mutation once it has ended."""
        yield
        if not self._streams:
            self._publish(self.execution_context.result)

    def on_stream_result(self, result: StreamExecutionResult) -> Iterator[None]:
        """Maps the errors of a message of a stream before it is sent."""
        self._streams = True
        self._publish(result)
        yield

    def _publish(self, result: object) -> None:
        if isinstance(result, ExecutionResult | StrawberryExecutionResult) and result.errors:
            result.errors = [self._public(error) for error in result.errors]

    def _public(self, error: GraphQLError) -> GraphQLError:
        public = public_error(error)
        if public is error and error.path is None and self._is_valid:
            return _coded(error, error.message, {"code": "INVALID_ARGUMENT"})
        return public
