"""What the server is told: whom it answers, and how much it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from runwire.instance.limits import Limits
from runwire.server.auth import AcceptedToken, SignedTokens
from runwire.server.telemetry import Tracer
from runwire.server.trusted import TrustedDocuments

__all__ = ["AppSettings", "Introspection", "Limits"]

Introspection = Literal["on", "off", "admin"]
"""Who may ask for the schema: everybody, nobody, or who has the role ADMIN."""


@dataclass(frozen=True, slots=True)
class AppSettings:
    """Whom the server answers, and its limits.

    Attributes:
        tokens: those of which a caller must present one; without any, and without `signed_tokens`, anybody may call.
        signed_tokens: knows who presents one that an identity provider has signed.
        on_loopback: whether it listens on a loopback address, so that the Host header must name one.
        allowed_hosts: values of the Host header, with or without a port, that are answered as well.
        allowed_origins: origins of web pages, such as ``https://example.org``, that may call.
        limits: how much it takes.
        metrics: who may see the metrics: nobody, who may read, or anybody.
        tracer: what traces operations; None for nothing.
        introspection: who may ask for the schema.
        documents: which documents are known, and whether others are taken.
        legacy_graphql_ws: whether websockets may speak graphql-ws as well.
    """

    tokens: tuple[AcceptedToken, ...] = ()
    signed_tokens: SignedTokens | None = None
    on_loopback: bool = True
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    metrics: Literal["off", "protected", "open"] = "protected"
    tracer: Tracer | None = None
    introspection: Introspection = "on"
    documents: TrustedDocuments = field(default_factory=TrustedDocuments)
    legacy_graphql_ws: bool = False

    @property
    def demands_token(self) -> bool:
        """Whether callers must present a token."""
        return bool(self.tokens) or self.signed_tokens is not None
