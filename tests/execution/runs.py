"""Runs in memory that are handed to a worker, and what their logs say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runwire.clock import timestamp
from runwire.definitions import JobDefinition
from runwire.errors import StorageUnavailableError
from runwire.events.entry import EventLogEntry, EventLogRecord
from runwire.events.types import EventType
from runwire.execution import Interrupts, execute_run
from runwire.execution.event_writer import EventWriter
from runwire.execution.run_log import RunLog
from runwire.executors import InProcessExecutor
from runwire.run_steps import Executor
from runwire.runs.run import Run, RunRecord
from runwire.runs.status import RunStatus
from runwire.storages.memory import MemoryStorage

GENEROUS_SECONDS = 30.0


class ScriptedStorage(MemoryStorage):
    """Keeps the batches that it is given, and fails when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []
        self.failing = False

    def store_events(
        self, run_id: str, entries: Sequence[EventLogEntry], **options: Any
    ) -> list[EventLogRecord]:
        if self.failing:
            raise StorageUnavailableError("the disk is full")
        records = super().store_events(run_id, entries, **options)
        self.batches.append([entry.message for entry in entries])
        return records


def tell(storage: MemoryStorage, run_id: str, event_type: EventType, **options: Any) -> None:
    """Stores an event as an outsider."""
    entry = EventLogEntry(run_id=run_id, event_type=event_type, message=event_type.value)
    storage.store_events(run_id, [entry], **options)


def launched_run(
    storage: MemoryStorage,
    job_name: str = "etl",
    run_config: Mapping[str, Any] | None = None,
    step_keys: tuple[str, ...] | None = None,
    run_id: str = "r",
    steps_planned: int = 0,
    tags: Mapping[str, str] | None = None,
) -> RunRecord:
    """A run in STARTING, handed to a worker with epoch 1."""
    run = Run(
        run_id=run_id,
        job_name=job_name,
        run_config=dict(run_config or {}),
        step_keys=step_keys,
        tags={"team": "a", **(tags or {})},
        steps_planned=steps_planned,
    )
    storage.run_storage.add_run(run, created_at=timestamp())
    tell(storage, run_id, EventType.RUN_STARTING, handover=True)
    return storage.get_run_record(run_id)


def run_log(storage: MemoryStorage, record: RunRecord) -> tuple[RunLog, EventWriter]:
    """The log of a run as its worker writes it; the writer must be closed."""
    writer = EventWriter(storage, record, record.worker_epoch)
    return RunLog(record.run_id, writer), writer


def execute(
    storage: MemoryStorage,
    job: JobDefinition,
    folder: Path,
    *,
    run_config: Mapping[str, Any] | None = None,
    step_keys: tuple[str, ...] | None = None,
    executor: Executor | None = None,
    interrupts: Interrupts | None = None,
    tags: Mapping[str, str] | None = None,
) -> RunStatus:
    """Executes a new run of a job as its worker does."""
    record = launched_run(storage, job.name, run_config, step_keys, tags=tags)
    return execute_run(
        job,
        record,
        storage,
        epoch=1,
        executor=executor or InProcessExecutor(),
        io_base_dir=folder,
        interrupts=interrupts,
    )


def events(storage: MemoryStorage, run_id: str = "r") -> list[EventLogRecord]:
    """The whole log of a run."""
    page = storage.event_log_storage.get_records(storage.get_run_record(run_id))
    assert not page.has_more
    return page.records


def told(records: Sequence[EventLogRecord]) -> list[tuple[str | None, str | None, str]]:
    """Type, step and message of records; pids and durations are written as N."""
    return [(r.stored_type, r.step_key, _without_numbers(r.message)) for r in records]


def told_of_steps(records: Sequence[EventLogRecord]) -> list[tuple[str | None, str | None, str]]:
    """What records tell, but only those of steps."""
    return told([record for record in records if record.step_key is not None])


def types_of(records: Sequence[EventLogRecord]) -> list[str | None]:
    """The types of records."""
    return [record.stored_type for record in records]


def _without_numbers(message: str) -> str:
    message = re.sub(r"([Pp]rocess) \d+", r"\1 N", message)
    return re.sub(r"[\d.]+ m?s\b", "N ms", message)
