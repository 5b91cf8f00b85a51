"""Webhooks, and how they are delivered to."""

from __future__ import annotations

from strawberry import ID

from runwire.api.events.enums import EventType
from runwire.api.nodes import Node, global_id
from runwire.api.rows import describe_enum, field, resolved, view
from runwire.api.scalars import DateTime
from runwire.api.streams import instance_cursor
from runwire.api.tags import Tag, tags_of
from runwire.api.webhooks.letters import WebhookDeadLetterConnection, read_letters
from runwire.api.webhooks.reads import WebhookRow
from runwire.storage import WebhookAttempt, WebhookStatus, WebhookTrouble

describe_enum(
    WebhookStatus,
    "Whether a webhook is delivered to.",
    {
        "RUNNING": "Events are sent.",
        "PAUSED": "Somebody paused it; it keeps its place.",
        "DISABLED": "Its receiver is gone, or it has too many dead letters; it keeps its place.",
    },
)


@view(WebhookAttempt, "A request to a webhook, and how it ended.")
class WebhookDelivery:
    """A request to a webhook."""

    event_id: ID = field("The id of the event that was sent.")
    delivered: bool = field("Whether the receiver took it.", lambda attempt: attempt.error is None)
    ended_at: DateTime = field("When it ended.", lambda attempt: attempt.at)
    duration_seconds: float = field("How long it took, in seconds.")
    status_code: int | None = field("What was answered; null when nothing was.")
    error: str | None = field("Why the receiver did not take it; null when it did.")


@view(WebhookTrouble, "An event that a webhook did not take yet, and that is sent again.")
class WebhookRetry:
    """An event that is sent again."""

    event_id: ID = field("The id of the event.")
    since: DateTime = field("When it failed first.")
    failure_count: int = field("How often it has failed.", lambda trouble: trouble.failures)
    retry_at: DateTime = field("When it is sent again.")


def _status(row: WebhookRow) -> WebhookStatus:
    return WebhookStatus.RUNNING if row.state is None else row.state.status


@view(WebhookRow, "A receiver of events, and how far it was delivered to.")
class Webhook(Node):
    """A receiver of events."""

    id: ID = field(
        "The global id of the webhook.", lambda row: global_id("Webhook", row.settings.name)
    )
    name: str = field("The name of the webhook.", lambda row: row.settings.name)
    url: str = field(
        "Where it is: scheme, host and port. Its path and query are not shown, for receivers often have something"
        " secret there.",
        lambda row: row.settings.origin,
    )
    event_types: list[EventType] = field(
        "The types of events that it wants.",
        lambda row: [EventType(each) for each in row.settings.events],
    )
    job_names: list[str] | None = field(
        "The jobs whose runs it wants to know of; null for all.", lambda row: row.settings.jobs
    )
    tags: list[Tag] = field("The tags that runs must have.", lambda row: tags_of(row.settings.tags))
    enabled: bool = field(
        "Whether events are sent: it is RUNNING.",
        lambda row: _status(row) is WebhookStatus.RUNNING,
    )
    status: WebhookStatus = field("Whether events are sent, and why not.", _status)
    disabled_reason: str | None = field(
        "Why it is DISABLED; null otherwise.", lambda row: row.state and row.state.reason
    )
    cursor: str | None = field(
        "The cursor in the instance-wide log up to which it is done; null before its daemon has begun with it.",
        lambda row: row.state and instance_cursor(row.state.log_id, row.state.position),
    )
    lag: int | None = field(
        "How many entries of the instance-wide log follow its cursor, wanted or not; null before its daemon has"
        " begun with it.",
        lambda row: None if row.state is None else max(0, row.head - row.state.position),
    )
    delivered_count: int = field(
        "How many events it took.", lambda row: 0 if row.state is None else row.state.delivered
    )
    failure_count: int = field(
        "How many requests failed.", lambda row: 0 if row.state is None else row.state.failures
    )
    missed_count: int = field(
        "How many entries of the instance-wide log were purged before its daemon looked at them.",
        lambda row: 0 if row.state is None else row.state.missed,
    )
    last_delivery: WebhookDelivery | None = field(
        "The last request; null before the first.", lambda row: row.state and row.state.last_attempt
    )
    retry: WebhookRetry | None = field(
        "What is sent again, before anything else; null when nothing is.",
        lambda row: row.state and row.state.trouble,
    )
    dead_letter_count: int = field(
        "How many events were given up and wait for `redeliverWebhook`.",
        lambda row: row.dead_letters,
    )
    dead_letters: WebhookDeadLetterConnection = resolved(
        read_letters,
        "The events that were given up, the first that were first.",
        type=WebhookDeadLetterConnection,
    )
