"""Pausing a webhook."""

from __future__ import annotations

from dataclasses import replace

from runwire.control.webhook_state import change_webhook
from runwire.storage import InstanceStorage, WebhookState, WebhookStatus


def pause_webhook(storage: InstanceStorage, name: str, at: float) -> WebhookState:
    """Has nothing be sent to a webhook any more. It keeps its place. One that is DISABLED stays so.

    Args:
        storage: of the instance.
        name: the webhook, which is configured.
        at: now, in epoch seconds.
    """

    def paused(state: WebhookState) -> WebhookState:
        if state.status is not WebhookStatus.RUNNING:
            return state
        return replace(state, status=WebhookStatus.PAUSED, updated_at=at)

    return change_webhook(storage, name, at, paused)
