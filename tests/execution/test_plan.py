"""The plan of a run: what feeds each step, in which order steps go, what is refused."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from pydantic import BaseModel

from runwire.definitions import JobDefinition, OutputRef, job, op, resource
from runwire.errors import InputInvalidError, InvalidDefinitionError
from runwire.execution import ExecutionPlan, build_plan
from runwire.execution.plan import build_step


class Limits(BaseModel):
    rows: int = 10


@resource
def disk() -> str:
    return "disk"


@op(required_resource_keys={"disk"})
def read(config: Limits, path: str, encoding: str = "utf-8") -> int:
    return config.rows


@op(tags={"runwire/priority": "-2"})
def merge(parts: list[int], one: int) -> int:
    return sum(parts) + one


@job(resource_defs={"disk": disk})
def etl() -> None:
    first, second = read(), read()
    merge.tag({"runwire/priority": "7"})([first, second], first)


CONFIG = {
    "ops": {
        "read": {"inputs": {"path": "a"}, "config": {"rows": 3}},
        "read_2": {"inputs": {"path": "b", "encoding": "ascii"}},
    }
}


def plan_of(
    job: JobDefinition, config: Mapping[str, object] | None = None, *step_keys: str
) -> ExecutionPlan:
    return build_plan(job, job.resolve_run_config(config or {}), job.plan(step_keys or None))


def test_a_step_knows_its_sources_values_config_and_priority() -> None:
    plan = plan_of(etl, CONFIG)
    assert list(plan.steps) == ["read", "read_2", "merge"]
    read_step, merge_step = plan.steps["read"], plan.steps["merge"]
    assert {each.name: (each.sources, each.value) for each in read_step.inputs} == {
        "path": ((), "a"),
        "encoding": ((), "utf-8"),
    }
    assert (read_step.config, read_step.upstream, read_step.priority) == (Limits(rows=3), (), 0)
    assert [each.value for each in plan.steps["read_2"].inputs] == ["b", "ascii"]
    first, second = OutputRef("read", "result"), OutputRef("read_2", "result")
    assert [(each.name, each.sources, each.is_fan_in) for each in merge_step.inputs] == [
        ("parts", (first, second), True),
        ("one", (first,), False),
    ]
    assert (merge_step.upstream, merge_step.priority) == (("read", "read_2"), 7)


def test_one_step_can_be_built_without_the_plan() -> None:
    whole = plan_of(etl, CONFIG)
    alone = {
        key: build_step(etl, etl.resolve_op_config(CONFIG, key, []), key) for key in whole.steps
    }
    assert alone == {key: replace(step, upstream=()) for key, step in whole.steps.items()}
    with pytest.raises(KeyError):
        build_step(etl, etl.resolve_run_config(CONFIG), "other")


def test_it_needs_the_resources_of_the_steps_that_are_asked_for_alone() -> None:
    plan = plan_of(etl, CONFIG)
    assert plan.resource_keys(plan.steps) == {"disk"}
    assert plan.resource_keys(["merge"]) == frozenset()
    assert plan.resource_keys(["merge", "read"]) == {"disk"}


def test_a_step_whose_source_is_not_chosen_is_refused_with_the_mend() -> None:
    with pytest.raises(InputInvalidError) as raised:
        plan_of(etl, CONFIG, "read", "merge")
    assert str(raised.value) == (
        "input 'parts' of step 'merge' needs output 'result' of step 'read_2', which is not among the"
        " chosen steps; choose it as well"
    )
    assert raised.value.path == ("stepKeys",)


@op
def alone() -> None: ...


@job
def no_resource() -> None:
    alone.tag({"runwire/priority": "1"})()


def test_a_priority_that_is_no_whole_number_is_refused_with_its_name() -> None:
    node = replace(no_resource.nodes[0], handle="urgent", tags={"runwire/priority": "high"})
    with pytest.raises(InvalidDefinitionError) as raised:
        plan_of(replace(no_resource, nodes=(node,)))
    assert str(raised.value) == (
        f"{alone.source}: op 'urgent': tag runwire/priority is 'high'; give a whole number, such as"
        " '10' or '-1'"
    )
