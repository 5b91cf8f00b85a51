"""What a call of the client raises.

ClientError
├── ServerUnreachableError    no server answers, or it was gone for too long
├── NotAuthorizedError        the server demands a token, or refuses the one that was given
│   └── TokenExpiredError     its time is over
├── RequestRefusedError       the answer is an error type of the schema; each type has a class of its own here, from
│                             BackfillAlreadyExistsError to WebhookNotFoundError
├── RequestFailedError        the answer is a GraphQL error: a wrong argument, or a fault of the server
└── ProtocolViolatedError     what answers does not keep the contract
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runwire.errors import RunwireError


class ClientError(RunwireError):
    """The root of the client's errors."""


class ServerUnreachableError(ClientError):
    """No server answers at the address."""

    def __init__(self, url: str, problem: str) -> None:
        self.url = url
        self.problem = problem
        super().__init__(f"no runwire server answers at {url}: {problem}")


class NotAuthorizedError(ClientError):
    """The server does not let this client in, or not do this."""

    def __init__(self, url: str, *, token_given: bool, problem: str = "") -> None:
        self.url = url
        mend = "it refuses the token that was given" if token_given else "it demands a token"
        super().__init__(f"{url} does not allow this: {problem or mend}")


class TokenExpiredError(NotAuthorizedError):
    """The token was good and is no more; a client whose token is a function asks it for another one."""


class RequestRefusedError(ClientError):
    """The server refused, and told so as data; nothing was changed.

    What the schema refuses with is one of the classes below; a type that a newer server has and this client does
    not know is this class itself.

    Attributes:
        type_name: the GraphQL type of the error, such as ``RunStateConflict``.
        message: what went wrong and what would mend it.
        details: the other fields of the error that the document selects.
    """

    def __init__(self, type_name: str, message: str, details: Mapping[str, Any]) -> None:
        self.type_name = type_name
        self.message = message
        self.details = details
        super().__init__(message)


class BackfillAlreadyExistsError(RequestRefusedError):
    """There is another backfill that was made with the same idempotency key."""


class BackfillNotFoundError(RequestRefusedError):
    """There is no backfill of that id."""


class BackfillStateConflictError(RequestRefusedError):
    """The status of the backfill does not allow it."""

    @property
    def status(self) -> str:
        """The status that the backfill has."""
        return str(self.details["backfill"]["status"])

    @property
    def expected_statuses(self) -> tuple[str, ...]:
        """The statuses that would allow it."""
        return tuple(self.details["expectedBackfillStatuses"])


class CodeLocationNotFoundError(RequestRefusedError):
    """The workspace has no code location of that name."""


class CodeLocationUnavailableError(RequestRefusedError):
    """The code location of the job is not loaded, or does not answer."""


class CursorExpiredError(RequestRefusedError):
    """What followed the cursor is not kept any more."""

    @property
    def earliest_cursor(self) -> str:
        """The cursor from which on all is there; who goes on from here accepts the hole."""
        return str(self.details["earliestCursor"])


class CursorInvalidError(RequestRefusedError):
    """The cursor is malformed, or that of something else."""


class ForbiddenError(RequestRefusedError):
    """The role of who asks does not allow it."""


class InputInvalidError(RequestRefusedError):
    """A value of the request is not what it may be."""

    @property
    def path(self) -> tuple[str, ...]:
        """The fields on the way to the value."""
        return tuple(self.details.get("path", ()))


class JobAmbiguousError(RequestRefusedError):
    """Several jobs have the name; naming the repository and the code location tells them apart."""


class JobNotPartitionedError(RequestRefusedError):
    """The job has no partitions."""


class JobNotFoundError(RequestRefusedError):
    """No loaded code location has such a job."""


class LaunchFailedError(RequestRefusedError):
    """The run launcher did not start the run."""


class OutputNotFoundError(RequestRefusedError):
    """An output that the steps need was never stored, or is gone."""

    @property
    def step_key(self) -> str:
        """The step that should have given it."""
        return str(self.details["stepKey"])

    @property
    def output_name(self) -> str:
        """The name of the output."""
        return str(self.details["outputName"])


class PartitionConfigFailedError(RequestRefusedError):
    """The job's function that configures its partitions failed."""


class PartitionNotFoundError(RequestRefusedError):
    """The job has no such partition, or not yet."""

    @property
    def partition_key(self) -> str:
        """The key that it does not have."""
        return str(self.details["partitionKey"])


class RunAlreadyExistsError(RequestRefusedError):
    """There is a run of that id, or another one that was made with the same idempotency key."""


class RunConfigInvalidError(RequestRefusedError):
    """The run config does not fit the job."""

    @property
    def problems(self) -> tuple[RunConfigProblem, ...]:
        """Everything that does not fit."""
        return tuple(
            RunConfigProblem(tuple(each["path"]), each["message"], each["code"])
            for each in self.details.get("errors", ())
        )


class RunNotFoundError(RequestRefusedError):
    """There is no run of that id."""


class RunStateConflictError(RequestRefusedError):
    """The status of the run does not allow it."""

    @property
    def status(self) -> str:
        """The status that the run has."""
        return str(self.details["run"]["status"])

    @property
    def expected_statuses(self) -> tuple[str, ...]:
        """The statuses that would allow it."""
        return tuple(self.details["expectedStatuses"])


class PoolNotFoundError(RequestRefusedError):
    """No limit was set for such a concurrency pool."""


class ScheduleNotFoundError(RequestRefusedError):
    """No loaded code location has such a schedule."""


class SensorNotFoundError(RequestRefusedError):
    """No loaded code location has such a sensor."""


class StepNotFoundError(RequestRefusedError):
    """The job has no such steps."""

    @property
    def step_keys(self) -> tuple[str, ...]:
        """The keys that it does not have."""
        return tuple(self.details["stepKeys"])


class TerminateFailedError(RequestRefusedError):
    """The worker of the run could not be told to stop."""


class WebhookNotFoundError(RequestRefusedError):
    """The configuration has no webhook of that name."""


@dataclass(frozen=True, slots=True)
class RunConfigProblem:
    """What does not fit at one place of a run config."""

    path: tuple[str, ...]
    message: str
    code: str


_REFUSALS: Mapping[str, type[RequestRefusedError]] = {
    kind.__name__.removesuffix("Error"): kind for kind in RequestRefusedError.__subclasses__()
}


def refusal(payload: Mapping[str, Any]) -> RequestRefusedError:
    """An error member of a union as an exception: of the class that is called as its type."""
    details = {k: v for k, v in payload.items() if k not in {"__typename", "message"}}
    type_name = str(payload.get("__typename"))
    kind = _REFUSALS.get(type_name, RequestRefusedError)
    return kind(type_name, str(payload.get("message", type_name)), details)


class RequestFailedError(ClientError):
    """The server answered with GraphQL errors.

    Attributes:
        code: ``extensions.code`` of the first one, such as ``CURSOR_INVALID``; None when it has none.
        error_id: what to look for in the server's log, for a fault of the server.
    """

    def __init__(self, message: str, code: str | None = None, error_id: str | None = None) -> None:
        self.code = code
        self.error_id = error_id
        told = error_id is None or error_id in message
        super().__init__(message if told else f"{message} (error id {error_id})")


class ProtocolViolatedError(ClientError):
    """What answers does not keep the contract: it is no runwire server, or one with a defect."""
