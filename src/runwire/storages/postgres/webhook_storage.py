"""Webhooks in a PostgreSQL database."""

from __future__ import annotations

from runwire.storage.webhook_storage import WebhookStorage
from runwire.storages.postgres.repeating import repeating
from runwire.storages.sql.webhook_storage import SqlWebhookStorage


@repeating(WebhookStorage, apart_from=())
class PostgresWebhookStorage(SqlWebhookStorage):
    """Keeps webhooks in the database of the runs."""
