"""The demo, as `make demo` runs it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from runwire.client import RunwireClient
from runwire.runs.status import RunStatus

DEMO = Path(__file__).parents[1] / "examples" / "demo.py"
PATIENCE_SECONDS = 90


@contextmanager
def demo(script: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The demo in a session of its own, whose every process is gone at the end."""
    process = subprocess.Popen(
        [sys.executable, str(script), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def positions(output: str) -> list[int]:
    return [int(found) for found in re.findall(r"^ *(\d+)  \d\d:\d\d:\d\d\.", output, re.MULTILINE)]


def test_once_shows_every_event_and_ends_with_the_runs_success() -> None:
    with demo(DEMO, "--once") as process:
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, output
    shown = positions(output)
    assert shown == list(range(1, len(shown) + 1))
    assert len(shown) > 50
    assert "RUN_START " in output
    assert output.splitlines()[-1].endswith(" ended in SUCCESS")
    home = re.search(r"^home: (.*) \(temporary\)$", output, re.MULTILINE)
    assert home is not None
    assert not Path(home[1]).exists()


def test_a_run_that_fails_fails_the_demo(tmp_path: Path) -> None:
    text = DEMO.read_text(encoding="utf-8")
    changed = text.replace('JOB = "clock_changes"', 'JOB = "clock_changes_strict"')
    changed = changed.replace(
        "Path(__file__).resolve().parents[1]", f"Path({str(DEMO.parents[1])!r})"
    )
    assert changed.count("strict") == 1
    (tmp_path / "demo.py").write_text(changed, encoding="utf-8")
    with demo(tmp_path / "demo.py", "--once") as process:
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1, output
    assert output.splitlines()[-1].endswith(" ended in FAILURE")


@pytest.fixture
def other_checkout(tmp_path: Path) -> Path:
    """The examples elsewhere, so that the home of this checkout stays as it is."""
    (tmp_path / "examples").mkdir()
    for file in ("demo.py", "clock_changes.py", "data"):
        (tmp_path / "examples" / file).symlink_to(DEMO.parent / file)
    copy = tmp_path / "examples" / "demo.py"
    copy.unlink()
    copy.write_text(DEMO.read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def test_without_once_it_serves_until_ctrl_c_on_a_port_that_is_free(other_checkout: Path) -> None:
    with (
        taken(3333),
        demo(other_checkout / "examples" / "demo.py") as process,
    ):
        assert process.stdout is not None
        output = ""
        while "GraphiQL: " not in output:
            line = process.stdout.readline()
            assert line, output
            output += line
        url = output.rpartition("GraphiQL: ")[2].split()[0]
        with RunwireClient(url) as client:
            runs = client.list_runs().runs
        os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert "port 3333 is taken, so this takes " in output
    assert f"home: {other_checkout / '.runwire'}\n" in output
    assert [run.status for run in runs] == [RunStatus.SUCCESS]
    assert (rest, process.returncode) == ("", 0)


@contextmanager
def taken(port: int) -> Iterator[None]:
    """Somebody listens on a port: we, unless another does already."""
    with ExitStack() as stack:
        with suppress(OSError):
            stack.enter_context(socket.create_server(("127.0.0.1", port)))
        yield
