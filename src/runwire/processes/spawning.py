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

from runwire.processes.reaping import ReapedProcess
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
        self._process = ReapedProcess(process)
        self._leads = leads
        self._bound = bound
        self._end, self._told = os.pipe()
        threading.Thread(target=self._reap, name=f"runwire-wait-{process.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def fileno(self) -> int:
        return self._end

    def wait(self, timeout_seconds: float | None = None) -> int | None:
        ended = self._process.wait_for_end(timeout_seconds)
        return self._process.exit_code() if ended else None

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    def close(self) -> None:
        if self._end < 0:
            return
        if self._bound:
            self._process.send_signal(signal.SIGKILL)
        os.close(self._end)
        self._end = -1

    def _reap(self) -> None:
        self._process.reap(with_group=self._leads)
        os.close(self._told)
