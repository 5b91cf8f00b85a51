"""How a run worker starts the processes of its steps."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from runwire.execution.attempts import Attempt
from runwire.execution.step_processes import GivenOutput
from runwire.locations.definition_loading import check_directory
from runwire.locations.protocol import StepParameters, WorkerParameters, encode
from runwire.processes.forking import ForkingStarter
from runwire.processes.spawning import SpawningStarter
from runwire.processes.starter import Child, ChildRequest, ChildStarter
from runwire.runs.run import Run

ENTRY = "runwire.locations.step_process"


class WorkerStepStarter:
    """Starts step processes in the process group of this worker: by its fork server, else by spawn."""

    def __init__(self, worker: WorkerParameters, run: Run, io_base_dir: Path) -> None:
        self._worker = worker
        self._run = msgspec.to_builtins(run)
        self._io_base_dir = str(io_base_dir)
        self._starter: ChildStarter = SpawningStarter()
        if worker.fork_socket is not None:
            self._starter = ForkingStarter(worker.fork_socket, self._starter)

    def start(
        self, step_key: str, given: Sequence[GivenOutput], attempt: Attempt, channel: int
    ) -> Child:
        """Starts the process of a step, as `StepStarter` says."""
        parameters = StepParameters(
            worker=self._worker,
            run=self._run,
            step_key=step_key,
            given=tuple(given),
            attempt=attempt.number,
            retries=attempt.retries,
            retry_mode=attempt.mode,
            io_base_dir=self._io_base_dir,
        )
        return self._starter.start(
            ChildRequest(
                entry=ENTRY,
                payload=encode(parameters),
                title=step_key,
                directory=self._directory(),
                stdout=1,
                stderr=2,
                channel=channel,
                group=os.getpgrp(),
                bound=True,
            )
        )

    def _directory(self) -> str:
        """The directory of this worker; when it was removed, and made anew, the new one."""
        try:
            return str(Path.cwd())
        except FileNotFoundError:
            check_directory(self._worker.source.directory)
            return self._worker.source.directory
