"""Fixtures of all tests."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

from tests.postgres import pooled_url, pooler_port, postgres_server, postgres_url

__all__ = ["pooled_url", "pooler_port", "postgres_server", "postgres_url"]

_MEMORY = Path("/dev/shm")
_NEEDED_BYTES = 4 * 1024**3


def pytest_configure() -> None:
    """Makes no difference between places where tests are run."""
    _write_into_memory()
    # Hundreds of processes are started: each would compile everything anew.
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As in the background of a shell; programs that tests start, and interrupt, would inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _write_into_memory() -> None:
    """Keeps what tests write in memory, where there is enough: thousands of them wait for disks otherwise.

    A process that is killed loses nothing there either; what a loss of power costs no test could tell.
    """
    try:
        is_large = shutil.disk_usage(_MEMORY).free >= _NEEDED_BYTES
    except OSError:
        return
    if is_large and os.access(_MEMORY, os.W_OK):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))
