"""What users import."""

from __future__ import annotations

import subprocess
import sys

import runwire


def test_importing_runwire_is_light() -> None:
    heavy = "{'sqlalchemy', 'alembic', 'grpc', 'strawberry', 'graphql', 'starlette', 'rich', 'gql'}"
    code = f"import runwire, sys; print({heavy} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout == "set()\n"


def test_everything_for_users_is_there() -> None:
    assert sorted(runwire.__all__) == [
        "AssetKey",
        "AssetMaterialization",
        "AssetSensorContext",
        "Backoff",
        "DEFAULT_OUTPUT",
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
    assert all(hasattr(runwire, name) for name in runwire.__all__)
