"""Sending again what a webhook did not take."""

from __future__ import annotations

from collections.abc import Collection

from runwire.control.webhook_state import webhook_state
from runwire.storage import InstanceStorage, WebhookState


def redeliver_webhook(
    storage: InstanceStorage, name: str, at: float, event_ids: Collection[str] | None = None
) -> tuple[WebhookState, int]:
    """Has dead letters of a webhook be sent once more, in no order; those that fail are kept.

    Args:
        storage: of the instance.
        name: the webhook, which is configured.
        at: now, in epoch seconds.
        event_ids: their events; those that have no letter are passed over. None for all.

    Returns:
        The webhook, and how many letters are sent.
    """
    webhook_state(storage, name, at)
    count = storage.webhook_storage.request_redelivery(name, event_ids)
    return storage.webhook_storage.get_webhook(name), count
