"""What a code server answers."""

from __future__ import annotations

import traceback
from collections.abc import Mapping

from runwire.definitions import JobDefinition, RepositoryDefinition
from runwire.error_info import ErrorInfo
from runwire.errors import InputInvalidError, RunConfigInvalidError
from runwire.locations import protocol
from runwire.locations.definition_loading import imported_files, preload_definitions
from runwire.locations.evaluators import Evaluators
from runwire.locations.wire import Handlers, answer
from runwire.locations.worker_presence import check_worker, run_dir_of, stop_workers
from runwire.locations.workers import RunWorkers
from runwire.processes.ending import Ending
from runwire.snapshots import CodeServerInfo


class ServedDefinitions:
    """What loading a source gave: repositories with their snapshots, or the error."""

    def __init__(self, source: protocol.DefinitionSource) -> None:
        self._repositories: Mapping[str, RepositoryDefinition] = {}
        self.reply: protocol.RepositoriesLoaded | protocol.LoadFailed
        try:
            repositories = preload_definitions(source)
            self.reply = protocol.RepositoriesLoaded(
                tuple(repository.snapshot() for repository in repositories), imported_files(source)
            )
            protocol.encode(self.reply)  # what cannot be sent is not loaded either
        except BaseException as error:  # noqa: BLE001 - SystemExit as well: it is what we serve
            info = ErrorInfo.from_exception(error)
            self.reply = protocol.LoadFailed(info, imported_files(source))
        else:
            self._repositories = {repository.name: repository for repository in repositories}

    @property
    def job_names(self) -> tuple[str, ...]:
        """The names of the jobs of all repositories."""
        return tuple(sorted({name for r in self._repositories.values() for name in r.jobs}))

    def find_job(self, repository_name: str, job_name: str) -> JobDefinition | None:
        """A job; None when there is none."""
        repository = self._repositories.get(repository_name)
        return None if repository is None else repository.jobs.get(job_name)


class CodeService:
    """Answers for one code location. Thread-safe. It tells `ending` when it is told to shut down."""

    def __init__(
        self,
        definitions: ServedDefinitions,
        workers: RunWorkers,
        evaluators: Evaluators,
        server: CodeServerInfo,
        ending: Ending,
    ) -> None:
        self._definitions = definitions
        self._workers = workers
        self._evaluators = evaluators
        self._server = server
        self._ending = ending

    def handlers(self) -> Handlers:
        """The handler of each method, by name."""
        return {
            **answer(protocol.PING, self.ping),
            **answer(protocol.LIST_REPOSITORIES, self.list_repositories),
            **answer(protocol.PLAN_RUN, self.plan_run),
            **answer(protocol.EVALUATE_SCHEDULE, self.evaluate_schedule),
            **answer(protocol.EVALUATE_SENSOR, self.evaluate_sensor),
            **answer(protocol.CONFIGURE_PARTITION, self.configure_partition),
            **answer(protocol.START_WORKER, self.start_worker),
            **answer(protocol.CHECK_WORKER, self.check_worker),
            **answer(protocol.STOP_WORKER, self.stop_worker),
            **answer(protocol.SHUTDOWN, self.shut_down),
        }

    def ping(self, _request: protocol.PingRequest) -> protocol.PingReply:
        return protocol.PingReply(self._server)

    def list_repositories(
        self, _request: protocol.ListRepositoriesRequest
    ) -> protocol.RepositoriesLoaded | protocol.LoadFailed:
        return self._definitions.reply

    def plan_run(self, request: protocol.PlanRunRequest) -> protocol.PlanReply:
        if isinstance(self._definitions.reply, protocol.LoadFailed):
            return self._definitions.reply
        job = self._definitions.find_job(request.repository_name, request.job_name)
        if job is None:
            return protocol.JobMissing(self._definitions.job_names)
        try:
            job.resolve_run_config(request.run_config)
            return protocol.PlanMade(job.plan(request.step_keys))
        except RunConfigInvalidError as error:
            return protocol.RunConfigRefused(error.problems)
        except InputInvalidError as error:
            return protocol.StepKeysRefused(str(error), error.path)

    def evaluate_schedule(
        self, request: protocol.EvaluateScheduleRequest
    ) -> protocol.EvaluateReply:
        """Has the function called in another process, which is killed if it takes too long."""
        if isinstance(self._definitions.reply, protocol.LoadFailed):
            return self._definitions.reply
        reply: protocol.EvaluateReply = self._evaluators.evaluate(
            protocol.EVALUATE_SCHEDULE,
            request,
            f"the function of schedule {request.schedule_name!r}",
            request.timeout_seconds,
        )
        return reply

    def evaluate_sensor(
        self, request: protocol.EvaluateSensorRequest
    ) -> protocol.EvaluateSensorReply:
        """Has the function called in another process, which is killed if it takes too long."""
        if isinstance(self._definitions.reply, protocol.LoadFailed):
            return self._definitions.reply
        reply: protocol.EvaluateSensorReply = self._evaluators.evaluate(
            protocol.EVALUATE_SENSOR,
            request,
            f"the function of sensor {request.sensor_name!r}",
            request.timeout_seconds,
        )
        return reply

    def configure_partition(
        self, request: protocol.ConfigurePartitionRequest
    ) -> protocol.ConfigureReply:
        """Has the function called in another process, which is killed if it takes too long."""
        if isinstance(self._definitions.reply, protocol.LoadFailed):
            return self._definitions.reply
        reply: protocol.ConfigureReply = self._evaluators.evaluate(
            protocol.CONFIGURE_PARTITION,
            request,
            f"the function partition_config of job {request.job_name!r}",
            request.timeout_seconds,
        )
        return reply

    def start_worker(self, request: protocol.StartWorkerRequest) -> protocol.StartReply:
        if isinstance(self._definitions.reply, protocol.LoadFailed):
            return self._definitions.reply
        try:
            return protocol.WorkerStarted(self._workers.start(request))
        except Exception as error:  # noqa: BLE001 - whatever it is, there is no worker
            traceback.print_exc()
            return protocol.WorkerNotStarted(ErrorInfo.from_exception(error))

    def check_worker(self, request: protocol.CheckWorkerRequest) -> protocol.CheckWorkerReply:
        run_dir = run_dir_of(request.instance_ref, request.run_id)
        health = check_worker(run_dir, request.epoch)
        return protocol.CheckWorkerReply(health.status.value, health.message)

    def stop_worker(self, request: protocol.StopWorkerRequest) -> protocol.StopWorkerReply:
        grace = request.grace_seconds
        run_dir = run_dir_of(request.instance_ref, request.run_id)
        asked = stop_workers(run_dir, request.epoch, grace_seconds=grace, force=grace <= 0)
        return protocol.StopWorkerReply(asked)

    def shut_down(self, request: protocol.ShutdownRequest) -> protocol.ShutdownReply:
        if request.drain:
            self._workers.drain(then=self._ending.tell)
        else:
            self._ending.tell()
        return protocol.ShutdownReply()
