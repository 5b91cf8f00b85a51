"""Steps one after another, and what the executor tells of itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import pytest

from runwire.error_info import ErrorInfo
from runwire.errors import RunInterrupted
from runwire.executor import RunSteps
from runwire.executors import InProcessExecutor


class Steps(RunSteps):
    """Steps that are taken in order; before `interrupted` the run is asked to stop."""

    def __init__(self, *step_keys: str, interrupted: str | None = None) -> None:
        self._keys = step_keys
        self._left = list(step_keys)
        self._interrupted = interrupted
        self.log: list[str] = []
        self.metadata: list[Mapping[str, Any] | None] = []

    @property
    def step_keys(self) -> tuple[str, ...]:
        return self._keys

    @property
    def is_complete(self) -> bool:
        return not self._left

    def start_next(self) -> str | None:
        if self._left and self._left[0] == self._interrupted:
            raise RunInterrupted
        return self._left.pop(0) if self._left else None

    def run_here(self, step_key: str) -> None:
        self.log.append(f"run {step_key}")

    def tell_engine(
        self,
        message: str,
        *,
        step_key: str | None = None,
        error: ErrorInfo | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.log.append(message.partition(" after ")[0])
        self.metadata.append(metadata)


def test_it_runs_each_step_in_this_process_and_tells_its_pid() -> None:
    steps = Steps("a", "b")
    InProcessExecutor().execute(steps)
    pid = os.getpid()
    assert steps.log == [
        f"Executing 2 steps in process {pid}",
        "run a",
        "run b",
        "Finished executing steps",
    ]
    assert steps.metadata == [{"pid": pid}] * 2
    assert steps.is_complete


def test_it_stops_between_steps_and_tells_so() -> None:
    steps = Steps("a", "b", interrupted="b")
    with pytest.raises(RunInterrupted):
        InProcessExecutor().execute(steps)
    assert steps.log[1:] == ["run a", "Stopped executing steps, interrupted"]


def test_one_step_is_told_as_one() -> None:
    steps = Steps("a")
    InProcessExecutor().execute(steps)
    assert steps.log[0] == f"Executing 1 step in process {os.getpid()}"
