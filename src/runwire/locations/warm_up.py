"""What takes longer the first time, done once before processes are forked."""

from __future__ import annotations

import tempfile
from pathlib import Path

from runwire import clock
from runwire.definitions import job, op
from runwire.events.entry import EventLogEntry
from runwire.events.types import EventType
from runwire.execution.run import execute_run
from runwire.executors.in_process import InProcessExecutor
from runwire.fault_points import fault_points_off
from runwire.instance import Instance
from runwire.runs.run import Run


def warm_up(folder: Path) -> None:
    """Executes a run of one step in an instance that is thrown away.

    Statements are compiled, decoders made and modules imported by that; no file and no thread stays open.

    Args:
        folder: where its home is made and removed.
    """

    @op
    def nothing() -> None: ...

    @job
    def warm() -> None:
        nothing()

    with (
        fault_points_off(),
        tempfile.TemporaryDirectory(dir=folder) as home,
        Instance.from_home(Path(home)) as instance,
    ):
        storage = instance.storage
        run = Run(job_name=warm.name)
        storage.run_storage.add_run(run, created_at=clock.timestamp())
        starting = EventLogEntry(
            run_id=run.run_id, event_type=EventType.RUN_STARTING, message="Warming up."
        )
        storage.store_events(run.run_id, [starting], handover=True)
        record = storage.get_run_record(run.run_id)
        execute_run(
            warm,
            record,
            storage,
            epoch=record.worker_epoch,
            executor=InProcessExecutor(),
            io_base_dir=instance.local_artifact_storage.storage_dir,
        )
