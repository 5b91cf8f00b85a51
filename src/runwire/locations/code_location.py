"""What all code locations have in common: a state that others watch, and a code server that is called."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeAlias

from runwire import clock
from runwire.error_info import ErrorInfo
from runwire.errors import (
    CodeLocationUnavailableError,
    ConfigProblem,
    InputInvalidError,
    JobNotFoundError,
    LaunchFailedError,
    PartitionConfigError,
    RunConfigInvalidError,
    ScheduleNotFoundError,
    SensorNotFoundError,
    TickEvaluationError,
)
from runwire.locations import protocol
from runwire.locations.protocol import Method, Reply, Request
from runwire.locations.timeouts import LocationTimeouts
from runwire.locations.wire import CodeServerCallError, CodeServerClient
from runwire.snapshots import CodeServerInfo, PlanSnapshot
from runwire.ticks.evaluation import SensorInput, TickEvaluation
from runwire.workspace import CodeLocation, CodeLocationState, CodeLocationStatus, WorkerRequest

PROBE_SECONDS = 1.0
"""How often a server is asked whether it answers, and how long it may take to."""

EVALUATION_MARGIN_SECONDS = 10.0
"""How much longer than an evaluation the call that asks for it may take."""

Tell: TypeAlias = Callable[[CodeLocationState], None]


class ServedCodeLocation(CodeLocation):
    """Calls a code server through whatever client there is at the moment.

    Args:
        name: its name in the workspace.
        timeouts: how long to wait for it.
        tell: is called with each new state, in their order; it must return at once.
    """

    def __init__(self, name: str, timeouts: LocationTimeouts, tell: Tell) -> None:
        self._name = name
        self._timeouts = timeouts
        self._tell = tell
        self._changed = threading.Condition()
        """Guards everything below, and is notified when any of it changes."""
        self._state = CodeLocationState(
            name=name, status=CodeLocationStatus.LOADING, updated_at=clock.timestamp()
        )
        self._before = self._state  # as it was when the server last answered
        self._client: CodeServerClient | None = None
        self._in_use: Counter[CodeServerClient] = Counter()
        self._disposed = False

    @property
    def state(self) -> CodeLocationState:
        return self._state

    def wait_until_settled(self, timeout_seconds: float | None) -> bool:
        with self._changed:
            return self._changed.wait_for(
                lambda: self._state.status is not CodeLocationStatus.LOADING, timeout_seconds
            )

    @abstractmethod
    def end_soon(self) -> None:
        """Begins what `dispose` completes, and returns at once."""

    @abstractmethod
    def dispose(self) -> None:
        """Ends what this started, its run workers aside. Harmless when called twice."""

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
                raise self._unavailable(load_error.message)

    def evaluate_schedule(
        self, repository_name: str, schedule_name: str, due_at: float
    ) -> TickEvaluation:
        limit = self._timeouts.evaluate_seconds
        request = protocol.EvaluateScheduleRequest(repository_name, schedule_name, due_at, limit)
        reply = self._call(protocol.EVALUATE_SCHEDULE, request, limit + EVALUATION_MARGIN_SECONDS)
        if isinstance(reply, protocol.ScheduleMissing):
            raise ScheduleNotFoundError(schedule_name, reply.known)
        return self._evaluation(reply)

    def evaluate_sensor(
        self, repository_name: str, sensor_name: str, given: SensorInput
    ) -> TickEvaluation:
        limit = self._timeouts.evaluate_seconds
        request = protocol.EvaluateSensorRequest(repository_name, sensor_name, given, limit)
        reply = self._call(protocol.EVALUATE_SENSOR, request, limit + EVALUATION_MARGIN_SECONDS)
        if isinstance(reply, protocol.SensorMissing):
            raise SensorNotFoundError(sensor_name, reply.known)
        return self._evaluation(reply)

    def _evaluation(
        self,
        reply: protocol.TickEvaluated
        | protocol.EvaluationFailed
        | protocol.NotEvaluated
        | protocol.LoadFailed,
    ) -> TickEvaluation:
        match reply:
            case protocol.TickEvaluated(evaluation):
                return evaluation
            case protocol.EvaluationFailed(error):
                raise TickEvaluationError(error.message, info=error)
            case protocol.NotEvaluated(error):
                raise CodeLocationUnavailableError(self._name, error.message)
            case protocol.LoadFailed(load_error):
                raise self._unavailable(load_error.message)

    def configure_partition(
        self, repository_name: str, job_name: str, partition_key: str
    ) -> dict[str, Any]:
        limit = self._timeouts.evaluate_seconds
        request = protocol.ConfigurePartitionRequest(
            repository_name, job_name, partition_key, limit
        )
        match self._call(protocol.CONFIGURE_PARTITION, request, limit + EVALUATION_MARGIN_SECONDS):
            case protocol.PartitionConfigured(run_config):
                return run_config
            case protocol.EvaluationFailed(error):
                raise PartitionConfigError(error.message, info=error)
            case protocol.NotEvaluated(error):
                raise CodeLocationUnavailableError(self._name, error.message)
            case protocol.JobMissing(known):
                raise JobNotFoundError(job_name, known)
            case protocol.LoadFailed(load_error):
                raise self._unavailable(load_error.message)

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
                raise self._unavailable(load_error.message)

    def _call(
        self, method: Method[Request, Reply], request: Request, seconds: float | None = None
    ) -> Reply:
        timeout = self._timeouts.call_seconds if seconds is None else seconds
        with self._borrowed_client() as client:
            try:
                return client.call(method, request, timeout=timeout)
            except CodeServerCallError as error:
                problem = error
        if not self._is_replaced(client):
            raise CodeLocationUnavailableError(self._name, self._words(problem)) from problem
        # What it was asked may have been done all the same. No harm: plans change nothing, and of two
        # workers of one epoch one works.
        with self._borrowed_client() as client:
            try:
                return client.call(method, request, timeout=timeout)
            except CodeServerCallError as error:
                raise CodeLocationUnavailableError(self._name, str(error)) from error

    @contextmanager
    def _borrowed_client(self) -> Iterator[CodeServerClient]:
        """The client of the server; waits a while for one that is just starting."""
        with self._changed:
            self._changed.wait_for(self._is_callable_or_settled, self._timeouts.settle_seconds)
            client = self._client
            if client is None:
                raise self._unavailable(self._why_unavailable())
            self._in_use[client] += 1
        try:
            yield client
        finally:
            with self._changed:
                self._in_use[client] -= 1
                self._changed.notify_all()

    def _wait_until_unused(self, client: CodeServerClient) -> None:
        """Waits until no call of a client is under way, and forgets it."""
        with self._changed:
            self._changed.wait_for(lambda: not self._in_use[client])
            del self._in_use[client]

    def _is_callable_or_settled(self) -> bool:
        return self._client is not None or self._state.status is not CodeLocationStatus.LOADING

    @abstractmethod
    def _is_replaced(self, client: CodeServerClient) -> bool:
        """After a call that was not answered: finds out what is the matter, notes it in the state, and tells
        whether another server is to be asked now.
        """

    def _words(self, error: CodeServerCallError) -> str:
        """Why a call was not answered: what the state tells, where that is more."""
        load_error = self._state.load_error
        return str(error) if self._client or not load_error else load_error.message

    def _why_unavailable(self) -> str | None:
        load_error = self._state.load_error
        return None if load_error is None else load_error.message

    def _unavailable(self, reason: str | None) -> CodeLocationUnavailableError:
        problem = f"it is {self._state.status.value}"
        return CodeLocationUnavailableError(
            self._name, f"{problem} ({reason})" if reason else problem
        )

    # ----------------------------------------------------------------------------------- state

    def _set(self, state: CodeLocationState) -> None:
        """Takes a new state, and tells it; only while `_changed` is held, which keeps the order."""
        self._state = state
        self._changed.notify_all()
        self._tell(state)

    def _take_definitions(
        self,
        server: CodeServerInfo,
        loaded: protocol.RepositoriesLoaded | protocol.LoadFailed,
    ) -> None:
        """Takes what a server has loaded, or why it has not."""
        match loaded:
            case protocol.RepositoriesLoaded(repositories):
                self._move(
                    CodeLocationStatus.LOADED,
                    load_error=None,
                    server=server,
                    repositories=repositories,
                )
            case protocol.LoadFailed(load_error):
                self._move(CodeLocationStatus.FAILED, load_error=load_error, server=server)

    def _move(self, status: CodeLocationStatus, **changes: Any) -> None:
        with self._changed:
            self._set(replace(self._state, status=status, updated_at=clock.timestamp(), **changes))

    def _lose(self, problem: str, *, server: CodeServerInfo | None) -> None:
        """Notes that the server does not answer; harmless when that is known."""
        error = ErrorInfo(problem, CodeLocationUnavailableError.__name__)
        with self._changed:
            if self._state.status is not CodeLocationStatus.UNREACHABLE:
                self._before = self._state
                self._move(CodeLocationStatus.UNREACHABLE, load_error=error, server=server)
            elif (self._state.load_error, self._state.server) != (error, server):
                self._set(replace(self._state, load_error=error, server=server))

    def _regain(self) -> None:
        """Notes that the server answers as before; harmless when that is known."""
        with self._changed:
            if self._state.status is CodeLocationStatus.UNREACHABLE:
                self._set(replace(self._before, updated_at=clock.timestamp()))
