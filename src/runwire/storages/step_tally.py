"""Counting over a run's event log."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from runwire.events.types import EventType
from runwire.runs.run import RunRecord, StepCounts


class _StepState(Enum):
    IN_PROGRESS = "IN_PROGRESS"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


_STATES = {
    EventType.STEP_START.value: _StepState.IN_PROGRESS,
    EventType.STEP_RESTARTED.value: _StepState.IN_PROGRESS,
    EventType.STEP_UP_FOR_RETRY.value: _StepState.IN_PROGRESS,
    EventType.STEP_SUCCESS.value: _StepState.SUCCEEDED,
    EventType.STEP_FAILURE.value: _StepState.FAILED,
    EventType.STEP_SKIPPED.value: _StepState.SKIPPED,
}
"""What a step is after an event, by the event's stored type. The last one of a step counts."""

_MATERIALIZATION = EventType.ASSET_MATERIALIZATION.value
_EXPECTATION = EventType.STEP_EXPECTATION_RESULT.value

COUNTED_TYPES = frozenset({*_STATES, _MATERIALIZATION, _EXPECTATION})
"""The stored types of the events that are counted."""


@dataclass(slots=True)
class StepTally:
    """What the events counted so far make of the steps. Only those of `COUNTED_TYPES` matter."""

    materializations: int = 0
    expectations: int = 0
    _steps: dict[str, _StepState] = field(default_factory=dict)

    def count(self, stored_type: str | None, step_key: str | None) -> None:
        """Counts one event; events come in the order of their positions."""
        if stored_type == _MATERIALIZATION:
            self.materializations += 1
        elif stored_type == _EXPECTATION:
            self.expectations += 1
        elif step_key is not None and stored_type in _STATES:
            self._steps[step_key] = _STATES[stored_type]

    def counts(self, record: RunRecord, *, steps_named: int, has_ended: bool) -> StepCounts:
        """The counts of a run's log, in which so many distinct steps are named."""
        states = list(self._steps.values())
        return StepCounts(
            planned=max(record.run.steps_planned, steps_named),
            in_progress=0 if has_ended else states.count(_StepState.IN_PROGRESS),
            succeeded=states.count(_StepState.SUCCEEDED),
            failed=states.count(_StepState.FAILED),
            skipped=states.count(_StepState.SKIPPED),
            materializations=self.materializations,
            expectations=self.expectations,
        )
