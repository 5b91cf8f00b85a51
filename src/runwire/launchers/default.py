"""The default run launcher: the code location of a run starts its worker, tells of it and stops it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from runwire.config import ComponentConfig, ConfigurableClassData
from runwire.errors import CodeLocationUnavailableError, LaunchFailedError
from runwire.launcher import LaunchRunContext, ResumeRunContext, RunLauncher
from runwire.workspace import (
    CheckRunHealthResult,
    CodeLocation,
    WorkerRef,
    WorkerRequest,
    WorkerStatus,
)

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1
"""How often workers that are waited for are looked at."""

SILENCE_SECONDS = 10.0
"""For how long a code location may not tell of a worker that is waited for."""

LOOK_AT_SIZE = 16
"""From how many workers on those that have ended are forgotten."""

ENDED_STATUSES = frozenset({WorkerStatus.SUCCESS, WorkerStatus.FAILED, WorkerStatus.NOT_FOUND})
"""What is told of a worker that was started and is no more; NOT_FOUND when its run was deleted meanwhile."""


class DefaultRunLauncherConfig(ComponentConfig):
    """Config of DefaultRunLauncher."""

    wait_for_processes: bool = False
    """Whether `dispose` waits until the workers that were launched here have ended. Ctrl-C ends the waiting."""


class DefaultRunLauncher(RunLauncher):
    """Starts each run in a process of its own, beside the code server that knows the run's job.

    Args:
        wait_for_processes: whether `dispose` waits until the workers that were launched here have ended,
            however long that takes. KeyboardInterrupt ends the waiting, and nothing else; the workers go on.
    """

    def __init__(self, *, wait_for_processes: bool = False) -> None:
        self._launched = LaunchedWorkers() if wait_for_processes else None

    @classmethod
    def config_type(cls) -> type[DefaultRunLauncherConfig]:
        return DefaultRunLauncherConfig

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        return cls(wait_for_processes=config_value.wait_for_processes)

    def launch_run(self, context: LaunchRunContext) -> None:
        run, location = context.record.run, _location(context)
        if location is None or run.repository_name is None:
            raise LaunchFailedError(run.run_id, "it does not name the code location of its job")
        location.start_worker(
            WorkerRequest(
                run_id=run.run_id,
                job_name=run.job_name,
                repository_name=run.repository_name,
                epoch=context.record.worker_epoch,
                instance_ref=context.instance_ref,
            )
        )
        if self._launched is not None:
            self._launched.add(location, _worker(context))

    def resume_run(self, context: ResumeRunContext) -> None:
        self.launch_run(context)

    def check_run_worker_health(self, context: LaunchRunContext) -> CheckRunHealthResult:
        location = _location(context)
        if location is None:
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "The run has no code location.")
        return location.check_worker(_worker(context))

    def terminate(self, context: LaunchRunContext, *, force: bool = False) -> bool:
        location = _location(context)
        return location is not None and location.stop_worker(_worker(context), force=force)

    def dispose(self) -> None:
        if self._launched is not None:
            self._launched.wait_until_ended()


def _location(context: LaunchRunContext) -> CodeLocation | None:
    """The code location of the run; None when the run has none, and so never had a worker of ours."""
    name = context.record.run.location_name
    return None if name is None else context.workspace.get_location(name)


def _worker(context: LaunchRunContext) -> WorkerRef:
    return WorkerRef(context.record.run_id, context.record.worker_epoch, context.instance_ref)


@dataclass(frozen=True, slots=True, eq=False)
class _Launched:
    location: CodeLocation
    worker: WorkerRef


class LaunchedWorkers:
    """The workers of a launcher that is to wait for them. Thread-safe.

    Those that have ended are forgotten while others are added: each time that there are twice as many as
    lived when they were last looked at, so that adding stays cheap.

    Args:
        silence_seconds: for how long a code location may not tell of a worker that is waited for, until
            that is given up.
    """

    def __init__(self, silence_seconds: float = SILENCE_SECONDS) -> None:
        self._silence_seconds = silence_seconds
        self._lock = threading.Lock()
        self._workers: list[_Launched] = []
        self._look_at_size = LOOK_AT_SIZE

    def __len__(self) -> int:
        return len(self._workers)

    def add(self, location: CodeLocation, worker: WorkerRef) -> None:
        """Notes a worker that was started."""
        with self._lock:
            self._workers.append(_Launched(location, worker))
            is_time = len(self._workers) >= self._look_at_size
        if is_time:
            self._look()

    def wait_until_ended(self) -> None:
        """Waits until all have ended. KeyboardInterrupt ends the waiting."""
        last_told: dict[_Launched, float] = {}
        try:
            while living := self._look():
                self._forget(self._silent(living, last_told))
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            logger.warning("%d run workers are not waited for; they go on", len(self))
            self._forget(self._workers)

    def _look(self) -> dict[_Launched, WorkerStatus]:
        """Forgets the workers that have ended, and returns what is told of the others."""
        told = {each: _status(each) for each in list(self._workers)}
        self._forget([each for each, status in told.items() if status in ENDED_STATUSES])
        return {each: status for each, status in told.items() if status not in ENDED_STATUSES}

    def _silent(
        self, living: dict[_Launched, WorkerStatus], last_told: dict[_Launched, float]
    ) -> list[_Launched]:
        """The workers of which nothing was told for too long."""
        now = time.monotonic()
        last_told.update({each: now for each in living if living[each] is WorkerStatus.RUNNING})
        silent = [
            each
            for each in living
            if now - last_told.setdefault(each, now) >= self._silence_seconds
            and living[each] is not WorkerStatus.RUNNING
        ]
        for each in silent:
            logger.warning(
                "run %s: nobody tells of its worker any more; it is not waited for",
                each.worker.run_id,
            )
        return silent

    def _forget(self, workers: Iterable[_Launched]) -> None:
        gone = set(workers)
        with self._lock:
            self._workers = [each for each in self._workers if each not in gone]
            self._look_at_size = max(LOOK_AT_SIZE, 2 * len(self._workers))


def _status(launched: _Launched) -> WorkerStatus:
    try:
        return launched.location.check_worker(launched.worker).status
    except CodeLocationUnavailableError:
        return WorkerStatus.UNKNOWN
