"""The contract of a workspace: the code locations that an instance can run jobs of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from runwire.error_info import ErrorInfo
from runwire.errors import JobAmbiguousError, JobNotFoundError
from runwire.snapshots import CodeServerInfo, JobSnapshot, PlanSnapshot, RepositorySnapshot


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

    @abstractmethod
    def start_worker(self, request: WorkerRequest) -> int:
        """Starts a run worker in a process of its own that outlives this location; returns its pid.

        Returns once the process exists; what happens then is told in the run's event log. If the process
        dies without ending its run, the location reports RUN_FAILURE (or RUN_CANCELED, if CANCELING).

        Raises:
            LaunchFailedError: no process could be started.
            CodeLocationUnavailableError: the location is not loaded or does not answer.
        """

    @abstractmethod
    def has_worker(self, run_id: str) -> bool:
        """Whether this location has a live worker of a run.

        Raises:
            CodeLocationUnavailableError: the location does not answer.
        """

    @abstractmethod
    def stop_worker(self, run_id: str) -> bool:
        """Asks the worker of a run to stop by an interrupt, and kills its process group after a grace.

        Returns True when a live worker was asked; False when this location knows none.

        Raises:
            CodeLocationUnavailableError: the location does not answer.
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
