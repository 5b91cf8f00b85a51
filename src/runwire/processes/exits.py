"""How processes ended, in words."""

from __future__ import annotations

import signal


def describe_exit(exit_code: int) -> str:
    """How a process ended, by its exit code as `subprocess` tells it: negative for a signal."""
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    try:
        return f"was killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was killed by signal {-exit_code}"
