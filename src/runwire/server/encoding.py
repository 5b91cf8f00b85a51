"""How answers are written: JSON in UTF-8."""

from __future__ import annotations

import json

import msgspec

_encoder = msgspec.json.Encoder()


def encode_json(value: object) -> bytes:
    """The value as JSON. No text in it can make this fail: lone surrogates are escaped."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()
