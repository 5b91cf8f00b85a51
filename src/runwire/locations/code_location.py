"""A code location that is served by a process of ours."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from runwire import clock
from runwire.error_info import ErrorInfo
from runwire.errors import (
    CodeLocationUnavailableError,
    ConfigProblem,
    InputInvalidError,
    JobNotFoundError,
    LaunchFailedError,
    RunConfigInvalidError,
)
from runwire.locations import protocol
from runwire.locations.protocol import Method, Reply, Request
from runwire.locations.server_process import CodeServerNotReadyError, CodeServerProcess
from runwire.locations.target import LocationTarget
from runwire.locations.timeouts import LocationTimeouts
from runwire.locations.wire import CodeServerCallError, CodeServerClient
from runwire.snapshots import CodeServerInfo, PlanSnapshot
from runwire.workspace import CodeLocation, CodeLocationState, CodeLocationStatus, WorkerRequest

WATCH_SECONDS = 1.0
"""How often a server that does not answer is asked again."""

PROBE_TIMEOUT_SECONDS = 1.0


class LocalCodeLocation(CodeLocation):
    """Starts its code server when it is made, and follows it in a thread until `dispose`."""

    def __init__(self, target: LocationTarget, timeouts: LocationTimeouts) -> None:
        self._name = target.name
        self._timeouts = timeouts
        self._changed = threading.Condition()
        self._state = CodeLocationState(
            name=target.name, status=CodeLocationStatus.LOADING, updated_at=clock.timestamp()
        )
        self._before = self._state  # as it was when the server last answered
        self._client: CodeServerClient | None = None
        self._follower: threading.Thread | None = None
        self._process: CodeServerProcess | None = None
        try:
            self._process = CodeServerProcess(target, start_timeout_seconds=timeouts.start_seconds)
        except OSError as error:
            self._move(CodeLocationStatus.FAILED, load_error=ErrorInfo.from_exception(error))
            return
        self._follower = threading.Thread(
            target=self._follow, args=(self._process,), name=f"runwire-{target.name}", daemon=True
        )
        self._follower.start()

    @property
    def state(self) -> CodeLocationState:
        return self._state

    def wait_until_loaded(self, timeout_seconds: float | None) -> bool:
        """Waits until it is no longer LOADING, whatever came of it; returns whether that is so."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._state.status is not CodeLocationStatus.LOADING, timeout_seconds
            )

    # ----------------------------------------------------------------------------------- calls

    def plan_run(
        self,
        repository_name: str,
        job_name: str,
        run_config: Mapping[str, Any],
        step_keys: Sequence[str] | None = None,
    ) -> PlanSnapshot:
        keys = None if step_keys is None else tuple(step_keys)
        request = protocol.PlanRunRequest(repository_name, job_name, dict(run_config), keys)
        try:
            reply = self._call(protocol.PLAN_RUN, request)
        except (TypeError, ValueError, RecursionError) as error:
            problem = ConfigProblem((), f"it is not JSON: {error}", "json")
            raise RunConfigInvalidError(job_name, [problem]) from None
        match reply:
            case protocol.PlanMade(plan):
                return plan
            case protocol.RunConfigRefused(problems):
                raise RunConfigInvalidError(job_name, problems)
            case protocol.StepKeysRefused(message, path):
                raise InputInvalidError(message, path)
            case protocol.JobMissing(known):
                raise JobNotFoundError(job_name, known)
            case protocol.LoadFailed(load_error):
                raise self._unavailable(load_error)

    def start_worker(self, request: WorkerRequest) -> int:
        message = protocol.StartWorkerRequest(
            run_id=request.run_id,
            job_name=request.job_name,
            repository_name=request.repository_name,
            epoch=request.epoch,
            instance_ref=dict(request.instance_ref),
        )
        match self._call(protocol.START_WORKER, message):
            case protocol.WorkerStarted(pid):
                return pid
            case protocol.WorkerNotStarted(error):
                raise LaunchFailedError(request.run_id, error.message, error)
            case protocol.LoadFailed(load_error):
                raise self._unavailable(load_error)

    def has_worker(self, run_id: str) -> bool:
        return self._call(protocol.HAS_WORKER, protocol.HasWorkerRequest(run_id)).alive

    def stop_worker(self, run_id: str) -> bool:
        request = protocol.StopWorkerRequest(run_id, self._timeouts.stop_grace_seconds)
        return self._call(protocol.STOP_WORKER, request).asked

    def _call(self, method: Method[Request, Reply], request: Request) -> Reply:
        client = self._client
        if client is None:
            raise self._unavailable(self._state.load_error)
        try:
            return client.call(method, request, timeout=self._timeouts.call_seconds)
        except CodeServerCallError as error:
            self._probe()
            raise CodeLocationUnavailableError(self._name, str(error)) from error

    def _unavailable(self, error: ErrorInfo | None) -> CodeLocationUnavailableError:
        problem = f"it is {self._state.status.value}"
        return CodeLocationUnavailableError(
            self._name, problem if error is None else f"{problem} ({error.message})"
        )

    # ------------------------------------------------------------------------------- following

    def _follow(self, process: CodeServerProcess) -> None:
        try:
            client = self._load(process)
        except CodeServerNotReadyError as error:
            self._move(CodeLocationStatus.FAILED, load_error=error.info)
        else:
            self._watch(process, client)
        process.end(grace_seconds=0)
        process.close()

    def _watch(self, process: CodeServerProcess, client: CodeServerClient) -> None:
        while not process.wait_for_end(WATCH_SECONDS):
            if self._state.status is CodeLocationStatus.UNREACHABLE:
                self._probe()
        with self._changed:
            self._client = None
            self._lose(process.describe_end(), server=None)
        client.close()

    def _load(self, process: CodeServerProcess) -> CodeServerClient:
        server = process.wait_until_ready().server
        client = CodeServerClient(server.address)
        request = protocol.ListRepositoriesRequest()
        timeout = self._timeouts.start_seconds  # it may be a lot
        try:
            reply = client.call(protocol.LIST_REPOSITORIES, request, timeout=timeout)
        except CodeServerCallError as error:
            client.close()
            raise CodeServerNotReadyError(ErrorInfo.from_exception(error)) from error
        self._client = client
        match reply:
            case protocol.RepositoriesLoaded(repositories):
                self._move(CodeLocationStatus.LOADED, server=server, repositories=repositories)
            case protocol.LoadFailed(load_error):
                self._move(CodeLocationStatus.FAILED, server=server, load_error=load_error)
        return client

    def _probe(self) -> None:
        """Finds out whether the server answers, and notes it."""
        client = self._client
        if client is None:
            return
        try:
            client.call(protocol.PING, protocol.PingRequest(), timeout=PROBE_TIMEOUT_SECONDS)
        except CodeServerCallError as error:
            with self._changed:
                self._lose(str(error), server=self._state.server)
        else:
            self._regain()

    def _move(self, status: CodeLocationStatus, **changes: Any) -> None:
        with self._changed:
            self._state = replace(
                self._state, status=status, updated_at=clock.timestamp(), **changes
            )
            self._changed.notify_all()

    def _lose(self, problem: str, *, server: CodeServerInfo | None) -> None:
        error = ErrorInfo(problem, CodeLocationUnavailableError.__name__)
        if self._state.status is CodeLocationStatus.UNREACHABLE:
            self._state = replace(self._state, load_error=error, server=server)
            return
        self._before = self._state
        self._move(CodeLocationStatus.UNREACHABLE, load_error=error, server=server)

    def _regain(self) -> None:
        with self._changed:
            lost = self._state.status is CodeLocationStatus.UNREACHABLE
            if lost and self._client is not None:  # None: it has ended since it answered
                self._state = replace(self._before, updated_at=clock.timestamp())

    # -------------------------------------------------------------------------------- disposal

    def ask_to_end(self) -> None:
        """Tells the code server to shut down, if it answers. Its run workers go on."""
        client = self._client
        if client is not None:
            with suppress(CodeServerCallError):
                request = protocol.ShutdownRequest()
                client.call(protocol.SHUTDOWN, request, timeout=PROBE_TIMEOUT_SECONDS)

    def dispose(self) -> None:
        """Ends the code server, and waits until it has. Harmless when called twice."""
        if self._process is not None:
            self._process.end(self._timeouts.end_grace_seconds)
        if self._follower is not None:
            self._follower.join()
