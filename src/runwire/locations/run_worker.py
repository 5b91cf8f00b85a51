"""The process of a run worker: loads the definitions of one run, and executes it.

It reads its parameters as one line from its standard input. Everything else that it has to tell goes to the
run's log; if even that cannot be written, to its standard error, which is a file beside the run's outputs.
SIGTERM and SIGINT ask the run to stop.
"""

from __future__ import annotations

import os
import sys

from runwire.definitions import JobDefinition
from runwire.error_info import ErrorInfo
from runwire.errors import (
    InvalidDefinitionError,
    RunFinishedError,
    RunInterrupted,
    RunNotFoundError,
    StaleWorkerError,
)
from runwire.events.entry import EventLogEntry
from runwire.events.metadata import normalize_metadata
from runwire.events.payloads import EngineEventData, RunFailureData, RunFailureReason
from runwire.events.types import EventType
from runwire.execution.interrupts import Interrupts
from runwire.execution.run import execute_run
from runwire.executors.in_process import InProcessExecutor
from runwire.instance import Instance, InstanceRef
from runwire.locations.definition_loading import load_definitions
from runwire.locations.lost_worker import report_lost_worker
from runwire.locations.protocol import WorkerParameters, decode_line
from runwire.locations.standard_streams import show_output_at_once, take_stdin
from runwire.runs.status import UNFINISHED_STATUSES


def main() -> None:
    """Executes the run that the standard input names."""
    show_output_at_once()
    with take_stdin() as start:
        parameters = decode_line(start.read(), WorkerParameters)
    sys.path[:] = parameters.sys_path
    interrupts = Interrupts()
    with (
        interrupts.captured(),
        Instance.from_ref(InstanceRef.from_dict(parameters.instance_ref)) as instance,
    ):
        try:
            RunWorker(parameters, instance, interrupts).work()
        except (StaleWorkerError, RunFinishedError, RunNotFoundError) as error:
            print(f"nothing to do: {error}", file=sys.stderr)  # noqa: T201 - our log is a file


class RunWorker:
    """Executes one run with one epoch."""

    def __init__(
        self, parameters: WorkerParameters, instance: Instance, interrupts: Interrupts
    ) -> None:
        self._parameters = parameters
        self._instance = instance
        self._interrupts = interrupts

    def work(self) -> None:
        """Loads the run's job and executes the run.

        Raises:
            StaleWorkerError, RunFinishedError, RunNotFoundError: the run is not this worker's any more.
            StorageUnavailableError: the run's log cannot be written.
        """
        run_id, pid = self._parameters.run_id, os.getpid()
        self._instance.report_engine_event(
            f"Started process for run (pid {pid}).",
            run_id,
            data=EngineEventData(metadata=normalize_metadata({"pid": pid}, "the worker")),
            epoch=self._parameters.epoch,
        )
        job = self._load_job()
        if job is None:
            return
        execute_run(
            job,
            self._instance.storage.get_run_record(run_id),
            self._instance.storage,
            epoch=self._parameters.epoch,
            executor=InProcessExecutor(),
            io_base_dir=self._instance.local_artifact_storage.storage_dir,
            instance=self._instance,
            interrupts=self._interrupts,
        )

    def _load_job(self) -> JobDefinition | None:
        """The job of the run; None when there is none, and the run has ended for that."""
        try:
            with self._interrupts.user_code():
                return self._find_job()
        except RunInterrupted:
            report_lost_worker(
                self._instance.storage,
                self._parameters.run_id,
                self._parameters.epoch,
                "It was interrupted while it loaded the definitions.",
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, the run cannot be executed
            self._tell_load_failed(error)
        return None

    def _find_job(self) -> JobDefinition:
        wanted = self._parameters
        for repository in load_definitions(wanted.source):
            if repository.name == wanted.repository_name and wanted.job_name in repository.jobs:
                return repository.jobs[wanted.job_name]
        raise InvalidDefinitionError(
            f"the definitions do not have job {wanted.job_name!r} in repository"
            f" {wanted.repository_name!r} any more; restart their code server and submit a run of a"
            " job that there is"
        )

    def _tell_load_failed(self, error: Exception) -> None:
        info = ErrorInfo.from_exception(error)
        failed = EventLogEntry(
            run_id=self._parameters.run_id,
            event_type=EventType.RUN_FAILURE,
            message=f"The worker could not load the definitions: {info.message}",
            error=info,
            data=RunFailureData(RunFailureReason.LOAD_FAILED),
        )
        self._instance.storage.store_events(
            self._parameters.run_id,
            [failed],
            epoch=self._parameters.epoch,
            require=UNFINISHED_STATUSES,
        )


if __name__ == "__main__":
    main()
