"""`resumeWebhook`: has events be sent to a webhook again, from where it was."""

from __future__ import annotations

from typing import Annotated

import strawberry

from runwire.api.access import Forbidden
from runwire.api.context import ApiInfo
from runwire.api.rows import result
from runwire.api.webhooks.errors import WebhookNotFound
from runwire.api.webhooks.reads import WebhookRow, get_webhook
from runwire.api.webhooks.types import Webhook


@strawberry.input(description="Which webhook to resume.")
class ResumeWebhookInput:
    """Which webhook to resume."""

    name: str = strawberry.field(description="The name of the webhook.")


@result("The webhook is delivered to.")
class ResumeWebhookSuccess:
    """The webhook is delivered to."""

    webhook: WebhookRow = strawberry.field(description="The webhook.", graphql_type=Webhook)


ResumeWebhookResult = Annotated[
    ResumeWebhookSuccess | WebhookNotFound | Forbidden,
    strawberry.union("ResumeWebhookResult", description="How `resumeWebhook` ended."),
]


async def resume_webhook(
    info: ApiInfo,
    input: Annotated[ResumeWebhookInput, strawberry.argument(description="Which webhook.")],
) -> ResumeWebhookSuccess:
    """Has events be sent to a webhook again, from where it was."""
    context = info.context
    await context.lanes.write(context.instance.resume_webhook, input.name)
    return ResumeWebhookSuccess(webhook=await get_webhook(context, input.name))
