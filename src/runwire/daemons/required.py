"""Which daemons an instance needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runwire.daemons.backfills import BackfillsDaemon
from runwire.daemons.daemon import Daemon
from runwire.daemons.monitoring import MonitoringDaemon
from runwire.daemons.queue import QueueDaemon
from runwire.daemons.retention import RetentionDaemon
from runwire.daemons.run_retries import RunRetriesDaemon
from runwire.daemons.scheduler import SchedulerDaemon
from runwire.daemons.sensors import SensorsDaemon
from runwire.daemons.webhooks import WebhooksDaemon
from runwire.instance import Instance
from runwire.instance.settings import Settings
from runwire.workspace import Workspace

DAEMON_TYPES: Mapping[str, Callable[[Instance, Workspace], Daemon]] = {
    BackfillsDaemon.daemon_type: BackfillsDaemon,
    MonitoringDaemon.daemon_type: MonitoringDaemon,
    QueueDaemon.daemon_type: QueueDaemon,
    RetentionDaemon.daemon_type: RetentionDaemon,
    RunRetriesDaemon.daemon_type: RunRetriesDaemon,
    SchedulerDaemon.daemon_type: SchedulerDaemon,
    SensorsDaemon.daemon_type: SensorsDaemon,
    WebhooksDaemon.daemon_type: WebhooksDaemon,
}
"""All kinds of daemons that this version has, with their classes."""


def required_daemon_types(instance: Instance) -> tuple[str, ...]:
    """The kinds of daemons that the configuration of an instance needs."""
    return daemon_types_for(
        instance.settings,
        queues=instance.run_coordinator.queue is not None,
        ticks=instance.scheduler.ticks is not None,
    )


def daemon_types_for(settings: Settings, *, queues: bool, ticks: bool) -> tuple[str, ...]:
    """The kinds of daemons that a configuration needs.

    Args:
        settings: the configuration.
        queues: whether its run coordinator puts runs into a queue.
        ticks: whether its scheduler has the daemon make ticks.
    """
    wanted = {
        BackfillsDaemon.daemon_type: settings.backfills.enabled,
        MonitoringDaemon.daemon_type: settings.run_monitoring.enabled,
        QueueDaemon.daemon_type: queues,
        RetentionDaemon.daemon_type: settings.retention.enabled,
        SchedulerDaemon.daemon_type: ticks,
        SensorsDaemon.daemon_type: settings.sensors.enabled,
        WebhooksDaemon.daemon_type: bool(settings.webhooks),
        RunRetriesDaemon.daemon_type: settings.run_retries.enabled,
    }
    return tuple(daemon_type for daemon_type, is_on in wanted.items() if is_on)


def daemons_of(instance: Instance, workspace: Workspace) -> list[Daemon]:
    """The daemons that the configuration of an instance needs."""
    return [DAEMON_TYPES[each](instance, workspace) for each in required_daemon_types(instance)]
