"""The process of a run worker: executes one run with one epoch.

Everything that it has to tell goes to the run's log; if even that cannot be written, to its standard error,
which is a file beside the run's outputs. SIGTERM and SIGINT ask the run to stop.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from runwire.control import report_lost_worker
from runwire.definitions import JobDefinition
from runwire.error_info import ErrorInfo
from runwire.errors import (
    RunFinishedError,
    RunInterrupted,
    RunNotFoundError,
    StaleWorkerError,
)
from runwire.events.entry import EventLogEntry
from runwire.events.metadata import normalize_metadata
from runwire.events.payloads import EngineEventData, RunFailureData, RunFailureReason
from runwire.events.types import EventType
from runwire.execution.run import execute_run
from runwire.executors.load import make_executor
from runwire.instance import Instance, InstanceRef
from runwire.interrupts import Interrupts
from runwire.locations.definition_loading import find_job
from runwire.locations.protocol import WorkerParameters
from runwire.locations.run_control import RunControl
from runwire.locations.step_starter import WorkerStepStarter
from runwire.locations.worker_presence import WorkerPresence, run_dir_of
from runwire.run_steps import Executor
from runwire.runs.status import UNFINISHED_STATUSES


def main(payload: bytes, _channel: int | None) -> None:
    """Executes the run that the payload names."""
    parameters = msgspec.json.decode(payload, type=WorkerParameters)
    run_dir = run_dir_of(parameters.instance_ref, parameters.run_id)
    presence = WorkerPresence.begin(run_dir, parameters.epoch)
    interrupts = Interrupts()
    with (
        interrupts.captured(),
        Instance.from_ref(InstanceRef.from_dict(parameters.instance_ref)) as instance,
    ):
        try:
            with _controlled(instance, parameters):
                RunWorker(parameters, instance, interrupts).work()
        except (StaleWorkerError, RunFinishedError) as error:
            _say_nothing_to_do(error)
        except RunNotFoundError as error:
            _say_nothing_to_do(error)
            return  # not in order: whoever started it looks why, and removes what this has made
        presence.tell_end()


def _say_nothing_to_do(why: Exception) -> None:
    print(f"nothing to do: {why}", file=sys.stderr)  # noqa: T201 - our log is a file


@contextmanager
def _controlled(instance: Instance, parameters: WorkerParameters) -> Iterator[None]:
    """Beside what is done in the block, a thread looks whether the run is still this worker's."""
    if not instance.should_start_background_run_thread:
        yield
        return
    monitoring = instance.settings.run_monitoring
    with RunControl(
        instance.storage.run_storage,
        parameters.run_id,
        parameters.epoch,
        run_dir_of(parameters.instance_ref, parameters.run_id),
        poll_seconds=monitoring.cancellation_thread_poll_interval_seconds,
        grace_seconds=monitoring.cancel_timeout_seconds,
    ):
        yield


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
        loaded = self._load()
        if loaded is None:
            return
        job, executor = loaded
        record = self._instance.storage.get_run_record(run_id)
        io_base_dir = self._instance.local_artifact_storage.storage_dir
        execute_run(
            job,
            record,
            self._instance.storage,
            epoch=self._parameters.epoch,
            executor=executor,
            io_base_dir=io_base_dir,
            instance=self._instance,
            interrupts=self._interrupts,
            step_starter=WorkerStepStarter(self._parameters, record.run, io_base_dir),
        )

    def _load(self) -> tuple[JobDefinition, Executor] | None:
        """The run's job and its executor; None when there are none, and the run has ended for that."""
        wanted = self._parameters
        try:
            with self._interrupts.user_code():
                job = find_job(
                    wanted.source, wanted.repository_name, wanted.job_name, wanted.sys_path
                )
                return job, make_executor(job, self._instance)
        except RunInterrupted:
            self._tell_interrupted()
        except Exception as error:  # noqa: BLE001 - whatever it is, the run cannot be executed
            self._tell_load_failed(error)
        return None

    def _tell_interrupted(self) -> None:
        report_lost_worker(
            self._instance.storage,
            self._parameters.run_id,
            self._parameters.epoch,
            "It was interrupted while it loaded the definitions.",
            max_resume_attempts=self._instance.settings.run_monitoring.automatic_resumes,
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
