"""A real server process on a home and a free port of its own, that can be killed and started again."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from runwire.client import CodeLocation, RunwireClient, ServerUnreachableError
from tests.preloaded import Running, start_runwire

PATIENCE_SECONDS = 60
"""Far longer than anything here takes; only a hang reaches it."""

JOBS = '''
"""Jobs that end well, end badly, and wait for a file to appear."""

import time
from pathlib import Path

from pydantic import BaseModel

from runwire import OpContext, job, op


class GateConfig(BaseModel):
    file: str


@op
def first(context: OpContext) -> int:
    context.log.info("one")
    return 1


@op
def gate(context: OpContext, config: GateConfig, number: int) -> int:
    context.log.info("the gate is shut")
    end = time.monotonic() + 60
    while not Path(config.file).exists():
        assert time.monotonic() < end, "nobody opened the gate"
        time.sleep(0.01)
    return number


@op
def fail(number: int) -> int:
    raise ValueError("broken on purpose")


@op
def last(context: OpContext, number: int) -> None:
    context.log.warning("got %d", number)


@job
def good():
    last(first())


@job
def bad():
    last(fail(first()))


@job
def gated():
    last(gate(first()))
'''


def environment() -> dict[str, str]:
    """The environment of a process that must not see a token or home of whoever runs the tests."""
    return {key: value for key, value in os.environ.items() if not key.startswith("RUNWIRE_")}


def command(*arguments: str) -> list[str]:
    """The command line as a process of its own."""
    return [sys.executable, "-m", "runwire.cli", *arguments]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Served:
    """`runwire dev` on one home and one port, again and again."""

    folder: Path
    arguments: tuple[str, ...]
    port: int = field(default_factory=free_port)
    process: Running | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/graphql"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def start(self) -> tuple[CodeLocation, ...]:
        """Starts it and waits until it answers and has loaded its code."""
        self.launch()
        with RunwireClient(self.url) as client:
            return client.wait_until_ready(PATIENCE_SECONDS)

    def launch(self) -> None:
        """Starts it."""
        place = ["--home", str(self.folder / "home"), "--port", str(self.port)]
        self.process = start_runwire(
            "dev", *self.arguments, *place, cwd=self.folder, env=environment(), log=self.log
        )

    def wait_for_an_answer(self) -> tuple[CodeLocation, ...]:
        """The code locations as they are as soon as it answers."""
        end = time.monotonic() + PATIENCE_SECONDS
        with RunwireClient(self.url) as client:
            while True:
                try:
                    return client.list_code_locations()
                except ServerUnreachableError:
                    assert time.monotonic() < end, self.log.read_text(encoding="utf-8")
                    time.sleep(0.02)

    def kill(self) -> None:
        """Ends it without a chance to say so."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE_SECONDS)

    def stop(self) -> int:
        """Asks it to end; returns its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[Served]:
    """A server on the jobs of this module, or on what the arguments say."""
    if not arguments:
        (folder / "jobs.py").write_text(JOBS, encoding="utf-8")
        arguments = ("-f", "jobs.py")
    made = Served(folder, arguments)
    made.start()
    try:
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.stop()
