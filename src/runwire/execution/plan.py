"""The steps of a run with all that they need: inputs, config, order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from runwire.definitions import (
    InputDefinition,
    JobDefinition,
    OpDefinition,
    OpNode,
    OutputRef,
    ResolvedRunConfig,
    RetryPolicy,
)
from runwire.errors import InputInvalidError, InvalidDefinitionError
from runwire.runs.tags import PRIORITY_TAG
from runwire.snapshots import PlanSnapshot, PlanStepSnapshot


@dataclass(frozen=True, slots=True)
class StepInput:
    """An input of a step.

    Attributes:
        definition: the input.
        sources: the outputs that feed it; empty when run config or its default does.
        is_fan_in: whether it takes a list of its sources' values.
        value: the value where it has no sources.
    """

    definition: InputDefinition
    sources: tuple[OutputRef, ...] = ()
    is_fan_in: bool = False
    value: Any = None

    @property
    def name(self) -> str:
        """The name of the input."""
        return self.definition.name


@dataclass(frozen=True, slots=True)
class ExecutionStep:
    """A step of a run. `upstream` are the steps that must end before it; larger priorities go first.

    `retry_policy` tells when it is tried again.
    """

    key: str
    op: OpDefinition
    inputs: tuple[StepInput, ...]
    config: BaseModel | None
    upstream: tuple[str, ...]
    priority: int = 0
    retry_policy: RetryPolicy | None = None


@dataclass(frozen=True)
class ExecutionPlan:
    """The steps of a run by key, those upstream before those that wait for them."""

    job_name: str
    steps: Mapping[str, ExecutionStep]

    @property
    def outside_sources(self) -> frozenset[OutputRef]:
        """The outputs that its steps take from steps that are not in it."""
        return frozenset(
            source
            for step in self.steps.values()
            for each in step.inputs
            for source in each.sources
            if source.handle not in self.steps
        )

    def resource_keys(self, step_keys: Iterable[str]) -> frozenset[str]:
        """The resources that the ops of some of its steps use."""
        return frozenset(
            key for each in step_keys for key in self.steps[each].op.required_resource_keys
        )


def build_plan(
    job: JobDefinition,
    run_config: ResolvedRunConfig,
    snapshot: PlanSnapshot,
    *,
    reuses: bool = False,
) -> ExecutionPlan:
    """The plan of a run.

    Args:
        job: its job.
        run_config: what the run is told.
        snapshot: which steps it has; from `job.plan`.
        reuses: whether another run may have the outputs of steps that are not chosen.

    Raises:
        InputInvalidError: a step needs an output of a step that is not chosen.
        InvalidDefinitionError: the priority of an op is no whole number.
    """
    chosen = frozenset(step.step_key for step in snapshot.steps)
    steps = {}
    for planned in snapshot.steps:
        node = job.node(planned.op_handle)
        if not reuses:
            _check_sources(node, chosen)
        steps[planned.step_key] = _step(job, planned, node, run_config)
    return ExecutionPlan(job.name, steps)


def build_step(job: JobDefinition, run_config: ResolvedRunConfig, step_key: str) -> ExecutionStep:
    """One step of a run, without what it waits for. The plan, which has it, has been built elsewhere.

    Raises:
        KeyError: the job has no such step.
    """
    node = job.node(step_key)
    planned = PlanStepSnapshot(step_key, node.handle, 0, ())
    return _step(job, planned, node, run_config)


def _step(
    job: JobDefinition, planned: PlanStepSnapshot, node: OpNode, run_config: ResolvedRunConfig
) -> ExecutionStep:
    told = run_config.ops[node.handle]
    return ExecutionStep(
        key=planned.step_key,
        op=node.op,
        inputs=tuple(_input(node, each, told.inputs) for each in node.op.inputs.values()),
        config=told.config,
        upstream=planned.upstream_step_keys,
        priority=_priority(node),
        retry_policy=node.retry_policy or job.op_retry_policy,
    )


def _input(node: OpNode, definition: InputDefinition, told: Mapping[str, Any]) -> StepInput:
    source = node.sources.get(definition.name)
    if source is None:
        return StepInput(definition, value=told.get(definition.name, definition.default))
    if isinstance(source, OutputRef):
        return StepInput(definition, (source,))
    return StepInput(definition, source, is_fan_in=True)


def _check_sources(node: OpNode, chosen: frozenset[str]) -> None:
    for name, source in node.sources.items():
        refs = (source,) if isinstance(source, OutputRef) else source
        for ref in refs:
            if ref.handle not in chosen:
                raise InputInvalidError(
                    f"input {name!r} of step {node.handle!r} needs output {ref.output_name!r} of step"
                    f" {ref.handle!r}, which is not among the chosen steps; choose it as well",
                    ["stepKeys"],
                )


def _priority(node: OpNode) -> int:
    value = node.tags.get(PRIORITY_TAG, "0")
    try:
        return int(value)
    except ValueError:
        raise InvalidDefinitionError(
            f"{node.op.source}: op {node.handle!r}: tag {PRIORITY_TAG} is {value!r}; give a whole"
            " number, such as '10' or '-1'"
        ) from None
