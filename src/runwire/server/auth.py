"""Who asks: whoever presents the token, or, where none is set, anybody."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from runwire.api.context import Principal

ANYBODY = Principal(name="anyone", authenticated=False)
TOKEN_HOLDER = Principal(name="token", authenticated=True)


class TokenAuth:
    """Knows principals by one token, compared in constant time."""

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else token.encode()

    def principal(self, authorization: str | None) -> Principal | None:
        """Who presents an Authorization header; None for nobody whom we know."""
        if self._token is None:
            return ANYBODY
        scheme, _, credentials = (authorization or "").partition(" ")
        presented = credentials.strip().encode("utf-8", "surrogateescape")
        if scheme.lower() == "bearer" and hmac.compare_digest(presented, self._token):
            return TOKEN_HOLDER
        return None

    def principal_of_init(self, payload: Mapping[str, Any] | None) -> Principal | None:
        """Who presents the payload of a websocket's `connection_init`: ``{"authorization": "Bearer …"}``."""
        for key, value in (payload or {}).items():
            if key.lower() == "authorization" and isinstance(value, str):
                return self.principal(value)
        return self.principal(None)
