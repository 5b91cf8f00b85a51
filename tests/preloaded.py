"""Commands of runwire in processes that were forked from one that has imported everything.

To import the server takes two seconds of processor time, and hundreds of tests start one. What is forked is a process
of its own in every other respect: it can be killed, and ends in order.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

_MODULES = ("runwire.cli", "runwire.cli.serving", "runwire.cli.daemon_running")
_ROOT = Path(__file__).parents[1]
_MESSAGE_BYTES = 1 << 20
_SECONDS = 60.0


class Running:
    """A command that runs, or has ended: what of `subprocess.Popen` is needed here.

    Attributes:
        pid: of its process.
        returncode: None while it runs; the negative number of the signal that ended it.
    """

    def __init__(self, status: socket.socket) -> None:
        self._status = status
        status.settimeout(_SECONDS)
        self.pid = int(status.recv(32))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, if it has ended."""
        return self._wait(0)

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end.

        Raises:
            subprocess.TimeoutExpired: it has not ended in time.
        """
        code = self._wait(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Sends a signal; harmless when it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Asks it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it without a chance to say so."""
        self.send_signal(signal.SIGKILL)

    def _wait(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], seconds)[0]:
            self.returncode = int(self._status.recv(32))
            self._status.close()
        return self.returncode


def prepare() -> None:
    """Starts what forks unless it lives, for whoever then looks for what a test leaves behind."""
    _control()


def start_runwire(
    *arguments: str,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    log: Path | None = None,
) -> Running:
    """Starts ``runwire`` with arguments.

    Args:
        arguments: as of the command line.
        cwd: where; here by default.
        env: all of its environment; that of this process by default.
        log: what its output is added to; that of this process by default.
    """
    message = {
        "arguments": arguments,
        "cwd": str(cwd or Path.cwd()),
        "env": dict(os.environ) if env is None else env,
    }
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if log is None:
        descriptors = [os.dup(1), os.dup(2)]
    else:
        descriptors = [os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)] * 2
    try:
        socket.send_fds(_control(), [json.dumps(message).encode()], [theirs.fileno(), *descriptors])
    finally:
        theirs.close()
        for descriptor in set(descriptors):
            os.close(descriptor)
    return Running(ours)


class _Forker:
    """The process that forks, and the connection to it; it ends with this one."""

    def __init__(self) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.preloaded", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
            )
        threading.Thread(target=self._reap, name="forker", daemon=True).start()

    def has_ended(self) -> bool:
        """Whether somebody has killed it, who took it for another."""
        return self._process.returncode is not None

    def _reap(self) -> None:
        code = self._process.wait()
        test = os.environ.get("PYTEST_CURRENT_TEST")
        print(
            f"what forks (pid {self._process.pid}) ended with {code}: {test}", file=sys.__stderr__
        )


_forkers: list[_Forker] = []


def _control() -> socket.socket:
    """The connection to a process that forks."""
    if _forkers and _forkers[-1].has_ended():
        _forkers.pop().control.close()
    if not _forkers:
        _forkers.append(_Forker())
    return _forkers[-1].control


# ------------------------------------------------------------------------- in the forking process


def _fork_as_asked(control: socket.socket) -> None:
    """Forks until nobody can ask any more. Returns in each child, which then runs its command."""
    while True:
        select.select([control], [], [])
        try:
            message, descriptors, _, _ = socket.recv_fds(control, _MESSAGE_BYTES, 3)
        except BlockingIOError:  # seen, on a machine with much to do, on a socket that blocks
            does = os.get_blocking(control.fileno())
            sys.stderr.write(f"nothing came from a socket that blocks: {does}\n")
            continue
        if not message:
            os._exit(0)
        if os.fork() == 0:
            control.close()
            status, *output = descriptors
            child = os.fork()
            if child != 0:
                _tell_end(status, child, output)
            os.close(status)
            _become(json.loads(message), output)
            return
        for descriptor in descriptors:
            os.close(descriptor)


def _tell_end(status: int, child: int, unused: list[int]) -> NoReturn:
    """Tells who the child is, waits for it, and tells how it ended."""
    for descriptor in unused:
        os.close(descriptor)
    os.write(status, str(child).encode())
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    os.dup2(1, 2)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, ended = os.waitpid(child, 0)
    try:
        os.write(status, str(os.waitstatus_to_exitcode(ended)).encode())
    finally:
        os._exit(0)


def _become(message: dict[str, object], output: list[int]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, descriptor in enumerate(output, start=1):
        os.dup2(descriptor, number)
    for descriptor in output:
        os.close(descriptor)
    environment, arguments = message["env"], message["arguments"]
    assert isinstance(environment, dict)
    assert isinstance(arguments, list)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(str(message["cwd"]))
    sys.path[:1] = [str(message["cwd"]), *environment.get("PYTHONPATH", "").split(os.pathsep)]
    sys.argv[1:] = arguments
    time.tzset()
    # It looks at the environment but once.
    importlib.reload(importlib.import_module("runwire.fault_points"))


def _serve(descriptor: int) -> None:
    import gc  # noqa: PLC0415 - here only

    for module in _MODULES:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    # Nobody waits for those that tell the ends.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # Whoever stops the tests stops this by closing its end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _fork_as_asked(socket.socket(fileno=descriptor))
    importlib.import_module("runwire.cli").main()


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
