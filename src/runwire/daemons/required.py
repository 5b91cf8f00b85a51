"""Which daemons an instance needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runwire.daemons.daemon import Daemon
from runwire.daemons.monitoring import MonitoringDaemon
from runwire.daemons.retention import RetentionDaemon
from runwire.instance import Instance
from runwire.instance.settings import Settings
from runwire.workspace import Workspace

DAEMON_TYPES: Mapping[str, Callable[[Instance, Workspace], Daemon]] = {
    MonitoringDaemon.daemon_type: MonitoringDaemon,
    RetentionDaemon.daemon_type: RetentionDaemon,
}
"""All kinds of daemons that this version has, with their classes."""


def required_daemon_types(instance: Instance) -> tuple[str, ...]:
    """The kinds of daemons that the configuration of an instance needs."""
    return daemon_types_for(instance.settings)


def daemon_types_for(settings: Settings) -> tuple[str, ...]:
    """The kinds of daemons that a configuration needs."""
    wanted = {
        MonitoringDaemon.daemon_type: settings.run_monitoring.enabled,
        RetentionDaemon.daemon_type: settings.retention.enabled,
    }
    return tuple(daemon_type for daemon_type, is_on in wanted.items() if is_on)


def daemons_of(instance: Instance, workspace: Workspace) -> list[Daemon]:
    """The daemons that the configuration of an instance needs."""
    return [DAEMON_TYPES[each](instance, workspace) for each in required_daemon_types(instance)]
