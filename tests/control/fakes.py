"""A workspace and a launcher that do what a test says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import msgspec

from runwire.config import ConfigurableClassData
from runwire.errors import (
    CodeLocationNotFoundError,
    CodeLocationUnavailableError,
    ConfigProblem,
    RunConfigInvalidError,
)
from runwire.launcher import LaunchRunContext, ResumeRunContext, RunLauncher
from runwire.partitions import PartitionsSnapshot
from runwire.snapshots import JobSnapshot, PlanSnapshot, PlanStepSnapshot, RepositorySnapshot
from runwire.ticks.evaluation import SensorInput, TickEvaluation
from runwire.workspace import (
    CheckRunHealthResult,
    CodeLocation,
    CodeLocationState,
    CodeLocationStatus,
    WorkerRef,
    WorkerRequest,
    WorkerStatus,
    Workspace,
)


def job(name: str) -> JobSnapshot:
    plan = PlanSnapshot(name, (PlanStepSnapshot("load", "load", 0),))
    return JobSnapshot(name, (), plan, {}, {}, tags={"team": "a", "kind": "etl"})


def _asks_for_nothing(_schedule_name: str) -> TickEvaluation:
    return TickEvaluation()


def keeps_cursor(given: SensorInput) -> TickEvaluation:
    return TickEvaluation(cursor=given.cursor)


class FakeLocation(CodeLocation):
    """Has jobs, and no workers; `becomes` is the status that loading ends in."""

    def __init__(self, name: str, *jobs: str) -> None:
        self._loaded = CodeLocationState(
            name=name, status=CodeLocationStatus.LOADED, updated_at=1.0
        )
        self.load(main=jobs)
        self.becomes = CodeLocationStatus.LOADED
        self.waits: list[float | None] = []
        self.evaluated: list[tuple[str, float]] = []
        self.evaluate: Callable[[str], TickEvaluation] = _asks_for_nothing
        self.given: list[SensorInput] = []
        self.evaluate_given: Callable[[SensorInput], TickEvaluation] = keeps_cursor
        self.configured: list[str] = []
        self.configure: Callable[[str], dict[str, Any]] = lambda key: {"of": key}

    def load(self, **repositories: Sequence[str]) -> None:
        """Has these repositories and jobs from now on, and no others."""
        loaded = tuple(
            RepositorySnapshot(name, tuple(job(one) for one in jobs))
            for name, jobs in repositories.items()
        )
        self._state = self._loaded = replace(self._loaded, repositories=loaded)

    def partition(self, job_name: str, partitions: PartitionsSnapshot | None) -> None:
        """Gives a job partitions, or takes them away."""
        repositories = tuple(
            msgspec.structs.replace(
                repository,
                jobs=tuple(
                    msgspec.structs.replace(each, partitions=partitions)
                    if each.name == job_name
                    else each
                    for each in repository.jobs
                ),
            )
            for repository in self._loaded.repositories
        )
        self._state = self._loaded = replace(self._loaded, repositories=repositories)

    def turn(self, status: CodeLocationStatus) -> None:
        if status is CodeLocationStatus.LOADED:
            self._state = self._loaded
        else:
            self._state = replace(self._state, status=status, repositories=())

    @property
    def state(self) -> CodeLocationState:
        return self._state

    def wait_until_settled(self, timeout_seconds: float | None) -> bool:
        self.waits.append(timeout_seconds)
        self.turn(self.becomes)
        return self.becomes is not CodeLocationStatus.LOADING

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

    def evaluate_sensor(
        self, repository_name: str, sensor_name: str, given: SensorInput
    ) -> TickEvaluation:
        self.given.append(given)
        return self.evaluate_given(given)

    def evaluate_schedule(
        self, repository_name: str, schedule_name: str, due_at: float
    ) -> TickEvaluation:
        self.evaluated.append((schedule_name, due_at))
        return self.evaluate(schedule_name)

    def configure_partition(
        self, repository_name: str, job_name: str, partition_key: str
    ) -> dict[str, Any]:
        self.configured.append(partition_key)
        return self.configure(partition_key)

    def start_worker(self, request: WorkerRequest) -> int:
        raise NotImplementedError

    def check_worker(self, worker: WorkerRef) -> CheckRunHealthResult:
        raise NotImplementedError

    def stop_worker(self, worker: WorkerRef, *, force: bool = False) -> bool:
        raise NotImplementedError

    def reload(self) -> None:
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


def _nothing(context: LaunchRunContext) -> None:
    pass


@dataclass
class FakeLauncher(RunLauncher):
    """Remembers what it was asked.

    Attributes:
        launched: (run id, epoch) of workers that were launched.
        resumed: (run id, epoch, attempt number) of workers that resumed.
        stopped: (run id, epoch, force) of workers that were stopped.
        checked: (run id, epoch) of workers whose health was asked for.
        broken: what starting a worker raises.
        health: what it tells of every worker.
        reachable: whether it can tell of workers, and stop them.
        on_check, on_terminate, on_start: what happens in the world meanwhile.
    """

    launched: list[tuple[str, int]] = field(default_factory=list)
    resumed: list[tuple[str, int, int]] = field(default_factory=list)
    stopped: list[tuple[str, int, bool]] = field(default_factory=list)
    checked: list[tuple[str, int]] = field(default_factory=list)
    broken: Exception | None = None
    health: WorkerStatus = WorkerStatus.RUNNING
    reachable: bool = True
    on_check: Callable[[LaunchRunContext], object] = _nothing
    on_terminate: Callable[[LaunchRunContext], object] = _nothing
    on_start: Callable[[LaunchRunContext], object] = _nothing

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        return cls()

    def launch_run(self, context: LaunchRunContext) -> None:
        self._start(context)
        self.launched.append((context.record.run_id, context.record.worker_epoch))

    def resume_run(self, context: ResumeRunContext) -> None:
        self._start(context)
        run_id, epoch = context.record.run_id, context.record.worker_epoch
        self.resumed.append((run_id, epoch, context.resume_attempt_number))

    def check_run_worker_health(self, context: LaunchRunContext) -> CheckRunHealthResult:
        self.checked.append((context.record.run_id, context.record.worker_epoch))
        self._reach()
        self.on_check(context)
        return CheckRunHealthResult(self.health, f"It is {self.health.value}.")

    def terminate(self, context: LaunchRunContext, *, force: bool = False) -> bool:
        self._reach()
        self.stopped.append((context.record.run_id, context.record.worker_epoch, force))
        self.on_terminate(context)
        return self.health is WorkerStatus.RUNNING

    def _start(self, context: LaunchRunContext) -> None:
        self.on_start(context)
        if self.broken is not None:
            raise self.broken

    def _reach(self) -> None:
        if not self.reachable:
            raise CodeLocationUnavailableError("here", "gone")
