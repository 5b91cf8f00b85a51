"""What users write: ops, jobs, resources, repositories; and what becomes of it: definitions.

A definition is complete and checked when its decorator returns; what is wrong is refused there with place,
name and mend. Nothing here runs an op.
"""

from runwire.definitions.contexts import Log, OpContext, ResourceContext
from runwire.definitions.executor import (
    ExecutorDefinition,
    InitExecutorContext,
    executor,
    in_process_executor,
    multiprocess_executor,
)
from runwire.definitions.job import JobDefinition, job
from runwire.definitions.load import DEFAULT_REPOSITORY, load_file, load_module
from runwire.definitions.op import OpDefinition, OpKind, OpUse, op
from runwire.definitions.op_io import InputDefinition, OutputDefinition
from runwire.definitions.outputs import (
    DEFAULT_OUTPUT,
    AssetKey,
    AssetMaterialization,
    Failure,
    In,
    Out,
    Output,
)
from runwire.definitions.partitions import (
    DailyPartitions,
    HourlyPartitions,
    JobPartitions,
    PartitionsDefinition,
    StaticPartitions,
)
from runwire.definitions.repository import RepositoryDefinition, repository
from runwire.definitions.requests import RunRequest, SensorResult, SkipReason
from runwire.definitions.resource import ResourceDefinition, resource
from runwire.definitions.retries import (
    Backoff,
    Jitter,
    RetryMode,
    RetryPolicy,
    RetryRequested,
)
from runwire.definitions.run_config import OpRunConfig, ResolvedRunConfig
from runwire.definitions.schedule import (
    DefaultScheduleStatus,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    schedule,
)
from runwire.definitions.sensor import (
    AssetSensorContext,
    DefaultSensorStatus,
    RunStatusSensorContext,
    SensorDefinition,
    SensorEvaluationContext,
    asset_sensor,
    run_status_sensor,
    sensor,
)
from runwire.definitions.types import check_type, type_name
from runwire.definitions.wiring import OpNode, OutputRef
from runwire.events.metadata import MetadataValue
from runwire.partitions import PartitionWindow

__all__ = [
    "DEFAULT_OUTPUT",
    "DEFAULT_REPOSITORY",
    "AssetKey",
    "AssetMaterialization",
    "AssetSensorContext",
    "Backoff",
    "DailyPartitions",
    "DefaultScheduleStatus",
    "DefaultSensorStatus",
    "ExecutorDefinition",
    "Failure",
    "HourlyPartitions",
    "In",
    "InitExecutorContext",
    "InputDefinition",
    "Jitter",
    "JobDefinition",
    "JobPartitions",
    "Log",
    "MetadataValue",
    "OpContext",
    "OpDefinition",
    "OpKind",
    "OpNode",
    "OpRunConfig",
    "OpUse",
    "Out",
    "Output",
    "OutputDefinition",
    "OutputRef",
    "PartitionWindow",
    "PartitionsDefinition",
    "RepositoryDefinition",
    "ResolvedRunConfig",
    "ResourceContext",
    "ResourceDefinition",
    "RetryMode",
    "RetryPolicy",
    "RetryRequested",
    "RunRequest",
    "RunStatusSensorContext",
    "ScheduleDefinition",
    "ScheduleEvaluationContext",
    "SensorDefinition",
    "SensorEvaluationContext",
    "SensorResult",
    "SkipReason",
    "StaticPartitions",
    "asset_sensor",
    "check_type",
    "executor",
    "in_process_executor",
    "job",
    "load_file",
    "load_module",
    "multiprocess_executor",
    "op",
    "repository",
    "resource",
    "run_status_sensor",
    "schedule",
    "sensor",
    "type_name",
]
