"""From the executor that a job names to the one that runs its steps."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from runwire import in_process_executor, multiprocess_executor
from runwire.definitions import ExecutorDefinition
from runwire.errors import InvalidDefinitionError
from runwire.executor import Executor, RunSteps
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


def test_the_executors_that_runwire_exports_are_made() -> None:
    assert type(make_executor(in_process_executor)) is InProcessExecutor
    made = make_executor(multiprocess_executor.configured({"max_concurrent": 7}))
    assert isinstance(made, MultiprocessExecutor)
    assert made._max_concurrent == 7


def test_an_executor_of_a_user_is_built_with_its_config() -> None:
    slow = ExecutorDefinition("slow", f"{OURS}.SlowExecutor", SlowConfig, SlowConfig())
    made = [make_executor(slow), make_executor(slow.configured({"seconds": 0.5}))]
    assert [vars(executor) for executor in made] == [{"seconds": 1.0}, {"seconds": 0.5}]


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
        make_executor(ExecutorDefinition("mine", executor_class))
    assert str(refused.value).startswith(f"executor 'mine': {executor_class} {problem}")
