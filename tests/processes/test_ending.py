"""The end of a process, told by signals at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

from runwire.processes.ending import Ending

STORM = """
import random, signal
from runwire.processes import ending as module
from runwire.processes.ending import Ending

module.LOOK_SECONDS = 0.02  # what comes just before the system waits does not wake it
for number in range(3000):
    ending = Ending()
    signal.signal(signal.SIGALRM, ending.tell)
    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 6e-5))
    ending.wait()
    ending.wait()
print("waited")
"""


def test_a_signal_may_come_at_any_moment_of_the_wait() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STORM], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "waited\n"


def test_all_who_wait_are_told() -> None:
    ending = Ending()
    waiting = [threading.Thread(target=ending.wait) for _ in range(3)]
    for thread in waiting:
        thread.start()
    assert not ending.is_told()
    ending.tell()
    ending.tell()
    for thread in waiting:
        thread.join(60)
        assert not thread.is_alive()
    assert ending.is_told()


def test_signals_tell_it_in_the_block_only() -> None:
    before = signal.getsignal(signal.SIGTERM)
    ending = Ending()
    with ending.told_by_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        ending.wait()
    assert signal.getsignal(signal.SIGTERM) is before
