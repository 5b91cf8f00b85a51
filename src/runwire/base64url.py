"""base64url without padding (RFC 4648, section 5), and texts that begin alike made quickly."""

from __future__ import annotations

import base64
import binascii

_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def encode(data: bytes) -> str:
    """Bytes as text."""
    plain = binascii.b2a_base64(data, newline=False)
    return plain.rstrip(b"=").translate(_URL_SAFE).decode()


def decode(text: str) -> bytes:
    """The bytes of a text.

    Raises:
        ValueError: it is no base64url, or padded.
    """
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


class Beginning:
    """What many texts begin with, encoded once. Three bytes are four characters: only the rest is encoded each time."""

    def __init__(self, data: bytes) -> None:
        whole = len(data) // 3 * 3
        self._text = encode(data[:whole])
        self._rest = data[whole:]

    def encode_with(self, end: bytes) -> str:
        """The beginning and an end as text."""
        return self._text + encode(self._rest + end)
