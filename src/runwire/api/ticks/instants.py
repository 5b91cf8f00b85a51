"""Instants of arguments, as far as calendars reach."""

from __future__ import annotations

from datetime import UTC, datetime

from runwire import clock
from runwire.errors import InputInvalidError

_EARLIEST = 0.0
_LATEST = datetime(9000, 1, 1, tzinfo=UTC).timestamp()
"""Time zones and cron lines can be computed from here on for centuries."""


def check_instant(instant: float | None, *path: str) -> float:
    """The instant, in epoch seconds; now when it is None.

    Raises:
        InputInvalidError: it lies outside of the years 1970 to 8999.
    """
    if instant is None:
        return clock.timestamp()
    if not _EARLIEST <= instant < _LATEST:
        raise InputInvalidError("give an instant of the years 1970 to 8999", path)
    return instant
