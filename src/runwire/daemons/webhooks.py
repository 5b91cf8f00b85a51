"""The webhooks daemon: sends events of runs to where the configuration says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from runwire import clock
from runwire.daemons.daemon import Daemon
from runwire.instance import Instance
from runwire.storage import HeadsWatch
from runwire.workspace import Workspace

if TYPE_CHECKING:
    from runwire.webhooks.delivery import Delivery

LOOK_SECONDS = 0.1
"""How often it is looked for what is new."""

STOP_SECONDS = 8.0


class WebhooksDaemon(Daemon):
    """Looks for what is new, for all webhooks at once; each is delivered to in a thread of its own.

    Args:
        instance: the instance.
        workspace: its code locations, which it does not need.
        now: tells the time, in epoch seconds.
    """

    daemon_type: ClassVar[str] = "WEBHOOKS"

    def __init__(
        self,
        instance: Instance,
        workspace: Workspace,
        now: Callable[[], float] = clock.timestamp,
    ) -> None:
        del workspace
        self._storage = instance.storage
        self._settings = instance.settings.webhooks
        self._now = now
        self._heads: HeadsWatch | None = None
        self._head = 0
        self._deliveries: dict[str, Delivery] = {}

    @property
    def interval_seconds(self) -> float:
        return LOOK_SECONDS

    def run_iteration(
        self, report: Callable[[BaseException], None], should_stop: Callable[[], bool]
    ) -> None:
        """Tells each delivery what is new, and begins those that do not work."""
        if self._heads is None:
            self._heads = self._storage.event_log_storage.open_heads()
        moved = self._heads.poll_instance_log()
        self._head = self._head if moved is None else moved
        kept = self._storage.webhook_storage.get_webhooks()
        versions = {state.name: state.version for state in kept}
        # Every server knows of this daemon; what sends requests is loaded where something is sent.
        from runwire.webhooks.delivery import Delivery  # noqa: PLC0415

        for settings in self._settings:
            delivery = self._deliveries.get(settings.name)
            if delivery is None or not delivery.is_alive:
                delivery = Delivery(settings, self._storage, report, self._now)
                self._deliveries[settings.name] = delivery
                delivery.tell(self._head, 0, lambda: not should_stop())
                delivery.start()
            else:
                version = versions.get(settings.name)
                delivery.tell(self._head, version, lambda: not should_stop())

    def close(self) -> None:
        for delivery in self._deliveries.values():
            delivery.stop()
        for delivery in self._deliveries.values():
            delivery.join(STOP_SECONDS / len(self._deliveries))
        if self._heads is not None:
            self._heads.close()
