"""A code server as seen by the process that started it."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from typing import IO, TypeAlias, cast

import msgspec

from runwire.error_info import ErrorInfo
from runwire.locations.other_python import why_unusable
from runwire.locations.protocol import CodeServerParameters, NotReady, Ready, encode
from runwire.locations.target import LocationTarget
from runwire.processes.exits import describe_exit
from runwire.processes.reaping import ReapedProcess

MAX_SOCKET_PATH = 100
"""What every system takes as the path of a unix socket; Linux takes 107 characters, macOS 103."""

STUCK_MARGIN_SECONDS = 10.0
"""How long a code server may take to begin loading, and to tell that loading does not end."""

STANDARD_ERROR = 2

DEATH_CHECK_SECONDS = 0.5
"""How often to look for a death that the end of the pipe does not tell: a child may hold it open."""

Announcement: TypeAlias = Ready | NotReady

_decoder: msgspec.json.Decoder[Announcement] = msgspec.json.Decoder(Announcement)


class CodeServerNotReadyError(Exception):
    """A code server did not come up; `info` tells why. `is_killed`: its process was ended by a signal."""

    def __init__(self, info: ErrorInfo, *, is_killed: bool = False) -> None:
        self.info = info
        self.is_killed = is_killed
        super().__init__(info.message)


class CodeServerProcess:
    """A code server's process, started by making this.

    Its standard input is held open for as long as it shall live: that it ends tells the code server that its
    parent is gone. What user code prints is seen on our standard error.

    Args:
        target: what it serves.
        start_timeout_seconds: how long it may take to load that.
        preload: modules that its run workers will need.

    Raises:
        OSError: the process cannot be started.
    """

    def __init__(
        self,
        target: LocationTarget,
        *,
        start_timeout_seconds: float,
        preload: Sequence[str] = (),
    ) -> None:
        self._executable = target.executable
        self._start_timeout = start_timeout_seconds
        self._preload = tuple(preload)
        _check_executable(self._executable)
        self._folder = Path(tempfile.mkdtemp(prefix="runwire-"))  # mode 0700
        output, ready = os.pipe()
        self._output = os.fdopen(output, "rb", buffering=0)
        try:
            parameters = self._parameters(target, ready)
            process = Popen(
                # The name is there for people who list processes. -P: the working directory must
                # not shadow the modules that the server itself needs.
                [self._executable, "-P", "-m", "runwire.locations.code_server", target.name],
                stdin=subprocess.PIPE,
                stdout=STANDARD_ERROR,
                pass_fds=[ready],
                cwd=parameters.source.directory,
                start_new_session=True,  # Ctrl-C in a terminal is for us; we end it in order
            )
        except BaseException:
            self._output.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        finally:
            os.close(ready)
        self._process = ReapedProcess(process)
        self._input = cast("IO[bytes]", process.stdin)
        with suppress(BrokenPipeError):
            self._input.write(encode(parameters) + b"\n")
            self._input.flush()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended, as far as `end_group` has seen."""
        return not self.wait_for_end(0)

    def wait_until_ready(self) -> Ready:
        """Waits until the server serves its definitions, or the error that they failed to load with. Once.

        Raises:
            CodeServerNotReadyError: the process ended, or loading did not end in time.
        """
        with self._output:
            line = self._read_line(time.monotonic() + self._start_timeout + STUCK_MARGIN_SECONDS)
        if line is None:
            problem = f"loading did not end within {self._start_timeout:g} s"
            raise CodeServerNotReadyError(ErrorInfo(problem, "TimeoutError"))
        if not line:
            raise self._ended_early()
        announcement = _decoder.decode(line)
        if isinstance(announcement, NotReady):
            raise CodeServerNotReadyError(announcement.error)
        return announcement

    def _ended_early(self) -> CodeServerNotReadyError:
        if not self.wait_for_end(STUCK_MARGIN_SECONDS):
            problem = "it closed the pipe by which it tells that it is ready"
            return CodeServerNotReadyError(ErrorInfo(problem, "ChildProcessError"))
        exit_code = self._process.exit_code()
        problem = f"{self.describe_end()} while it loaded the definitions"
        if exit_code > 0 and self._executable != sys.executable:
            unusable = why_unusable(self._executable)
            problem = f"{self._executable}: {unusable}" if unusable else problem
        return CodeServerNotReadyError(
            ErrorInfo(problem, "ChildProcessError"), is_killed=exit_code < 0
        )

    def wait_for_end(self, timeout_seconds: float | None = None) -> bool:
        """Waits for the process to end; returns whether it has."""
        return self._process.wait_for_end(timeout_seconds)

    def describe_end(self) -> str:
        """How the process ended; waits for it."""
        return f"its process (pid {self.pid}) {describe_exit(self._process.exit_code())}"

    def end_group(self) -> None:
        """Waits for the process to end, and kills what is left of its group: the process that answers for it,
        if that is stopped or stuck, and what user code has started. Run workers have groups of their own.

        One thread calls this, from the start of the process on; nobody sees the end without it.
        """
        self._process.reap(with_group=True)

    def let_go(self) -> None:
        """Lets the process know that it is not wanted any more; returns at once. Harmless when called twice."""
        with suppress(BrokenPipeError):
            self._input.close()

    def end(self, grace_seconds: float) -> None:
        """Waits for the process to end, then makes it, then forces it; each after a grace.

        Its run workers go on. Harmless when called twice.
        """
        self.let_go()
        for harder in (signal.SIGTERM, signal.SIGKILL):
            if self.wait_for_end(grace_seconds):
                return
            self._process.send_signal(harder)
        self.wait_for_end()

    def clean_up(self) -> None:
        """Removes the sockets of a process that has ended. Harmless when called twice."""
        self.let_go()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _parameters(self, target: LocationTarget, ready: int) -> CodeServerParameters:
        socket_path = self._folder / "s"
        if len(os.fsencode(socket_path)) > MAX_SOCKET_PATH:
            raise OSError(
                f"the path of the socket, {socket_path}, is longer than {MAX_SOCKET_PATH} characters;"
                " let TMPDIR name a folder with a shorter path"
            )
        return CodeServerParameters(
            location_name=target.name,
            source=target.source(),
            socket_path=str(socket_path),
            ready_fd=ready,
            start_timeout_seconds=self._start_timeout,
            preload=self._preload,
        )

    def _read_line(self, deadline: float) -> bytes | None:
        """What it tells, one line; empty when it ended before; None when the time is up."""
        line = b""
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            if self._readable(min(left, DEATH_CHECK_SECONDS)):
                part = os.read(self._output.fileno(), 65536)
                if not part:
                    return b""
                line += part
            elif not self.is_alive:
                return b""
        return line

    def _readable(self, timeout_seconds: float) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            return bool(selector.select(timeout_seconds))


def _check_executable(path: str) -> None:
    if not Path(path).exists():
        raise FileNotFoundError(
            f"there is no Python at {path}; make its environment, or name another as executable_path"
        )
