"""Running the entry of a child process, and ending the process."""

from __future__ import annotations

import atexit
import importlib
import os
import sys
import threading
import traceback
from contextlib import suppress
from typing import NoReturn

EXIT_SECONDS = 5.0
"""How long functions that were registered for the exit may take."""


def run_entry(entry: str, payload: bytes, channel: int | None) -> NoReturn:
    """Runs ``main(payload, channel)`` of a module and ends the process with it, whatever it has left running.

    Threads that do not end are not waited for; functions that were registered for the exit are called.
    """
    exit_code = 1
    try:
        importlib.import_module(entry).main(payload, channel)
        exit_code = 0
    except SystemExit as end:
        exit_code = _exit_code(end)
    except BaseException:  # noqa: BLE001 - the process ends here, whatever it was
        with suppress(BaseException):
            traceback.print_exc()
    finally:
        _end(exit_code)


def _end(exit_code: int) -> NoReturn:
    with suppress(
        BaseException
    ):  # functions may not end, such as those that wait for other processes
        limit = threading.Timer(EXIT_SECONDS, os._exit, (exit_code,))
        limit.daemon = True
        limit.start()
    with suppress(BaseException):
        atexit._run_exitfuncs()  # noqa: SLF001 - there is no other way to call them and not wait for threads
    for stream in (sys.stdout, sys.stderr):
        with suppress(BaseException):
            stream.flush()
    os._exit(exit_code)


def _exit_code(end: SystemExit) -> int:
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code & 0xFF
    sys.stderr.write(f"{end.code}\n")
    return 1
