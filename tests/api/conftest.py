"""An instance in memory, a workspace and a launcher that do what a test says, and a way to ask them."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest
from graphql import GraphQLSyntaxError, OperationType, get_operation_ast, parse
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.types import ExecutionResult

from runwire import clock
from runwire.api.access import Principal
from runwire.api.context import ApiContext
from runwire.api.schema import schema
from runwire.config import ConfigurableClassData
from runwire.control import NewRun, TickRunner, schedules_of
from runwire.error_info import ErrorInfo
from runwire.errors import (
    CodeLocationNotFoundError,
    CodeLocationUnavailableError,
    ConfigProblem,
    RunConfigInvalidError,
)
from runwire.events import EventLogEntry, EventLogRecord, EventType
from runwire.feed import DaemonFeed, InstanceFeed, RunFeed
from runwire.instance import Instance
from runwire.lanes import Lanes
from runwire.launcher import LaunchRunContext, ResumeRunContext, RunLauncher
from runwire.partitions import PartitionsSnapshot
from runwire.runs import Run, RunRecord
from runwire.snapshots import (
    CodeServerInfo,
    InputSnapshot,
    JobSnapshot,
    OpNodeSnapshot,
    OutputSnapshot,
    PlanSnapshot,
    PlanStepSnapshot,
    RepositorySnapshot,
    ScheduleSnapshot,
    SensorSnapshot,
)
from runwire.ticks import (
    RunRequest,
    Tick,
    TickEvaluation,
    TickSourceOrigin,
    TickSourceStatus,
    TickSourceType,
)
from runwire.ticks.evaluation import SensorInput
from runwire.workspace import (
    CheckRunHealthResult,
    CodeLocation,
    CodeLocationState,
    CodeLocationStatus,
    JobSelector,
    WorkerRef,
    WorkerRequest,
    WorkerStatus,
    Workspace,
)

INTERPRETED = copy.copy(schema)
"""The schema, executed field by field by the algorithms of GraphQL."""
INTERPRETED.execution_context_class = StrawberryGraphQLCoreExecutionContext


def _is_query(document: str) -> bool:
    try:
        operation = get_operation_ast(parse(document))
    except GraphQLSyntaxError:
        return False
    return operation is not None and operation.operation is OperationType.QUERY


def _comparable(result: ExecutionResult) -> tuple[str, list[dict[str, Any]]]:
    """Data, as JSON because the order of its fields counts, and errors without what differs each time."""
    errors = [dict(error.formatted) for error in result.errors or ()]
    for error in errors:
        if "errorId" in json.dumps(error):
            error["message"] = error["extensions"] = None
    return json.dumps(result.data), errors


def server(server_id: str) -> CodeServerInfo:
    """The process of a code location."""
    return CodeServerInfo(
        server_id, "unix:here", "3.11.7", "/usr/bin/python3", "0.1.0", 1_700_000_000.5
    )


def plan_of(job_name: str) -> PlanSnapshot:
    """A plan of two steps, one after the other."""
    return PlanSnapshot(
        job_name,
        (
            PlanStepSnapshot("load", "load", 0),
            PlanStepSnapshot("report", "report", 1, ("load",)),
        ),
    )


def job(name: str) -> JobSnapshot:
    """A job of two ops, one after the other."""
    load = OpNodeSnapshot(
        "load",
        "load_rows",
        inputs=(),
        outputs=(OutputSnapshot("result", "list"),),
        description="Loads rows.",
        tags={"kind": "io"},
    )
    report = OpNodeSnapshot(
        "report",
        "report",
        inputs=(InputSnapshot("rows", "list", (("load", "result"),)),),
        outputs=(OutputSnapshot("result", "Any", required=False, dynamic=True),),
    )
    return JobSnapshot(
        name,
        (load, report),
        plan_of(name),
        {"type": "object"},
        {"ops": {}},
        description=f"The job {name}.",
        tags={"team": "a", "kind": "etl"},
    )


class FakeLocation(CodeLocation):
    """A loaded code location with one repository, or several. A reload of it fails when it is `broken`."""

    def __init__(self, name: str, **repositories: Sequence[str]) -> None:
        self._state = CodeLocationState(
            name=name,
            status=CodeLocationStatus.LOADED,
            updated_at=1_700_000_000.25,
            server=server("server-1"),
            repositories=tuple(
                RepositorySnapshot(repository, tuple(map(job, jobs)))
                for repository, jobs in repositories.items()
            ),
        )
        self.broken = False
        self.evaluation: TickEvaluation | Exception = TickEvaluation()
        self.evaluated: list[tuple[str, str, float]] = []
        self.given: list[SensorInput] = []
        self.configuration: dict[str, Any] | Exception = {}
        self.tell: Callable[[CodeLocationState], None] = lambda _: None

    def change(self, **values: Any) -> None:
        """Gives it another state, and tells who watches."""
        self._state = replace(self._state, **values)
        self.tell(self._state)

    def fail(self) -> None:
        """Makes it as a location whose code raised while it was loaded."""
        self.change(
            status=CodeLocationStatus.FAILED,
            load_error=ErrorInfo("no such module", "ImportError", ("line 1",), ()),
            server=None,
            repositories=(),
        )

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
            problem = ConfigProblem(("bad",), "not expected", "extra_forbidden")
            raise RunConfigInvalidError(job_name, [problem])
        return plan_of(job_name)

    def schedule(self, *schedules: ScheduleSnapshot) -> None:
        """Has its first repository have schedules, and no others."""
        first, *others = self._state.repositories
        self.change(repositories=(msgspec.structs.replace(first, schedules=schedules), *others))

    def watch(self, *sensors: SensorSnapshot) -> None:
        """Has its first repository have sensors, and no others."""
        first, *others = self._state.repositories
        self.change(repositories=(msgspec.structs.replace(first, sensors=sensors), *others))

    def evaluate_sensor(
        self, repository_name: str, sensor_name: str, given: SensorInput
    ) -> TickEvaluation:
        self.given.append(given)
        if isinstance(self.evaluation, Exception):
            raise self.evaluation
        return self.evaluation

    def evaluate_schedule(
        self, repository_name: str, schedule_name: str, due_at: float
    ) -> TickEvaluation:
        self.evaluated.append((repository_name, schedule_name, due_at))
        if isinstance(self.evaluation, Exception):
            raise self.evaluation
        return self.evaluation

    def partition(self, job_name: str, partitions: PartitionsSnapshot | None) -> None:
        """Gives a job of its first repository partitions."""
        first, *others = self._state.repositories
        jobs = tuple(
            msgspec.structs.replace(each, partitions=partitions) if each.name == job_name else each
            for each in first.jobs
        )
        self.change(repositories=(msgspec.structs.replace(first, jobs=jobs), *others))

    def configure_partition(
        self, repository_name: str, job_name: str, partition_key: str
    ) -> dict[str, Any]:
        if isinstance(self.configuration, Exception):
            raise self.configuration
        return self.configuration

    def start_worker(self, request: WorkerRequest) -> int:
        raise NotImplementedError

    def check_worker(self, worker: WorkerRef) -> CheckRunHealthResult:
        raise NotImplementedError

    def stop_worker(self, worker: WorkerRef, *, force: bool = False) -> bool:
        raise NotImplementedError

    def reload(self) -> None:
        if self.broken:
            self.fail()
        else:
            self.change(server=server("server-2"))


class FakeWorkspace(Workspace):
    """Counts how often it was asked for all of its locations."""

    def __init__(self, *locations: FakeLocation) -> None:
        self.locations = {location.state.name: location for location in locations}
        self.listed = 0
        self.watchers: list[Callable[[CodeLocationState], None]] = []
        for location in locations:
            location.tell = self._tell

    def add(self, location: FakeLocation) -> None:
        """Takes in another code location."""
        location.tell = self._tell
        self.locations[location.state.name] = location
        self._tell(location.state)

    def remove(self, name: str) -> None:
        """Lets go of a code location."""
        self._tell(self.locations.pop(name).state)

    def watch(self, callback: Callable[[CodeLocationState], None]) -> None:
        self.watchers.append(callback)

    def end_watch(self, callback: Callable[[CodeLocationState], None]) -> None:
        self.watchers.remove(callback)

    def _tell(self, state: CodeLocationState) -> None:
        for watcher in self.watchers:
            thread = threading.Thread(target=watcher, args=(state,))
            thread.start()
            thread.join()

    def get_location(self, name: str) -> FakeLocation:
        if name not in self.locations:
            raise CodeLocationNotFoundError(name)
        return self.locations[name]

    def list_locations(self) -> list[CodeLocation]:
        self.listed += 1
        return [self.locations[name] for name in sorted(self.locations)]


@dataclass
class FakeLauncher(RunLauncher):
    """Remembers what it was asked; `broken` makes it refuse, `alive` tells of a worker."""

    launched: list[str] = field(default_factory=list)
    resumed: list[tuple[str, int]] = field(default_factory=list)
    broken: Exception | None = None
    alive: bool = True
    reachable: bool = True

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        return cls()

    def launch_run(self, context: LaunchRunContext) -> None:
        if self.broken is not None:
            raise self.broken
        self.launched.append(context.record.run_id)

    def resume_run(self, context: ResumeRunContext) -> None:
        if self.broken is not None:
            raise self.broken
        self.resumed.append((context.record.run_id, context.resume_attempt_number))

    def check_run_worker_health(self, context: LaunchRunContext) -> CheckRunHealthResult:
        self._reach()
        return CheckRunHealthResult(WorkerStatus.RUNNING if self.alive else WorkerStatus.NOT_FOUND)

    def terminate(self, context: LaunchRunContext, *, force: bool = False) -> bool:
        self._reach()
        return self.alive

    def _reach(self) -> None:
        if not self.reachable:
            raise CodeLocationUnavailableError("here", "it is gone")


@dataclass
class Api:
    """A server without a transport: the schema, and what its context is made of."""

    instance: Instance
    workspace: FakeWorkspace
    launcher: FakeLauncher
    lanes: Lanes
    feed: RunFeed
    instance_feed: InstanceFeed
    daemon_feed: DaemonFeed
    viewer: Principal
    compares: bool = True

    def context(self) -> ApiContext:
        """A fresh context, as for each operation."""
        return ApiContext(
            self.instance,
            self.workspace,
            self.lanes,
            self.feed,
            self.instance_feed,
            self.daemon_feed,
            self.viewer,
        )

    async def execute(self, document: str, **variables: Any) -> ExecutionResult:
        """The result of an operation; a query is executed without compiled functions as well, if need be."""
        result = await schema.execute(document, variables, context_value=self.context())
        if self.compares and _is_query(document):
            interpreted = await INTERPRETED.execute(
                document, variables, context_value=self.context()
            )
            assert _comparable(result) == _comparable(interpreted)
        return result

    async def ask(self, document: str, **variables: Any) -> Any:
        """The data of an operation that has no errors."""
        result = await self.execute(document, **variables)
        assert result.errors is None, result.errors
        return result.data

    async def refusal(self, document: str, **variables: Any) -> tuple[str, str]:
        """The code and the message of the one error of an operation."""
        result = await self.execute(document, **variables)
        assert result.errors is not None
        (error,) = result.errors
        assert error.extensions is not None
        return error.extensions["code"], error.message

    @asynccontextmanager
    async def subscription(self, document: str, **variables: Any) -> AsyncIterator[Any]:
        """The results of a subscription."""
        results = await schema.subscribe(document, variables, context_value=self.context())
        try:
            yield results
        finally:
            await results.aclose()

    # ------------------------------------------------------------ making things

    def add_run(self, run_id: str, *, created_at: float | None = None, **values: Any) -> RunRecord:
        """A run, as it is stored."""
        made_at = clock.timestamp() if created_at is None else created_at
        run = Run(run_id=run_id, **{"job_name": "etl", **values})
        return self.instance.storage.run_storage.add_run(run, created_at=made_at)[0]

    def add_managed_run(self, run_id: str) -> RunRecord:
        """A run of an external system."""
        return self.add_run(run_id, job_name="nightly", managed=True)

    def create_run(self, run_id: str, **values: Any) -> RunRecord:
        """A run of the job `etl`, made as clients make it."""
        new_run = NewRun(job=JobSelector("etl"), run_id=run_id, **values)
        return self.instance.create_run(new_run, self.workspace)[0]

    def record(self, run_id: str) -> RunRecord:
        """The run as it is stored now."""
        return self.instance.storage.get_run_record(run_id)

    def log(self, run_id: str) -> list[EventLogRecord]:
        """The event log of a run."""
        return self.instance.storage.event_log_storage.get_records(self.record(run_id)).records

    def schedule(self, name: str, **values: Any) -> TickSourceOrigin:
        """A schedule of the job `etl` that is loaded beside those that are, and where it is."""
        here = self.workspace.get_location("here")
        (main,) = here.state.repositories
        made = ScheduleSnapshot(name, **{"job_name": "etl", "cron_schedule": "0 2 * * *", **values})
        here.schedule(*main.schedules, made)
        return TickSourceOrigin(
            source_type=TickSourceType.SCHEDULE,
            location_name="here",
            repository_name="main",
            name=name,
        )

    def tick(self, name: str, due_at: float, *requests: RunRequest) -> Tick:
        """A tick of a schedule, which is made and started if need be; its requests give runs."""
        origin = next(
            (each.origin for each in schedules_of(self.workspace.get_location("here").state)
             if each.origin.name == name), None,
        ) or self.schedule(name)  # fmt: skip
        schedules = self.instance.storage.schedule_storage
        schedules.set_tick_source_status(origin, TickSourceStatus.RUNNING, at=1.0)
        self.workspace.get_location("here").evaluation = TickEvaluation(requests=requests)
        runner = TickRunner(
            self.instance.storage,
            self.workspace,
            lambda run_id: self.instance.submit_run(run_id, self.workspace),
            lambda: due_at + 0.5,
        )
        return runner.run(origin, due_at)

    def store(self, run_id: str, *types: EventType | None, **values: Any) -> list[EventLogRecord]:
        """Stores an event of each type."""
        entries = [
            EventLogEntry(
                run_id=run_id,
                event_type=each,
                **{"message": each.value if each else "line", **values},
            )
            for each in types
        ]
        return self.instance.storage.store_events(run_id, entries)


@pytest.fixture
def workspace() -> FakeWorkspace:
    return FakeWorkspace(
        FakeLocation("here", main=["etl", "both"]), FakeLocation("there", main=["both"])
    )


@pytest.fixture
async def api(
    tmp_path: Path, workspace: FakeWorkspace, request: pytest.FixtureRequest
) -> AsyncIterator[Api]:
    with Instance.ephemeral(tmp_path) as instance:
        launcher = FakeLauncher()
        instance.run_launcher = launcher
        instance.is_persistent = True  # so that it hands the launcher a reference
        lanes = Lanes()
        feed = RunFeed(instance.storage, lanes, poll_seconds=0.001)
        instance_feed = InstanceFeed(instance.storage, lanes, poll_seconds=0.001)
        daemon_feed = DaemonFeed(instance, lanes, poll_seconds=0.001)
        await feed.start()
        await instance_feed.start()
        await daemon_feed.start()
        viewer = Principal("ada", True)
        feeds = (feed, instance_feed, daemon_feed)
        # What tests put in the place of something else counts its calls, or acts at the first one.
        compares = "monkeypatch" not in request.fixturenames
        yield Api(instance, workspace, launcher, lanes, *feeds, viewer, compares)
        await daemon_feed.close()
        await instance_feed.close()
        await feed.close()
        lanes.close()
