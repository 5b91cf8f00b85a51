"""A run without an instance, for tests of jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from runwire import clock
from runwire.definitions import DEFAULT_OUTPUT, JobDefinition, ResourceDefinition
from runwire.errors import InvalidDefinitionError
from runwire.events.entry import EventLogEntry, EventLogRecord
from runwire.events.types import EventType
from runwire.execution.io import InputContext, IOManager, OutputContext
from runwire.execution.run import RunWork
from runwire.executors.in_process import InProcessExecutor
from runwire.interrupts import Interrupts
from runwire.runs.run import Run, RunRecord
from runwire.runs.status import RunStatus
from runwire.storage import InstanceStorage
from runwire.storages.memory import MemoryStorage


class _MemoryIOManager(IOManager):
    """Hands values on as they are."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], Any] = {}

    def handle_output(self, context: OutputContext, value: Any) -> None:
        self.values[context.step_key, context.output_name] = value

    def load_input(self, context: InputContext) -> Any:
        return self.values[context.upstream_step_key, context.upstream_output_name]


@dataclass(frozen=True)
class ExecuteInProcessResult:
    """How a run ended.

    Attributes:
        status: its status.
        events: its log, from the first event to the last.
        outputs: what its steps gave, by step and output name.
    """

    status: RunStatus
    events: tuple[EventLogRecord, ...]
    outputs: Mapping[tuple[str, str], Any]

    @property
    def success(self) -> bool:
        """Whether every step that ran succeeded."""
        return self.status is RunStatus.SUCCESS

    def output_for_step(self, step_key: str, output_name: str = DEFAULT_OUTPUT) -> Any:
        """What a step gave.

        Raises:
            KeyError: there is no such step or output, or the step did not give it.
        """
        try:
            return self.outputs[step_key, output_name]
        except KeyError:
            given = ", ".join(f"{step}.{output}" for step, output in self.outputs) or "none"
            raise KeyError(
                f"step {step_key!r} gave no output {output_name!r}; outputs that were given: {given}"
            ) from None


def execute_in_process(
    job: JobDefinition,
    run_config: Mapping[str, Any] | None = None,
    resources: Mapping[str, Any] | None = None,
) -> ExecuteInProcessResult:
    """Runs a job to its end in this process, in memory: nothing is stored, and no instance knows of it.

    Args:
        job: the job.
        run_config: its run config.
        resources: values, by key, to use in place of resources of the job, which are not made then.

    Raises:
        InvalidDefinitionError: the job has no such resource.
        RunConfigInvalidError: the run config does not fit.
    """
    job = replace(job, resource_defs=_replaced(job, resources or {}))
    job.resolve_run_config(run_config or {})
    storage, io_manager = MemoryStorage(), _MemoryIOManager()
    try:
        run = Run(job_name=job.name, tags=dict(job.tags), run_config=dict(run_config or {}))
        status = _execute(job, run, storage, io_manager)
        record = storage.get_run_record(run.run_id)
        events = _all_events(storage, record)
        return ExecuteInProcessResult(status, events, io_manager.values)
    finally:
        storage.dispose()


def _replaced(job: JobDefinition, resources: Mapping[str, Any]) -> dict[str, ResourceDefinition]:
    unknown = sorted(set(resources) - set(job.resource_defs))
    if unknown:
        known = ", ".join(job.resource_defs) or "none"
        raise InvalidDefinitionError(
            f"job {job.name!r} uses no resource {unknown[0]!r}; it uses: {known}"
        )
    return {
        key: _standing_in(definition, resources[key]) if key in resources else definition
        for key, definition in job.resource_defs.items()
    }


def _standing_in(definition: ResourceDefinition, value: Any) -> ResourceDefinition:
    return ResourceDefinition(definition.name, lambda: value, source=definition.source)


def _execute(
    job: JobDefinition, run: Run, storage: InstanceStorage, io_manager: IOManager
) -> RunStatus:
    storage.run_storage.add_run(run, created_at=clock.timestamp())
    starting = EventLogEntry(
        run_id=run.run_id,
        event_type=EventType.RUN_STARTING,
        message="The run is executed in this process",
    )
    storage.store_events(run.run_id, [starting], handover=True)
    record = storage.get_run_record(run.run_id)
    work = RunWork(job, record, storage, record.worker_epoch, InProcessExecutor(), io_manager)
    return work.execute(Interrupts())


def _all_events(storage: InstanceStorage, record: RunRecord) -> tuple[EventLogRecord, ...]:
    events: list[EventLogRecord] = []
    while True:
        position = events[-1].position if events else 0
        page = storage.event_log_storage.get_records(record, after=position)
        events += page.records
        if not page.has_more:
            return tuple(events)
