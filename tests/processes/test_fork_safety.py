"""Whether a process may fork, asked in processes of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASK = "from runwire.processes.fork_safety import why_not_to_fork; print(why_not_to_fork())"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are for Linux")


def answer_after(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{ASK}"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_process_with_one_thread_may_fork() -> None:
    assert answer_after("import grpc, sqlalchemy") == "None"


def test_a_thread_stands_in_the_way_by_its_name() -> None:
    code = (
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,), name='poller', daemon=True).start()\n"
    )
    assert answer_after(code) == (
        "importing the definitions started threads, which forks would lose: poller"
    )


def test_threads_that_end_before_a_fork_do_not() -> None:
    """As those of OpenBLAS do, which numpy brings."""
    code = (
        "import os, threading\n"
        "over = threading.Event()\n"
        "thread = threading.Thread(target=over.wait, daemon=True)\n"
        "thread.start()\n"
        "os.register_at_fork(before=lambda: (over.set(), thread.join()))\n"
    )
    assert answer_after(code) == "None"


def test_cuda_stands_in_the_way() -> None:
    code = (
        "import sys, types\n"
        "torch = types.ModuleType('torch')\n"
        "torch.cuda = types.SimpleNamespace(is_initialized=lambda: True)\n"
        "sys.modules['torch'] = torch\n"
    )
    assert answer_after(code) == "CUDA is in use, which does not work in forks"


def test_a_thread_that_was_joined_does_not_even_if_the_system_is_still_ending_it() -> None:
    code = (
        "import _thread, threading, time\n"
        "_thread.start_new_thread(time.sleep, (0.2,))  # one of which Python does not know\n"
    )
    assert answer_after(code) == "None"
