"""A job can be tried without an instance."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from runwire.definitions import OpContext, Out, Output, job, op, resource
from runwire.errors import InvalidDefinitionError, RunConfigInvalidError
from runwire.executors import execute_in_process
from runwire.runs.status import RunStatus


@resource
def disk() -> list[int]:
    raise OSError("no disk here")


@op(required_resource_keys={"disk"})
def load(context: OpContext, factor: int = 1) -> list[int]:
    return [row * factor for row in context.resources.disk]


@op(out={"small": Out(), "large": Out(is_required=False)})
def split(rows: list[int]) -> Any:
    yield Output([row for row in rows if row < 10], "small")


@job(resource_defs={"disk": disk})
def etl() -> None:
    split(load())


def test_the_result_has_outputs_and_events() -> None:
    config = {"ops": {"load": {"inputs": {"factor": 2}}}}
    result = execute_in_process(etl, config, resources={"disk": [1, 7]})
    assert (result.success, result.status) == (True, RunStatus.SUCCESS)
    assert result.output_for_step("load") == [2, 14]
    assert result.output_for_step("split", "small") == [2]
    assert [event.position for event in result.events] == list(range(1, len(result.events) + 1))
    types = [event.stored_type for event in result.events]
    assert (types[0], types[-1]) == ("RUN_STARTING", "RUN_SUCCESS")


def test_an_output_that_was_not_given_is_told_with_those_that_were() -> None:
    result = execute_in_process(etl, resources={"disk": [1]})
    with pytest.raises(KeyError, match=r"step 'split' gave no output 'large'; outputs that were given:"
                       r" load\.result, split\.small"):  # fmt: skip
        result.output_for_step("split", "large")


def test_a_failing_run_is_a_result_too() -> None:
    result = execute_in_process(etl)
    assert (result.success, result.status, result.outputs) == (False, RunStatus.FAILURE, {})
    assert result.events[-1].message == "The run failed: OSError: no disk here"


def test_values_need_not_be_picklable() -> None:
    @op
    def lock() -> Any:
        return threading.Lock()

    @op
    def take(it: Any) -> bool:
        with it:
            return True

    @job
    def locks() -> None:
        take(lock())

    assert execute_in_process(locks).output_for_step("take") is True


def test_a_resource_that_the_job_does_not_use_is_refused() -> None:
    with pytest.raises(
        InvalidDefinitionError, match="job 'etl' uses no resource 'dsk'; it uses: disk"
    ):
        execute_in_process(etl, resources={"dsk": []})


def test_a_run_config_that_does_not_fit_is_refused_before_anything_runs() -> None:
    with pytest.raises(RunConfigInvalidError):
        execute_in_process(etl, {"ops": {"nope": {}}})
