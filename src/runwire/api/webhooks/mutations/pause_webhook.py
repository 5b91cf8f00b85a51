"""`pauseWebhook`: has nothing be sent to a webhook any more."""

from __future__ import annotations

from typing import Annotated

import strawberry

from runwire.api.access import Forbidden
from runwire.api.context import ApiInfo
from runwire.api.rows import result
from runwire.api.webhooks.errors import WebhookNotFound
from runwire.api.webhooks.reads import WebhookRow, get_webhook
from runwire.api.webhooks.types import Webhook


@strawberry.input(description="Which webhook to pause.")
class PauseWebhookInput:
    """Which webhook to pause."""

    name: str = strawberry.field(description="The name of the webhook.")


@result("The webhook is paused, unless it is DISABLED.")
class PauseWebhookSuccess:
    """The webhook is paused, unless it is DISABLED."""

    webhook: WebhookRow = strawberry.field(description="The webhook.", graphql_type=Webhook)


PauseWebhookResult = Annotated[
    PauseWebhookSuccess | WebhookNotFound | Forbidden,
    strawberry.union("PauseWebhookResult", description="How `pauseWebhook` ended."),
]


async def pause_webhook(
    info: ApiInfo,
    input: Annotated[PauseWebhookInput, strawberry.argument(description="Which webhook.")],
) -> PauseWebhookSuccess:
    """Has nothing be sent to a webhook any more."""
    context = info.context
    await context.lanes.write(context.instance.pause_webhook, input.name)
    return PauseWebhookSuccess(webhook=await get_webhook(context, input.name))
