"""The process of one step: runs it, and tells what happens over a pipe to the worker of its run.

It opens no storage, unless its op asks for the instance. It ends with the worker.
"""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec

from runwire.control import StoredOutput
from runwire.definitions import JobDefinition, OpDefinition, OutputRef
from runwire.errors import InvalidDefinitionError, RunInterrupted
from runwire.execution.attempts import Attempt
from runwire.execution.filesystem_io import FilesystemIOManager
from runwire.execution.piped_events import PipedEventWriter
from runwire.execution.plan import ExecutionStep, build_step
from runwire.execution.resources import required_resources, resources_of
from runwire.execution.run_log import RunLog
from runwire.execution.scope import RunScope
from runwire.execution.step import run_step, tell_step_failure
from runwire.instance import Instance, InstanceRef
from runwire.interrupts import Interrupts, using_interrupts
from runwire.locations.definition_loading import find_job
from runwire.locations.protocol import StepParameters
from runwire.runs.run import Run


class _Parameters(StepParameters, frozen=True):
    """The parameters with the run as such."""

    run: Run  # type: ignore[assignment]


_decode = msgspec.json.Decoder(_Parameters).decode


def main(payload: bytes, channel: int | None) -> None:
    """Runs the step that the payload names; the channel is its end of the pipe."""
    if channel is None:
        raise ValueError("a step process needs a channel to the worker of its run")
    interrupts = Interrupts()
    pipe = socket.socket(fileno=channel)
    pipe.settimeout(None)  # user code may have set another default
    with (
        interrupts.captured(),
        using_interrupts(interrupts),
        PipedEventWriter(pipe) as writer,
    ):
        parameters = _decode(payload)
        log = RunLog(parameters.worker.run_id, writer)
        with ExitStack() as stack:
            StepWork(parameters, log, interrupts, stack).execute()


class StepWork:
    """The work on one step. What it opens is closed by the stack."""

    def __init__(
        self, parameters: _Parameters, log: RunLog, interrupts: Interrupts, stack: ExitStack
    ) -> None:
        self._parameters = parameters
        self._log = log
        self._interrupts = interrupts
        self._stack = stack
        self._opening = threading.Lock()
        self._instance: Instance | None = None
        self._given = {
            OutputRef(key, name): StoredOutput(run_id, epoch)
            for key, name, run_id, epoch in parameters.given
        }

    def execute(self) -> None:
        """Does it. When this returns, the worker was told how the step has ended."""
        try:
            step, scope = self._prepare()
        except BaseException as error:  # noqa: BLE001 - the log is told of it
            tell_step_failure(self._log, self._parameters.step_key, error)
            return
        # It has failed by it, which was told.
        with suppress(RunInterrupted, KeyboardInterrupt):
            told = self._parameters
            attempt = Attempt(told.attempt, told.retries, step.retry_policy, told.retry_mode)
            run_step(step, scope, self._given.get, attempt)

    def _prepare(self) -> tuple[ExecutionStep, RunScope]:
        """The step and what it needs; only that of its run."""
        wanted, run = self._parameters, self._parameters.run
        with self._interrupts.user_code():
            job = self._load_job()
        op = _op_of(job, wanted.step_key)
        keys = required_resources(job.resource_defs, op.required_resource_keys)
        run_config = job.resolve_op_config(run.run_config, wanted.step_key, keys)
        step = build_step(job, run_config, wanted.step_key)
        resources = self._stack.enter_context(
            resources_of(job, run_config, keys, run.run_id, self._log, self._open_instance)
        )
        scope = RunScope(
            run,
            self._log,
            FilesystemIOManager(Path(wanted.io_base_dir)),
            resources,
            self._open_instance,
            wanted.worker.epoch,
            job.partition_list,
            "step",
            wanted.retry_mode,
        )
        return step, scope

    def _load_job(self) -> JobDefinition:
        worker = self._parameters.worker
        return find_job(worker.source, worker.repository_name, worker.job_name, worker.sys_path)

    def _open_instance(self) -> Instance:
        with self._opening:
            if self._instance is None:
                ref = InstanceRef.from_dict(self._parameters.worker.instance_ref)
                self._instance = self._stack.enter_context(Instance.from_ref(ref))
            return self._instance


def _op_of(job: JobDefinition, step_key: str) -> OpDefinition:
    try:
        return job.node(step_key).op
    except KeyError:
        raise InvalidDefinitionError(
            f"job {job.name!r} does not have step {step_key!r} any more: its definitions were changed while"
            " the run was executed; reload their code location and submit another run"
        ) from None
