"""A fork server in a process of its own, and what children of it and of the spawning starter do."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from runwire.processes.forking import ForkingStarter
from runwire.processes.spawning import SpawningStarter
from runwire.processes.starter import ChildRequest, ChildStarter

ENTRY = """
import os, random, signal, subprocess, sys, threading, time

def main(payload, channel):
    exec(compile(payload, "payload", "exec"), dict(globals(), channel=channel, payload=payload))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "child_entry.py").write_text(ENTRY)
    return tmp_path


SERVER = """
import signal, socket, sys
from pathlib import Path
from runwire import fault_points
from runwire.processes.fork_server import ForkServer

descriptor, folder, handles_signals, fault = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
sys.path.insert(0, str(folder))
if handles_signals:
    signal.signal(signal.SIGTERM, lambda *_: (folder / "handled").touch())
fault_points._wanted, fault_points._marker = fault, str(folder / "died")
with socket.socket(fileno=descriptor) as listener:
    ForkServer(listener).serve(lambda: False)
"""


@contextmanager
def fork_server(
    folder: Path, *, handles_signals: bool = False, fault: str = ""
) -> Iterator[tuple[str, int]]:
    """The socket and the pid of a fork server that can import what is in the folder.

    It notes signals in the file ``handled`` if it is to handle them, and dies at a fault point.
    """
    with tempfile.TemporaryDirectory(prefix="rw-") as sockets:
        path = f"{sockets}/f"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(path)
            listener.listen(16)
            descriptor = listener.fileno()
            arguments = [str(descriptor), str(folder), "yes" if handles_signals else "", fault]
            server = subprocess.Popen(
                [sys.executable, "-c", SERVER, *arguments],
                pass_fds=[descriptor],
                process_group=0,
                stdin=subprocess.DEVNULL,
            )
        try:
            yield path, server.pid
        finally:
            server.kill()
            server.wait()


Request = Callable[..., ChildRequest]


@pytest.fixture
def request_of(folder: Path) -> Iterator[Request]:
    """Makes a request for a child that executes some code; its output goes to ``out`` and ``err``."""
    with (folder / "out").open("ab") as out, (folder / "err").open("ab") as err:
        plain = ChildRequest(
            entry="child_entry",
            payload=b"",
            title="a-title",
            directory=str(folder),
            stdout=out.fileno(),
            stderr=err.fileno(),
        )
        yield lambda code, **changes: replace(plain, payload=code.encode(), **changes)


@pytest.fixture(params=["forking", "spawning"])
def starter(
    request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ChildStarter]:
    spawning = SpawningStarter(environment={"PYTHONPATH": str(folder)})
    if request.param == "spawning":
        yield spawning
        return
    if sys.platform != "linux":
        pytest.skip("forks are for Linux")
    with fork_server(folder) as (path, _):
        yield ForkingStarter(path, Refusing())


class Refusing(ChildStarter):
    """What must not be needed."""

    def start(self, request: ChildRequest) -> None:  # type: ignore[override]
        raise AssertionError("the fork server did not answer")
