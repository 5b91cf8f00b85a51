"""An instance in memory with a workspace and a launcher that do what a test says."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import pytest

from runwire.config import ConfigurableClassData
from runwire.errors import (
    CodeLocationNotFoundError,
    CodeLocationUnavailableError,
    ConfigProblem,
    RunConfigInvalidError,
)
from runwire.launcher import LaunchRunContext, RunLauncher
from runwire.runs import RunRecord
from runwire.snapshots import JobSnapshot, PlanSnapshot, PlanStepSnapshot, RepositorySnapshot
from runwire.storages.memory import MemoryStorage
from runwire.workspace import (
    CodeLocation,
    CodeLocationState,
    CodeLocationStatus,
    WorkerRequest,
    Workspace,
)


def job(name: str) -> JobSnapshot:
    plan = PlanSnapshot(name, (PlanStepSnapshot("load", "load", 0),))
    return JobSnapshot(name, (), plan, {}, {}, tags={"team": "a", "kind": "etl"})


class FakeLocation(CodeLocation):
    def __init__(self, name: str, *jobs: str) -> None:
        repository = RepositorySnapshot("main", tuple(job(one) for one in jobs))
        self._state = CodeLocationState(
            name=name,
            status=CodeLocationStatus.LOADED,
            updated_at=1.0,
            repositories=(repository,),
        )

    def turn(self, status: CodeLocationStatus) -> None:
        self._state = replace(self._state, status=status, repositories=())

    @property
    def state(self) -> CodeLocationState:
        return self._state

    def plan_run(
        self,
        repository_name: str,
        job_name: str,
        run_config: Mapping[str, Any],
        step_keys: Sequence[str] | None = None,
    ) -> PlanSnapshot:
        if "bad" in run_config:
            raise RunConfigInvalidError(
                job_name, [ConfigProblem(("bad",), "no", "extra_forbidden")]
            )
        return job(job_name).plan

    def start_worker(self, request: WorkerRequest) -> int:
        raise NotImplementedError

    def has_worker(self, run_id: str) -> bool:
        raise NotImplementedError

    def stop_worker(self, run_id: str) -> bool:
        raise NotImplementedError


class FakeWorkspace(Workspace):
    def __init__(self, *locations: FakeLocation) -> None:
        self.locations = {location.state.name: location for location in locations}

    def get_location(self, name: str) -> FakeLocation:
        if name not in self.locations:
            raise CodeLocationNotFoundError(name)
        return self.locations[name]

    def list_locations(self) -> list[CodeLocation]:
        return list(self.locations.values())


@dataclass
class FakeLauncher(RunLauncher):
    """Remembers what it was asked; `broken` makes it refuse, `alive` tells of a worker."""

    launched: list[tuple[str, int]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    broken: Exception | None = None
    alive: bool = True
    reachable: bool = True

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        return cls()

    def launch_run(self, context: LaunchRunContext) -> None:
        if self.broken is not None:
            raise self.broken
        self.launched.append((context.record.run_id, context.record.worker_epoch))

    def has_worker(self, record: RunRecord, workspace: Workspace) -> bool:
        if not self.reachable:
            raise CodeLocationUnavailableError("here", "gone")
        return self.alive

    def terminate(self, record: RunRecord, workspace: Workspace) -> bool:
        self.stopped.append(record.run_id)
        return self.alive


@pytest.fixture
def storage() -> Iterator[MemoryStorage]:
    made = MemoryStorage()
    yield made
    made.dispose()


@pytest.fixture
def workspace() -> FakeWorkspace:
    return FakeWorkspace(FakeLocation("here", "etl", "both"), FakeLocation("there", "both"))


@pytest.fixture
def launcher() -> FakeLauncher:
    return FakeLauncher()
