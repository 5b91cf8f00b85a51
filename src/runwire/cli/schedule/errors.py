"""Errors of ticks as people read them."""

from __future__ import annotations

from runwire.client import ErrorInfo


def in_a_line(error: ErrorInfo) -> str:
    """What an error says, in a line."""
    return error.message.partition("\n")[0]
