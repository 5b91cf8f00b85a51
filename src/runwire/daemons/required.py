"""Which daemons an instance needs."""

from __future__ import annotations

from runwire.daemons.daemon import Daemon
from runwire.daemons.monitoring import MonitoringDaemon
from runwire.instance import Instance
from runwire.workspace import Workspace

DAEMON_TYPES = (MonitoringDaemon.daemon_type,)
"""All kinds of daemons that this version has."""


def required_daemon_types(instance: Instance) -> tuple[str, ...]:
    """The kinds of daemons that the configuration of an instance needs."""
    if instance.settings.run_monitoring.enabled:
        return (MonitoringDaemon.daemon_type,)
    return ()


def daemons_of(instance: Instance, workspace: Workspace) -> list[Daemon]:
    """The daemons that the configuration of an instance needs."""
    required = required_daemon_types(instance)
    return [MonitoringDaemon(instance, workspace) for each in required if each == "MONITORING"]
