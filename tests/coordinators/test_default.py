"""The default run coordinator."""

from __future__ import annotations

import pytest

from runwire.config import ConfigurableClassData
from runwire.coordinator import RunCoordinator, SubmitRunContext
from runwire.coordinators.default import DefaultRunCoordinator
from runwire.errors import InvalidConfigurationError, LaunchFailedError
from runwire.runs.run import Run, RunRecord
from runwire.runs.status import RunStatus


def _record(status: RunStatus) -> RunRecord:
    return RunRecord(
        storage_id=1,
        run=Run(job_name="sales", run_id="run"),
        status=status,
        log_id="log",
        created_at=1.0,
        updated_at=1.0,
    )


def test_a_submitted_run_is_launched_at_once() -> None:
    launched = _record(RunStatus.STARTING)
    calls: list[str] = []

    def launch() -> RunRecord:
        calls.append("launch")
        return launched

    context = SubmitRunContext(_record(RunStatus.NOT_STARTED), launch, launch)
    assert DefaultRunCoordinator().submit_run(context) is launched
    assert calls == ["launch"]


def test_a_launch_that_fails_is_told_to_who_submitted() -> None:
    def launch() -> RunRecord:
        raise LaunchFailedError("run", "no memory")

    context = SubmitRunContext(_record(RunStatus.NOT_STARTED), launch, launch)
    with pytest.raises(LaunchFailedError, match="no memory"):
        DefaultRunCoordinator().submit_run(context)


def test_it_is_configured_by_its_class_path_and_takes_no_config() -> None:
    data = ConfigurableClassData("runwire.coordinators.default", "DefaultRunCoordinator")
    assert isinstance(data.rehydrate(RunCoordinator), DefaultRunCoordinator)
    with pytest.raises(InvalidConfigurationError, match=r"config\.size"):
        ConfigurableClassData(data.module_name, data.class_name, {"size": 1}).rehydrate(
            RunCoordinator
        )
