"""An issuer of signed tokens whose keys are fetched from a server of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from runwire import clock

ISSUER, AUDIENCE = "https://issuer.example", "runwire"

SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class Issuer:
    """Signs tokens, and publishes its keys.

    Attributes:
        url: where its keys are.
        keys: by their ids; what is in it is published.
        body: what is sent instead of the keys; None for them.
        status: of what is sent.
        fetches: how often they were asked for.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys: dict[str, SigningKey] = {}
        self.body: bytes | None = None
        self.status, self.fetches = 200, 0

    def add_rsa(self, kid: str) -> None:
        self.keys[kid] = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def add_ec(self, kid: str) -> None:
        self.keys[kid] = ec.generate_private_key(ec.SECP256R1())

    def published(self) -> bytes:
        """The set of its keys."""
        return json.dumps({"keys": [_entry(*each) for each in self.keys.items()]}).encode()

    def sign(
        self,
        kid: str | None = "one",
        *,
        key: Any = None,
        algorithm: str = "RS256",
        seconds: float = 600,
        **claims: Any,
    ) -> str:
        """A token; claims that are None are left out."""
        now = clock.timestamp()
        said = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "ada",
            "exp": now + seconds,
            "roles": ["ops"],
            **claims,
        }
        signing = key if key is not None else self.keys[kid or "one"]
        return jwt.encode(
            {name: value for name, value in said.items() if value is not None},
            signing,
            algorithm,
            headers=None if kid is None else {"kid": kid},
        )


def _entry(kid: str, key: SigningKey) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        entry = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        entry = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**entry, "kid": kid, "use": "sig"}


@contextmanager
def issuing() -> Iterator[Issuer]:
    """An issuer whose key is called one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.fetches += 1
            body = issuer.published() if issuer.body is None else issuer.body
            self.send_response(issuer.status)
            if issuer.status == 302:
                self.send_header("Location", issuer.url + "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = Issuer(f"http://127.0.0.1:{server.server_port}/keys")
    issuer.add_rsa("one")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
