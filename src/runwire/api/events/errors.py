"""Refusals of cursors."""

from __future__ import annotations

from typing import Self

import strawberry

from runwire.api.rows import result
from runwire.api.user_errors import MESSAGE, UserError
from runwire.errors import CursorExpiredError, CursorInvalidError
from runwire.events.entry import storable_text


@result("The cursor is malformed, or of another scope.")
class CursorInvalid(UserError):
    """The cursor is malformed, or of another scope."""

    message: str = strawberry.field(description=MESSAGE)

    @classmethod
    def of(cls, error: CursorInvalidError) -> Self:
        """Tells of an error."""
        return cls(message=storable_text(str(error)))


@result("What follows the cursor is deleted, so that the stream would have a hole.")
class CursorExpired(UserError):
    """What follows the cursor is deleted."""

    message: str = strawberry.field(description=MESSAGE)
    earliest_cursor: str = strawberry.field(
        description="The cursor from which on all is there; start here and accept the hole."
    )

    @classmethod
    def of(cls, error: CursorExpiredError) -> Self:
        """Tells of an error."""
        return cls(message=str(error), earliest_cursor=error.earliest)
