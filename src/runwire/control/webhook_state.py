"""What is kept about a webhook: made where it is missing, and changed while its daemon writes it too."""

from __future__ import annotations

from collections.abc import Callable

from runwire.errors import WebhookConflictError
from runwire.storage import InstanceStorage, WebhookState

_TRIES = 20
"""How often a state is read again that its daemon has written meanwhile."""


def webhook_state(storage: InstanceStorage, name: str, at: float) -> WebhookState:
    """What is kept about a webhook; a new one begins at the end of the instance-wide log.

    Args:
        storage: of the instance.
        name: the webhook.
        at: now, in epoch seconds.
    """
    found = storage.webhook_storage.find_webhook(name)
    if found is not None:
        return found
    logs = storage.event_log_storage
    state = WebhookState(
        name=name,
        log_id=logs.get_instance_log_id(),
        position=logs.get_instance_log_span().head,
        updated_at=at,
    )
    return storage.webhook_storage.add_webhook(state)[0]


def change_webhook(
    storage: InstanceStorage,
    name: str,
    at: float,
    change: Callable[[WebhookState], WebhookState],
) -> WebhookState:
    """Writes what a change makes of what is kept about a webhook, if that is something else.

    Args:
        storage: of the instance.
        name: the webhook.
        at: now, in epoch seconds.
        change: makes the new state of the present one.

    Raises:
        WebhookConflictError: it was written by others again and again.
    """
    tries = 0
    while True:
        state = webhook_state(storage, name, at)
        changed = change(state)
        if changed == state:
            return state
        try:
            return storage.webhook_storage.update_webhook(changed)
        except WebhookConflictError:
            tries += 1
            if tries == _TRIES:
                raise
