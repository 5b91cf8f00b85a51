"""Whether a process may fork: what a fork would break, by name."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

ENDING_SECONDS = 1.0

_TASKS = Path("/proc/self/task")


def why_not_to_fork() -> str | None:
    """Why children must not be forked from this process; None when they may be.

    Threads do not live on in a fork, and what they held stays locked; a CUDA context does not work in one.
    A library that ends its threads before a fork and starts them again when it needs them, as OpenBLAS does,
    does not stand in the way: one fork is made to see that.
    """
    if sys.platform != "linux":
        return f"forks are not safe on {sys.platform}"
    if _uses_cuda():
        return "CUDA is in use, which does not work in forks"
    if len(os.listdir(_TASKS)) > 1:  # noqa: PTH208 - names are all that is needed
        _fork_once()
    threads = _threads_that_stay()
    if not threads:
        return None
    return (
        f"importing the definitions started threads, which forks would lose: {', '.join(threads)}"
    )


def _fork_once() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _threads_that_stay() -> list[str]:
    """The names of the other threads. One that Python has joined may take a moment until it has ended."""
    deadline = time.monotonic() + ENDING_SECONDS
    while True:
        threads = _other_threads()
        if not threads or threading.active_count() > 1 or time.monotonic() > deadline:
            return threads
        time.sleep(0.005)


def _other_threads() -> list[str]:
    """The names of the threads besides the main one: those of Python, and of the system for others."""
    python = {
        thread.native_id: thread.name
        for thread in threading.enumerate()
        if thread is not threading.main_thread()
    }
    names = []
    for task in _TASKS.iterdir():
        number = int(task.name)
        if number != os.getpid():
            with suppress(OSError):  # it has ended meanwhile
                names.append(python.get(number) or (task / "comm").read_text().strip())
    return sorted(names)


def _uses_cuda() -> bool:
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "cuda"):
        return bool(torch.cuda.is_initialized())
    with suppress(OSError):
        return "libcuda.so" in Path("/proc/self/maps").read_text()
    return False
