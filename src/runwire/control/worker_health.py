"""Whether the worker of a run lives, and stopping it, when whoever could tell may not answer."""

from __future__ import annotations

from runwire.errors import CodeLocationNotFoundError, UnavailableError
from runwire.launcher import LaunchRunContext, RunLauncher
from runwire.workspace import CheckRunHealthResult, WorkerStatus


def worker_health(launcher: RunLauncher, context: LaunchRunContext) -> CheckRunHealthResult:
    """The health of the worker of the record's epoch; UNKNOWN with the reason when nobody can tell."""
    if not launcher.supports_check_run_worker_health:
        return CheckRunHealthResult(
            WorkerStatus.UNKNOWN, f"{type(launcher).__name__} cannot tell whether workers live"
        )
    try:
        return launcher.check_run_worker_health(context)
    except (UnavailableError, CodeLocationNotFoundError) as error:
        return CheckRunHealthResult(WorkerStatus.UNKNOWN, str(error))


def try_to_stop(launcher: RunLauncher, context: LaunchRunContext, *, force: bool = False) -> bool:
    """Whether a live worker was asked. One that cannot be asked finds out by its refused writes."""
    try:
        return launcher.terminate(context, force=force)
    except (UnavailableError, CodeLocationNotFoundError):
        return False
