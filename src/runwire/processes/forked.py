"""The first steps of a forked child, and its last."""

from __future__ import annotations

import atexit
import ctypes
import importlib
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from runwire.processes.starter import ChildRequest

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1
_TITLE = Path("/proc/self/comm")


def become_child(request: ChildRequest, forget: Callable[[], None]) -> NoReturn:
    """Runs what is asked for in a process that was just forked, and ends the process.

    Args:
        request: what is asked for; its descriptors are ours.
        forget: closes what belongs to the process that it was forked from.
    """
    exit_code = 1
    try:
        os.setpgid(0, request.group or 0)
        atexit._clear()  # noqa: SLF001 - they are to clean up after the process that it was forked from
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        forget()
        sys.stdout.flush()
        os.dup2(request.stdout, 1)
        os.dup2(request.stderr, 2)
        for descriptor in (request.stdout, request.stderr):
            os.close(descriptor)
        if request.channel is not None:
            os.set_inheritable(request.channel, False)
        os.chdir(request.directory)
        _reseed()
        with suppress(OSError):
            _TITLE.write_text(f"rw:{request.title}"[:15])
        importlib.import_module(request.entry).main(request.payload, request.channel)
        exit_code = 0
    except SystemExit as end:
        exit_code = _exit_code(end)
    except BaseException:  # noqa: BLE001 - the process ends here, whatever it was
        with suppress(BaseException):
            traceback.print_exc()
    finally:
        _end(exit_code)


def die_with_parent(parent: int) -> None:
    """Has the system kill this process when its parent ends, however that does. Linux only."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was faster
        os.kill(os.getpid(), signal.SIGKILL)


def _end(exit_code: int) -> NoReturn:
    """Ends the process without what its parent would do at its end."""
    with suppress(BaseException):
        atexit._run_exitfuncs()  # noqa: SLF001 - those that were registered here
    for stream in (sys.stdout, sys.stderr):
        with suppress(BaseException):
            stream.flush()
    os._exit(exit_code)


def _reseed() -> None:
    """Two children must not draw the same random numbers."""
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def _exit_code(end: SystemExit) -> int:
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code & 0xFF
    sys.stderr.write(f"{end.code}\n")
    return 1
