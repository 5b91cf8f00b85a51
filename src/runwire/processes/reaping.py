"""A child process that one thread waits for, while others ask for its end and send it signals."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from subprocess import Popen


class ReapedProcess:
    """A child process of this one. Thread-safe.

    One thread calls `reap`, and nobody else waits for the process itself: until it is reaped, nobody else gets its
    number, so that a signal reaches it or what it left in its group, and no stranger.
    """

    def __init__(self, process: Popen[bytes]) -> None:
        self._process = process
        self._reaping = threading.Lock()
        self._ended = threading.Event()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def reap(self, *, with_group: bool) -> None:
        """Waits for its end; only one thread may. `with_group`: kills what it left in the group that it leads."""
        if not hasattr(os, "waitid"):  # there, it cannot be known to have ended and not be reaped
            self._process.wait()
            self._ended.set()
            return
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with self._reaping:
            if with_group:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        self._ended.set()

    def wait_for_end(self, timeout_seconds: float | None = None) -> bool:
        """Waits until it is reaped; returns whether it is."""
        return self._ended.wait(timeout_seconds)

    def exit_code(self) -> int:
        """Its exit code as `subprocess` tells it; waits for it."""
        self._ended.wait()
        return self._process.returncode

    def send_signal(self, number: int) -> None:
        """Sends it a signal; harmless when it has ended."""
        with self._reaping, suppress(ProcessLookupError):
            if self._process.returncode is None:
                os.kill(self.pid, number)
