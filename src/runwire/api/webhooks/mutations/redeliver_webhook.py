"""`redeliverWebhook`: sends events again that were given up."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import ID, UNSET

from runwire.api.access import Forbidden
from runwire.api.context import ApiInfo
from runwire.api.rows import given, result
from runwire.api.user_errors import InputInvalid, check_texts
from runwire.api.webhooks.errors import WebhookNotFound
from runwire.api.webhooks.reads import WebhookRow, get_webhook
from runwire.api.webhooks.types import Webhook
from runwire.errors import InputInvalidError

MAX_EVENTS = 1000


@strawberry.input(description="Which dead letters to send again.")
class RedeliverWebhookInput:
    """Which dead letters to send again."""

    name: str = strawberry.field(description="The name of the webhook.")
    event_ids: list[ID] | None = strawberry.field(
        default=UNSET,
        description="The ids of the events, 1 to 1,000, of which those without a dead letter are passed over; all"
        " dead letters when left out.",
    )


@result("The dead letters are sent again, once each; those that fail are kept.")
class RedeliverWebhookSuccess:
    """The dead letters are sent again."""

    webhook: WebhookRow = strawberry.field(description="The webhook.", graphql_type=Webhook)
    requested_count: int = strawberry.field(description="How many dead letters are sent.")


RedeliverWebhookResult = Annotated[
    RedeliverWebhookSuccess | WebhookNotFound | InputInvalid | Forbidden,
    strawberry.union("RedeliverWebhookResult", description="How `redeliverWebhook` ended."),
]


async def redeliver_webhook(
    info: ApiInfo,
    input: Annotated[
        RedeliverWebhookInput, strawberry.argument(description="Which webhook and events.")
    ],
) -> RedeliverWebhookSuccess:
    """Sends events again that were given up."""
    context = info.context
    ids = given(input.event_ids)
    path = ("input", "eventIds")
    if ids is not None and not 1 <= len(ids) <= MAX_EVENTS:
        raise InputInvalidError(
            f"{len(ids):,} events are named; name 1 to {MAX_EVENTS:,}, or leave them out for all",
            path,
        )
    wanted = None if ids is None else check_texts([str(each) for each in ids], path)
    _, count = await context.lanes.write(context.instance.redeliver_webhook, input.name, wanted)
    webhook = await get_webhook(context, input.name)
    return RedeliverWebhookSuccess(webhook=webhook, requested_count=count)
