"""Steps in processes, several at once. That they really run is shown with real processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runwire import job, multiprocess_executor, op
from runwire.errors import RunInterrupted
from runwire.events.types import EventType
from runwire.executors import MultiprocessExecutor
from runwire.runs.status import RunStatus
from runwire.storages.memory import MemoryStorage
from tests.execution.runs import events, execute
from tests.executors.steps import Steps


def test_it_runs_as_many_steps_at_once_as_it_may_and_tells_so() -> None:
    steps = Steps("a", "b", "c", "d")
    MultiprocessExecutor(max_concurrent=3).execute(steps)
    pid = os.getpid()
    began = "Executing 4 steps, each in a process of its own, at most 3 at once"
    assert steps.log == [
        f"{began}; the worker is process {pid}",
        *("start a", "start b", "start c", "end a", "start d", "end b", "end c", "end d"),
        "Finished executing steps",
    ]
    assert steps.metadata == [{"pid": pid}] * 2
    assert steps.is_complete


def test_it_starts_what_can_start_and_waits_for_the_rest() -> None:
    steps = Steps("a", "b", free=1)
    MultiprocessExecutor(max_concurrent=3).execute(steps)
    assert steps.log[1:-1] == ["start a", "end a", "start b", "end b"]


def test_without_a_limit_it_takes_one_step_for_each_core() -> None:
    cores = len(os.sched_getaffinity(0))
    steps = Steps(*(f"s{number}" for number in range(cores + 1)))
    MultiprocessExecutor().execute(steps)
    assert steps.log[1 : cores + 2] == [*(f"start s{n}" for n in range(cores)), "end s0"]


def test_it_stops_the_processes_when_the_run_is_interrupted_while_it_waits() -> None:
    steps = Steps("a", "b", "c", stuck="b")
    with pytest.raises(RunInterrupted):
        MultiprocessExecutor(max_concurrent=2).execute(steps)
    assert steps.log[1:] == [
        *("start a", "start b", "end a", "start c"),
        "Interrupted; stopping steps: b, c",
        "stop b, c",
        "Stopped executing steps, interrupted",
    ]


def test_it_stops_when_the_run_is_interrupted_between_steps() -> None:
    steps = Steps("a", "b", interrupted="a")
    with pytest.raises(RunInterrupted):
        MultiprocessExecutor().execute(steps)
    assert steps.log[1:] == ["stop ", "Stopped executing steps, interrupted"]


def test_one_step_is_told_as_one() -> None:
    steps = Steps("a")
    MultiprocessExecutor().execute(steps)
    assert steps.log[0].startswith("Executing 1 step, ")


def test_a_run_that_cannot_start_processes_fails_and_says_why(tmp_path: Path) -> None:
    @op
    def one() -> int:
        return 1

    @job(executor_def=multiprocess_executor)
    def etl() -> None:
        one()

    storage = MemoryStorage()
    status = execute(storage, etl, tmp_path, executor=MultiprocessExecutor())
    assert status is RunStatus.FAILURE
    last = events(storage)[-1]
    assert last.event_type is EventType.RUN_FAILURE
    assert "steps of this run cannot run in processes of their own" in last.message
    storage.dispose()
