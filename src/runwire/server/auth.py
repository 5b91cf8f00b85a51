"""Who asks: whoever presents a token that is accepted, or, where none is, anybody."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

from runwire import clock
from runwire.api.access import Principal, Role

ANYBODY = Principal(name="anyone", authenticated=False)


class UnauthenticatedError(Exception):
    """Nobody whom we know.

    Attributes:
        problem: what is wrong with the token; None when there is none that we know.
    """

    def __init__(self, problem: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class AcceptedToken:
    """A token that opens the server.

    Attributes:
        name: what its holder is called.
        sha256: the SHA-256 of its bytes, in hexadecimal digits; the token itself is not kept.
        role: what its holder may do.
        expires_at: when it ends, in seconds since the epoch; None when it does not.
    """

    name: str
    sha256: str
    role: Role = Role.ADMIN
    expires_at: float | None = None

    @classmethod
    def of(cls, token: str, name: str = "token") -> Self:
        """That of a token in clear, which may do everything and does not end."""
        return cls(name, digest_of(token.encode()))

    @property
    def principal(self) -> Principal:
        """Its holder."""
        return Principal(self.name, True, self.role, self.expires_at)


def digest_of(token: bytes) -> str:
    """What is kept of a token. Tokens are long and random, so that one round of a hash does."""
    return hashlib.sha256(token).hexdigest()


class SignedTokens(Protocol):
    """Knows principals by tokens that say themselves whose they are."""

    async def principal(self, token: str) -> Principal:
        """Who presents a token.

        Raises:
            UnauthenticatedError: nobody whom we know.
        """


class TokenAuth:
    """Knows principals by their tokens.

    Args:
        tokens: those that are accepted.
        signed: knows others; without it and without tokens everybody is accepted.
    """

    def __init__(self, tokens: Iterable[AcceptedToken], signed: SignedTokens | None = None) -> None:
        self._signed = signed
        # To look up a digest tells nothing of a token by the time that it takes.
        self._tokens = {token.sha256: token for token in tokens}

    async def principal(self, authorization: str | None) -> Principal:
        """Who presents an Authorization header.

        Raises:
            UnauthenticatedError: nobody whom we know, or whose token has expired.
        """
        if not self._tokens and self._signed is None:
            return ANYBODY
        scheme, _, credentials = (authorization or "").partition(" ")
        presented = credentials.strip().encode("utf-8", "surrogateescape")
        token = self._tokens.get(digest_of(presented)) if scheme.lower() == "bearer" else None
        if token is None:
            if self._signed is not None and scheme.lower() == "bearer":
                return await self._signed.principal(credentials.strip())
            raise UnauthenticatedError
        if token.expires_at is not None and token.expires_at <= clock.timestamp():
            when = clock.from_timestamp(token.expires_at).isoformat()
            raise UnauthenticatedError(
                f"the token {token.name!r} expired at {when}; ask for a new one"
            )
        return token.principal

    async def principal_of_init(self, payload: Mapping[str, Any] | None) -> Principal:
        """Who presents the payload of a websocket's `connection_init`: ``{"authorization": "Bearer …"}``.

        Raises:
            UnauthenticatedError: nobody whom we know, or whose token has expired.
        """
        for key, value in (payload or {}).items():
            if key.lower() == "authorization" and isinstance(value, str):
                return await self.principal(value)
        return await self.principal(None)
