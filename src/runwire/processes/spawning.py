"""Children that are spawned: each a fresh Python, which imports what it needs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from subprocess import Popen
from typing import IO, cast

from runwire.processes.starter import Child, ChildRequest, ChildStarter


class SpawningStarter(ChildStarter):
    """Runs each child in a Python of its own.

    Args:
        executable_path: the Python; the one that runs here when left out.
        environment: variables over those of this process.
    """

    def __init__(
        self,
        executable_path: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._executable = executable_path or sys.executable
        self._environment = dict(environment or {})

    def start(self, request: ChildRequest) -> Child:
        channel = request.channel
        arguments = [request.entry, request.title, "" if channel is None else str(channel)]
        process = Popen(
            # -P: the working directory must not shadow the modules that the child itself needs.
            [self._executable, "-P", "-m", "runwire.processes.spawned", *arguments],
            stdin=subprocess.PIPE,
            stdout=request.stdout,
            stderr=request.stderr,
            pass_fds=() if channel is None else (channel,),
            cwd=request.directory,
            env={**os.environ, **self._environment},
            process_group=request.group or 0,
        )
        pipe = cast("IO[bytes]", process.stdin)
        # One that has died already is told of by its end.
        with suppress(BrokenPipeError), pipe:
            pipe.write(request.payload)
        return SpawnedChild(process, leads=request.group is None, bound=request.bound)


class SpawnedChild(Child):
    """A child that this process spawned. A thread waits for it and closes a pipe at its end."""

    def __init__(self, process: Popen[bytes], *, leads: bool, bound: bool) -> None:
        self._process = process
        self._leads = leads
        self._bound = bound
        self._end, self._told = os.pipe()
        threading.Thread(target=self._wait, name=f"runwire-wait-{process.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def fileno(self) -> int:
        return self._end

    def wait(self, timeout_seconds: float | None = None) -> int | None:
        try:
            return self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    def close(self) -> None:
        if self._end < 0:
            return
        if self._bound and self._process.poll() is None:
            self._process.kill()
        os.close(self._end)
        self._end = -1

    def _wait(self) -> None:
        if self._leads and hasattr(os, "waitid"):
            # While it is not reaped, nobody else can get its number: what it left in its group is its own.
            with suppress(ChildProcessError):
                os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._told)
