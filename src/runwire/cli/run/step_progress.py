"""How far each step of a run is: a pure fold over its events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from runwire.client import RunEvent, RunEventsBatch


class StepState(Enum):
    """How far a step is; the value is the word for it."""

    WAITING = "waiting"
    RUNNING = "running"
    RETRYING = "will be tried again"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOT_RUN = "did not run"
    CUT_OFF = "cut off"


_STATES = {
    "STEP_START": StepState.RUNNING,
    "STEP_RESTARTED": StepState.RUNNING,
    "STEP_UP_FOR_RETRY": StepState.RETRYING,
    "STEP_SUCCESS": StepState.SUCCEEDED,
    "STEP_FAILURE": StepState.FAILED,
    "STEP_SKIPPED": StepState.SKIPPED,
}
_ENDS = {StepState.SUCCEEDED, StepState.FAILED}
_AT_THE_END = {
    StepState.WAITING: StepState.NOT_RUN,
    StepState.RUNNING: StepState.CUT_OFF,
    StepState.RETRYING: StepState.CUT_OFF,
}
"""What a step that has not ended is once its run has."""


@dataclass(slots=True)
class StepProgress:
    """A step: how far it is, and when it began and ended."""

    step_key: str
    state: StepState = StepState.WAITING
    started_at: datetime | None = None
    ended_at: datetime | None = None

    def duration(self, now: datetime) -> timedelta | None:
        """How long it has run so far, or ran in all; None for a step that never began."""
        if self.started_at is None:
            return None
        return max(timedelta(), (self.ended_at or now) - self.started_at)


class RunProgress:
    """The steps of a run in the order of its plan; steps that the plan does not name follow as they come."""

    def __init__(self, step_keys: Iterable[str] = ()) -> None:
        self.steps = {key: StepProgress(key) for key in step_keys}

    def advance(self, batch: RunEventsBatch) -> None:
        """Takes the next events of the run."""
        for event in batch.records:
            self._take(event)
        if batch.run.status.is_terminal and batch.caught_up:
            self._end(batch.run.ended_at)

    def count(self, state: StepState) -> int:
        """How many steps are in a state."""
        return sum(step.state is state for step in self.steps.values())

    def _take(self, event: RunEvent) -> None:
        state = _STATES.get(event.event_type or "")
        if state is None or event.step_key is None or not event.applied:
            return
        step = self.steps.setdefault(event.step_key, StepProgress(event.step_key))
        step.state = state
        if state is StepState.RUNNING and step.started_at is None:
            step.started_at = event.timestamp
        if state in _ENDS:
            step.ended_at = event.timestamp

    def _end(self, ended_at: datetime | None) -> None:
        for step in self.steps.values():
            if step.state in _AT_THE_END:
                step.state = _AT_THE_END[step.state]
                step.ended_at = ended_at
