"""The section `auth.jwt` of `runwire.yaml`: tokens that an identity provider signs."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from runwire.config import PositiveSeconds, Seconds, Section

RoleName = Literal["viewer", "operator", "admin"]

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
"""What signs with a key that is not known to who checks. One key for both would let anybody sign who checks."""


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    is_local = parts.scheme == "http" and _is_loopback(parts.hostname or "")
    if not parts.hostname or not (parts.scheme == "https" or is_local):
        raise ValueError("must be an https address; http only on loopback, such as 127.0.0.1")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class JwtSettings(BaseModel):
    """Whose signed tokens (JWT) are accepted. One of `jwks_url` and `jwks_file` has the keys.

    Attributes:
        issuer: what the claim `iss` must be.
        audience: what the claim `aud` must be, or have.
        jwks_url: where the issuer publishes its keys; https, or http on loopback.
        jwks_file: a file with the keys, relative to the home.
        algorithms: those that may sign.
        role_claim: the claim that has the role: a name, or names of claims within claims joined by dots. Its
            value is a text or a list of texts.
        roles: the role by what the claim has; of several, the one that may do most.
        default_role: the role of who has none of them; None refuses it.
        leeway_seconds: how far the clocks of issuer and server may be apart.
        refetch_seconds: keys are fetched again at most so often, when a token names one that is not known.
        fetch_seconds: how long that may take.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str = Field(min_length=1, max_length=1000)
    audience: str = Field(min_length=1, max_length=1000)
    jwks_url: Annotated[str, Field(max_length=1000), AfterValidator(_check_url)] | None = None
    jwks_file: Path | None = None
    algorithms: tuple[Algorithm, ...] = Field(default=("RS256", "ES256"), min_length=1)
    role_claim: str = Field(default="roles", min_length=1, max_length=1000)
    roles: Section[dict[str, RoleName]] = {}
    default_role: RoleName | None = None
    leeway_seconds: Annotated[Seconds, Field(le=300)] = 30.0
    refetch_seconds: Annotated[PositiveSeconds, Field(le=86_400)] = 30.0
    fetch_seconds: Annotated[PositiveSeconds, Field(le=60)] = 5.0

    @model_validator(mode="after")
    def _is_whole(self) -> JwtSettings:
        if (self.jwks_url is None) is (self.jwks_file is None):
            raise ValueError("name one of jwks_url and jwks_file")
        if not self.roles and self.default_role is None:
            raise ValueError("name roles or default_role: without either nobody could be accepted")
        return self
