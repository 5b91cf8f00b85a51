"""Spans of time, as filters name them."""

from __future__ import annotations

import strawberry
from strawberry import UNSET

from runwire.api.rows import given
from runwire.api.scalars import DateTime
from runwire.runs.filters import TimeRange


@strawberry.input(description="A span of time.")
class DateTimeRange:
    """A span of time."""

    after: DateTime | None = strawberry.field(description="Later than this instant.", default=UNSET)
    before: DateTime | None = strawberry.field(
        description="Earlier than this instant.", default=UNSET
    )

    def to_range(self) -> TimeRange:
        """The span of the layers below."""
        return TimeRange(given(self.after), given(self.before))
