"""Waiting for a child process in one thread, beside others that ask for its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runwire.processes.reaping import ReapedProcess

PATIENCE = 30.0

WAITING = "import sys; sys.exit(int(sys.stdin.readline()))"

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def popen() -> Iterator[subprocess.Popen[bytes]]:
    """A process that leads a group and ends with the exit code that it reads."""
    with subprocess.Popen(
        [sys.executable, "-c", WAITING], stdin=subprocess.PIPE, process_group=0
    ) as process:
        yield process
        if process.returncode is None:
            process.kill()


def end(process: subprocess.Popen[bytes], exit_code: int) -> None:
    assert process.stdin is not None
    process.stdin.write(b"%d\n" % exit_code)
    process.stdin.flush()


def reap_beside(process: ReapedProcess) -> threading.Thread:
    thread = threading.Thread(target=process.reap, kwargs={"with_group": True})
    thread.start()
    return thread


def test_its_end_is_seen_by_all_once_it_is_reaped(popen: subprocess.Popen[bytes]) -> None:
    process = ReapedProcess(popen)
    thread = reap_beside(process)
    assert process.wait_for_end(0.05) is False
    end(popen, 7)
    assert process.wait_for_end(PATIENCE) is True
    assert (process.exit_code(), process.pid) == (7, popen.pid)
    thread.join(PATIENCE)


def test_without_the_one_that_reaps_its_end_is_not_seen(popen: subprocess.Popen[bytes]) -> None:
    process = ReapedProcess(popen)
    end(popen, 0)
    assert process.wait_for_end(0.5) is False
    assert popen.returncode is None
    process.reap(with_group=True)
    assert process.exit_code() == 0


@needs_proc
def test_nobody_reaps_it_before_what_it_left_in_its_group_is_killed(
    popen: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number is its own until then, however many ask for its end meanwhile."""
    process = ReapedProcess(popen)
    states: list[str] = []
    kill = os.killpg

    def look_and_kill(group: int, number: int) -> None:
        assert process.wait_for_end(0) is process.wait_for_end(0.05) is False
        stat = Path(f"/proc/{group}/stat").read_text()
        states.append(stat.rpartition(")")[2].split()[0])
        kill(group, number)

    monkeypatch.setattr(os, "killpg", look_and_kill)
    thread = reap_beside(process)
    end(popen, 0)
    thread.join(PATIENCE)
    assert process.wait_for_end(0)
    assert states == ["Z"]


def test_a_signal_reaches_it_and_nobody_after_its_end(
    popen: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    process = ReapedProcess(popen)
    thread = reap_beside(process)
    process.send_signal(signal.SIGTERM)
    assert process.exit_code() == -signal.SIGTERM
    thread.join(PATIENCE)
    sent: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _: sent.append(pid))
    process.send_signal(signal.SIGTERM)
    assert sent == []
