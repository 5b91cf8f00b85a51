"""The steps of a run for its executor: their states, their lives, and what the log is told of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from runwire.definitions import OutputRef
from runwire.error_info import ErrorInfo
from runwire.events.types import EventType, LogLevel
from runwire.execution.plan import ExecutionPlan
from runwire.execution.progress import Dropped, Progress, StepState
from runwire.execution.scope import RunScope
from runwire.execution.step import run_step
from runwire.execution.step_processes import EndedStep, GivenOutput, StepProcesses, StepStarter
from runwire.executor import RunSteps
from runwire.interrupts import current_interrupts


class PlannedSteps(RunSteps):
    """The steps of one plan. As a context it leaves no step process behind.

    Args:
        plan: the plan.
        scope: the run.
        progress: how far the run is; new when left out.
        step_starter: starts step processes; None where steps can run here only.
    """

    def __init__(
        self,
        plan: ExecutionPlan,
        scope: RunScope,
        progress: Progress | None = None,
        step_starter: StepStarter | None = None,
    ) -> None:
        self._plan = plan
        self._scope = scope
        self._progress = progress or Progress(plan)
        self._tell_dropped(
            each for each in self._progress.unseen if each.state is StepState.SKIPPED
        )
        self._processes = (
            None
            if step_starter is None
            else StepProcesses(scope.run.run_id, step_starter, scope.log)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._processes is None:
            return
        if error is None:
            self._processes.finish()
        else:
            self._processes.kill()

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
            step, attempt = self._plan.steps[step_key], self._progress.attempt_of(step_key)
            outputs = run_step(step, self._scope, self._epoch_of, attempt)
        except BaseException:
            self._progress.fail(step_key)
            raise
        self._tell_dropped(self._end(EndedStep(step_key, outputs)))

    def start_process(self, step_key: str) -> None:
        self._step_processes.start(
            step_key, self._given_to(step_key), self._progress.attempt_of(step_key)
        )

    def wait_for_process(self) -> str:
        ended = self._step_processes.wait()
        self._tell_dropped(self._end(ended))
        return ended.step_key

    def stop_processes(self) -> None:
        for ended in self._step_processes.stop():
            self._end(ended)  # what waits for them is not told of: the run stops

    def tell_engine(
        self,
        message: str,
        *,
        step_key: str | None = None,
        error: ErrorInfo | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self._scope.log.tell_engine(message, step_key=step_key, error=error, metadata=metadata)

    @property
    def _step_processes(self) -> StepProcesses:
        if self._processes is None:
            raise RuntimeError(
                "steps of this run cannot run in processes of their own; execute it by a run worker, or"
                " with the in-process executor"
            )
        return self._processes

    def _epoch_of(self, output: OutputRef) -> int | None:
        """The epoch of the worker that stored an output; None when it was not given."""
        return self._progress.output_epoch(output.handle, output.output_name)

    def _given_to(self, step_key: str) -> list[GivenOutput]:
        return [
            (source.handle, source.output_name, epoch)
            for each in self._plan.steps[step_key].inputs
            for source in each.sources
            if (epoch := self._epoch_of(source)) is not None
        ]

    def _end(self, ended: EndedStep) -> list[Dropped]:
        scope = self._scope
        if ended.outputs is None:
            scope.io_manager.clear_away(scope.run.run_id, ended.step_key, scope.epoch)
            return self._progress.fail(ended.step_key)
        stored = dict.fromkeys(ended.outputs, scope.epoch)
        return self._progress.succeed(ended.step_key, stored)

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
