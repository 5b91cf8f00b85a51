"""Fixtures of all tests."""

from __future__ import annotations

import os
import signal
import sys

from tests.memory import memory_folder
from tests.postgres import (
    pooled_tables_url,
    pooled_url,
    pooler_port,
    postgres_server,
    postgres_url,
    tables_url,
)

__all__ = [
    "pooled_tables_url",
    "pooled_url",
    "pooler_port",
    "postgres_server",
    "postgres_url",
    "tables_url",
]


def pytest_configure() -> None:
    """Makes no difference between places where tests are run."""
    memory = memory_folder()
    if memory is not None:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))
    # Hundreds of processes are started: each would compile everything anew.
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As in the background of a shell; programs that tests start, and interrupt, would inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
