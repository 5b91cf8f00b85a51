"""The contexts that user code is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from runwire.definitions import (
    DEFAULT_OUTPUT,
    AssetMaterialization,
    Log,
    OpContext,
    ResourceContext,
)
from runwire.errors import PartitionMissingError
from runwire.execution.plan import ExecutionStep
from runwire.execution.scope import RunScope, ScopedResources
from runwire.execution.step_outputs import StepOutputs
from runwire.execution.user_log import UserLog
from runwire.instance import Instance
from runwire.partitions import PartitionWindow
from runwire.runs.tags import PARTITION_TAG


class StepContext(OpContext):
    """The context of the op of a step."""

    def __init__(
        self, step: ExecutionStep, scope: RunScope, outputs: StepOutputs, retry_number: int = 0
    ) -> None:
        self._step = step
        self._retry_number = retry_number
        self._scope = scope
        self._outputs = outputs
        self._log = UserLog(scope.log, step.key)
        self._resources = ScopedResources(
            scope.resources, step.op.required_resource_keys, f"op {step.op.name!r}"
        )

    @property
    def run_id(self) -> str:
        return self._scope.run.run_id

    @property
    def job_name(self) -> str:
        return self._scope.run.job_name

    @property
    def step_key(self) -> str:
        return self._step.key

    @property
    def op_name(self) -> str:
        return self._step.op.name

    @property
    def retry_number(self) -> int:
        return self._retry_number

    @property
    def op_config(self) -> BaseModel | None:
        return self._step.config

    @property
    def resources(self) -> ScopedResources:
        return self._resources

    @property
    def run_tags(self) -> Mapping[str, str]:
        return self._scope.run.tags

    @property
    def partition_key(self) -> str:
        run = self._scope.run
        key = run.tags.get(PARTITION_TAG)
        if key is not None:
            return key
        mend = (
            "give its job some by @job(partitions=...)"
            if self._scope.partitions is None
            else "submit it with a partition key, or launch a backfill"
        )
        raise PartitionMissingError(
            f"run {run.run_id!r} of job {run.job_name!r} has no partition; {mend}"
        )

    @property
    def partition_window(self) -> PartitionWindow | None:
        key, partitions = self.partition_key, self._scope.partitions
        if partitions is None or not partitions.have_windows:
            return None
        window = partitions.find_window(key)
        if window is None:
            job_name = self._scope.run.job_name
            raise PartitionMissingError(
                f"partition {key!r} is none of job {job_name!r} any more: its partitions were changed after the"
                " run was made"
            )
        return window

    @property
    def log(self) -> Log:
        return self._log

    @property
    def instance(self) -> Instance | None:
        return self._scope.instance()

    def log_event(self, event: AssetMaterialization) -> None:
        if not isinstance(event, AssetMaterialization):
            raise TypeError(
                f"log_event is given a {type(event).__name__}; give an AssetMaterialization"
            )
        self._scope.log.tell_asset(event, self._step.key)

    def add_output_metadata(
        self, metadata: Mapping[str, Any], output_name: str = DEFAULT_OUTPUT
    ) -> None:
        self._outputs.add_metadata(metadata, output_name)


class ResourceSetupContext(ResourceContext):
    """The context of a resource."""

    def __init__(
        self,
        run_id: str,
        log: Log,
        resources: ScopedResources,
        config: BaseModel | None,
        instance: Callable[[], Instance | None],
    ) -> None:
        self._run_id = run_id
        self._log = log
        self._resources = resources
        self._config = config
        self._instance = instance

    @property
    def run_id(self) -> str:
        return self._run_id

    @property
    def log(self) -> Log:
        return self._log

    @property
    def resources(self) -> ScopedResources:
        return self._resources

    @property
    def resource_config(self) -> BaseModel | None:
        return self._config

    @property
    def instance(self) -> Instance | None:
        return self._instance()
