"""Programs that benchmarks start beside themselves: the server as people start it, and what floors need."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_URL = "GraphiQL  "


@contextmanager
def program(*command: str, stdin: IO[bytes] | int | None = None) -> Iterator[subprocess.Popen[str]]:
    """A Python program; it is told to stop in the end, and killed if it does not."""
    process = subprocess.Popen(
        [sys.executable, *command], stdin=stdin, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def first_line(process: subprocess.Popen[str], prefix: str = "") -> str:
    """What follows a prefix in the first line that has it."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(prefix):
            return line.removeprefix(prefix).strip()
    raise RuntimeError("the program ended before it said what it should")


@contextmanager
def served(home: Path, *command: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`runwire serve`, or another command that serves, on a home; the process, and its endpoint once it listens."""
    place = ["--home", str(home), "--host", "127.0.0.1", "--port", "0"]
    with program("-m", "runwire.cli", *(command or ["serve"]), *place) as process:
        yield process, first_line(process, _URL)
