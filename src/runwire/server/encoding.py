"""How answers are written: JSON in UTF-8."""

from __future__ import annotations

import json
from typing import Any

import msgspec

_encoder = msgspec.json.Encoder()
_sorting_encoder = msgspec.json.Encoder(order="deterministic")


def encode_json(value: object) -> bytes:
    """The value as JSON. No text in it can make this fail: lone surrogates are escaped."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def encode_variables(variables: dict[str, Any]) -> bytes:
    """Variables as JSON, the same bytes for the same values."""
    try:
        return _sorting_encoder.encode(variables)
    except UnicodeEncodeError:
        return json.dumps(variables, sort_keys=True).encode()
