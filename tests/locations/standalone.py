"""Code servers that somebody else runs: `runwire code-server` as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from runwire.testing.left_behind import GENEROUS_SECONDS


@contextmanager
def code_server(
    file: Path, *place: str, variables: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A code server that answers, until the end of the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "runwire.cli", "code-server", "-f", str(file), *place],
        stdout=subprocess.PIPE,
        text=True,
        cwd=file.parent,
        env={**os.environ, **(variables or {})},
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("code server on "):
                    break
            else:
                raise AssertionError("it has ended")
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(GENEROUS_SECONDS)
