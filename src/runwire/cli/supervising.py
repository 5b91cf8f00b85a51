"""Keeping processes alive: as many as there are to be, each started again when it ends by itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

from runwire.locations.restart_delays import RestartDelays
from runwire.processes.ending import Ending
from runwire.processes.exits import describe_exit

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2


class _Kept:
    """One of the processes: the one that lives, or since when there is none."""

    def __init__(self, number: int, start: Callable[[int], BaseProcess]) -> None:
        self._number = number
        self._start = start
        self._delays = RestartDelays()
        self._started_at = time.monotonic()
        self._starts_at = self._started_at
        self.process: BaseProcess | None = None

    def look(self) -> None:
        """Takes note of its end, and starts it when it is time."""
        now = time.monotonic()
        if self.process is not None and self.process.exitcode is not None:
            delay = self._delays.next(now - self._started_at)
            logger.error(
                "worker %d (pid %s) %s; another is started in %g s",
                self._number + 1,
                self.process.pid,
                describe_exit(self.process.exitcode),
                delay,
            )
            self.process, self._starts_at = None, now + delay
        if self.process is None and now >= self._starts_at:
            self._started_at = now
            self.process = self._start(self._number)


def keep_alive(
    count: int,
    start: Callable[[int], BaseProcess],
    ending: Ending,
    look: Callable[[], object],
    finish: Callable[[Sequence[BaseProcess]], object],
) -> None:
    """Keeps so many processes alive until it is told to end, or one cannot be started.

    Args:
        count: how many.
        start: starts one, by its number, from 0 on.
        ending: whether to end.
        look: is called several times a second.
        finish: ends those that live then, whatever the end was: this process would wait for them at its exit.
    """
    all_kept = [_Kept(number, start) for number in range(count)]
    try:
        while not ending.is_told():
            for kept in all_kept:
                kept.look()
            look()
            wait([kept.process.sentinel for kept in all_kept if kept.process], _LOOK_SECONDS)
    finally:
        finish([kept.process for kept in all_kept if kept.process])


def end(processes: Sequence[BaseProcess], seconds: float) -> None:
    """Tells processes to end by SIGTERM, and kills those that have not ended in time."""
    for process in processes:
        process.terminate()
    until = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
        if process.exitcode is None:
            logger.error("worker with pid %s did not end within %g s", process.pid, seconds)
            process.kill()
            process.join()
