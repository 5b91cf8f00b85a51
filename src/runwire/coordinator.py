"""The contract of a run coordinator: what happens between submit and launch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from runwire.config.configurable import ConfigurableClass
from runwire.runs.queueing import QueueSettings
from runwire.runs.run import RunRecord


@dataclass(frozen=True, slots=True)
class SubmitRunContext:
    """What a coordinator gets.

    Attributes:
        record: the run, in NOT_STARTED.
        launch: hands the run to the run launcher and returns it as it is then; raises
            RunStateConflictError when another was faster, LaunchFailedError when no worker could be
            started (the run is in FAILURE then).
        enqueue: puts the run into the queue and returns it as it is then; raises RunStateConflictError when
            another was faster.
    """

    record: RunRecord
    launch: Callable[[], RunRecord]
    enqueue: Callable[[], RunRecord]


class RunCoordinator(ConfigurableClass):
    """Decides when a submitted run is launched. Thread-safe."""

    @abstractmethod
    def submit_run(self, context: SubmitRunContext) -> RunRecord:
        """Takes a run: launches it now or puts it into a queue. Returns the run as it is then."""

    @property
    def queue(self) -> QueueSettings | None:
        """How the queue daemon takes runs from the queue; None when this coordinator puts none there."""
        return None

    def dispose(self) -> None:
        """Frees what it holds. Harmless when called twice."""
