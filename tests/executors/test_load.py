"""From the executor that a job names to the one that runs its steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from runwire import (
    Executor,
    ExecutorDefinition,
    InitExecutorContext,
    RunSteps,
    executor,
    in_process_executor,
    job,
    multiprocess_executor,
    op,
)
from runwire.definitions import JobDefinition
from runwire.errors import InvalidDefinitionError
from runwire.executors import InProcessExecutor, MultiprocessExecutor, make_executor

OURS = "tests.executors.test_load"


class SlowConfig(BaseModel):
    """Config of an executor."""

    seconds: float = 1.0


class SlowExecutor(Executor):
    """An executor of a user."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def execute(self, steps: RunSteps) -> None:
        raise NotImplementedError


@op
def load() -> None: ...


def job_with(executor_def: ExecutorDefinition) -> JobDefinition:
    @job(executor_def=executor_def)
    def etl() -> None:
        load()

    return etl


def test_the_executors_that_runwire_exports_are_made() -> None:
    assert type(make_executor(job_with(in_process_executor))) is InProcessExecutor
    made = make_executor(job_with(multiprocess_executor.configured({"max_concurrent": 7})))
    assert isinstance(made, MultiprocessExecutor)
    assert made._max_concurrent == 7


def test_a_class_is_built_with_its_config() -> None:
    slow = ExecutorDefinition("slow", f"{OURS}.SlowExecutor", SlowConfig, SlowConfig())
    made = [make_executor(job_with(each)) for each in (slow, slow.configured({"seconds": 0.5}))]
    assert [vars(executor) for executor in made] == [{"seconds": 1.0}, {"seconds": 0.5}]


def test_a_function_is_told_of_the_job_its_config_and_the_instance() -> None:
    told: list[tuple[InitExecutorContext, SlowConfig]] = []

    @executor
    def slow(context: InitExecutorContext, config: SlowConfig) -> Executor:
        """Takes its time."""
        told.append((context, config))
        return SlowExecutor(config.seconds)

    assert (slow.name, slow.description) == ("slow", "Takes its time.")
    etl, instance = job_with(slow.configured({"seconds": 2})), object()
    assert vars(make_executor(etl, instance)) == {"seconds": 2.0}
    [(context, config)] = told
    assert (context.job, context.executor_def, context.instance) == (
        etl,
        etl.executor_def,
        instance,
    )
    assert context.executor_config is config


def test_a_function_need_not_take_anything() -> None:
    @executor(name="quick", description="No time at all.")
    def made() -> Executor:
        return SlowExecutor(0)

    assert (made.name, made.description) == ("quick", "No time at all.")
    assert vars(make_executor(job_with(made))) == {"seconds": 0}


class Speed(BaseModel):
    """Config of an executor that is configured by a function."""

    steps_per_second: int


class Pace(BaseModel):
    """And by another."""

    pace: int = 4


def test_functions_that_configure_may_stand_upon_one_another() -> None:
    @executor
    def slow(config: SlowConfig) -> Executor:
        return SlowExecutor(config.seconds)

    by_speed = slow.configured(lambda speed: {"seconds": 1 / speed.steps_per_second}, Speed)
    by_pace = by_speed.configured(lambda pace: {"steps_per_second": pace.pace * 2}, Pace)
    fast = by_pace.configured({"pace": 5})
    assert (fast.name, fast.config) == ("slow", Pace(pace=5))
    assert vars(make_executor(job_with(fast))) == {"seconds": 0.1}
    assert vars(make_executor(job_with(by_pace))) == {"seconds": 0.125}
    assert vars(make_executor(job_with(slow.configured(lambda _: {"seconds": 3})))) == {
        "seconds": 3
    }
    with pytest.raises(InvalidDefinitionError, match="steps_per_second: a value is needed here"):
        by_speed.configured({})


def test_what_a_function_configures_must_fit() -> None:
    def none(_: Any) -> Mapping[str, Any]:
        return {"seconds": "many"}

    slow = ExecutorDefinition("slow", f"{OURS}.SlowExecutor", SlowConfig, SlowConfig())
    with pytest.raises(InvalidDefinitionError, match="seconds: Input should be a valid number"):
        slow.configured(none, Pace).configured({"pace": 1})


@pytest.mark.parametrize(
    ("executor_class", "problem"),
    [
        ("no.such.Module", "cannot be imported: No module named 'no'"),
        (f"{OURS}.Nothing", "cannot be imported: module"),
        ("Nothing", "cannot be imported: Empty module name"),
        (f"{OURS}.SlowConfig", "is no class of executors; derive it from Executor"),
        (f"{OURS}.OURS", "is no class of executors; derive it from Executor"),
        (f"{OURS}.SlowExecutor", "cannot be built from its config: "),
    ],
)
def test_what_cannot_be_made_is_refused_by_name(executor_class: str, problem: str) -> None:
    with pytest.raises(InvalidDefinitionError) as refused:
        make_executor(job_with(ExecutorDefinition("mine", executor_class)))
    assert str(refused.value).startswith(f"executor 'mine': {executor_class} {problem}")


def raises() -> Executor:
    raise OSError("no cluster")


@pytest.mark.parametrize(
    ("fn", "problem"),
    [
        (raises, "its function raised OSError: no cluster"),
        (lambda: 3, "its function returned a int; return an Executor"),
    ],
)
def test_a_function_that_makes_none_is_told(fn: Callable[[], Any], problem: str) -> None:
    with pytest.raises(InvalidDefinitionError, match=f"executor 'mine': {problem}"):
        make_executor(job_with(executor(name="mine")(fn)))


def test_what_cannot_be_an_executor_is_refused() -> None:
    with pytest.raises(InvalidDefinitionError, match="parameter 'speed' is neither 'context' nor"):

        @executor
        def mine(speed: float) -> Executor:
            return SlowExecutor(speed)
