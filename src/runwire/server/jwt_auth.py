"""Principals by tokens that an identity provider has signed (JWT, RFC 7519)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
from jwt.exceptions import (
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidIssuerError,
    MissingRequiredClaimError,
    PyJWTError,
)

from runwire.api.access import PERMISSIONS, Principal, Role
from runwire.instance.jwt_settings import JwtSettings
from runwire.server.auth import UnauthenticatedError
from runwire.server.jwks import KeySet, KeysUnavailableError, from_file, from_url

MAX_TOKEN_BYTES = 16 * 1024
MAX_NAME_LENGTH = 200

_REQUIRED = ["exp", "iss", "aud", "sub"]

_PROBLEMS: tuple[tuple[type[PyJWTError], str], ...] = (
    (ExpiredSignatureError, "the token has expired; ask for a new one"),
    (ImmatureSignatureError, "the token is not valid yet"),
    (InvalidAudienceError, "the token is for another audience"),
    (InvalidIssuerError, "the token is of another issuer"),
)


class JwtAuth:
    """Knows principals by signed tokens: by the claims `sub`, `exp` and that of their role.

    Args:
        settings: whose tokens, and what they must say.
        keys: the keys of the issuer.
    """

    def __init__(self, settings: JwtSettings, keys: KeySet) -> None:
        self._settings = settings
        self._keys = keys
        self._roles = {value: Role[name.upper()] for value, name in settings.roles.items()}

    @classmethod
    def of(cls, settings: JwtSettings, home: Path) -> JwtAuth:
        """That of the settings of an instance; nothing is fetched yet."""
        if settings.jwks_url is not None:
            fetch = from_url(settings.jwks_url, settings.fetch_seconds)
        else:
            fetch = from_file(home / (settings.jwks_file or ""))
        return cls(settings, KeySet(fetch, settings.refetch_seconds, settings.fetch_seconds))

    async def principal(self, token: str) -> Principal:
        """Who presents a token.

        Raises:
            UnauthenticatedError: nobody whom we know; it tells why.
        """
        claims = await self._claims(token)
        name = claims["sub"]
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_LENGTH:
            raise UnauthenticatedError(
                f"the claim sub of a token is a text of 1 to {MAX_NAME_LENGTH} characters"
            )
        try:
            expires_at = float(claims["exp"]) + self._settings.leeway_seconds
        except OverflowError:
            raise UnauthenticatedError("the claim exp of the token is out of range") from None
        return Principal(name, True, self._role(claims), expires_at, self._settings.issuer)

    async def _claims(self, token: str) -> Mapping[str, Any]:
        """What a token says whose signature is good."""
        if len(token) > MAX_TOKEN_BYTES:
            raise UnauthenticatedError(f"the token is larger than {MAX_TOKEN_BYTES} bytes")
        try:
            header = jwt.get_unverified_header(token)
        except (PyJWTError, ValueError, RecursionError):
            raise UnauthenticatedError from None
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in self._settings.algorithms:
            taken = ", ".join(self._settings.algorithms)
            raise UnauthenticatedError(f"the token is not signed by one of {taken}")
        if not isinstance(kid, str):
            raise UnauthenticatedError("the token does not name its key (kid)")
        try:
            key = await self._keys.find(kid)
        except KeysUnavailableError:
            raise UnauthenticatedError(
                "the keys of the issuer cannot be had now; try again later"
            ) from None
        if key is None:
            raise UnauthenticatedError("the token is signed by a key that its issuer does not have")
        if key.algorithm not in {None, algorithm}:
            raise UnauthenticatedError(f"the key of the token is for {key.algorithm}")
        return self._verified(token, key.key, algorithm)

    def _verified(self, token: str, key: jwt.PyJWK, algorithm: str) -> Mapping[str, Any]:
        try:
            return jwt.decode(
                token,
                key.key,
                algorithms=[algorithm],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=self._settings.leeway_seconds,
                options={"require": _REQUIRED},
            )
        except MissingRequiredClaimError as error:
            raise UnauthenticatedError(f"the token has no claim {error.claim}") from None
        except (PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            told = (message for kind, message in _PROBLEMS if isinstance(error, kind))
            raise UnauthenticatedError(next(told, None)) from None

    def _role(self, claims: Mapping[str, Any]) -> Role:
        value = _claim(claims, self._settings.role_claim)
        values = value if isinstance(value, list) else [value]
        held = [
            self._roles[each] for each in values if isinstance(each, str) and each in self._roles
        ]
        if held:
            return max(held, key=lambda role: len(PERMISSIONS[role]))
        if self._settings.default_role is None:
            raise UnauthenticatedError(
                f"the token has no role of this server in its claim {self._settings.role_claim}"
            )
        return Role[self._settings.default_role.upper()]


def _claim(claims: Mapping[str, Any], name: str) -> object:
    """A claim by its name, or by the names on the way to it."""
    if name in claims:
        return claims[name]
    value: object = claims
    for part in name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value
