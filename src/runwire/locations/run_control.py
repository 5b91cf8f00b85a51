"""A thread in a run worker that looks whether the run is still the worker's, and stops the worker when it is not."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.storage.run_storage import RunStorage

logger = logging.getLogger(__name__)

ENDED_GRACE_SECONDS = 5.0
"""How long a worker may go on after its run has ended, by itself or by somebody else."""


def interrupt_this_process() -> None:
    """Asks this process to stop, as anybody outside would."""
    os.kill(os.getpid(), signal.SIGTERM)


def kill_this_group(why: str) -> None:
    """Ends this process and its process group at once."""
    with suppress(Exception):  # user code may have closed it
        print(f"this worker is killed: {why}", file=sys.stderr, flush=True)  # noqa: T201 - our log is a file
    os.killpg(os.getpgrp(), signal.SIGKILL)


class RunControl:
    """Looks at the run of this worker in the time of the block.

    * Another worker has the run, or the run or its folder is gone: this process and its group are killed at
      once. Whatever it would still do, it would do twice, or for nobody.
    * The run is CANCELING: this process is interrupted, in case that nobody could ask it, and after a grace
      killed.
    * The run has ended, and this worker goes on: the same, with a short grace.

    A storage that does not answer is asked again.
    """

    def __init__(
        self,
        runs: RunStorage,
        run_id: str,
        epoch: int,
        run_dir: Path,
        *,
        poll_seconds: float,
        grace_seconds: float,
        interrupt: Callable[[], None] = interrupt_this_process,
        kill: Callable[[str], None] = kill_this_group,
    ) -> None:
        self._interrupt = interrupt
        self._kill = kill
        self._runs = runs
        self._run_id = run_id
        self._epoch = epoch
        self._run_dir = run_dir
        self._poll_seconds = poll_seconds
        self._grace_seconds = grace_seconds
        self._over = threading.Event()
        self._stopping_polls = 0
        self._thread = threading.Thread(
            target=self._look, name=f"runwire-control-{run_id}", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(self._poll_seconds):
            if not self._run_dir.is_dir():
                self._kill("its folder is gone, and its run with it")
                continue
            try:
                record = self._runs.find_run_record(self._run_id)
            except Exception as error:  # noqa: BLE001 - whatever it is, looking goes on
                logger.debug("run %s cannot be looked at: %s", self._run_id, error)
                continue
            if not self._over.is_set():
                self._judge(record)

    def _judge(self, record: RunRecord | None) -> None:
        if record is None:
            self._kill("its run is gone")
        elif record.worker_epoch != self._epoch:
            self._kill(
                f"its run has another worker: epoch {record.worker_epoch}, not {self._epoch}"
            )
        elif record.status is RunStatus.CANCELING:
            self._stop(self._grace_seconds, "its run is CANCELING, and it does not end")
        elif record.is_finished:
            grace = min(ENDED_GRACE_SECONDS, self._grace_seconds)
            self._stop(grace, f"its run is {record.status.value}, and it does not end")

    def _stop(self, grace_seconds: float, why: str) -> None:
        self._stopping_polls += 1
        if (
            self._stopping_polls == 2
        ):  # at first sight, whoever wrote the status may be about to ask
            self._interrupt()
        if self._stopping_polls * self._poll_seconds > grace_seconds + 2 * self._poll_seconds:
            self._kill(why)
