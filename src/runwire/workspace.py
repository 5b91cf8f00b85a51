"""The contract of a workspace: the code locations that an instance can run jobs of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from runwire.error_info import ErrorInfo
from runwire.errors import (
    JobAmbiguousError,
    JobNotFoundError,
    ScheduleNotFoundError,
    SensorNotFoundError,
)
from runwire.snapshots import CodeServerInfo, JobSnapshot, PlanSnapshot, RepositorySnapshot
from runwire.ticks.evaluation import SensorInput, TickEvaluation


class CodeLocationStatus(Enum):
    """Whether the definitions of a code location can be used."""

    LOADING = "LOADING"
    LOADED = "LOADED"
    FAILED = "FAILED"
    UNREACHABLE = "UNREACHABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeLocationState:
    """What is known of a code location at one moment.

    Attributes:
        name: its name in the workspace.
        status: whether its definitions can be used.
        updated_at: when its status last changed, in epoch seconds.
        load_error: why it did not load; None unless FAILED or UNREACHABLE.
        server: the process that serves it; None when none does.
        repositories: its repositories as last loaded, by name.
    """

    name: str
    status: CodeLocationStatus
    updated_at: float
    load_error: ErrorInfo | None = None
    server: CodeServerInfo | None = None
    repositories: tuple[RepositorySnapshot, ...] = ()


@dataclass(frozen=True, slots=True)
class JobRef:
    """A job that is loaded now, and where it is."""

    location_name: str
    repository_name: str
    job: JobSnapshot


@dataclass(frozen=True, slots=True)
class JobSelector:
    """Names a job; repository and code location only where its name is ambiguous."""

    job_name: str
    repository_name: str | None = None
    location_name: str | None = None


@dataclass(frozen=True, slots=True)
class WorkerRequest:
    """What a code location needs to start a run worker. `instance_ref` is `InstanceRef.to_dict()`."""

    run_id: str
    job_name: str
    repository_name: str
    epoch: int
    instance_ref: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WorkerRef:
    """Names the worker of a run. `instance_ref` is `InstanceRef.to_dict()`."""

    run_id: str
    epoch: int
    instance_ref: Mapping[str, Any]


class WorkerStatus(Enum):
    """What is known of a worker."""

    RUNNING = "RUNNING"
    NOT_FOUND = "NOT_FOUND"
    """No trace of it: it was never started, or is only just starting."""
    FAILED = "FAILED"
    """Its process is gone, without having ended in order."""
    SUCCESS = "SUCCESS"
    """It has ended in order; so should have its run."""
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class CheckRunHealthResult:
    """The health of a worker; `message` is for people."""

    status: WorkerStatus
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeOrigin:
    """Where definitions are, for whoever starts processes that load them; all paths are absolute.

    Attributes:
        executable_path: the Python to run.
        python_file: the file, or else:
        module: the dotted name of a module or package.
        attribute: the one repository or job to take; None for all.
        working_directory: where imports come from; the file's own folder when None.
        directory: the directory that processes run in.
    """

    executable_path: str
    python_file: str | None
    module: str
    attribute: str | None
    working_directory: str | None
    directory: str


class CodeLocation(ABC):
    """One code location: a process that has imported user code. Thread-safe."""

    @property
    @abstractmethod
    def state(self) -> CodeLocationState:
        """What is known of it now; cheap, asks no process."""

    @abstractmethod
    def plan_run(
        self,
        repository_name: str,
        job_name: str,
        run_config: Mapping[str, Any],
        step_keys: Sequence[str] | None = None,
    ) -> PlanSnapshot:
        """Checks a run config and makes the plan of a run with it.

        Raises:
            RunConfigInvalidError: the run config does not fit; carries every problem.
            JobNotFoundError: the location does not have the job.
            CodeLocationUnavailableError: the location is not loaded or does not answer.
        """

    def evaluate_schedule(
        self, repository_name: str, schedule_name: str, due_at: float
    ) -> TickEvaluation:
        """Calls the function of a schedule that is due at an instant in epoch seconds; changes nothing.

        Raises:
            TickEvaluationError: the function raised, or gave what it may not.
            ScheduleNotFoundError: the location does not have the schedule.
            CodeLocationUnavailableError: the location is not loaded or does not answer in time.
        """
        raise ScheduleNotFoundError(schedule_name)

    def evaluate_sensor(
        self, repository_name: str, sensor_name: str, given: SensorInput
    ) -> TickEvaluation:
        """Calls the function of a sensor; changes nothing.

        Raises:
            TickEvaluationError: the function raised, took too long, or gave what it may not.
            SensorNotFoundError: the location does not have the sensor.
            CodeLocationUnavailableError: the location is not loaded or does not answer in time.
        """
        raise SensorNotFoundError(sensor_name)

    def configure_partition(
        self, repository_name: str, job_name: str, partition_key: str
    ) -> dict[str, Any]:
        """Calls the function that gives the run config of a job's partitions; changes nothing.

        Raises:
            PartitionConfigError: the function raised, took too long, or gave what it may not.
            JobNotFoundError: the location does not have the job.
            CodeLocationUnavailableError: the location is not loaded or does not answer in time.
        """
        raise JobNotFoundError(job_name)

    @abstractmethod
    def start_worker(self, request: WorkerRequest) -> int:
        """Starts a run worker in a process of its own that outlives this location; returns its pid.

        Returns once the process exists and can be found by `check_worker`; what happens then is told in the
        run's event log. If the process dies without ending its run, the location reports it
        (`runwire.control.report_lost_worker`).

        Raises:
            LaunchFailedError: no process could be started.
            CodeLocationUnavailableError: the location is not loaded or does not answer.
        """

    @abstractmethod
    def check_worker(self, worker: WorkerRef) -> CheckRunHealthResult:
        """Whether a worker lives, whoever started it.

        Raises:
            CodeLocationUnavailableError: the location is not on this machine and does not answer.
        """

    @abstractmethod
    def stop_worker(self, worker: WorkerRef, *, force: bool = False) -> bool:
        """Asks the workers of a run up to an epoch to stop, and kills their process groups after a grace.

        With `force` they are killed at once. Workers are found whoever started them.

        Returns True when a live worker was asked or killed; False when there is none.

        Raises:
            CodeLocationUnavailableError: the location is not on this machine and does not answer.
        """

    @property
    def origin(self) -> CodeOrigin | None:
        """Where its definitions are; None when another machine, or somebody else's process, has them."""
        return None

    def wait_until_settled(self, timeout_seconds: float | None) -> bool:
        """Waits until it is no longer LOADING, whatever came of it; returns whether that is so."""
        return self.state.status is not CodeLocationStatus.LOADING

    @abstractmethod
    def reload(self) -> None:
        """Loads the definitions anew, and returns when that is done or has failed; `state` tells.

        A server that is ours is replaced by a new process; calls go to the old one until the new one is
        there, and runs that began on the old one finish on it.
        """


class Workspace(ABC):
    """The code locations of an instance, by name. Thread-safe."""

    @abstractmethod
    def get_location(self, name: str) -> CodeLocation:
        """A code location.

        Raises:
            CodeLocationNotFoundError: the workspace has none of this name.
        """

    @abstractmethod
    def list_locations(self) -> list[CodeLocation]:
        """All code locations, loaded or not, by name."""

    def watch(self, callback: Callable[[CodeLocationState], None]) -> None:
        """Calls the callback, from any thread, with the new state of a location after each change of it.

        It must return at once. What it raises is logged.
        """

    def end_watch(self, callback: Callable[[CodeLocationState], None]) -> None:
        """Ends a watch. Harmless when there is none."""

    def find_job(self, selector: JobSelector) -> JobRef:
        """The one loaded job that a selector names.

        Raises:
            JobNotFoundError: no loaded job has that name there.
            JobAmbiguousError: more than one has.
        """
        places = [
            JobRef(location.state.name, repository.name, job)
            for location in self.list_locations()
            for repository in location.state.repositories
            for job in repository.jobs
        ]
        there = [ref for ref in places if _is_in(selector, ref)]
        found = [ref for ref in there if ref.job.name == selector.job_name]
        if not found:
            raise JobNotFoundError(
                selector.job_name, (ref.job.name for ref in there), _place(selector)
            )
        if len(found) > 1:
            raise JobAmbiguousError(
                selector.job_name, [(ref.location_name, ref.repository_name) for ref in found]
            )
        return found[0]

    def dispose(self) -> None:
        """Ends the processes that the workspace started. Run workers go on. Harmless when called twice."""


def _is_in(selector: JobSelector, ref: JobRef) -> bool:
    return selector.repository_name in {None, ref.repository_name} and (
        selector.location_name in {None, ref.location_name}
    )


def _place(selector: JobSelector) -> str:
    named = {"repository": selector.repository_name, "code location": selector.location_name}
    return " of ".join(f"{kind} {name!r}" for kind, name in named.items() if name is not None)
