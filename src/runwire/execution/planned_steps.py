"""The steps of a run for its executor: their states, their lives, and what the log is told of them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from runwire.control import StoredOutput
from runwire.definitions import OutputRef
from runwire.error_info import ErrorInfo
from runwire.events.types import EventType, LogLevel
from runwire.execution.attempts import Attempt, EndedStep
from runwire.execution.plan import ExecutionPlan
from runwire.execution.progress import Dropped, Progress, StepState
from runwire.execution.scope import RunScope
from runwire.execution.step import run_step
from runwire.execution.step_processes import GivenOutput, StepProcesses, StepStarter
from runwire.execution.step_slots import POLL_SECONDS, StepSlots
from runwire.interrupts import current_interrupts
from runwire.run_steps import RunSteps

MAX_WAIT_SECONDS = 3600.0
"""How long it sleeps at once."""


class PlannedSteps(RunSteps):
    """The steps of one plan. As a context it leaves no step process behind.

    Args:
        plan: the plan.
        scope: the run.
        progress: how far the run is; new when left out.
        step_starter: starts step processes; None where steps can run here only.
        slots: takes slots of concurrency pools; None where pools do not matter.
    """

    def __init__(
        self,
        plan: ExecutionPlan,
        scope: RunScope,
        progress: Progress | None = None,
        step_starter: StepStarter | None = None,
        slots: StepSlots | None = None,
    ) -> None:
        self._plan = plan
        self._slots = slots
        self._waiting: deque[str] = deque()
        self._taken: set[str] = set()
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
        while True:
            if not self.is_complete or self.failed:  # what has succeeded needs no stopping
                current_interrupts().check()
            step_key = self._take_next()
            if step_key is not None:
                self._taken.add(step_key)
            if step_key is not None or self._taken:
                return step_key
            wait = self._seconds_to_wait()
            if wait is None:
                return None
            with current_interrupts().user_code():
                time.sleep(wait)

    def run_here(self, step_key: str) -> None:
        try:
            step, attempt = self._plan.steps[step_key], self._attempt_at(step_key)
            ended = run_step(step, self._scope, self._find_output, attempt)
        except BaseException:
            self._free(step_key)
            self._progress.fail(step_key)
            raise
        self._tell_dropped(self._end(ended))

    def start_process(self, step_key: str) -> None:
        self._step_processes.start(step_key, self._given_to(step_key), self._attempt_at(step_key))

    def wait_for_process(self) -> str | None:
        ended = self._step_processes.wait(self._seconds_to_wait())
        if ended is None:
            return None
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

    def _attempt_at(self, step_key: str) -> Attempt:
        return Attempt(
            self._progress.attempt_of(step_key),
            self._progress.retries_of(step_key),
            self._plan.steps[step_key].retry_policy,
            self._scope.retries,
        )

    def _seconds_to_wait(self) -> float | None:
        """How long until steps may start that wait for a slot or their next attempt; None when none does."""
        waits = [POLL_SECONDS] if self._waiting else []
        retry = self._progress.seconds_to_retry()
        if retry is not None:
            # One whose time has come already waits for a place among those that run.
            waits.append(min(retry, MAX_WAIT_SECONDS) or POLL_SECONDS)
        return min(waits, default=None)

    def _take_next(self) -> str | None:
        """The next step that needs no slot of a pool, or has got one; those that wait for one come first."""
        asked: set[str] = set()
        for step_key in list(self._waiting):
            if self._gets_slot(step_key, asked):
                self._waiting.remove(step_key)
                return step_key
        while (next_key := self._progress.start_next()) is not None:
            if self._gets_slot(next_key, asked):
                return next_key
            self._waiting.append(next_key)
        return None

    def _gets_slot(self, step_key: str, asked: set[str]) -> bool:
        """Whether a step may begin. Of those that wait for one pool, one asks at a time: the first."""
        pool = self._plan.steps[step_key].op.pool
        if self._slots is None or pool is None:
            return True
        is_new = step_key not in self._waiting
        if pool in asked and not is_new:
            return False
        asked.add(pool)
        answer = self._slots.claim(pool, step_key)
        if is_new and not answer.is_held:
            before = f", {answer.ahead} wait before it" if answer.ahead else ""
            self.tell_engine(
                f"Step {step_key} waits for a slot of pool {pool}: {answer.in_use} of {answer.limit} are"
                f" taken{before}",
                step_key=step_key,
            )
        return answer.is_held

    def _free(self, step_key: str) -> None:
        """Notes that a step has ended, and frees its slot."""
        self._taken.discard(step_key)
        pool = self._plan.steps[step_key].op.pool
        if self._slots is not None and pool is not None:
            self._slots.release(pool, step_key)

    def _find_output(self, output: OutputRef) -> StoredOutput | None:
        """Where an output is stored; None when it was not given."""
        epoch = self._progress.output_epoch(output.handle, output.output_name)
        if epoch is None:
            return self._progress.reused_output(output)
        return StoredOutput(self._scope.run.run_id, epoch)

    def _given_to(self, step_key: str) -> list[GivenOutput]:
        return [
            (source.handle, source.output_name, stored.run_id, stored.epoch)
            for each in self._plan.steps[step_key].inputs
            for source in each.sources
            if (stored := self._find_output(source)) is not None
        ]

    def _end(self, ended: EndedStep) -> list[Dropped]:
        scope = self._scope
        self._free(ended.step_key)
        if ended.outputs is None:
            scope.io_manager.clear_away(scope.run.run_id, ended.step_key, scope.epoch)
            if ended.retry_after is None:
                return self._progress.fail(ended.step_key)
            self._progress.retry(ended.step_key, ended.retry_after)
            return []
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
