"""How processes ended, in words."""

from __future__ import annotations

import signal
from typing import Final

UNKNOWN_EXIT: Final = 256
"""For the exit code of a process that has ended, and nobody can tell how. No process ends with it."""


def describe_exit(exit_code: int) -> str:
    """How a process ended, by its exit code as `subprocess` tells it: negative for a signal."""
    if exit_code == UNKNOWN_EXIT:
        return "ended"
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    try:
        return f"was killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was killed by signal {-exit_code}"
