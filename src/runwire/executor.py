"""The contract of an executor: what runs the steps of one run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from runwire.error_info import ErrorInfo


class RunSteps(ABC):
    """The steps of a run, as its executor sees them. Used from the thread that executes the run.

    What happens to steps is written to the run's log here: executors tell only about themselves.
    """

    @property
    @abstractmethod
    def step_keys(self) -> tuple[str, ...]:
        """The steps, those upstream before those that wait for them."""

    @property
    @abstractmethod
    def is_complete(self) -> bool:
        """Whether every step has ended: succeeded, failed, or was skipped or abandoned."""

    @abstractmethod
    def start_next(self) -> str | None:
        """Takes the step that goes next, by priority, of those whose sources are there.

        The caller must run it to its end. None when no step can start now: wait for one that runs, or, when
        none does, the steps are complete.

        Raises:
            RunInterrupted: the run is asked to stop. Start no more steps, and let this pass on.
        """

    @abstractmethod
    def run_here(self, step_key: str) -> None:
        """Runs a step, which `start_next` gave, in this process to its end. A step that fails raises nothing.

        Raises:
            RunInterrupted: the run was asked to stop; the step has failed by it.
            StaleWorkerError, RunFinishedError, StorageUnavailableError: the log cannot be written.
        """

    @abstractmethod
    def tell_engine(
        self,
        message: str,
        *,
        step_key: str | None = None,
        error: ErrorInfo | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes an ENGINE_EVENT, at level ERROR when it has an error.

        Raises:
            StaleWorkerError, RunFinishedError, StorageUnavailableError: the log cannot be written.
        """


class Executor(ABC):
    """Runs the steps of a run, each once, none before those that feed it.

    It writes neither RUN_START nor the event that ends the run: whoever calls it does.
    """

    @abstractmethod
    def execute(self, steps: RunSteps) -> None:
        """Runs steps until they are complete; a step that fails does not keep others from running.

        Raises:
            RunInterrupted: the run was asked to stop; no step runs any more.
            StaleWorkerError, RunFinishedError, StorageUnavailableError: as `steps` raises them.
        """
