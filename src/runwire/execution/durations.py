"""Spans of time, for people."""

from __future__ import annotations


def describe_duration(seconds: float) -> str:
    """Such as `0.3 ms`, `12 ms`, `1.5 s` or `3 min 20 s`."""
    if seconds < 0.00995:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
