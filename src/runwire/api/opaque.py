"""Opaque texts: ids and cursors that clients hand back and need not understand."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, NoReturn

_encode = json.JSONEncoder(separators=(",", ":")).encode


def pack(*parts: str | float | None) -> str:
    """Parts as one text: base64url, without padding, of a JSON list."""
    return base64.urlsafe_b64encode(_encode(parts).encode()).decode().rstrip("=")


def unpack(text: str) -> list[Any] | None:
    """The parts of a text; None when `pack` did not make it."""
    try:
        plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        parts = json.loads(plain, parse_constant=_refuse)
    except (binascii.Error, ValueError, RecursionError):  # UnicodeError is a ValueError
        return None
    return parts if isinstance(parts, list) else None


def shown(text: str) -> str:
    """A text as messages quote it, cut if it is long."""
    return repr(text if len(text) <= 60 else text[:60] + "…")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
