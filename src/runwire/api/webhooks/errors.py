"""Refusals that tell of webhooks."""

from __future__ import annotations

from typing import Self

import strawberry

from runwire.api.rows import result
from runwire.api.user_errors import MESSAGE, UserError
from runwire.errors import WebhookNotFoundError
from runwire.events.entry import storable_text


@result("The configuration has no such webhook.")
class WebhookNotFound(UserError):
    """The configuration has no such webhook."""

    message: str = strawberry.field(description=MESSAGE)
    name: str = strawberry.field(description="The name that was asked for.")

    @classmethod
    def of(cls, error: WebhookNotFoundError) -> Self:
        """Tells of an error."""
        return cls(message=storable_text(str(error)), name=storable_text(error.name))
