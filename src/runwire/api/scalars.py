"""The scalars of the schema beyond GraphQL's own."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

from runwire import clock

__all__ = ["JSON", "SCALARS", "DateTime", "Long"]

DateTime = NewType("DateTime", float)
"""An instant in epoch seconds, which GraphQL shows as text."""

Long = NewType("Long", int)
"""A whole number that may outgrow GraphQL's Int."""

MAX_LONG = 2**53 - 1

MAX_JSON_DEPTH = 100

_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def format_instant(seconds: float) -> str:
    """Epoch seconds as RFC 3339 text in UTC, to the microsecond."""
    whole, microseconds = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_second(whole)}.{microseconds:06d}Z" if microseconds else f"{_second(whole)}Z"


@functools.lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    """A whole second as text; the events of a page share a few."""
    return clock.from_timestamp(seconds).isoformat().removesuffix("+00:00")


def parse_instant(value: Any) -> float:
    """RFC 3339 text, with any offset, as epoch seconds.

    Raises:
        GraphQLError: it is something else, or outside of the years 1 to 9999.
    """
    if isinstance(value, str) and _RFC_3339.fullmatch(value):
        try:
            instant = datetime.fromisoformat(value.upper().replace(" ", "T"))
            seconds = clock.to_timestamp(instant.astimezone(UTC))
            format_instant(seconds)  # what cannot be shown is not taken
            return seconds
        except (ValueError, OverflowError):
            pass
    shown = repr(value) if len(repr(value)) <= 60 else repr(value)[:60] + "…"
    raise GraphQLError(
        f"{shown} is not an instant; write one like 2026-11-22T17:05:03.123456Z, with its offset"
    )


def check_long(value: Any) -> int:
    """A whole number that JSON carries without loss.

    Raises:
        GraphQLError: it is something else.
    """
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_LONG:
        return value
    raise GraphQLError(f"{value!r} is not a whole number between -(2^53 - 1) and 2^53 - 1")


def parse_json(value: Any) -> Any:
    """A JSON value of an argument.

    Raises:
        GraphQLError: it nests deeper than what every part on its way can take.
    """
    level, depth = [value], 0
    while level := [inner for outer in level for inner in _inside(outer)]:
        depth += 1
        if depth > MAX_JSON_DEPTH:
            raise GraphQLError(f"a JSON value nests at most {MAX_JSON_DEPTH} levels deep")
    return value


def _inside(value: Any) -> Iterable[Any]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case _:
            return ()


SCALARS: dict[object, ScalarDefinition] = {
    DateTime: strawberry.scalar(
        name="DateTime",
        description="An instant as RFC 3339 text in UTC with up to six fractional digits, such as"
        " `2026-11-22T17:05:03.123456Z`.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=format_instant,
        parse_value=parse_instant,
    ),
    Long: strawberry.scalar(
        name="Long",
        description="A whole number between -(2^53 - 1) and 2^53 - 1 as a JSON number: instance-wide positions,"
        " which outgrow Int.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc7493#section-2.2",
        serialize=check_long,
        parse_value=check_long,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        serialize=lambda value: value,
        parse_value=parse_json,
    ),
}
"""The scalar of each Python type, for the schema's configuration."""
