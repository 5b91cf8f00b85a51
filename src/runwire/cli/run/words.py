"""Instants and spans of time as people write them."""

from __future__ import annotations

from datetime import datetime, timedelta


def local_time(instant: datetime) -> str:
    """An instant to the second, in the time zone of this machine."""
    return f"{instant.astimezone():%Y-%m-%d %H:%M:%S}"


def duration(span: timedelta) -> str:
    """A span of time, as precise as anybody cares."""
    seconds = span.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
