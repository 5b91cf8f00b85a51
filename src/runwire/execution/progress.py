"""How far a run is: the state of each of its steps. No I/O; executors and tests drive it alike."""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from runwire.control import FinishedSteps, StoredOutput
from runwire.definitions import OutputRef
from runwire.execution.plan import ExecutionPlan, ExecutionStep, StepInput


class StepState(Enum):
    """The state of a step in its run."""

    PENDING = "PENDING"
    EXECUTABLE = "EXECUTABLE"
    IN_FLIGHT = "IN_FLIGHT"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    ABANDONED = "ABANDONED"
    UP_FOR_RETRY = "UP_FOR_RETRY"


_DONE = frozenset({StepState.SUCCESS, StepState.SKIPPED})
_LEFT = (
    StepState.PENDING,
    StepState.EXECUTABLE,
    StepState.IN_FLIGHT,
    StepState.UP_FOR_RETRY,
)
_BROKEN = frozenset({StepState.FAILED, StepState.ABANDONED})
_NO_OUTPUTS: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Dropped:
    """A step that will not run.

    Attributes:
        step_key: the step.
        state: SKIPPED or ABANDONED.
        because: of a skipped step the outputs that it misses, as ``step.output``; of an abandoned one the
            steps that failed or were abandoned before it.
    """

    step_key: str
    state: StepState
    because: tuple[str, ...]


class Progress:
    """The states of the steps of a run.

    Args:
        plan: its steps.
        finished: what former workers of the run have ended, which is not run again.
        reused: the outputs of steps outside the plan that another run has stored.
        monotonic: tells the time, in seconds, by which steps wait for their next attempt.

    Attributes:
        unseen: steps that will not run by what is finished or not given, of which the log does not tell yet.

    A step is PENDING until all steps upstream ended, then EXECUTABLE; `start_next` makes it IN_FLIGHT,
    `succeed` and `fail` end it, and `retry` makes it UP_FOR_RETRY until its time has come. It is SKIPPED instead
    when for one of its inputs no source was given, and ABANDONED as soon as a step upstream failed or was abandoned.
    """

    def __init__(
        self,
        plan: ExecutionPlan,
        finished: FinishedSteps | None = None,
        reused: Mapping[OutputRef, StoredOutput] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._steps = plan.steps
        self._states = dict.fromkeys(plan.steps, StepState.PENDING)
        self._order = {key: index for index, key in enumerate(plan.steps)}
        self._downstream: dict[str, list[str]] = {key: [] for key in plan.steps}
        self._outputs: dict[str, Mapping[str, int]] = {}
        self._executable: list[tuple[int, int, str]] = []
        self._unended = len(plan.steps)
        finished = finished or FinishedSteps()
        self._attempts = dict(finished.attempts)
        self._retries = dict(finished.retries)
        self._waits = finished.waits
        self._retried: list[tuple[float, str]] = []
        self._reused = reused or {}
        for step in plan.steps.values():
            for key in step.upstream:
                self._downstream[key].append(step.key)
        dropped = self._drop_all(deque(key for key in plan.steps if not plan.steps[key].upstream))
        dropped += self._resume(finished)
        self.unseen = tuple(each for each in dropped if each.step_key not in finished.dropped)

    @property
    def is_complete(self) -> bool:
        """Whether every step has ended."""
        return not self._unended

    @property
    def failed(self) -> tuple[str, ...]:
        """The steps that failed, in the order of the plan."""
        return self.steps_in(StepState.FAILED)

    @property
    def left(self) -> tuple[str, ...]:
        """The steps that have not ended, in the order of the plan."""
        return self.steps_in(*_LEFT)

    def steps_in(self, *states: StepState) -> tuple[str, ...]:
        """The steps in one of some states, in the order of the plan."""
        return tuple(key for key, state in self._states.items() if state in states)

    def state_of(self, step_key: str) -> StepState:
        """The state of a step."""
        return self._states[step_key]

    def has_output(self, step_key: str, output_name: str) -> bool:
        """Whether a step has ended and gave an output, be it in another run."""
        return (
            output_name in self._outputs.get(step_key, ())
            or OutputRef(step_key, output_name) in self._reused
        )

    def output_epoch(self, step_key: str, output_name: str) -> int | None:
        """The epoch of the worker that stored an output of an ended step; None when it was not given."""
        return self._outputs.get(step_key, {}).get(output_name)

    def reused_output(self, output: OutputRef) -> StoredOutput | None:
        """Where another run stored an output of a step outside the plan; None when it was not given."""
        return self._reused.get(output)

    def attempt_of(self, step_key: str) -> int:
        """The number of the attempt at a step that runs or is to run; the first is 1."""
        return self._attempts.get(step_key, 0) + 1

    def retries_of(self, step_key: str) -> int:
        """How often a step was tried again already."""
        return self._retries.get(step_key, 0)

    def seconds_to_retry(self) -> float | None:
        """How long until the next step is tried again; 0 when it could be now, None when none waits for that."""
        return max(0.0, self._retried[0][0] - self._monotonic()) if self._retried else None

    def start_next(self) -> str | None:
        """Puts the executable step with the highest priority into flight; None when there is none now."""
        while self._retried and self._retried[0][0] <= self._monotonic():
            self._make_executable(self._steps[heapq.heappop(self._retried)[1]])
        while self._executable:
            key = heapq.heappop(self._executable)[-1]
            if self._states[key] is StepState.EXECUTABLE:
                self._states[key] = StepState.IN_FLIGHT
                return key
        return None

    def succeed(self, step_key: str, outputs: Mapping[str, int]) -> list[Dropped]:
        """Ends a step in flight; returns the steps that will not run for it.

        Args:
            step_key: the step.
            outputs: the outputs that it gave, by name, with the epoch of the worker that stored each.

        Raises:
            ValueError: the step is not in flight.
        """
        return self._end(step_key, StepState.SUCCESS, outputs)

    def fail(self, step_key: str) -> list[Dropped]:
        """Ends a step in flight; returns the steps that will not run for it.

        Raises:
            ValueError: the step is not in flight.
        """
        return self._end(step_key, StepState.FAILED)

    def retry(self, step_key: str, seconds: float) -> None:
        """Ends an attempt at a step in flight, which is tried again after so many seconds.

        Raises:
            ValueError: the step is not in flight.
        """
        self._check_in_flight(step_key)
        self._attempts[step_key] = self.attempt_of(step_key)
        self._retries[step_key] = self.retries_of(step_key) + 1
        self._wait(step_key, seconds)

    def _wait(self, step_key: str, seconds: float) -> None:
        self._states[step_key] = StepState.UP_FOR_RETRY
        heapq.heappush(self._retried, (self._monotonic() + seconds, step_key))

    def _check_in_flight(self, step_key: str) -> None:
        now = self._states[step_key]
        if now is not StepState.IN_FLIGHT:
            raise ValueError(f"step {step_key!r} is {now.value}; only a step IN_FLIGHT can end")

    def _resume(self, finished: FinishedSteps) -> list[Dropped]:
        """Takes over what former workers of the run have ended."""
        dropped: list[Dropped] = []
        for key in self._steps:
            if self._states[key] is StepState.EXECUTABLE:
                if key in finished.succeeded:
                    self._states[key] = StepState.IN_FLIGHT
                    dropped += self.succeed(key, finished.succeeded[key])
                elif key in finished.failed:
                    self._states[key] = StepState.IN_FLIGHT
                    dropped += self.fail(key)
                elif key in self._waits:
                    self._wait(key, self._waits[key])
        return dropped

    def _end(
        self, step_key: str, state: StepState, outputs: Mapping[str, int] = _NO_OUTPUTS
    ) -> list[Dropped]:
        self._check_in_flight(step_key)
        self._states[step_key] = state
        self._outputs[step_key] = outputs
        self._unended -= 1
        return self._drop_all(deque(self._downstream[step_key]))

    def _drop_all(self, looked_at: deque[str]) -> list[Dropped]:
        """Lets steps follow those upstream; returns those that will not run, and what fell with them."""
        dropped = []
        while looked_at:
            key = looked_at.popleft()
            drop = self._look_at(self._steps[key])
            if drop is not None:
                self._states[key] = drop.state
                self._unended -= 1
                dropped.append(drop)
                looked_at.extend(self._downstream[key])
        return dropped

    def _look_at(self, step: ExecutionStep) -> Dropped | None:
        """Lets a step follow those upstream; tells when it will not run."""
        if self._states[step.key] is not StepState.PENDING:
            return None
        broken = tuple(key for key in step.upstream if self._states[key] in _BROKEN)
        if broken:
            return Dropped(step.key, StepState.ABANDONED, broken)
        if not all(self._states[key] in _DONE for key in step.upstream):
            return None
        missing = tuple(
            f"{source.handle}.{source.output_name}"
            for each in step.inputs
            if self._is_missing(each)
            for source in each.sources
        )
        if missing:
            return Dropped(step.key, StepState.SKIPPED, missing)
        self._make_executable(step)
        return None

    def _is_missing(self, each: StepInput) -> bool:
        return bool(each.sources) and not any(
            self.has_output(source.handle, source.output_name) for source in each.sources
        )

    def _make_executable(self, step: ExecutionStep) -> None:
        self._states[step.key] = StepState.EXECUTABLE
        heapq.heappush(self._executable, (-step.priority, self._order[step.key], step.key))
