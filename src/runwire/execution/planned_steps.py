"""The steps of a run for its executor: their states, their lives, and what the log is told of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runwire.definitions import OutputRef
from runwire.error_info import ErrorInfo
from runwire.events.types import EventType, LogLevel
from runwire.execution.interrupts import current_interrupts
from runwire.execution.plan import ExecutionPlan
from runwire.execution.progress import Dropped, Progress, StepState
from runwire.execution.scope import RunScope
from runwire.execution.step import run_step
from runwire.executor import RunSteps


class PlannedSteps(RunSteps):
    """The steps of one plan."""

    def __init__(self, plan: ExecutionPlan, scope: RunScope) -> None:
        self._plan = plan
        self._scope = scope
        self._progress = Progress(plan)

    @property
    def step_keys(self) -> tuple[str, ...]:
        return tuple(self._plan.steps)

    @property
    def is_complete(self) -> bool:
        return self._progress.is_complete

    @property
    def failed(self) -> tuple[str, ...]:
        """The steps that failed, in the order of the plan."""
        return self._progress.failed

    def start_next(self) -> str | None:
        if not self.is_complete or self.failed:  # what has succeeded needs no stopping
            current_interrupts().check()
        return self._progress.start_next()

    def run_here(self, step_key: str) -> None:
        try:
            outputs = run_step(self._plan.steps[step_key], self._scope, self._is_given)
        except BaseException:
            self._progress.fail(step_key)
            raise
        if outputs is None:
            self._tell_dropped(self._progress.fail(step_key))
        else:
            self._tell_dropped(self._progress.succeed(step_key, outputs))

    def tell_engine(
        self,
        message: str,
        *,
        step_key: str | None = None,
        error: ErrorInfo | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self._scope.log.tell_engine(message, step_key=step_key, error=error, metadata=metadata)

    def _is_given(self, output: OutputRef) -> bool:
        return self._progress.has_output(output.handle, output.output_name)

    def _tell_dropped(self, dropped: Iterable[Dropped]) -> None:
        for each in dropped:
            because = ", ".join(each.because)
            if each.state is StepState.SKIPPED:
                verb = "was" if len(each.because) == 1 else "were"
                self._scope.log.tell(
                    EventType.STEP_SKIPPED,
                    f"Step {each.step_key} was skipped: {because} {verb} not given",
                    step_key=each.step_key,
                )
            else:
                self._scope.log.tell(
                    EventType.ENGINE_EVENT,
                    f"Step {each.step_key} was abandoned: it needs {because}, which did not succeed",
                    step_key=each.step_key,
                    level=LogLevel.ERROR,
                )
