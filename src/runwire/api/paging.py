"""Pages of connections: which part of a list is asked for, and where a page lies."""

from __future__ import annotations

from dataclasses import dataclass

import strawberry

from runwire.api.rows import result
from runwire.errors import InputInvalidError

DEFAULT_COUNT = 10_000
MAX_COUNT = 1_000_000
"""How far a connection counts, when nothing is said and at most."""


@result(
    "Where a page lies in its list. `first` and `last` exclude each other; at most 100 items make a page,"
    " 1,000 of event records and steps; 25 when neither is given, 100 of event records."
)
class PageInfo:
    """Where a page lies in its list."""

    has_next_page: bool = strawberry.field(description="Whether more items follow.")
    has_previous_page: bool = strawberry.field(description="Whether items come before.")
    start_cursor: str | None = strawberry.field(
        description="The cursor of the first item; null for an empty page."
    )
    end_cursor: str | None = strawberry.field(
        description="The cursor of the last item; null for an empty page."
    )


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a list that is asked for.

    Attributes:
        limit: how many items at most.
        backward: whether they are counted from the end.
        after, before: the cursors between which they lie, exclusive.
    """

    limit: int
    backward: bool = False
    after: str | None = None
    before: str | None = None

    @classmethod
    def of(
        cls,
        first: int | None,
        after: str | None,
        last: int | None,
        before: str | None,
        *,
        default: int,
        maximum: int,
    ) -> Window:
        """Reads the arguments of a connection.

        Raises:
            InputInvalidError: `first` and `last` are both given, or out of bounds.
        """
        if first is not None and last is not None:
            raise InputInvalidError("give `first` or `last`, not both", ["last"])
        name, size = ("first", first) if last is None else ("last", last)
        limit = default if size is None else check_limit(name, size, maximum)
        return cls(limit, last is not None, after, before)


def check_limit(name: str, size: int, maximum: int) -> int:
    """The size of a page or list.

    Raises:
        InputInvalidError: it is not from 1 to the maximum.
    """
    if not 1 <= size <= maximum:
        raise InputInvalidError(f"`{name}` is {size}; give 1 to {maximum:,}", [name])
    return size


def count_limit(limit: int | None) -> int:
    """Where a connection stops counting; raises as `check_limit`."""
    return DEFAULT_COUNT if limit is None else check_limit("limit", limit, MAX_COUNT)
