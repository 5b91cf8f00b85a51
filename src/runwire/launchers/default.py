"""The default run launcher: the code location of a run starts and stops its worker."""

from __future__ import annotations

from typing import Any, Self

from runwire.config import ConfigurableClassData
from runwire.errors import LaunchFailedError
from runwire.launcher import LaunchRunContext, RunLauncher
from runwire.runs.run import RunRecord
from runwire.workspace import WorkerRequest, Workspace


class DefaultRunLauncher(RunLauncher):
    """Starts each run in a process of its own, beside the code server that knows the run's job."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        return cls()

    def launch_run(self, context: LaunchRunContext) -> None:
        run = context.record.run
        if run.location_name is None or run.repository_name is None:
            raise LaunchFailedError(run.run_id, "it does not name the code location of its job")
        context.workspace.get_location(run.location_name).start_worker(
            WorkerRequest(
                run_id=run.run_id,
                job_name=run.job_name,
                repository_name=run.repository_name,
                epoch=context.record.worker_epoch,
                instance_ref=context.instance_ref,
            )
        )

    def has_worker(self, record: RunRecord, workspace: Workspace) -> bool:
        location_name = record.run.location_name
        if location_name is None:
            return False
        return workspace.get_location(location_name).has_worker(record.run_id)

    def terminate(self, record: RunRecord, workspace: Workspace) -> bool:
        location_name = record.run.location_name
        if location_name is None:
            return False
        return workspace.get_location(location_name).stop_worker(record.run_id)
