"""The process of a code location: imports user code, and answers for it.

It reads its parameters as one line from its standard input. Once the definitions are loaded, it becomes a fork
server: its first child answers calls over gRPC, the others are run workers and the processes of their steps,
which need not import anything any more. Where forks are not safe, it answers itself, and workers are spawned.

`Ready` is written to a pipe, as one line, once the definitions are loaded, or have failed to load and are served
as that; `NotReady` when loading them does not end in time. All ends when it is told to, when the standard input
does (the parent is gone then), and when one of the two processes does. Run workers go on.
"""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from runwire import __version__, clock
from runwire.locations.evaluators import ENTRY as EVALUATOR_ENTRY
from runwire.locations.evaluators import Evaluators
from runwire.locations.loading_guards import ended_with_parent, say, stack_told_when_stuck
from runwire.locations.protocol import CodeServerParameters, Ready, decode_line
from runwire.locations.service import CodeService, ServedDefinitions
from runwire.locations.step_starter import ENTRY as STEP_ENTRY
from runwire.locations.warm_up import warm_up
from runwire.locations.wire import address_of, serve
from runwire.locations.workers import ENTRY as RUN_ENTRY
from runwire.locations.workers import RunWorkers
from runwire.processes.ending import Ending
from runwire.processes.fork_safety import why_not_to_fork
from runwire.processes.fork_server import ForkServer
from runwire.processes.forked import die_with_parent
from runwire.processes.forking import ForkingStarter
from runwire.processes.spawning import SpawningStarter
from runwire.processes.standard_streams import show_output_at_once, take_stdin
from runwire.snapshots import CodeServerInfo

END_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class CodeServer:
    """What the processes of a code server share."""

    parameters: CodeServerParameters
    parent: BinaryIO
    ready: BinaryIO
    definitions: ServedDefinitions

    @property
    def folder(self) -> Path:
        """The folder of its sockets."""
        return Path(self.parameters.socket_path).parent


def main() -> None:
    """Serves until told to end, or until the parent is gone."""
    show_output_at_once()
    parent = take_stdin()
    parameters = decode_line(parent.readline(), CodeServerParameters)
    os.set_inheritable(parameters.ready_fd, False)
    ready = os.fdopen(parameters.ready_fd, "wb")
    folder = Path(parameters.socket_path).parent
    try:
        with (
            ended_with_parent(parent, folder),
            stack_told_when_stuck(parameters.start_timeout_seconds, ready),
        ):
            definitions = ServedDefinitions(parameters.source)
            preload((*parameters.preload, RUN_ENTRY, STEP_ENTRY, EVALUATOR_ENTRY), folder)
        server = CodeServer(parameters, parent, ready, definitions)
        signal.signal(
            signal.SIGCHLD, signal.SIG_DFL
        )  # user code may have it ignored; then none can be waited for
        problem = why_not_to_fork()
        if problem is None:
            _fork_and_serve(server)
        else:
            _say_slow(parameters.location_name, problem)
            _answer(server, fork_socket=None)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def preload(modules: tuple[str, ...], folder: Path) -> None:
    """Imports what children will need, and lets it do once, in a folder, what takes longer the first time."""
    for module in modules:
        # Whatever is wrong with it is told where it is needed.
        with suppress(Exception):
            importlib.import_module(module)
    with suppress(Exception):  # then it takes longer
        warm_up(folder)


def _say_slow(location_name: str, problem: str) -> None:
    print(  # noqa: T201 - this is the process's log
        f"code location {location_name}: runs start slowly, each in a process that imports the definitions"
        f" anew: {problem}",
        file=sys.stderr,
        flush=True,
    )


# ------------------------------------------------------------------------------- as a fork server


def _fork_and_serve(server: CodeServer) -> None:
    """Becomes the fork server, with a child that answers; ends when that does."""
    fork_socket = server.folder / "f"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(fork_socket))
    listener.listen(128)
    gc.collect()
    gc.freeze()
    forking = os.getpid()
    pid = os.fork()
    if pid == 0:
        die_with_parent(forking)
        listener.close()
        _end_with(lambda: _answer(server, str(fork_socket)))
    forks = ForkServer(listener, (server.parent.fileno(), server.ready.fileno()))
    exit_code = _serve_forks(forks, server.parent, pid)
    if exit_code:
        print(f"the process that answers ended with {exit_code}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


def _serve_forks(forks: ForkServer, parent: BinaryIO, answering: int) -> int:
    """Serves forks until the process that answers has ended; returns its exit code."""
    deadline = [float("inf")]

    def tell_to_end(*_: object) -> None:
        """The parent is gone or says so. The other process sees the former itself."""
        deadline[0] = time.monotonic() + END_TIMEOUT_SECONDS + 3

    def pass_on(number: int, _frame: object) -> None:
        with suppress(ProcessLookupError):
            os.kill(answering, number)
        tell_to_end()

    def parent_says() -> None:
        forks.unwatch(parent.fileno())
        tell_to_end()

    for number in (signal.SIGTERM, signal.SIGINT):  # user code may have set its own
        signal.signal(number, pass_on)
    ended = os.pidfd_open(answering)
    codes: list[int] = []
    forks.watch(parent.fileno(), parent_says)
    forks.watch(ended, lambda: codes.append(_reap(answering)))

    def is_over() -> bool:
        if not codes and time.monotonic() > deadline[0]:
            os.kill(answering, signal.SIGKILL)
        return bool(codes)

    forks.serve(is_over)
    return codes[0]


def _reap(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _end_with(work: Callable[[], None]) -> NoReturn:
    """Does the work and ends this fork, without what the process that it was forked from does at its end."""
    exit_code = 1
    try:
        work()
        exit_code = 0
    except BaseException:  # noqa: BLE001 - the process ends here
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(exit_code)


# ------------------------------------------------------------------------------------- answering


def _answer(server: CodeServer, fork_socket: str | None) -> None:
    """Answers calls until told to end, or until the parent is gone."""
    ending = Ending()
    ending.heed_signals()  # user code may have set its own handlers
    for target, arguments in (
        (_tell_at_end, (server.parent.fileno(), ending)),
        (_make_sure_of_end, (ending, server.folder)),
    ):
        threading.Thread(target=target, args=arguments, daemon=True).start()
    spawning = SpawningStarter()
    starter = spawning if fork_socket is None else ForkingStarter(fork_socket, spawning)
    source, sys_path = server.parameters.source, tuple(sys.path)
    workers = RunWorkers(source, sys_path, starter, fork_socket)
    evaluators = Evaluators(source, sys_path, starter)
    info = server_info(address_of(Path(server.parameters.socket_path)))
    service = CodeService(server.definitions, workers, evaluators, info, ending)
    answering = serve(Path(server.parameters.socket_path), service.handlers())
    with suppress(BrokenPipeError):  # the parent is gone, which the other pipe tells as well
        say(server.ready, Ready(info))
    ending.wait()
    answering.stop(grace=1.0).wait()
    evaluators.close()
    shutil.rmtree(server.folder, ignore_errors=True)


def server_info(address: str) -> CodeServerInfo:
    """Who this process is, when it answers at an address."""
    return CodeServerInfo(
        server_id=str(uuid.uuid4()),
        address=address,
        python_version=".".join(map(str, sys.version_info[:3])),
        executable_path=sys.executable,
        version=__version__,
        started_at=clock.timestamp(),
    )


def _tell_at_end(descriptor: int, ending: Ending) -> None:
    """Whoever holds the other end of a pipe is gone when the pipe ends."""
    with suppress(OSError):
        while os.read(descriptor, 4096):
            pass
    ending.tell()


def _make_sure_of_end(ending: Ending, folder: Path) -> None:
    """Ends the process in time, whatever user code does in the main thread or has left running."""
    ending.wait()
    time.sleep(END_TIMEOUT_SECONDS + 2)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


if __name__ == "__main__":
    main()
