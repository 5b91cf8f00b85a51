"""Sending a test to a webhook."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

from runwire import clock
from runwire.errors import WebhookNotFoundError
from runwire.instance.settings import read_settings
from runwire.instance.webhook_settings import WebhookSettings
from runwire.webhooks.event import body_of_test
from runwire.webhooks.sender import Answer, Sender


def send_test(home: Path, name: str) -> Answer:
    """Sends a test to a webhook of the configuration in a home; nothing else of the instance is opened.

    Raises:
        WebhookNotFoundError: the configuration has no such webhook.
        InvalidConfigurationError: it is not valid.
    """
    settings, _, _ = read_settings(home)
    for webhook in settings.webhooks:
        if webhook.name == name:
            return asyncio.run(_send(webhook))
    raise WebhookNotFoundError(name, [each.name for each in settings.webhooks])


async def _send(webhook: WebhookSettings) -> Answer:
    event_id = f"test-{uuid.uuid4().hex}"
    async with Sender(webhook) as sender:
        return await sender.send(event_id, body_of_test(event_id, clock.timestamp()))
