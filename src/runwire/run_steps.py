"""The contract of an executor: what runs the steps of one run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from runwire.definitions import RetryMode
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
        none does, the steps are complete. A step that wants a slot of a concurrency pool is taken when it has one,
        and one that is tried again when its time has come; where only such steps are left, and none runs, this
        waits for them.

        Raises:
            RunInterrupted: the run is asked to stop. Start no more steps, and let this pass on.
            StaleWorkerError, RunFinishedError, StorageUnavailableError: a slot cannot be taken.
        """

    @abstractmethod
    def run_here(self, step_key: str) -> None:
        """Runs a step, which `start_next` gave, in this process to its end, or to that of this attempt.

        A step that fails raises nothing; `start_next` gives one again that is tried again.

        Raises:
            RunInterrupted: the run was asked to stop; the step has failed by it.
            StaleWorkerError, RunFinishedError, StorageUnavailableError: the log cannot be written.
        """

    @abstractmethod
    def start_process(self, step_key: str) -> None:
        """Starts to run a step, which `start_next` gave, in a process of its own.

        When no process can be started, the step has failed, which is told; nothing is raised for that.

        Raises:
            StaleWorkerError, RunFinishedError, StorageUnavailableError: the log cannot be written.
        """

    @abstractmethod
    def wait_for_process(self) -> str | None:
        """Stores what the step processes tell until one of their steps has ended; returns that step.

        Each step that was given to `start_process` is returned once: after it succeeded, failed, is to be tried
        again, or its process died. None when it is time to ask again for steps that wait for a slot or for their
        next attempt: call `start_next`.

        Raises:
            RunInterrupted: the run is asked to stop. Call `stop_processes`.
            StaleWorkerError, RunFinishedError, StorageUnavailableError: the log cannot be written; the
                step processes are killed.
        """

    @abstractmethod
    def stop_processes(self) -> None:
        """Interrupts the steps that run in processes, and waits until they have ended; each has failed then.

        What is left after a grace is killed.

        Raises:
            StaleWorkerError, RunFinishedError, StorageUnavailableError: as `wait_for_process`.
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

    runs_steps_here: bool = True
    """Whether it calls `run_here`. The resources of all steps are made before it and torn down after it
    then; a step that runs in a process of its own makes those of its op there."""

    retries: RetryMode = RetryMode.ENABLED
    """Whether steps that fail are tried again, when their ops ask for it or have a retry policy."""

    @abstractmethod
    def execute(self, steps: RunSteps) -> None:
        """Runs steps until they are complete; a step that fails does not keep others from running.

        Raises:
            RunInterrupted: the run was asked to stop; no step runs any more.
            StaleWorkerError, RunFinishedError, StorageUnavailableError: as `steps` raises them.
        """
