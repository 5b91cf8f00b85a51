"""Reading webhooks: what is configured, and what became of it."""

from __future__ import annotations

from typing import NamedTuple

from runwire.api.context import ApiContext, ApiInfo
from runwire.instance import Instance
from runwire.instance.webhook_settings import WebhookSettings
from runwire.storage import WebhookState


class WebhookRow(NamedTuple):
    """A webhook that is configured.

    Attributes:
        settings: its configuration.
        state: what is kept about it; None before its daemon has begun with it.
        head: the last position of the instance-wide log.
        dead_letters: how many there are.
    """

    settings: WebhookSettings
    state: WebhookState | None
    head: int
    dead_letters: int


def webhook_rows(instance: Instance) -> list[WebhookRow]:
    """The webhooks as they are, in the order of the configuration."""
    if not instance.settings.webhooks:
        return []
    webhooks = instance.storage.webhook_storage
    states = {state.name: state for state in webhooks.get_webhooks()}
    counts = webhooks.get_dead_letter_counts()
    head = instance.storage.event_log_storage.get_instance_log_span().head
    return [
        WebhookRow(each, states.get(each.name), head, counts.get(each.name, 0))
        for each in instance.settings.webhooks
    ]


async def read_webhooks(info: ApiInfo) -> list[WebhookRow]:
    """The webhooks of the instance."""
    return await info.context.lanes.read(webhook_rows, info.context.instance)


async def find_webhook(context: ApiContext, key: list[str]) -> WebhookRow | None:
    """The webhook of a name."""
    (name,) = key
    rows = await context.lanes.read(webhook_rows, context.instance)
    return next((row for row in rows if row.settings.name == name), None)


async def get_webhook(context: ApiContext, name: str) -> WebhookRow:
    """The webhook of a name that is configured."""
    context.instance.get_webhook_settings(name)
    row = await find_webhook(context, [name])
    assert row is not None  # noqa: S101 - the configuration does not change
    return row
