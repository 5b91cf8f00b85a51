"""runwire: a run-orchestration instance that you talk to over GraphQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from runwire.definitions import (
    DEFAULT_OUTPUT,
    AssetKey,
    AssetMaterialization,
    AssetSensorContext,
    Backoff,
    DailyPartitions,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    ExecutorDefinition,
    Failure,
    HourlyPartitions,
    In,
    InitExecutorContext,
    Jitter,
    MetadataValue,
    OpContext,
    Out,
    Output,
    PartitionWindow,
    ResourceContext,
    RetryMode,
    RetryPolicy,
    RetryRequested,
    RunRequest,
    RunStatusSensorContext,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    StaticPartitions,
    asset_sensor,
    executor,
    in_process_executor,
    job,
    multiprocess_executor,
    op,
    repository,
    resource,
    run_status_sensor,
    schedule,
    sensor,
)
from runwire.file_manager import FileHandle, FileManager
from runwire.file_managers import fsspec_file_manager, local_file_manager
from runwire.run_steps import Executor, RunSteps
from runwire.runs.status import RunStatus

if TYPE_CHECKING:
    from runwire.client import RunwireClient

__version__ = "0.1.0"


def connect(
    url: str = "http://127.0.0.1:3333/graphql", token: str | Callable[[], str] | None = None
) -> RunwireClient:
    """The client of a server, to be closed, or used in a ``with``; see `runwire.client.RunwireClient`.

    Args:
        url: the endpoint; ``/graphql`` is added to an address without a path.
        token: the token of the server, where it demands one, or a function that gives it.
    """
    # Whoever defines jobs needs no client.
    from runwire.client import RunwireClient  # noqa: PLC0415

    return RunwireClient(url, token)


__all__ = [
    "DEFAULT_OUTPUT",
    "AssetKey",
    "AssetMaterialization",
    "AssetSensorContext",
    "Backoff",
    "DailyPartitions",
    "DefaultScheduleStatus",
    "DefaultSensorStatus",
    "Executor",
    "ExecutorDefinition",
    "Failure",
    "FileHandle",
    "FileManager",
    "HourlyPartitions",
    "In",
    "InitExecutorContext",
    "Jitter",
    "MetadataValue",
    "OpContext",
    "Out",
    "Output",
    "PartitionWindow",
    "ResourceContext",
    "RetryMode",
    "RetryPolicy",
    "RetryRequested",
    "RunRequest",
    "RunStatus",
    "RunStatusSensorContext",
    "RunSteps",
    "ScheduleDefinition",
    "ScheduleEvaluationContext",
    "SensorDefinition",
    "SensorEvaluationContext",
    "SensorResult",
    "SkipReason",
    "StaticPartitions",
    "__version__",
    "asset_sensor",
    "connect",
    "executor",
    "fsspec_file_manager",
    "in_process_executor",
    "job",
    "local_file_manager",
    "multiprocess_executor",
    "op",
    "repository",
    "resource",
    "run_status_sensor",
    "schedule",
    "sensor",
]
