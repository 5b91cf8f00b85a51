"""Runs in this process whose steps run in processes: forked by a fork server, or spawned."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runwire.clock import timestamp
from runwire.definitions import DEFAULT_REPOSITORY
from runwire.events.entry import EventLogEntry, EventLogRecord
from runwire.events.types import EventType
from runwire.execution import Interrupts, execute_run
from runwire.executors import make_executor
from runwire.instance import Instance
from runwire.locations.definition_loading import find_job
from runwire.locations.protocol import DefinitionSource, WorkerParameters, encode
from runwire.locations.step_starter import WorkerStepStarter
from runwire.runs.run import Run, RunRecord
from runwire.runs.status import RunStatus

JOBS = Path(__file__).with_name("step_jobs.py")
SOURCE = DefinitionSource(
    python_file=str(JOBS),
    module="",
    attribute=None,
    working_directory=None,
    directory=str(JOBS.parent),
)
SERVER = """
import socket, sys
from runwire.locations import step_process
from runwire.locations.definition_loading import preload_definitions
from runwire.locations.protocol import DefinitionSource, decode_line
from runwire.processes.fork_server import ForkServer

source = decode_line(sys.stdin.readline().encode(), DefinitionSource)
for repository in preload_definitions(source):
    repository.snapshot()
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(sys.argv[1])
listener.listen(128)
server = ForkServer(listener)
over = []
server.watch(0, lambda: over.append(True))
print("ready", flush=True)
server.serve(lambda: bool(over))
"""


@contextmanager
def fork_server(folder: Path) -> Iterator[str]:
    """A fork server that has the definitions: where it listens."""
    path = str(folder / "f")
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(encode(SOURCE) + b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"ready\n"
        yield path
        process.stdin.close()


@dataclass
class StepRuns:
    """Executes runs whose steps run in processes: forked by a fork server, or spawned where there is none."""

    instance: Instance
    fork_socket: str | None
    interrupts: Interrupts = field(default_factory=Interrupts)

    def execute(
        self,
        job_name: str,
        run_config: Mapping[str, Any] | None = None,
        *,
        meanwhile: Callable[[], None] | None = None,
    ) -> RunStatus:
        """Executes a run as its worker does; beside it, something is done in a thread."""
        record = self._launched(job_name, run_config)
        other = threading.Thread(target=meanwhile or (lambda: None))
        other.start()
        try:
            return self._execute(job_name, record)
        finally:
            other.join()

    def go_on(self, job_name: str, begun: str) -> RunStatus:
        """Executes a run as its second worker does; the first was lost when it had begun a step."""
        self._launched(job_name, None)
        self.tell(EventType.RUN_START, epoch=1)
        begin = EventLogEntry(
            run_id="r", event_type=EventType.STEP_START, message="", step_key=begun
        )
        self.instance.storage.store_events("r", [begin], epoch=1)
        self.tell(EventType.RUN_WORKER_LOST, handover=True)
        return self._execute(job_name, self.instance.storage.get_run_record("r"))

    def _execute(self, job_name: str, record: RunRecord) -> RunStatus:
        job = find_job(SOURCE, DEFAULT_REPOSITORY, job_name, tuple(sys.path))
        io_base_dir = self.instance.local_artifact_storage.storage_dir
        parameters = WorkerParameters(
            run_id=record.run_id,
            job_name=job_name,
            repository_name=DEFAULT_REPOSITORY,
            epoch=record.worker_epoch,
            instance_ref=self.instance.get_ref().to_dict(),
            source=SOURCE,
            sys_path=tuple(sys.path),
            fork_socket=self.fork_socket,
        )
        return execute_run(
            job,
            record,
            self.instance.storage,
            epoch=record.worker_epoch,
            executor=make_executor(job),
            io_base_dir=io_base_dir,
            interrupts=self.interrupts,
            step_starter=WorkerStepStarter(parameters, record.run, io_base_dir),
        )

    def _launched(self, job_name: str, run_config: Mapping[str, Any] | None) -> RunRecord:
        run = Run(run_id="r", job_name=job_name, run_config=dict(run_config or {}))
        storage = self.instance.storage
        storage.run_storage.add_run(run, created_at=timestamp())
        self.tell(EventType.RUN_STARTING, handover=True)
        return storage.get_run_record("r")

    def tell(self, event_type: EventType, **options: Any) -> None:
        """Stores an event of the run as an outsider."""
        entry = EventLogEntry(run_id="r", event_type=event_type, message=event_type.value)
        self.instance.storage.store_events("r", [entry], **options)

    def events(self) -> list[EventLogRecord]:
        """The whole log of the run."""
        storage, records = self.instance.storage, list[EventLogRecord]()
        while True:
            after = records[-1].position if records else 0
            page = storage.event_log_storage.get_records(storage.get_run_record("r"), after=after)
            records += page.records
            if not page.has_more:
                return records

    def of_step(self, step_key: str) -> list[EventLogRecord]:
        """What the log says of a step."""
        return [record for record in self.events() if record.step_key == step_key]

    def types_of(self, step_key: str) -> list[str | None]:
        """The types of what the log says of a step."""
        return [record.stored_type for record in self.of_step(step_key)]

    def failure_of(self, step_key: str) -> EventLogRecord:
        """The one STEP_FAILURE of a step, which did not succeed."""
        ended = ("STEP_FAILURE", "STEP_SUCCESS")
        [failure] = [record for record in self.of_step(step_key) if record.stored_type in ended]
        assert failure.event_type is EventType.STEP_FAILURE
        return failure
