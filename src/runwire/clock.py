"""The one place that asks what time it is.

Instants are aware UTC datetimes; where the event log stores them, they are epoch seconds as a float
with microsecond resolution.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The current instant, aware, in UTC."""
    return datetime.now(UTC)


def timestamp() -> float:
    """The current instant in epoch seconds, cut to microseconds."""
    return time.time_ns() // 1000 / 1_000_000


def from_timestamp(seconds: float) -> datetime:
    """The aware UTC datetime of an instant in epoch seconds."""
    return datetime.fromtimestamp(seconds, UTC)


def to_timestamp(instant: datetime) -> float:
    """The epoch seconds of an aware datetime.

    Raises:
        ValueError: the datetime has no time zone.
    """
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no time zone; give an aware datetime")
    return round(instant.timestamp(), 6)
