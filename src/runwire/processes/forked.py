"""The first steps of a forked child."""

from __future__ import annotations

import atexit
import ctypes
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from runwire.processes.entry import run_entry
from runwire.processes.starter import ChildRequest

SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP})
"""Signals whose handlers are the fork server's; blocked while it forks, so that no child runs them."""

_PR_SET_PDEATHSIG = 1
_TITLE = Path("/proc/self/comm")


def become_child(request: ChildRequest, go: int, forget: Callable[[], None]) -> NoReturn:
    """Runs what is asked for in a process that was just forked, and ends the process.

    Args:
        request: what is asked for; its descriptors are ours.
        go: a pipe that tells to begin. It ends without a word when whoever asked was not told of this process.
        forget: closes what belongs to the process that it was forked from.
    """
    try:
        os.setpgid(0, request.group or 0)
        _take_signals_as_usual()
        atexit._clear()  # noqa: SLF001 - they are to clean up after the process that it was forked from
        forget()
        _take_descriptors(request)
        os.chdir(request.directory)
        _reseed()
        with suppress(OSError):
            _TITLE.write_text(f"rw:{request.title}"[:15])
        if not os.read(go, 1):
            os._exit(1)
        os.close(go)
    except BaseException:  # noqa: BLE001 - the process ends here, whatever it was
        with suppress(Exception):
            traceback.print_exc()
        os._exit(1)
    run_entry(request.entry, request.payload, request.channel)


def die_with_parent(parent: int) -> None:
    """Has the system kill this process when its parent ends, however that does. Linux only."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was faster
        os.kill(os.getpid(), signal.SIGKILL)


def _take_signals_as_usual() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _take_descriptors(request: ChildRequest) -> None:
    with suppress(Exception):  # user code may have closed it, or put something else in its place
        sys.stdout.flush()
    os.dup2(request.stdout, 1)
    os.dup2(request.stderr, 2)
    for descriptor in (request.stdout, request.stderr):
        os.close(descriptor)
    if request.channel is not None:
        os.set_inheritable(request.channel, False)


def _reseed() -> None:
    """Two children must not draw the same random numbers."""
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()
