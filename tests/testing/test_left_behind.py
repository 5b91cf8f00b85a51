"""What a test leaves behind is seen, and what is left running is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runwire.testing import left_behind
from runwire.testing.left_behind import eventually, is_alive, nothing_left_behind, processes

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")

SLEEPING = [sys.executable, "-c", "import time; time.sleep(300)"]


def _started() -> subprocess.Popen[bytes]:
    process = subprocess.Popen(SLEEPING)
    while process.pid not in processes():
        pass
    return process


def _ended() -> subprocess.Popen[bytes]:
    process = subprocess.Popen(["true"])
    while is_alive(process.pid):
        pass
    return process


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left_behind, "GENEROUS_SECONDS", 0.1)


def test_a_test_that_cleans_up_leaves_nothing() -> None:
    with nothing_left_behind():
        ends, begins = os.pipe()
        with _started() as process:
            process.kill()
        os.close(ends)
        os.close(begins)


def test_a_process_that_is_left_is_told_and_killed(impatient: None) -> None:
    left = []
    told = r"processes are left: .*time\.sleep\(300\)"
    with pytest.raises(AssertionError, match=told), nothing_left_behind():
        left.append(_started())
    assert left[0].wait() == -9


def test_a_process_that_was_there_before_is_not_meant() -> None:
    with subprocess.Popen(SLEEPING) as process:
        with nothing_left_behind():
            assert processes() == {}
        assert is_alive(process.pid)
        process.kill()


def test_a_zombie_that_is_left_is_told(impatient: None) -> None:
    left = []
    with pytest.raises(AssertionError, match="no zombie is left"), nothing_left_behind():
        left.append(_ended())
    assert left[0].wait() == 0


def test_a_descriptor_that_is_left_is_told(impatient: None) -> None:
    ends: tuple[int, ...] = ()
    with pytest.raises(AssertionError, match=r"nothing is open: .*pipe:"), nothing_left_behind():
        ends = os.pipe()
    for end in ends:
        os.close(end)


def test_the_environment_is_as_it_was() -> None:
    before = dict(os.environ)
    with nothing_left_behind():
        assert dict(os.environ) != before
    assert dict(os.environ) == before


def test_waiting_ends_by_the_time_out(impatient: None) -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.1 s: it rains"):
        eventually(lambda: False, "it rains")
