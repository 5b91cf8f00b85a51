"""Runs each step in a process of its own."""

from __future__ import annotations

import os
import time

from runwire.definitions import RetryMode
from runwire.errors import RunInterrupted
from runwire.execution.durations import describe_duration
from runwire.run_steps import Executor, RunSteps


class MultiprocessExecutor(Executor):
    """Runs the steps in processes of their own, several at once.

    Args:
        max_concurrent: how many steps run at once at most; 0 is one for each core that may be used.
        retries: whether steps that fail are tried again.
    """

    runs_steps_here = False

    def __init__(self, max_concurrent: int = 0, retries: RetryMode = RetryMode.ENABLED) -> None:
        self.retries = retries
        self._max_concurrent = max_concurrent or _usable_cores()

    def execute(self, steps: RunSteps) -> None:
        pid = os.getpid()
        began = time.monotonic()

        def tell(message: str) -> None:
            steps.tell_engine(message, metadata={"pid": pid})

        def took() -> str:
            return describe_duration(time.monotonic() - began)

        count = len(steps.step_keys)
        tell(
            f"Executing {count} {'step' if count == 1 else 'steps'}, each in a process of its own, at most"
            f" {self._max_concurrent} at once; the worker is process {pid}"
        )
        running: list[str] = []
        try:
            self._run_all(steps, running)
        except RunInterrupted:
            if running:
                tell(f"Interrupted; stopping steps: {', '.join(running)}")
            steps.stop_processes()
            tell(f"Stopped executing steps, interrupted after {took()}")
            raise
        tell(f"Finished executing steps after {took()}")

    def _run_all(self, steps: RunSteps, running: list[str]) -> None:
        while True:
            while len(running) < self._max_concurrent and (step_key := steps.start_next()):
                running.append(step_key)
                steps.start_process(step_key)
            if not running:
                return
            ended = steps.wait_for_process()
            if ended is not None:
                running.remove(ended)


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on every platform
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
