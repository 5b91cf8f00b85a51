"""What happened to an object, as streams of changes tell."""

from __future__ import annotations

from runwire.api.rows import describe_enum
from runwire.feed import ChangeType

__all__ = ["ChangeType"]

describe_enum(
    ChangeType,
    "What happened to an object.",
    {
        "CREATED": "It came to be, or the stream begins and it is there.",
        "UPDATED": "It changed.",
        "DELETED": "It is gone.",
    },
)
