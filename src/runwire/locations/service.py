"""What a code server answers."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Mapping

from runwire.definitions import JobDefinition, RepositoryDefinition
from runwire.error_info import ErrorInfo
from runwire.errors import InputInvalidError, RunConfigInvalidError
from runwire.locations import protocol
from runwire.locations.definition_loading import load_definitions
from runwire.locations.wire import Handlers, answer
from runwire.locations.workers import RunWorkers
from runwire.snapshots import CodeServerInfo


class ServedDefinitions:
    """What loading a source gave: repositories with their snapshots, or the error."""

    def __init__(self, source: protocol.DefinitionSource) -> None:
        self._repositories: Mapping[str, RepositoryDefinition] = {}
        self.reply: protocol.RepositoriesLoaded | protocol.LoadFailed
        try:
            repositories = load_definitions(source)
            self.reply = protocol.RepositoriesLoaded(
                tuple(repository.snapshot() for repository in repositories)
            )
            protocol.encode(self.reply)  # what cannot be sent is not loaded either
        except BaseException as error:  # noqa: BLE001 - SystemExit as well: it is what we serve
            self.reply = protocol.LoadFailed(ErrorInfo.from_exception(error))
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
    """Answers for one code location. Thread-safe. `ending` is set when it is told to shut down."""

    def __init__(
        self,
        definitions: ServedDefinitions,
        workers: RunWorkers,
        server: CodeServerInfo,
        ending: threading.Event,
    ) -> None:
        self._definitions = definitions
        self._workers = workers
        self._server = server
        self._ending = ending

    def handlers(self) -> Handlers:
        """The handler of each method, by name."""
        return {
            **answer(protocol.PING, self.ping),
            **answer(protocol.LIST_REPOSITORIES, self.list_repositories),
            **answer(protocol.PLAN_RUN, self.plan_run),
            **answer(protocol.START_WORKER, self.start_worker),
            **answer(protocol.HAS_WORKER, self.has_worker),
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

    def start_worker(self, request: protocol.StartWorkerRequest) -> protocol.StartReply:
        if isinstance(self._definitions.reply, protocol.LoadFailed):
            return self._definitions.reply
        try:
            return protocol.WorkerStarted(self._workers.start(request))
        except Exception as error:  # noqa: BLE001 - whatever it is, there is no worker
            traceback.print_exc()
            return protocol.WorkerNotStarted(ErrorInfo.from_exception(error))

    def has_worker(self, request: protocol.HasWorkerRequest) -> protocol.HasWorkerReply:
        return protocol.HasWorkerReply(self._workers.has(request.run_id))

    def stop_worker(self, request: protocol.StopWorkerRequest) -> protocol.StopWorkerReply:
        return protocol.StopWorkerReply(self._workers.stop(request.run_id, request.grace_seconds))

    def shut_down(self, _request: protocol.ShutdownRequest) -> protocol.ShutdownReply:
        self._ending.set()
        return protocol.ShutdownReply()
