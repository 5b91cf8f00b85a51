"""Places where a process may be made to die, so that tests can prove what the others do about it.

A process dies at a point, by SIGKILL, when the environment variable RUNWIRE_FAULT_POINT was
``<name of the point>:<path of a file>`` at its start and the file can be made: so only the first one to get
there dies, and what takes its place goes on.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

VARIABLE = "RUNWIRE_FAULT_POINT"

FAULT_POINTS: Final = (
    "launch.after_run_starting",
    "launch.after_worker_started",
    "resume.after_handover",
    "reexecute.after_add",
    "queue.before_claim",
    "queue.after_claim",
    "queue.after_launch",
    "code_server.before_fork",
    "code_server.after_fork",
    "fork_server.before_fork",
    "fork_server.after_fork",
    "fork_server.before_bound_fork",
    "fork_server.after_bound_fork",
    "worker.before_run_start",
    "worker.after_run_start",
    "worker.after_output",
    "worker.after_step_success",
    "worker.before_run_end",
    "worker.after_run_end",
    "step.before_step_start",
    "step.after_output",
    "step.after_step_success",
    "monitoring.before_resume",
    "monitoring.after_resume",
    "monitoring.before_failure",
    "daemon.after_lease",
    "terminate.after_canceling",
)
"""All points of runs, by their names; those of ticks, of webhooks, of retries and of backfills follow.

A point that is reached by another name is a mistake.
"""

TICK_FAULT_POINTS: Final = (
    "tick.after_tick_created",
    "tick.before_requests_stored",
    "tick.after_requests_stored",
    "tick.after_run_created",
    "tick.after_run_submitted",
    "tick.before_tick_success",
)

WEBHOOK_FAULT_POINTS: Final = ("webhook.before_save", "webhook.after_save")
"""Those of webhooks."""

RETRY_FAULT_POINTS: Final = (
    "retry.before_reexecute",
    "retry.before_submit",
    "retry.after_submit",
    "retry.before_move",
)
"""Those of the retries of runs."""

_wanted, _, _marker = os.environ.get(VARIABLE, "").partition(":")
_is_off = False

BACKFILL_FAULT_POINTS: Final = (
    "backfill.after_run_created",
    "backfill.after_run_submitted",
    "backfill.before_position_stored",
    "backfill.after_position_stored",
)
"""Those of backfills."""


@contextmanager
def fault_points_off() -> Iterator[None]:
    """No point is reached in this block: what it does only looks like what happens there."""
    global _is_off  # noqa: PLW0603 - as the process is, so is its one wish to die
    _is_off = True
    try:
        yield
    finally:
        _is_off = False


def fault_point(name: str) -> None:
    """Dies here if it was asked for."""
    if name == _wanted and not _is_off:
        try:
            Path(_marker).touch(exist_ok=False)
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)
