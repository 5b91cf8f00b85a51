"""The contract of a run launcher: what starts and stops the worker of a run."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runwire.config.configurable import ConfigurableClass
from runwire.runs.run import RunRecord
from runwire.workspace import Workspace


@dataclass(frozen=True, slots=True)
class LaunchRunContext:
    """What a launcher gets.

    Attributes:
        record: the run, in STARTING; `record.worker_epoch` is the epoch of the worker to start.
        workspace: the code locations.
        instance_ref: how the worker opens the instance: `InstanceRef.to_dict()`.
    """

    record: RunRecord
    workspace: Workspace
    instance_ref: Mapping[str, Any]


class RunLauncher(ConfigurableClass):
    """Starts run workers and stops them. Thread-safe. Never writes the run's status."""

    @abstractmethod
    def launch_run(self, context: LaunchRunContext) -> None:
        """Starts a worker for a run; returns once the worker's process exists.

        Raises:
            LaunchFailedError, CodeLocationUnavailableError: no worker was started.
        """

    @abstractmethod
    def has_worker(self, record: RunRecord, workspace: Workspace) -> bool:
        """Whether a live worker of a run is known and could be asked to stop.

        Raises:
            CodeLocationUnavailableError: whoever could tell does not answer.
        """

    @abstractmethod
    def terminate(self, record: RunRecord, workspace: Workspace) -> bool:
        """Asks the worker of a run to stop, and kills it after a grace.

        Returns True when a live worker was asked; False when the launcher knows of none.

        Raises:
            CodeLocationUnavailableError: whoever could ask it does not answer.
        """

    def dispose(self) -> None:
        """Frees what it holds; workers go on. Harmless when called twice."""
