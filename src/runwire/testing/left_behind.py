"""What a test leaves behind: processes, zombies and descriptors. Looks into /proc; elsewhere it sees nothing."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

GENEROUS_SECONDS = 60.0

_MARK = "RUNWIRE_SUITE_MARK"
"""The environment variable by which a test knows the processes that it started, directly or not."""

_PROC = Path("/proc")

_PERMANENT = ("anon_inode:[eventpoll]", "anon_inode:[eventfd]")
"""What gRPC makes with its first call and keeps."""


def eventually(holds: Callable[[], object], what: str) -> None:
    """Waits until something holds, under a generous time-out."""
    deadline = time.monotonic() + GENEROUS_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {GENEROUS_SECONDS:g} s: {what}"
        time.sleep(0.01)


@contextmanager
def nothing_left_behind() -> Iterator[None]:
    """Fails unless the processes that are started in the block have ended and are reaped after it.

    And unless each pipe, file and socket that is opened in it is closed. What is left is killed.
    """
    before = os.environ.get(_MARK)
    os.environ[_MARK] = str(uuid.uuid4())
    zombies, descriptors = _zombies(), _descriptors()
    try:
        yield
        try:
            eventually(lambda: not processes(), "no process is left")
        except AssertionError:
            left = processes()
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            raise AssertionError(f"processes are left: {left}") from None
        eventually(lambda: not _zombies() - zombies, "no zombie is left")
        eventually(
            lambda: not _descriptors() - descriptors,
            f"nothing is open: {_descriptors() - descriptors}",
        )
    finally:
        if before is None:
            del os.environ[_MARK]
        else:
            os.environ[_MARK] = before


def processes() -> dict[int, str]:
    """The command lines of the live processes that were started in the block, directly or not, by pid."""
    mark = f"{_MARK}={os.environ[_MARK]}".encode()
    found = {}
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                pid, command = int(folder.name), (folder / "cmdline").read_bytes()
                if is_alive(pid):
                    found[pid] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


def is_alive(pid: int) -> bool:
    """Whether a process exists and is not just waiting to be reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state, _ = _stat(pid)
    return state != "Z"


def pause(*pids: int) -> None:
    """Sends SIGSTOP to processes and waits until every thread of theirs has stopped.

    The system tells one thread of a process of the signal, and the others work on until that one was scheduled.
    """
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    eventually(lambda: all(map(_has_stopped, pids)), f"the threads of {pids} have stopped")


def _has_stopped(pid: int) -> bool:
    return all(
        _stat(f"{pid}/task/{thread.name}")[0] in "TZ"
        for thread in (_PROC / str(pid) / "task").iterdir()
    )


def _zombies() -> set[int]:
    """Children of this process that have ended and are not reaped."""
    pids = (int(folder.name) for folder in _PROC.glob("[0-9]*"))
    return {pid for pid in pids if _stat(pid) == ("Z", os.getpid())}


def _stat(process: int | str) -> tuple[str, int]:
    """The state of a process or thread as one letter, and its parent; an empty letter when there is none."""
    try:
        fields = (
            (_PROC / str(process) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        )
    except OSError:
        return "", 0
    return fields[0], int(fields[1])


def _descriptors() -> Counter[str]:
    """What is open in this process, apart from what cannot be told from what others keep open."""
    found: Counter[str] = Counter()
    for link in Path("/proc/self/fd").glob("*"):
        with suppress(OSError):
            found[str(link.readlink())] += 1
    for name in _PERMANENT:
        del found[name]
    return found
