"""Refusals that tell of concurrency pools."""

from __future__ import annotations

from typing import Self

import strawberry

from runwire.api.rows import result
from runwire.api.user_errors import MESSAGE, UserError
from runwire.errors import PoolNotFoundError
from runwire.events.entry import storable_text


@result("No limit was set for such a pool.")
class PoolNotFound(UserError):
    """No limit was set for such a pool."""

    message: str = strawberry.field(description=MESSAGE)
    name: str = strawberry.field(description="The name that was asked for.")

    @classmethod
    def of(cls, error: PoolNotFoundError) -> Self:
        """Tells of an error."""
        return cls(message=storable_text(str(error)), name=storable_text(error.name))
