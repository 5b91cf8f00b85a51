"""Jobs: ops wired together, with their resources and config."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn, overload

from pydantic_core import PydanticSerializationError

from runwire.definitions.executor import (
    ExecutorDefinition,
    checked_executor,
    in_process_executor,
)
from runwire.definitions.json_schema import as_json
from runwire.definitions.naming import checked_name, checked_tags
from runwire.definitions.op import current_job_body
from runwire.definitions.partitions import (
    JobPartitions,
    PartitionConfigFunction,
    PartitionsDefinition,
    checked_partitions,
)
from runwire.definitions.places import caller_place, place_of, refusal
from runwire.definitions.plan import plan_of
from runwire.definitions.resource import ResourceDefinition, needed_resources
from runwire.definitions.retries import RetryPolicy, checked_retry_policy
from runwire.definitions.run_config import ResolvedRunConfig, RunConfigType, preset_problems
from runwire.definitions.signature import checked_function, description_of
from runwire.definitions.snapshot import graph_of
from runwire.definitions.wiring import OpNode, RecordingBody
from runwire.errors import RunConfigInvalidError
from runwire.partitions import Partitions
from runwire.snapshots import JobSnapshot, PlanSnapshot


@dataclass(frozen=True, eq=False)
class JobDefinition:
    """A job. Made by `@job`.

    Attributes:
        name: its name.
        nodes: its ops, sources before what they feed.
        resource_defs: the resources that its ops use, by key, each after those that it uses itself.
        tags: the tags of its runs.
        description: what it is for, in its author's words.
        config: a part of the run config, under what a run gives.
        executor_def: what runs the steps of its runs.
        partitions: its partitions; None when it has none.
        op_retry_policy: when steps are tried again whose ops do not say so.
        source: where its function stands, as ``file:line``.
    """

    name: str
    nodes: tuple[OpNode, ...]
    resource_defs: Mapping[str, ResourceDefinition] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    executor_def: ExecutorDefinition = in_process_executor
    partitions: JobPartitions | None = None
    op_retry_policy: RetryPolicy | None = None
    source: str = ""

    def node(self, handle: str) -> OpNode:
        """The op of a handle.

        Raises:
            KeyError: there is none.
        """
        return self._nodes_by_handle[handle]

    def run_config_schema(self) -> dict[str, Any]:
        """The JSON Schema of its run config."""
        return self._run_config_type.schema()

    def default_run_config(self) -> dict[str, Any]:
        """A run config to start from: defaults filled in, null for what is required and has none."""
        return self._run_config_type.default()

    def resolve_run_config(self, run_config: Mapping[str, Any]) -> ResolvedRunConfig:
        """The checked form of a run config, the job's own config under it.

        Raises:
            RunConfigInvalidError: it does not fit; carries every problem.
        """
        return self._run_config_type.resolve(run_config)

    def resolve_op_config(
        self, run_config: Mapping[str, Any], handle: str, resource_keys: Collection[str]
    ) -> ResolvedRunConfig:
        """The part of a run config that one op and some resources are told; cheaper than all of it.

        Raises:
            RunConfigInvalidError: the part does not fit; carries every problem of it.
        """
        return self._run_config_type.resolve_op(run_config, handle, resource_keys)

    def plan(self, step_keys: Sequence[str] | None = None) -> PlanSnapshot:
        """The steps of a run, or those of them that are chosen.

        Raises:
            InputInvalidError: the job has no such step, or none is chosen.
        """
        return plan_of(self.name, self.nodes, step_keys)

    @property
    def partition_list(self) -> Partitions | None:
        """Its partitions in order; None when it has none."""
        return None if self.partitions is None else self.partitions.definition.partitions

    def snapshot(self) -> JobSnapshot:
        """The job as data."""
        return JobSnapshot(
            name=self.name,
            graph=graph_of(self.nodes),
            plan=self.plan(),
            run_config_schema=self.run_config_schema(),
            default_run_config=self.default_run_config(),
            description=self.description,
            tags=dict(self.tags),
            partitions=None if self.partitions is None else self.partitions.snapshot,
        )

    def __call__(self, *_: object, **__: object) -> NoReturn:
        """Refuses: a job is submitted, not called."""
        raise refusal(
            caller_place(),
            f"job {self.name!r}",
            "it is called",
            "a job is run by submitting it; to share ops between jobs, call them in a plain function",
        )

    @cached_property
    def _nodes_by_handle(self) -> Mapping[str, OpNode]:
        return {node.handle: node for node in self.nodes}

    @cached_property
    def _run_config_type(self) -> RunConfigType:
        return RunConfigType(self.name, self.nodes, self.resource_defs, self.config)


@overload
def job(fn: Callable[[], None], /) -> JobDefinition: ...


@overload
def job(
    *,
    name: str | None = None,
    description: str | None = None,
    tags: Mapping[str, str] | None = None,
    resource_defs: Mapping[str, ResourceDefinition] | None = None,
    config: Mapping[str, Any] | None = None,
    executor_def: ExecutorDefinition = in_process_executor,
    partitions: PartitionsDefinition | None = None,
    partition_config: PartitionConfigFunction | None = None,
    op_retry_policy: RetryPolicy | None = None,
) -> Callable[[Callable[[], None]], JobDefinition]: ...


def job(
    fn: Callable[[], None] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    tags: Mapping[str, str] | None = None,
    resource_defs: Mapping[str, ResourceDefinition] | None = None,
    config: Mapping[str, Any] | None = None,
    executor_def: ExecutorDefinition = in_process_executor,
    partitions: PartitionsDefinition | None = None,
    partition_config: PartitionConfigFunction | None = None,
    op_retry_policy: RetryPolicy | None = None,
) -> JobDefinition | Callable[[Callable[[], None]], JobDefinition]:
    """Makes a job of a function whose body wires ops by calling them; also written bare, as ``@job``.

    The body runs once, when the job is defined. A call of an op gives outputs to pass to other ops; a list
    of outputs feeds one input with a list of values. An op that is used twice gets the names ``load`` and
    ``load_2``, or those of ``load.alias("load_sales")``.

    Args:
        fn: the function, where the decorator is written bare.
        name: the job's name; that of the function when left out.
        description: what it is for; the function's docstring when left out.
        tags: the tags of its runs.
        resource_defs: the resources that its ops may use, by key; those that none uses are left out.
        config: a part of the run config, under what a run gives.
        executor_def: what runs the steps of its runs: `in_process_executor`, `multiprocess_executor` or
            another.
        partitions: what its runs are of: days, hours or names. A run then has a partition key.
        partition_config: gives the run config of a partition, or None, for its key. It is called again when the
            process that called it is killed, so it should have no effect of its own.
        op_retry_policy: when steps that fail are tried again whose ops do not say so.

    Raises:
        InvalidDefinitionError: this cannot be a job; the message names place, job and mend.
    """

    def define(fn: Callable[[], None]) -> JobDefinition:
        function = checked_function(fn, "job", caller_place())
        source = place_of(function)
        job_name = checked_name(function.__name__ if name is None else name, source, "job")
        subject = f"job {job_name!r}"
        nodes = _recorded(function, job_name, source)
        made = JobDefinition(
            name=job_name,
            nodes=nodes,
            resource_defs=needed_resources(nodes, resource_defs, source, subject),
            tags=checked_tags(tags, f"{source}: {subject}"),
            description=description_of(function, description),
            config=_checked_config(config, source, subject),
            executor_def=checked_executor(executor_def, source, subject),
            partitions=checked_partitions(partitions, partition_config, source, subject),
            op_retry_policy=checked_retry_policy(op_retry_policy, source, subject),
            source=source,
        )
        _check_preset(made)
        return made

    return define if fn is None else define(fn)


def _recorded(fn: Callable[..., Any], job_name: str, source: str) -> tuple[OpNode, ...]:
    """The ops that the body of a job calls."""
    subject = f"job {job_name!r}"
    if (
        inspect.iscoroutinefunction(fn)
        or inspect.isgeneratorfunction(fn)
        or inspect.isasyncgenfunction(fn)
    ):
        raise refusal(
            source,
            subject,
            "its body is async or yields",
            "write it with def; only ops may be async",
        )
    parameters = inspect.signature(fn).parameters
    if parameters:
        raise refusal(
            source,
            subject,
            f"it takes parameters: {', '.join(parameters)}",
            "a job takes none; give ops their values in the run config",
        )
    body = RecordingBody(job_name, source)
    token = current_job_body.set(body)
    try:
        returned = fn()
    finally:
        current_job_body.reset(token)
    if returned is not None:
        raise refusal(
            source,
            subject,
            f"its body returns {returned!r}, but has no values to return",
            "take the return out; what an op gives is kept without it",
        )
    if not body.nodes:
        raise refusal(source, subject, "its body calls no op", "call at least one: load()")
    return tuple(body.nodes.values())


def _checked_config(config: object, source: str, subject: str) -> Mapping[str, Any]:
    if config is None:
        return {}
    if not isinstance(config, Mapping):
        raise refusal(
            source,
            subject,
            f"config is a {type(config).__name__}",
            'write config={"ops": {...}, "resources": {...}}',
        )
    try:
        plain: Mapping[str, Any] = as_json(config)
    except (PydanticSerializationError, ValueError) as error:
        raise refusal(
            source, subject, f"its config is not JSON: {error}", "use values that JSON can hold"
        ) from error
    return plain


def _check_preset(job: JobDefinition) -> None:
    if not job.config:
        return
    try:
        job.resolve_run_config({})
    except RunConfigInvalidError as error:
        problems = preset_problems(job.config, error.problems)
        if problems:
            told = ", ".join(f"{'.'.join(p.path) or 'top level'}: {p.message}" for p in problems)
            raise refusal(
                job.source,
                f"job {job.name!r}",
                f"its config does not fit: {told}",
                "change @job(config=...)",
            ) from None
