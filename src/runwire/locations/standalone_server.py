"""A code server that stands alone: it serves whoever knows its address until it is told to end.

Its run workers are spawned, each in a Python of its own, and go on when it ends.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runwire.error_info import ErrorInfo
from runwire.errors import UnavailableError
from runwire.locations import protocol
from runwire.locations.code_server import server_info
from runwire.locations.evaluators import Evaluators
from runwire.locations.server_process import MAX_SOCKET_PATH
from runwire.locations.service import CodeService, ServedDefinitions
from runwire.locations.target import LocationTarget
from runwire.locations.wire import address_of, serve
from runwire.locations.workers import RunWorkers
from runwire.processes.ending import Ending
from runwire.processes.spawning import SpawningStarter

CONNECT_SECONDS = 5.0


class SocketUnavailableError(UnavailableError):
    """The path cannot be listened on: somebody does, or it is something else than a socket."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(f"cannot listen on the socket {path}: {problem}; choose another path")


def serve_standalone(
    target: LocationTarget,
    place: Path | str,
    *,
    token: str | None = None,
    ready: Callable[[str, ErrorInfo | None], None] | None = None,
) -> None:
    """Loads definitions into this process and serves them until SIGTERM or SIGINT. For the main thread.

    Args:
        target: what to serve.
        place: the path of a unix socket, which only this user may use then; or what `tcp_address` gives.
        token: what callers must present; None when anybody may call who can reach it.
        ready: is called with the address, and with the error that the definitions failed to load with, once
            it answers.

    Raises:
        SocketUnavailableError: the path cannot be listened on.
        RuntimeError: the address cannot be listened on.
    """
    if isinstance(place, Path):
        check_socket(place)
    source = target.source()
    os.chdir(source.directory)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # an exception would be one of the definitions
    definitions = ServedDefinitions(source)
    ending = Ending()
    ending.heed_signals()
    address = address_of(place) if isinstance(place, Path) else place
    workers = RunWorkers(source, tuple(sys.path), SpawningStarter())
    evaluators = Evaluators(source, tuple(sys.path), SpawningStarter())
    service = CodeService(definitions, workers, evaluators, server_info(address), ending)
    with _private_files():
        server = serve(place, service.handlers(), token=token)
    if ready is not None:
        reply = definitions.reply
        ready(address, reply.error if isinstance(reply, protocol.LoadFailed) else None)
    ending.wait()
    server.stop(grace=1.0).wait()
    evaluators.close()


def check_socket(path: Path) -> None:
    """Refuses a path on which somebody listens; what a server left there that was killed is no hindrance.

    Raises:
        SocketUnavailableError: somebody listens, or there is something else, or no folder for it.
    """
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        problem = f"its path is longer than {MAX_SOCKET_PATH} characters"
        raise SocketUnavailableError(path, problem)
    if not path.parent.is_dir():
        raise SocketUnavailableError(path, f"there is no folder {path.parent}")
    if not path.exists():
        return
    if not path.is_socket():
        raise SocketUnavailableError(path, "there is something else")
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.settimeout(CONNECT_SECONDS)
        probe.connect(str(path))
        raise SocketUnavailableError(path, "another server does")


@contextmanager
def _private_files() -> Iterator[None]:
    """Whoever can open the socket can run code."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)
