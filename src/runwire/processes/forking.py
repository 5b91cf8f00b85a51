"""Children that a fork server forks: they have imported what they need before they begin."""

from __future__ import annotations

import os
import select
import signal
import socket
from contextlib import suppress

from runwire.processes.exits import UNKNOWN_EXIT
from runwire.processes.fork_wire import read_line, send_request
from runwire.processes.starter import Child, ChildRequest, ChildStarter

ANSWER_SECONDS = 10.0


class ForkingStarter(ChildStarter):
    """Asks a fork server; when that is gone, somebody else.

    Args:
        socket_path: where the fork server listens.
        fallback: starts children when it does not answer.
    """

    def __init__(self, socket_path: str, fallback: ChildStarter) -> None:
        self._socket_path = socket_path
        self._fallback = fallback

    def start(self, request: ChildRequest) -> Child:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(self._socket_path)
            _ask(connection, request)
            answer = read_line(connection)
        except (OSError, EOFError):
            answer = None
        if answer is None:
            # What it may have forked before it died does not begin without our being told of it.
            connection.close()
            return self._fallback.start(request)
        if "pid" not in answer:
            connection.close()
            raise OSError(str(answer.get("problem")))
        return ForkedChild(connection, int(answer["pid"]), bound=request.bound)


def _ask(connection: socket.socket, request: ChildRequest) -> None:
    descriptors = [request.stdout, request.stderr]
    if request.channel is not None:
        descriptors.append(request.channel)
    message = {
        "entry": request.entry,
        "title": request.title,
        "directory": request.directory,
        "group": request.group,
        "bound": request.bound,
    }
    send_request(connection, message, request.payload, descriptors)


class ForkedChild(Child):
    """A child of a fork server, known by the connection that it was asked for with.

    It lives on when its fork server dies. Then its end is still seen, but not with which exit code.
    """

    def __init__(self, connection: socket.socket, pid: int, *, bound: bool) -> None:
        self._connection = connection
        self._pid = pid
        self._bound = bound
        self._exit_code: int | None = None
        try:
            self._process = os.pidfd_open(pid)
        except ProcessLookupError:  # it has ended; its exit code is on the way
            self._process = -1

    @property
    def pid(self) -> int:
        return self._pid

    def fileno(self) -> int:
        return self._process if self._process >= 0 else self._connection.fileno()

    def wait(self, timeout_seconds: float | None = None) -> int | None:
        if self._exit_code is None and self._has_ended(timeout_seconds):
            try:
                line = read_line(self._connection)
            except OSError:
                line = None
            self._exit_code = UNKNOWN_EXIT if line is None else int(line["exit_code"])
        return self._exit_code

    def send_signal(self, number: int) -> None:
        if self._process >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, number)

    def close(self) -> None:
        if self._bound and self.wait(0) is None:
            self.send_signal(signal.SIGKILL)
        self._connection.close()
        if self._process >= 0:
            os.close(self._process)
            self._process = -1
        self._exit_code = self._exit_code or 0

    def _has_ended(self, timeout_seconds: float | None) -> bool:
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return bool(poll.poll(None if timeout_seconds is None else timeout_seconds * 1000))
