"""The errors of runwire.

Outsiders act on five kinds; each edge (GraphQL, HTTP, CLI, gRPC) maps kinds once. Leaves take typed
arguments and write their own message, which says what went wrong and what would mend it.

    RunwireError
    ├── NotFoundError            the thing is not there
    │   ├── RunNotFoundError
    │   ├── JobNotFoundError
    │   ├── CodeLocationNotFoundError
    │   ├── SnapshotNotFoundError
    │   ├── StepNotFoundError
    │   ├── OutputNotFoundError
    │   ├── ScheduleNotFoundError
    │   ├── TickSourceNotFoundError
    │   ├── TickNotFoundError
    │   └── WebhookNotFoundError
    ├── ConflictError            the state of things does not allow it; nothing was changed
    │   ├── RunAlreadyExistsError
    │   ├── RunStateConflictError
    │   ├── RunFinishedError     a worker wrote to a run that has ended
    │   ├── StaleWorkerError     a worker wrote with an epoch that is not the run's any more
    │   ├── JobAmbiguousError
    │   ├── TickSourceStoppedError
    │   ├── TickConflictError    a tick has changed since it was read
    │   ├── CursorConflictError  the cursor of a schedule or sensor has changed since it was read
    │   └── WebhookConflictError what is kept about a webhook has changed since it was read
    ├── InvalidError             what was given is refused
    │   ├── InputInvalidError
    │   │   └── ScheduleAmbiguousError   more than one schedule has the name
    │   ├── RunConfigInvalidError
    │   ├── CursorInvalidError
    │   ├── CursorExpiredError
    │   ├── InvalidConfigurationError    runwire.yaml or a component's config
    │   ├── InvalidDefinitionError       what users write
    │   └── HomeInvalidError
    │   └── SchemaRevisionError          a database of another version of runwire
    ├── ForbiddenError           the principal may not do it
    ├── UnavailableError         something that is needed does not answer
    │   ├── CodeLocationUnavailableError
    │   ├── LaunchFailedError
    │   ├── TerminateFailedError
    │   └── StorageUnavailableError
    │       └── StorageDamagedError  a file of a storage is not what was written
    │           └── SchemaRevisionError  a database of another version of runwire
    └── UserCodeError            user code raised; the original is `user_exception`
        ├── StepExecutionError
        ├── ResourceError
        ├── InputLoadError
        ├── OutputHandleError
        ├── TypeCheckError
        └── DefinitionLoadError

`RunInterrupted` is a BaseException: it passes through `except Exception` in user code.
Programming errors (a wrong call of an internal function) are plain TypeError, ValueError, RuntimeError.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from runwire.error_info import ErrorInfo


class RunwireError(Exception):
    """The root of all errors that runwire raises on purpose."""


class NotFoundError(RunwireError):
    """The thing that was named is not there."""


class ConflictError(RunwireError):
    """The state of things does not allow the action; nothing was changed."""


class InvalidError(RunwireError):
    """What was given is refused; nothing was changed."""


class ForbiddenError(RunwireError):
    """The principal may not do it."""

    def __init__(self, permission: str) -> None:
        self.permission = permission
        super().__init__(
            f"this needs the permission {permission}; ask whoever runs the instance for it"
        )


class UnavailableError(RunwireError):
    """Something that is needed does not answer or did not work."""


# ---------------------------------------------------------------- not found


class RunNotFoundError(NotFoundError):
    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(f"there is no run {run_id!r}; list runs to see what there is")


class JobNotFoundError(NotFoundError):
    def __init__(self, job_name: str, known: Iterable[str] = (), place: str = "") -> None:
        self.job_name = job_name
        names = sorted(set(known))
        hint = f"; there are: {', '.join(names[:20])}" if names else "; no job is loaded there"
        super().__init__(
            f"there is no job {job_name!r} in {place or 'a loaded code location'}{hint}"
        )


class CodeLocationNotFoundError(NotFoundError):
    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        self.name = name
        names = sorted(set(known))
        hint = f"; there are: {', '.join(names)}" if names else "; the workspace is empty"
        super().__init__(f"the workspace has no code location {name!r}{hint}")


class SnapshotNotFoundError(NotFoundError):
    def __init__(self, snapshot_id: str) -> None:
        self.snapshot_id = snapshot_id
        super().__init__(f"there is no snapshot {snapshot_id!r}")


class StepNotFoundError(NotFoundError):
    """A job has no steps of these keys; the message names the nearest that it has."""

    def __init__(self, job_name: str, step_keys: Sequence[str], known: Iterable[str]) -> None:
        self.step_keys = tuple(step_keys)
        names = sorted(set(known))
        near = {key: difflib.get_close_matches(key, names, 1) for key in self.step_keys}
        told = ", ".join(
            f"{key!r}" + (f" (did you mean {found[0]!r}?)" if found else "")
            for key, found in near.items()
        )
        there = "" if all(near.values()) else f"; its steps are: {', '.join(names[:20])}"
        super().__init__(f"job {job_name!r} has no step {told}{there}")


class PoolNotFoundError(NotFoundError):
    """No limit was set for a concurrency pool."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"no limit was set for a pool {name!r}; list pools to see what there is")


class OutputNotFoundError(NotFoundError):
    """An output that steps need was never stored, or is gone."""

    def __init__(self, step_key: str, output_name: str, problem: str) -> None:
        self.step_key = step_key
        self.output_name = output_name
        super().__init__(
            f"output {output_name!r} of step {step_key!r} is needed, but {problem};"
            f" choose step {step_key!r} as well"
        )


class ScheduleNotFoundError(NotFoundError):
    """No loaded definition is a schedule of this name."""

    def __init__(self, schedule_name: str, known: Iterable[str] = ()) -> None:
        self.schedule_name = schedule_name
        names = sorted(set(known))
        hint = f"; there are: {', '.join(names[:20])}" if names else "; no schedule is loaded there"
        super().__init__(f"there is no schedule {schedule_name!r}{hint}")


class SensorNotFoundError(NotFoundError):
    """No loaded definition is a sensor of this name."""

    def __init__(self, sensor_name: str, known: Iterable[str] = ()) -> None:
        self.sensor_name = sensor_name
        names = sorted(set(known))
        hint = f"; there are: {', '.join(names[:20])}" if names else "; no sensor is loaded there"
        super().__init__(f"there is no sensor {sensor_name!r}{hint}")


class TickSourceNotFoundError(NotFoundError):
    """Nothing is kept about a schedule or sensor: it was never started, or is deleted."""

    def __init__(self, source_id: str) -> None:
        self.source_id = source_id
        super().__init__(f"nothing is kept about schedule or sensor {source_id!r}; start it first")


class TickNotFoundError(NotFoundError):
    def __init__(self, tick_id: int) -> None:
        self.tick_id = tick_id
        super().__init__(f"there is no tick {tick_id}; old ones may have been purged")


class PartitionNotFoundError(NotFoundError):
    """A job has no partition of this key, or not yet."""

    def __init__(self, job_name: str, partition_key: str, nearest: Sequence[str] = ()) -> None:
        self.job_name = job_name
        self.partition_key = partition_key
        hint = f"; there are: {', '.join(nearest)}" if nearest else "; there are none yet"
        super().__init__(f"job {job_name!r} has no partition {partition_key!r}{hint}")


class JobNotPartitionedError(NotFoundError):
    """A partition is asked for of a job that has none."""

    def __init__(self, job_name: str) -> None:
        self.job_name = job_name
        super().__init__(
            f"job {job_name!r} has no partitions; give it some by @job(partitions=...), or leave the key out"
        )


class BackfillNotFoundError(NotFoundError):
    def __init__(self, backfill_id: str) -> None:
        self.backfill_id = backfill_id
        super().__init__(
            f"there is no backfill {backfill_id!r}; list backfills to see what there is"
        )


class WebhookNotFoundError(NotFoundError):
    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        self.name = name
        names = sorted(known)
        hint = f"; there are: {', '.join(names[:20])}" if names else ""
        super().__init__(f"there is no webhook {name!r}{hint}")


# ---------------------------------------------------------------- conflicts


class RunAlreadyExistsError(ConflictError):
    """The run id, or the idempotency key, belongs to another run."""

    def __init__(self, run_id: str, *, idempotency_key: str | None = None) -> None:
        self.run_id = run_id
        self.idempotency_key = idempotency_key
        super().__init__(
            f"run {run_id!r} exists already; choose another id"
            if idempotency_key is None
            else f"the idempotency key {idempotency_key!r} belongs to run {run_id!r}, which was made"
            " from another input; use a new key"
        )


class RunStateConflictError(ConflictError):
    """The status of a run does not allow the action. `status` and `expected` are names of RunStatus."""

    def __init__(self, run_id: str, status: str, expected: Sequence[str], hint: str = "") -> None:
        self.run_id = run_id
        self.status = status
        self.expected = tuple(expected)
        wanted = " or ".join(self.expected) if self.expected else "another status"
        needs = "" if status in self.expected else f", this needs {wanted}"
        super().__init__(f"run {run_id!r} is {status}{needs}" + (f"; {hint}" if hint else ""))


class ConcurrencyLimitReachedError(ConflictError):
    """As many runs are in progress as a limit allows, so that a run stays in the queue. `limit` tells it in words."""

    def __init__(self, run_id: str, limit: str) -> None:
        self.run_id = run_id
        self.limit = limit
        super().__init__(f"run {run_id!r} stays in the queue: {limit} is reached")


class RunFinishedError(ConflictError):
    """A worker wrote something other than a status event to a run that has ended."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(f"run {run_id!r} has ended; its worker may not write to its log any more")


class StaleWorkerError(ConflictError):
    """A worker wrote with an epoch that is not the run's any more; it must exit."""

    def __init__(self, run_id: str, epoch: int, current: int) -> None:
        self.run_id = run_id
        self.epoch = epoch
        self.current = current
        super().__init__(
            f"worker epoch {epoch} of run {run_id!r} is over, {current} holds; this worker must exit"
        )


class JobAmbiguousError(ConflictError):
    """More than one job has the name. `candidates` are (location, repository) pairs."""

    def __init__(self, job_name: str, candidates: Sequence[tuple[str, str]]) -> None:
        self.job_name = job_name
        self.candidates = tuple(candidates)
        places = ", ".join(f"{location}/{repository}" for location, repository in candidates)
        super().__init__(
            f"job {job_name!r} is in {places}; name its repository or its code location as well"
        )


class TickSourceStoppedError(ConflictError):
    """A schedule or sensor is stopped and makes no ticks."""

    def __init__(self, source_id: str) -> None:
        self.source_id = source_id
        super().__init__(f"schedule or sensor {source_id!r} is stopped; start it first")


class TickConflictError(ConflictError):
    """A tick is not as it was when it was read, or its status is final."""

    def __init__(self, tick_id: int, problem: str) -> None:
        self.tick_id = tick_id
        super().__init__(f"tick {tick_id} {problem}; read it again")


class CursorConflictError(ConflictError):
    """Somebody has set the cursor of a schedule or sensor since it was read."""

    def __init__(self, source_id: str, version: int, current: int) -> None:
        self.source_id = source_id
        self.version = version
        self.current = current
        super().__init__(
            f"the cursor of schedule or sensor {source_id!r} has version {current}, not {version}:"
            " somebody has set it since; read it again"
        )


class WebhookConflictError(ConflictError):
    """Somebody has written what is kept about a webhook since it was read."""

    def __init__(self, name: str, version: int, current: int) -> None:
        self.name = name
        super().__init__(
            f"webhook {name!r} has version {current}, not {version}: it was written meanwhile; read it again"
        )


# ---------------------------------------------------------------- invalid


class BackfillAlreadyExistsError(ConflictError):
    """An idempotency key belongs to a backfill that something else was asked of."""

    def __init__(self, backfill_id: str, idempotency_key: str) -> None:
        self.backfill_id = backfill_id
        super().__init__(
            f"idempotency key {idempotency_key!r} belongs to backfill {backfill_id!r}, which was asked for"
            " with another input; use another key"
        )


class BackfillStateConflictError(ConflictError):
    """The status of a backfill does not allow what was asked for."""

    def __init__(self, backfill_id: str, status: str, expected: Sequence[str]) -> None:
        self.backfill_id = backfill_id
        self.status = status
        self.expected = tuple(expected)
        super().__init__(
            f"backfill {backfill_id!r} is {status}; this needs {' or '.join(self.expected)}"
        )


class BackfillConflictError(ConflictError):
    """A backfill was written by somebody else since it was read."""

    def __init__(self, backfill_id: str, version: int, current: int) -> None:
        self.backfill_id = backfill_id
        super().__init__(
            f"backfill {backfill_id!r} was read at version {version}, and is at {current}; read it again"
        )


class InputInvalidError(InvalidError):
    """A value of an input is refused. `path` names the fields on the way to it."""

    def __init__(self, message: str, path: Sequence[str]) -> None:
        self.path = tuple(path)
        super().__init__(message)


class ScheduleAmbiguousError(InputInvalidError):
    """More than one schedule has the name. `candidates` are (location, repository) pairs."""

    def __init__(self, schedule_name: str, candidates: Sequence[tuple[str, str]]) -> None:
        self.candidates = tuple(candidates)
        places = ", ".join(f"{location}/{repository}" for location, repository in candidates)
        super().__init__(
            f"schedule {schedule_name!r} is in {places}; name its repository or its code location as well",
            ["schedule"],
        )


class SensorAmbiguousError(InputInvalidError):
    """More than one sensor has the name. `candidates` are (location, repository) pairs."""

    def __init__(self, sensor_name: str, candidates: Sequence[tuple[str, str]]) -> None:
        self.candidates = tuple(candidates)
        places = ", ".join(f"{location}/{repository}" for location, repository in candidates)
        super().__init__(
            f"sensor {sensor_name!r} is in {places}; name its repository or its code location as well",
            ["sensor"],
        )


class ConfigProblem(NamedTuple):
    """One thing that does not fit: the keys on the way to it, what does not fit, and its kind."""

    path: tuple[str, ...]
    message: str
    code: str


def describe_problems(problems: Iterable[ConfigProblem]) -> str:
    """One line a problem, with its path joined by dots."""
    return "\n".join(f"  {'.'.join(p.path) or '(top level)'}: {p.message}" for p in problems)


class RunConfigInvalidError(InvalidError):
    """A run config does not fit its job. `problems` are all of them."""

    def __init__(self, job_name: str, problems: Sequence[ConfigProblem]) -> None:
        self.job_name = job_name
        self.problems = tuple(problems)
        super().__init__(
            f"the run config does not fit job {job_name!r}:\n{describe_problems(self.problems)}"
        )


class CursorInvalidError(InvalidError):
    """A cursor is malformed, of another scope or of another log."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"{problem}; use a cursor that this list gave, or leave it out to start anew"
        )


class CursorExpiredError(InvalidError):
    """What follows the cursor is deleted. `earliest` is the cursor from which on all is there."""

    def __init__(self, earliest: str) -> None:
        self.earliest = earliest
        super().__init__("what follows the cursor is deleted; start from the earliest cursor")


class InvalidConfigurationError(InvalidError):
    """A configuration file or a component's config is refused. `problems` are all of them."""

    def __init__(self, source: str, problems: Sequence[ConfigProblem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__(f"{source} is not valid:\n{describe_problems(self.problems)}")


class InvalidDefinitionError(InvalidError):
    """What a user wrote cannot be a definition; the message names it and the mend."""


class HomeInvalidError(InvalidError):
    """The home of the instance cannot be used."""


# ---------------------------------------------------------------- unavailable


class CodeLocationUnavailableError(UnavailableError):
    """A code location is not loaded or does not answer."""

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        super().__init__(f"code location {name!r} is not available: {problem}")


class LaunchFailedError(UnavailableError):
    """The run launcher could not start a worker; the run is in FAILURE."""

    def __init__(self, run_id: str, problem: str, error: ErrorInfo | None = None) -> None:
        self.run_id = run_id
        self.error = error
        super().__init__(f"no worker could be started for run {run_id!r}: {problem}")


class TerminateFailedError(UnavailableError):
    """The worker of a run could not be asked to stop; the status is unchanged."""

    def __init__(self, run_id: str, problem: str, error: ErrorInfo | None = None) -> None:
        self.run_id = run_id
        self.error = error
        super().__init__(
            f"the worker of run {run_id!r} could not be asked to stop: {problem};"
            " MARK_AS_CANCELED_IMMEDIATELY ends the run without it"
        )


class StorageUnavailableError(UnavailableError):
    """A storage cannot be read or written now: locked for too long, disk full, file damaged."""


class StorageDamagedError(StorageUnavailableError):
    """A file of a storage does not hold what was written to it; waiting does not mend it."""


class SchemaRevisionError(StorageDamagedError):
    """A database has a schema revision that this version of runwire does not read."""

    def __init__(self, database: str, found: str | None, head: str, mend: str) -> None:
        self.database = database
        self.found = found
        self.head = head
        super().__init__(
            f"{database} has schema revision {found or 'none'}, this version needs {head}; {mend}"
        )


# ---------------------------------------------------------------- user code


class UserCodeError(RunwireError):
    """User code raised. `user_exception` is what it raised; also the cause of this error."""

    def __init__(self, message: str, *, user_exception: BaseException | None = None) -> None:
        self.user_exception = user_exception
        super().__init__(message)


class StepExecutionError(UserCodeError):
    """The body of an op raised."""


class ResourceError(UserCodeError):
    """A resource function raised while it was set up or torn down."""


class InputLoadError(UserCodeError):
    """An I/O manager raised while it loaded an input."""


class OutputHandleError(UserCodeError):
    """An I/O manager raised while it stored an output."""


class TypeCheckError(UserCodeError):
    """A value does not have the type that its input or output declares."""


class TickEvaluationError(UserCodeError):
    """The function of a schedule raised, or gave what it may not. `info` tells it, where it was told as data."""

    def __init__(
        self,
        message: str,
        *,
        user_exception: BaseException | None = None,
        info: ErrorInfo | None = None,
    ) -> None:
        self.info = info
        super().__init__(message, user_exception=user_exception)


class PartitionConfigError(UserCodeError):
    """The function `partition_config` of a job raised, or gave what it may not. `info` tells it, as data."""

    def __init__(
        self,
        message: str,
        *,
        user_exception: BaseException | None = None,
        info: ErrorInfo | None = None,
    ) -> None:
        self.info = info
        super().__init__(message, user_exception=user_exception)


class PartitionMissingError(UserCodeError):
    """An op asks for the partition of a run that has none."""


class DefinitionLoadError(UserCodeError):
    """A file or module of definitions raised while it was loaded."""


class RunInterrupted(BaseException):
    """The run is asked to stop. A BaseException, so that user code does not swallow it by accident."""
