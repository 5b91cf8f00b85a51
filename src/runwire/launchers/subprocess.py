"""The run launcher that needs no code server: it starts each worker in a Python of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, field_validator

from runwire.config import ComponentConfig, ConfigurableClassData, Seconds, Section
from runwire.error_info import ErrorInfo
from runwire.errors import InvalidConfigurationError, LaunchFailedError
from runwire.launcher import LaunchRunContext, ResumeRunContext, RunLauncher
from runwire.locations.protocol import DefinitionSource, StartWorkerRequest
from runwire.locations.worker_presence import check_worker, run_dir_of, stop_workers
from runwire.locations.workers import RunWorkers
from runwire.processes.spawning import SpawningStarter
from runwire.workspace import CheckRunHealthResult, CodeOrigin

logger = logging.getLogger(__name__)


class SubprocessRunLauncherConfig(ComponentConfig):
    """Config of SubprocessRunLauncher."""

    executable_path: str | None = None
    """The Python that runs the workers, an absolute path; when left out, that of the run's code location."""

    environment: Section[dict[str, SecretStr]] = Field(default_factory=dict)
    """Environment variables of the workers, over those of the process that launches them."""

    stop_grace_seconds: Seconds = 10.0
    """How long a worker that is asked to stop may take, until it is killed."""

    wait_for_processes: bool = False
    """Whether `dispose` waits until the workers that were launched here have ended. Ctrl-C ends the waiting."""

    @field_validator("executable_path")
    @classmethod
    def _is_absolute(cls, path: str | None) -> str | None:
        if path is not None and not Path(path).is_absolute():
            raise ValueError("it must be an absolute path")
        return path

    @field_validator("environment")
    @classmethod
    def _can_be_set(cls, environment: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, secret in environment.items():
            value = secret.get_secret_value()
            if not name or "=" in name or "\0" in name + value:
                raise ValueError(
                    f"{name!r} cannot be an environment variable: a name is not empty and has no '=',"
                    " and neither name nor value has a zero character"
                )
        return environment


class SubprocessRunLauncher(RunLauncher):
    """Starts each run in a Python of its own, which imports the definitions of the run's job.

    The definitions must be on this machine; nothing is asked of the code server that serves them. A worker
    that is lost while the process of this launcher lives is reported by it.

    Args:
        executable_path: the Python; that of the run's code location when left out.
        environment: variables over those of this process.
        stop_grace_seconds: how long a worker that is asked to stop may take, until it is killed.
        wait_for_processes: whether `dispose` waits until the workers that were launched here have ended,
            however long that takes. KeyboardInterrupt ends the waiting, and nothing else; the workers go on.
    """

    def __init__(
        self,
        *,
        executable_path: str | None = None,
        environment: Mapping[str, str] | None = None,
        stop_grace_seconds: float = 10.0,
        wait_for_processes: bool = False,
    ) -> None:
        self._executable = executable_path
        self._environment = dict(environment or {})
        self._grace_seconds = stop_grace_seconds
        self._waits = wait_for_processes
        self._lock = threading.Lock()
        self._workers: dict[CodeOrigin, RunWorkers] = {}

    @classmethod
    def config_type(cls) -> type[SubprocessRunLauncherConfig]:
        return SubprocessRunLauncherConfig

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        return cls(
            executable_path=config_value.executable_path,
            environment={
                name: secret.get_secret_value() for name, secret in config_value.environment.items()
            },
            stop_grace_seconds=config_value.stop_grace_seconds,
            wait_for_processes=config_value.wait_for_processes,
        )

    def launch_run(self, context: LaunchRunContext) -> None:
        run, origin = context.record.run, _origin(context)
        request = StartWorkerRequest(
            run_id=run.run_id,
            job_name=run.job_name,
            repository_name=run.repository_name or "",
            epoch=context.record.worker_epoch,
            instance_ref=dict(context.instance_ref),
        )
        try:
            self._workers_of(origin).start(request)
        except (OSError, InvalidConfigurationError) as error:
            raise LaunchFailedError(
                run.run_id, str(error), ErrorInfo.from_exception(error)
            ) from error

    def resume_run(self, context: ResumeRunContext) -> None:
        self.launch_run(context)

    def check_run_worker_health(self, context: LaunchRunContext) -> CheckRunHealthResult:
        return check_worker(_run_dir(context), context.record.worker_epoch)

    def terminate(self, context: LaunchRunContext, *, force: bool = False) -> bool:
        return stop_workers(
            _run_dir(context),
            context.record.worker_epoch,
            grace_seconds=self._grace_seconds,
            force=force,
        )

    def dispose(self) -> None:
        if not self._waits:
            return
        try:
            for workers in list(self._workers.values()):
                workers.wait_until_ended()
        except KeyboardInterrupt:
            logger.warning("run workers are not waited for any longer; they go on")

    def _workers_of(self, origin: CodeOrigin) -> RunWorkers:
        with self._lock:
            if origin not in self._workers:
                self._workers[origin] = self._new_workers(origin)
            return self._workers[origin]

    def _new_workers(self, origin: CodeOrigin) -> RunWorkers:
        source = DefinitionSource(
            python_file=origin.python_file,
            module=origin.module,
            attribute=origin.attribute,
            working_directory=origin.working_directory,
            directory=origin.directory,
        )
        executable = self._executable or origin.executable_path
        # No paths to import from: the Python of a worker, which need not be ours, has its own.
        return RunWorkers(source, (), SpawningStarter(executable, self._environment))


def _origin(context: LaunchRunContext) -> CodeOrigin:
    """Where the definitions of the run's job are.

    Raises:
        LaunchFailedError: the run does not say, or they are not here.
        CodeLocationNotFoundError: the workspace does not have the code location.
    """
    run = context.record.run
    if run.location_name is None or run.repository_name is None:
        raise LaunchFailedError(run.run_id, "it does not name the code location of its job")
    origin = context.workspace.get_location(run.location_name).origin
    if origin is None:
        raise LaunchFailedError(
            run.run_id,
            f"code location {run.location_name!r} is served by somebody else, so it is not known where"
            " its definitions are; let the workspace load them itself (python_file, python_module or"
            " python_package), or set run_launcher to runwire.launchers.default.DefaultRunLauncher",
        )
    return origin


def _run_dir(context: LaunchRunContext) -> Path:
    return run_dir_of(context.instance_ref, context.record.run_id)
