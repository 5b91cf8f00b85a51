"""Signatures of what is sent, as Standard Webhooks has them (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"


def sign(key: bytes, event_id: str, timestamp: int, body: bytes) -> str:
    """A signature: ``v1,`` and the base64 of the HMAC-SHA256 of id, timestamp and body."""
    signed = b"%s.%d.%s" % (event_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def signed_headers(
    keys: Iterable[bytes], event_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """The headers of a request.

    Args:
        keys: each makes a signature; one that the receiver knows is enough.
        event_id: tells repeats of an event from other events.
        timestamp: when it is sent, in whole epoch seconds.
        body: the body, exactly as it is sent.
    """
    return {
        ID_HEADER: event_id,
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: " ".join(sign(key, event_id, timestamp, body) for key in keys),
    }
