"""Steps one after another, and what the executor tells of itself."""

from __future__ import annotations

import os

import pytest

from runwire.errors import RunInterrupted
from runwire.executors import InProcessExecutor
from tests.executors.steps import Steps


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
