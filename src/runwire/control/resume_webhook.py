"""Resuming a webhook."""

from __future__ import annotations

from dataclasses import replace

from runwire.control.webhook_state import change_webhook
from runwire.storage import InstanceStorage, WebhookState, WebhookStatus


def resume_webhook(storage: InstanceStorage, name: str, at: float) -> WebhookState:
    """Has a webhook be delivered to from its place on; what is being tried again is tried at once, as if anew.

    Args:
        storage: of the instance.
        name: the webhook, which is configured.
        at: now, in epoch seconds.
    """

    def resumed(state: WebhookState) -> WebhookState:
        is_running = state.status is WebhookStatus.RUNNING
        return replace(
            state,
            status=WebhookStatus.RUNNING,
            reason=None,
            trouble=None,
            updated_at=state.updated_at if is_running else at,
        )

    return change_webhook(storage, name, at, resumed)
