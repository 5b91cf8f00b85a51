"""Opaque texts: ids and cursors that clients hand back and need not understand."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, NoReturn

import msgspec

from runwire import base64url

_encoder = msgspec.json.Encoder()


def pack(*parts: str | float | None) -> str:
    """Parts as one text: base64url, without padding, of a JSON list."""
    return base64url.encode(_encode(parts))


def pack_numbered(number: int, *parts: str) -> str:
    """Parts and then a number, in digits, as `pack` makes of them; quicker where only the number differs."""
    return _beginning(parts).encode_with(b'%d"]' % number)


@lru_cache(maxsize=1024)
def _beginning(parts: tuple[str, ...]) -> base64url.Beginning:
    return base64url.Beginning(_encode(parts)[:-1] + b',"')


def unpack(text: str) -> list[Any] | None:
    """The parts of a text; None when `pack` did not make it."""
    try:
        parts = json.loads(base64url.decode(text), parse_constant=_refuse)
    except (ValueError, RecursionError):  # UnicodeError is a ValueError
        return None
    return parts if isinstance(parts, list) else None


def _encode(parts: object) -> bytes:
    try:
        return _encoder.encode(parts)
    except UnicodeEncodeError:  # a lone surrogate, which is in no text that a store takes
        return json.dumps(parts, separators=(",", ":")).encode()


def shown(text: str) -> str:
    """A text as messages quote it, cut if it is long."""
    return repr(text if len(text) <= 60 else text[:60] + "…")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
