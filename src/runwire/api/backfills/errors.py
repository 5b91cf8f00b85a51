"""Refusals that tell of backfills."""

from __future__ import annotations

from typing import Self

import strawberry
from strawberry import ID

from runwire.api.backfill_loaders import BackfillsById
from runwire.api.backfills.types import Backfill
from runwire.api.context import ApiContext
from runwire.api.rows import result
from runwire.api.user_errors import MESSAGE, UserError
from runwire.errors import (
    BackfillAlreadyExistsError,
    BackfillNotFoundError,
    BackfillStateConflictError,
)
from runwire.events.entry import storable_text
from runwire.storage import Backfill as BackfillRow
from runwire.storage import BackfillStatus


@result("There is no such backfill.")
class BackfillNotFound(UserError):
    """There is no such backfill."""

    message: str = strawberry.field(description=MESSAGE)
    backfill_id: ID = strawberry.field(description="The id that was asked for.")

    @classmethod
    def of(cls, error: BackfillNotFoundError) -> Self:
        """Tells of an error."""
        return cls(
            message=storable_text(str(error)), backfill_id=ID(storable_text(error.backfill_id))
        )


@result("The status of the backfill does not allow it; nothing was changed.")
class BackfillStateConflict(UserError):
    """The status of the backfill does not allow it."""

    message: str = strawberry.field(description=MESSAGE)
    backfill: BackfillRow = strawberry.field(
        description="The backfill as it is.", graphql_type=Backfill
    )
    expected_statuses: list[BackfillStatus] = strawberry.field(
        description="The statuses that would allow it."
    )

    @classmethod
    async def of(cls, error: BackfillStateConflictError, context: ApiContext) -> Self | None:
        """Tells of an error; None when the backfill is gone."""
        backfill = await context.loader(BackfillsById).find(error.backfill_id)
        if backfill is None:
            return None
        statuses = [BackfillStatus(name) for name in error.expected]
        return cls(message=str(error), backfill=backfill, expected_statuses=statuses)


@result("The idempotency key belongs to another backfill; nothing was changed.")
class BackfillAlreadyExists(UserError):
    """The idempotency key belongs to another backfill."""

    message: str = strawberry.field(description=MESSAGE)
    backfill: BackfillRow = strawberry.field(
        description="The backfill that has it.", graphql_type=Backfill
    )

    @classmethod
    async def of(cls, error: BackfillAlreadyExistsError, context: ApiContext) -> Self | None:
        """Tells of an error; None when the backfill is gone."""
        backfill = await context.loader(BackfillsById).find(error.backfill_id)
        return None if backfill is None else cls(message=str(error), backfill=backfill)
