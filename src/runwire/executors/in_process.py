"""Runs steps one after another in the process of the run's worker."""

from __future__ import annotations

import os
import time

from runwire.definitions import RetryMode
from runwire.errors import RunInterrupted
from runwire.execution.durations import describe_duration
from runwire.run_steps import Executor, RunSteps


class InProcessExecutor(Executor):
    """Runs the steps in this process, one at a time.

    Args:
        retries: whether steps that fail are tried again.
    """

    def __init__(self, retries: RetryMode = RetryMode.ENABLED) -> None:
        self.retries = retries

    def execute(self, steps: RunSteps) -> None:
        pid = os.getpid()
        began = time.monotonic()

        def tell(message: str) -> None:
            steps.tell_engine(message, metadata={"pid": pid})

        count = len(steps.step_keys)
        tell(f"Executing {count} {'step' if count == 1 else 'steps'} in process {pid}")
        try:
            while (step_key := steps.start_next()) is not None:
                steps.run_here(step_key)
        except RunInterrupted:
            tell(
                f"Stopped executing steps, interrupted after {describe_duration(time.monotonic() - began)}"
            )
            raise
        tell(f"Finished executing steps after {describe_duration(time.monotonic() - began)}")
