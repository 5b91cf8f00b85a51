"""Which process one is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import msgspec
import pytest

from runwire.processes.identity import ProcessIdentity

SLEEPING = [sys.executable, "-c", "import time; time.sleep(300)"]
ECHOING = [sys.executable, "-c", "while True: print(input(), flush=True)"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it cannot be told elsewhere")


def test_a_process_lives_until_it_ends_and_then_its_number_is_no_longer_it() -> None:
    with subprocess.Popen(SLEEPING) as process:
        alive = ProcessIdentity.of(process.pid)
        assert alive.lives is True
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        waited_for = ProcessIdentity.of(process.pid)
        assert (alive.lives, waited_for.lives) == (False, False)
    assert ProcessIdentity.of(process.pid).lives is False


def test_who_had_ended_when_it_was_looked_at_gives_no_signal_to_whoever_has_its_number() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    identity = ProcessIdentity.of(ended.pid)
    pipe = subprocess.PIPE
    with subprocess.Popen(ECHOING, process_group=0, stdin=pipe, stdout=pipe) as stranger:
        reused = msgspec.structs.replace(identity, pid=stranger.pid)
        reused.send_signal(signal.SIGKILL)
        reused.kill_group()
        assert stranger.stdin is not None
        assert stranger.stdout is not None
        stranger.stdin.write(b"still here\n")
        stranger.stdin.flush()
        assert stranger.stdout.readline() == b"still here\n"
        ProcessIdentity.of(stranger.pid).kill_group()
        assert stranger.wait(60) == -signal.SIGKILL
