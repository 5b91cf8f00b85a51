"""A run launcher as it is for workers on other machines: it starts them, and cannot reach them afterwards."""

from __future__ import annotations

from runwire.launcher import LaunchRunContext
from runwire.launchers.default import DefaultRunLauncher


class BlindRunLauncher(DefaultRunLauncher):
    """Neither knows whether workers live nor stops them."""

    supports_check_run_worker_health = False

    def terminate(self, context: LaunchRunContext, *, force: bool = False) -> bool:
        return False
