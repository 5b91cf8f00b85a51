"""The default run launcher, with code locations that note what they are asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from runwire.config import ConfigurableClassData
from runwire.errors import (
    CodeLocationNotFoundError,
    CodeLocationUnavailableError,
    InvalidConfigurationError,
    LaunchFailedError,
)
from runwire.launcher import LaunchRunContext, RunLauncher
from runwire.launchers.default import DefaultRunLauncher
from runwire.runs.run import Run, RunRecord
from runwire.runs.status import RunStatus
from runwire.snapshots import PlanSnapshot
from runwire.workspace import (
    CodeLocation,
    CodeLocationState,
    CodeLocationStatus,
    WorkerRequest,
    Workspace,
)

INSTANCE_REF = {"name": "test"}


class NotingLocation(CodeLocation):
    """Notes what it is asked; has a worker of the run ``live``; refuses when it is down."""

    def __init__(self, *, down: bool = False) -> None:
        self.asked: list[object] = []
        self._down = down

    @property
    def state(self) -> CodeLocationState:
        return CodeLocationState(name="shop", status=CodeLocationStatus.LOADED, updated_at=1.0)

    def plan_run(
        self,
        repository_name: str,
        job_name: str,
        run_config: Mapping[str, Any],
        step_keys: Sequence[str] | None = None,
    ) -> PlanSnapshot:
        raise AssertionError("a launcher makes no plans")

    def start_worker(self, request: WorkerRequest) -> int:
        self._note(request)
        return 4711

    def has_worker(self, run_id: str) -> bool:
        self._note(("has", run_id))
        return run_id == "live"

    def stop_worker(self, run_id: str) -> bool:
        self._note(("stop", run_id))
        return run_id == "live"

    def _note(self, call: object) -> None:
        if self._down:
            raise CodeLocationUnavailableError("shop", "it is UNREACHABLE")
        self.asked.append(call)


class OneLocation(Workspace):
    def __init__(self, location: NotingLocation) -> None:
        self.location = location

    def get_location(self, name: str) -> CodeLocation:
        if name != "shop":
            raise CodeLocationNotFoundError(name, ["shop"])
        return self.location

    def list_locations(self) -> list[CodeLocation]:
        return [self.location]


def _record(
    run_id: str = "live", *, location: str | None = "shop", repository: str | None = "main"
) -> RunRecord:
    run = Run(job_name="sales", run_id=run_id, location_name=location, repository_name=repository)
    return RunRecord(
        storage_id=1,
        run=run,
        status=RunStatus.STARTING,
        log_id="log",
        created_at=1.0,
        updated_at=1.0,
        worker_epoch=3,
    )


def test_launching_asks_the_run_s_location_for_a_worker_of_its_epoch() -> None:
    location = NotingLocation()
    context = LaunchRunContext(_record(), OneLocation(location), INSTANCE_REF)
    DefaultRunLauncher().launch_run(context)
    assert location.asked == [WorkerRequest("live", "sales", "main", 3, INSTANCE_REF)]


@pytest.mark.parametrize("record", [_record(location=None), _record(repository=None)])
def test_a_run_without_a_place_cannot_be_launched(record: RunRecord) -> None:
    location = NotingLocation()
    context = LaunchRunContext(record, OneLocation(location), INSTANCE_REF)
    with pytest.raises(LaunchFailedError, match="does not name the code location"):
        DefaultRunLauncher().launch_run(context)
    assert location.asked == []


def test_a_location_that_is_down_launches_nothing() -> None:
    workspace = OneLocation(NotingLocation(down=True))
    with pytest.raises(CodeLocationUnavailableError):
        DefaultRunLauncher().launch_run(LaunchRunContext(_record(), workspace, INSTANCE_REF))


@pytest.mark.parametrize(("run_id", "alive"), [("live", True), ("gone", False)])
def test_the_location_tells_of_workers_and_stops_them(run_id: str, alive: bool) -> None:
    location = NotingLocation()
    launcher, workspace = DefaultRunLauncher(), OneLocation(location)
    assert launcher.has_worker(_record(run_id), workspace) is alive
    assert launcher.terminate(_record(run_id), workspace) is alive
    assert location.asked == [("has", run_id), ("stop", run_id)]


def test_a_run_without_a_location_has_no_worker_here() -> None:
    location = NotingLocation()
    launcher, workspace = DefaultRunLauncher(), OneLocation(location)
    assert launcher.has_worker(_record(location=None), workspace) is False
    assert launcher.terminate(_record(location=None), workspace) is False
    assert location.asked == []


def test_a_location_that_is_not_in_the_workspace_is_named() -> None:
    workspace = OneLocation(NotingLocation())
    with pytest.raises(CodeLocationNotFoundError, match="'other'"):
        DefaultRunLauncher().has_worker(_record(location="other"), workspace)


def test_it_is_configured_by_its_class_path_and_takes_no_config() -> None:
    data = ConfigurableClassData("runwire.launchers.default", "DefaultRunLauncher")
    assert isinstance(data.rehydrate(RunLauncher), DefaultRunLauncher)
    with pytest.raises(InvalidConfigurationError, match=r"config\.grace"):
        ConfigurableClassData(data.module_name, data.class_name, {"grace": 1}).rehydrate(
            RunLauncher
        )
