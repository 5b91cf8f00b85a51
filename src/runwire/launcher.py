"""The contract of a run launcher: what starts and stops the worker of a run."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runwire.config.configurable import ConfigurableClass
from runwire.runs.run import RunRecord
from runwire.workspace import CheckRunHealthResult, Workspace


@dataclass(frozen=True, slots=True)
class LaunchRunContext:
    """What a launcher gets.

    Attributes:
        record: the run; `record.worker_epoch` is the epoch of the worker that is meant.
        workspace: the code locations.
        instance_ref: how the worker opens the instance: `InstanceRef.to_dict()`.
    """

    record: RunRecord
    workspace: Workspace
    instance_ref: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ResumeRunContext(LaunchRunContext):
    """What a launcher gets to resume a run; `resume_attempt_number` is 1 for the first attempt."""

    resume_attempt_number: int = 1


class RunLauncher(ConfigurableClass):
    """Starts run workers and stops them. Thread-safe. Never changes a run's status by itself.

    Workers outlive the launcher, and whoever started them; a launcher of another process finds them.
    """

    supports_resume_run: bool = True
    """Whether `resume_run` works."""

    supports_check_run_worker_health: bool = True
    """Whether `check_run_worker_health` tells more than UNKNOWN."""

    @abstractmethod
    def launch_run(self, context: LaunchRunContext) -> None:
        """Starts a worker for a run in STARTING; returns once the worker's process exists.

        Raises:
            LaunchFailedError, CodeLocationUnavailableError: no worker was started.
        """

    def resume_run(self, context: ResumeRunContext) -> None:
        """Starts a worker of the record's epoch, which goes on with a run; returns as `launch_run`.

        The former worker is fenced, and whoever resumes the run (`runwire.control.resume_run`) has had it killed
        by `terminate` with `force`, if it could be reached; so this neither looks for it nor stops it.

        Raises:
            LaunchFailedError, CodeLocationUnavailableError: no worker was started.
        """
        raise NotImplementedError(
            f"{type(self).__name__} cannot resume runs; set"
            " run_monitoring.max_resume_run_attempts to 0"
        )

    def check_run_worker_health(self, context: LaunchRunContext) -> CheckRunHealthResult:
        """Whether the worker of the record's epoch lives.

        Raises:
            CodeLocationUnavailableError, CodeLocationNotFoundError: whoever could tell does not answer.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot tell whether workers live")

    @abstractmethod
    def terminate(self, context: LaunchRunContext, *, force: bool = False) -> bool:
        """Asks the workers of a run to stop, and kills their process groups after a grace.

        These are the workers of the record's epoch and of those before it; a successor that a resume has
        started meanwhile is left alone. With `force` they are killed at once, even one that is paused: that is
        what rids a run that is resumed of its former worker.

        Returns True when a live worker was asked or killed; False when the launcher knows of none.

        Raises:
            CodeLocationUnavailableError, CodeLocationNotFoundError: whoever could ask it does not answer.
        """

    def dispose(self) -> None:
        """Frees what it holds; workers go on. Harmless when called twice."""
