"""The whole work of a run's worker, from RUN_START to the one event that ends the run."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runwire.control import FinishedSteps, OutputName, StoredOutput, finished_steps, reused_outputs
from runwire.definitions import JobDefinition, OutputRef
from runwire.errors import RunFinishedError, RunInterrupted, StaleWorkerError
from runwire.events.payloads import RunFailureData, RunFailureReason
from runwire.events.types import EventType
from runwire.execution.durations import describe_duration
from runwire.execution.event_writer import EventWriter
from runwire.execution.filesystem_io import FilesystemIOManager
from runwire.execution.io import IOManager
from runwire.execution.plan import ExecutionPlan, build_plan
from runwire.execution.planned_steps import PlannedSteps
from runwire.execution.progress import Progress
from runwire.execution.resources import resources_of
from runwire.execution.run_log import RunLog
from runwire.execution.scope import RunScope
from runwire.execution.step_processes import StepStarter
from runwire.execution.step_slots import StepSlots
from runwire.execution.told_error import reason_of, told_error
from runwire.fault_points import fault_point
from runwire.instance import Instance
from runwire.interrupts import Interrupts, using_interrupts
from runwire.run_steps import Executor
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.storage.instance_storage import InstanceStorage

MAX_FAILED_STEPS = 25


def execute_run(
    job: JobDefinition,
    record: RunRecord,
    storage: InstanceStorage,
    *,
    epoch: int,
    executor: Executor,
    io_base_dir: Path,
    instance: Instance | None = None,
    interrupts: Interrupts | None = None,
    step_starter: StepStarter | None = None,
) -> RunStatus:
    """Executes a run that was handed to this worker: STARTING, or STARTED and resumed, with this epoch.

    Steps that former workers of the run have ended are not run again, and those that they have begun begin
    again. A run that is CANCELING is ended as CANCELED instead. In any other status, or when another worker has
    the run, nothing runs. One event ends the run, and nothing is written after it.

    Args:
        job: the job of the run.
        record: the run.
        storage: where the run is.
        epoch: the epoch of this worker.
        executor: runs the steps.
        io_base_dir: the folder for outputs, one folder a run.
        instance: what ops get as `context.instance`.
        interrupts: how the run is asked to stop; made in this thread.
        step_starter: starts the processes of steps, for an executor that wants them.

    Returns:
        The status of the run when the worker has done its work.

    Raises:
        StorageUnavailableError: the log could not be written; the run may be without an end.
        RunNotFoundError: the run was deleted.
        KeyboardInterrupt: where signals are not captured; the run has ended.
    """
    work = RunWork(
        job,
        record,
        storage,
        epoch,
        executor,
        FilesystemIOManager(io_base_dir),
        instance,
        step_starter,
    )
    return work.execute(interrupts or Interrupts())


@dataclass(frozen=True)
class RunWork:
    """The work on one run, with all that it needs; see `execute_run`."""

    job: JobDefinition
    record: RunRecord
    storage: InstanceStorage
    epoch: int
    executor: Executor
    io_manager: IOManager
    instance: Instance | None = None
    step_starter: StepStarter | None = None

    def execute(self, interrupts: Interrupts) -> RunStatus:
        """Does it."""
        with (
            using_interrupts(interrupts),
            EventWriter(self.storage, self.record, self.epoch) as writer,
            suppress(StaleWorkerError, RunFinishedError),  # not this worker's run any more
        ):
            log = RunLog(self.record.run_id, writer)
            finished = self._begin(log)
            if finished is not None:
                self._execute_to_end(log, interrupts, finished)
        return self._status()

    def _record(self) -> RunRecord:
        return self.storage.get_run_record(self.record.run_id)

    def _status(self) -> RunStatus:
        return self._record().status

    def _begin(self, log: RunLog) -> FinishedSteps | None:
        """Starts the run, or goes on with it; None if it is not this worker's to execute."""
        record = self._record()
        if record.status is RunStatus.STARTING:
            fault_point("worker.before_run_start")
            message = f"Run of job {self.job.name} started in process {os.getpid()}"
            started = log.tell(EventType.RUN_START, message)
            if started is not None and started.applied:
                fault_point("worker.after_run_start")
                return FinishedSteps()
        elif self._may_go_on(record):
            finished = finished_steps(self.storage.event_log_storage, record)
            log.tell_engine(
                f"Process {os.getpid()} goes on with the run, attempt {record.resume_attempts}:"
                f" {finished.count} of {record.run.steps_planned} steps have ended"
            )
            return finished
        status = self._status()
        if status is RunStatus.CANCELING:
            log.tell(EventType.RUN_CANCELED, "The run was canceled before its worker began it")
        elif not status.is_terminal:
            log.tell_engine(
                f"Process {os.getpid()} does not execute the run: it is {status.value}, a worker begins"
                f" only what is {RunStatus.STARTING.value}"
            )
        return None

    def _may_go_on(self, record: RunRecord) -> bool:
        return (
            record.status is RunStatus.STARTED
            and record.resume_attempts > 0
            and record.worker_epoch == self.epoch
        )

    def _execute_to_end(self, log: RunLog, interrupts: Interrupts, finished: FinishedSteps) -> None:
        began = time.monotonic()
        try:
            failed = self._execute_steps(log, finished)
            fault_point("worker.before_run_end")
        except (RunInterrupted, KeyboardInterrupt) as interrupt:
            self._tell_interrupted(log)
            if isinstance(interrupt, KeyboardInterrupt):
                raise
        except Exception as error:  # noqa: BLE001 - the log is told of it
            if interrupts.requested and self._status() is RunStatus.CANCELING:
                self._tell_interrupted(log)
            else:
                _tell_exception(log, error)
        else:
            if failed:
                _tell_failed(log, failed)
            else:
                took = describe_duration(time.monotonic() - began)
                log.tell(EventType.RUN_SUCCESS, f"Run of job {self.job.name} succeeded in {took}")
        fault_point("worker.after_run_end")

    def _execute_steps(self, log: RunLog, finished: FinishedSteps) -> tuple[str, ...]:
        """Runs the steps; returns those that failed."""
        run = self.record.run
        run_config = self.job.resolve_run_config(run.run_config)
        plan = build_plan(
            self.job,
            run_config,
            self.job.plan(run.step_keys),
            reuses=run.parent_run_id is not None,
        )
        progress = Progress(plan, finished, self._reused_by(plan))
        keys = plan.resource_keys(progress.left) if self.executor.runs_steps_here else ()
        with resources_of(
            self.job, run_config, keys, run.run_id, log, lambda: self.instance
        ) as resources:
            scope = RunScope(
                run,
                log,
                self.io_manager,
                resources,
                lambda: self.instance,
                self.epoch,
                self.job.partition_list,
                retries=self.executor.retries,
            )
            slots = self._slots_of(plan, progress)
            with PlannedSteps(plan, scope, progress, self.step_starter, slots) as steps:
                self.executor.execute(steps)
                if not steps.is_complete:
                    raise RuntimeError(
                        f"{type(self.executor).__name__} returned before all steps had ended"
                    )
            if keys:
                log.flush()  # what steps have ended with is there before the user's code tears down
        return steps.failed

    def _slots_of(self, plan: ExecutionPlan, progress: Progress) -> StepSlots | None:
        """Takes slots for the steps; None where none of them wants one."""
        if all(step.op.pool is None for step in plan.steps.values()):
            return None
        default = None if self.instance is None else self.instance.settings.pools.default_limit
        slots = StepSlots(self.storage, self.record.run_id, self.epoch, default)
        if self.record.resume_attempts:
            slots.adopt(progress.left)
        return slots

    def _reused_by(self, plan: ExecutionPlan) -> dict[OutputRef, StoredOutput]:
        """Where the runs that this one re-executes have stored what steps outside the plan gave."""
        needed = {
            OutputName(ref.handle, ref.output_name): self.job.node(ref.handle)
            .op.outputs[ref.output_name]
            .is_required
            for ref in plan.outside_sources
        }
        found = reused_outputs(self.storage, self.record.run.parent_run_id, needed)
        return {OutputRef(*name): stored for name, stored in found.items()}

    def _tell_interrupted(self, log: RunLog) -> None:
        status = self._status()
        if status is RunStatus.CANCELING:
            log.tell(EventType.RUN_CANCELED, "The run was canceled")
        elif not status.is_terminal and self._may_be_resumed():
            log.tell_engine(
                "The worker was stopped, but nobody canceled the run, which waits to be resumed"
            )
        elif not status.is_terminal:
            log.tell(
                EventType.RUN_FAILURE,
                "The run was interrupted unexpectedly: its worker was stopped, but nobody canceled it",
                data=RunFailureData(RunFailureReason.RUN_EXCEPTION),
            )

    def _may_be_resumed(self) -> bool:
        """Whether monitoring goes on with the run when this worker ends."""
        if self.instance is None:
            return False
        attempts = self.instance.settings.run_monitoring.automatic_resumes
        return self.record.resume_attempts < attempts


def _tell_exception(log: RunLog, error: Exception) -> None:
    log.tell(
        EventType.RUN_FAILURE,
        f"The run failed: {reason_of(error)}",
        error=told_error(error),
        data=RunFailureData(RunFailureReason.RUN_EXCEPTION),
    )


def _tell_failed(log: RunLog, failed: tuple[str, ...]) -> None:
    told = failed[:MAX_FAILED_STEPS]
    more = f" and {len(failed) - len(told)} more" if len(failed) > len(told) else ""
    log.tell(
        EventType.RUN_FAILURE,
        f"Steps failed: {', '.join(told)}{more}",
        data=RunFailureData(RunFailureReason.STEP_FAILURE, told),
    )
