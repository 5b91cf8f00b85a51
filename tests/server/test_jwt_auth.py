"""Tokens that an issuer has signed, whose keys are fetched from a real server."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from runwire.api.access import Principal, Role
from runwire.instance.jwt_settings import JwtSettings
from runwire.server import jwks
from runwire.server.auth import AcceptedToken, UnauthenticatedError
from runwire.server.jwks import read_keys
from runwire.server.jwt_auth import JwtAuth
from tests.server.conftest import ServeTry, closed, greet, hear, say, subscribe
from tests.server.issuer import AUDIENCE, ISSUER, Issuer, issuing


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


def auth_of(issuer: Issuer, **settings: Any) -> JwtAuth:
    chosen = {
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "jwks_url": issuer.url,
        "roles": {"admins": "admin", "ops": "operator", "readers": "viewer"},
        "leeway_seconds": 0,
        **settings,
    }
    return JwtAuth.of(JwtSettings.model_validate(chosen), Path("/"))


async def refusal(auth: JwtAuth, token: str) -> str | None:
    with pytest.raises(UnauthenticatedError) as refused:
        await auth.principal(token)
    return refused.value.problem


async def test_a_principal_is_who_the_token_says(issuer: Issuer) -> None:
    token = issuer.sign()
    exp = jwt.decode(token, options={"verify_signature": False})["exp"]
    auth = auth_of(issuer)
    assert issuer.fetches == 0
    for _ in range(3):
        assert await auth.principal(token) == Principal(
            "ada", True, Role.OPERATOR, exp, "https://issuer.example"
        )
    assert issuer.fetches == 1


@pytest.mark.parametrize(
    ("claim", "said", "role"),
    [
        ("roles", {"roles": "readers"}, Role.VIEWER),
        ("roles", {"roles": ["readers", "admins", "ops", "others", 7]}, Role.ADMIN),
        ("realm.roles", {"realm": {"roles": ["readers"]}}, Role.VIEWER),
        ("https://x.example/roles", {"https://x.example/roles": ["ops"]}, Role.OPERATOR),
    ],
)
async def test_the_role_is_the_highest_that_the_claim_has(
    issuer: Issuer, claim: str, said: Any, role: Role
) -> None:
    principal = await auth_of(issuer, role_claim=claim).principal(issuer.sign(**said))
    assert principal.role is role


@pytest.mark.parametrize("roles", [None, [], ["others"], {"ops": 1}, 7])
async def test_who_has_no_role_is_refused_unless_there_is_one_for_all(
    issuer: Issuer, roles: Any
) -> None:
    token = issuer.sign(roles=roles)
    told = "the token has no role of this server in its claim roles"
    assert await refusal(auth_of(issuer), token) == told
    principal = await auth_of(issuer, default_role="viewer").principal(token)
    assert principal.role is Role.VIEWER


@pytest.mark.parametrize(
    ("claims", "problem"),
    [
        ({"aud": "others"}, "the token is for another audience"),
        ({"aud": None}, "the token has no claim aud"),
        ({"iss": "https://others.example"}, "the token is of another issuer"),
        ({"iss": None}, "the token has no claim iss"),
        ({"seconds": -1}, "the token has expired; ask for a new one"),
        ({"exp": None}, "the token has no claim exp"),
        ({"nbf": 99_999_999_999}, "the token is not valid yet"),
        ({"sub": None}, "the token has no claim sub"),
        ({"sub": ""}, "the claim sub of a token is a text of 1 to 200 characters"),
        ({"sub": "x" * 201}, "the claim sub of a token is a text of 1 to 200 characters"),
        ({"kid": None}, "the token does not name its key (kid)"),
        (
            {"kid": "two", "key": "one"},
            "the token is signed by a key that its issuer does not have",
        ),
        ({"pad": "x" * 20_000}, "the token is larger than 16384 bytes"),
    ],
)
async def test_what_a_token_lacks_is_told(
    issuer: Issuer, claims: dict[str, Any], problem: str
) -> None:
    if claims.get("key") == "one":
        claims = {**claims, "key": issuer.keys["one"]}
    assert await refusal(auth_of(issuer), issuer.sign(**claims)) == problem


async def test_an_audience_may_be_one_of_several(issuer: Issuer) -> None:
    await auth_of(issuer).principal(issuer.sign(aud=["others", AUDIENCE]))


async def test_clocks_may_differ_by_the_leeway(issuer: Issuer) -> None:
    principal = await auth_of(issuer, leeway_seconds=60).principal(issuer.sign(seconds=-10))
    assert 0 < (principal.seconds_left or 0) <= 50


async def test_nothing_but_the_key_of_the_issuer_signs(issuer: Issuer) -> None:
    auth = auth_of(issuer)
    forged = issuer.sign(key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
    assert await refusal(auth, forged) is None
    head, _, signature = issuer.sign().split(".")
    payload = issuer.sign(roles=["admins"]).split(".")[1]
    assert await refusal(auth, f"{head}.{payload}.{signature}") is None


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


async def test_no_other_algorithm_signs(issuer: Issuer) -> None:
    auth = auth_of(issuer)
    told = "the token is not signed by one of RS256, ES256"
    assert await refusal(auth, issuer.sign(key="", algorithm="none")) == told
    assert await refusal(auth, issuer.sign(algorithm="RS512")) == told
    public = issuer.keys["one"].public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    # By hand: PyJWT itself refuses to sign by a key that everybody has.
    _, payload, _ = issuer.sign().split(".")
    signed = ".".join([base64url(b'{"alg":"HS256","kid":"one"}'), payload])
    signature = hmac.digest(pem, signed.encode(), "sha256")
    forged = ".".join([signed, base64url(signature)])
    assert await refusal(auth, forged) == told
    issuer.add_ec("two")
    assert (
        await refusal(auth, issuer.sign("one", key=issuer.keys["two"], algorithm="ES256")) is None
    )
    assert (await auth.principal(issuer.sign())).name == "ada"


async def test_a_key_signs_by_the_algorithm_that_it_is_published_for(issuer: Issuer) -> None:
    keys = json.loads(issuer.published())
    keys["keys"][0]["alg"] = "RS512"
    issuer.body = json.dumps(keys).encode()
    auth = auth_of(issuer, algorithms=["RS256", "RS512", "PS512"])
    assert (await auth.principal(issuer.sign(algorithm="RS512"))).name == "ada"
    for algorithm in ("RS256", "PS512"):
        told = await refusal(auth, issuer.sign(algorithm=algorithm))
        assert told == "the key of the token is for RS512"


async def test_keys_of_elliptic_curves_sign(issuer: Issuer) -> None:
    issuer.add_ec("two")
    assert (await auth_of(issuer).principal(issuer.sign("two", algorithm="ES256"))).name == "ada"


@pytest.mark.parametrize(
    "token", ["", "x", "a.b", "a.b.c", "\ud800.b.c", "." * 16_000, "e30.e30.e30", "W10.e30."]
)
async def test_what_is_no_token_is_refused_without_asking_anybody(
    issuer: Issuer, token: str
) -> None:
    await refusal(auth_of(issuer), token)
    assert issuer.fetches == 0


async def test_a_key_that_is_new_is_fetched_but_not_too_often(issuer: Issuer) -> None:
    auth = auth_of(issuer, refetch_seconds=0.5)
    await auth.principal(issuer.sign())
    issuer.add_rsa("two")
    token = issuer.sign("two")
    unknown = "the token is signed by a key that its issuer does not have"
    assert [await refusal(auth, token) for _ in range(20)] == [unknown] * 20
    assert issuer.fetches == 1
    await asyncio.sleep(0.6)
    assert (await auth.principal(token)).name == "ada"
    assert issuer.fetches == 2


async def test_many_who_come_at_once_fetch_once(issuer: Issuer) -> None:
    auth = auth_of(issuer)
    token = issuer.sign()
    await asyncio.gather(*(auth.principal(token) for _ in range(50)))
    assert issuer.fetches == 1


async def test_known_keys_go_on_when_the_issuer_fails(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = auth_of(issuer, refetch_seconds=0.01)
    token = issuer.sign()
    await auth.principal(token)
    issuer.status = 500
    monkeypatch.setattr(jwks, "STALE_SECONDS", 0.0)
    for _ in range(3):
        assert (await auth.principal(token)).name == "ada"
        await asyncio.sleep(0.05)
    assert issuer.fetches > 1
    with_new_key = issuer.sign("two", key=issuer.keys["one"])
    assert "key that its issuer does not have" in (await refusal(auth, with_new_key) or "")


async def test_a_key_that_is_withdrawn_is_forgotten(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = auth_of(issuer, refetch_seconds=0.01)
    token = issuer.sign()
    await auth.principal(token)
    monkeypatch.setattr(jwks, "STALE_SECONDS", 0.0)
    issuer.keys = {}
    issuer.add_rsa("two")
    async with asyncio.timeout(30):
        while True:
            try:
                await auth.principal(token)
            except UnauthenticatedError:
                break
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, None),
        (404, None),
        (302, None),
        (200, b"not json"),
        (200, b"[]"),
        (200, b'{"keys": 1}'),
        (200, b"[" * 300_000),
        (200, b" " * (jwks.MAX_BYTES + 1)),
    ],
)
async def test_an_issuer_that_never_answered_well_is_told(
    issuer: Issuer, status: int, body: bytes | None
) -> None:
    issuer.status, issuer.body = status, body
    told = "the keys of the issuer cannot be had now; try again later"
    assert await refusal(auth_of(issuer), issuer.sign()) == told
    assert issuer.fetches == 1


async def test_an_issuer_that_never_comes_to_an_end_is_not_waited_for() -> None:
    goes_on = threading.Event()

    def fetch() -> bytes:
        goes_on.wait(60)
        return b'{"keys": []}'

    keys = jwks.KeySet(fetch, refetch_seconds=30, wait_seconds=0.1)
    try:
        async with asyncio.timeout(30):
            for _ in range(2):
                with pytest.raises(jwks.KeysUnavailableError):
                    await keys.find("one")
        assert not goes_on.is_set()
    finally:
        goes_on.set()


def test_keys_that_are_secret_or_unknown_are_left_out(issuer: Issuer) -> None:
    (entry,) = json.loads(issuer.published())["keys"]
    others: list[Any] = [
        7,
        {"kty": "oct", "kid": "secret", "k": "c2VjcmV0"},
        {"kty": "NEW", "kid": "new"},
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        {**entry, "kid": "encrypts", "use": "enc"},
        {**entry, "kid": "private", "d": "AQAB"},
        {**entry, "kid": None},
    ]
    assert jwks.read_keys(json.dumps({"keys": [*others, entry]}).encode()).keys() == {"one"}


async def test_keys_may_lie_in_a_file(issuer: Issuer, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_bytes(issuer.published())
    settings = JwtSettings(
        issuer=ISSUER, audience=AUDIENCE, jwks_file=Path("keys.json"), default_role="viewer"
    )
    assert (await JwtAuth.of(settings, tmp_path).principal(issuer.sign())).name == "ada"
    assert issuer.fetches == 0


async def test_a_signed_token_opens_every_transport_until_it_expires(
    issuer: Issuer, serve_try: ServeTry
) -> None:
    server = serve_try(signed_tokens=auth_of(issuer))
    assert server.post("{viewer}").status_code == 401
    headers = {"authorization": f"Bearer {issuer.sign(seconds=600)}"}
    answer = await asyncio.to_thread(server.post, "{viewer}", headers=headers)
    assert answer.json() == {"data": {"viewer": "ada"}}
    async with server.connect() as socket:
        await greet(socket, {"authorization": f"Bearer {issuer.sign(seconds=2)}"})
        await subscribe(socket, "subscription { forever }")
        assert (await hear(socket))["type"] == "next"
        assert await closed(socket) == (4403, "Forbidden: the token has expired")
    async with server.connect() as socket:
        expired = {"authorization": f"Bearer {issuer.sign(seconds=-1)}"}
        await say(socket, {"type": "connection_init", "payload": expired})
        told = "Forbidden: the token has expired; ask for a new one"
        assert await closed(socket) == (4403, told)


@pytest.mark.parametrize("exp", [10**400, float("inf")], ids=["huge", "infinite"])
async def test_a_token_that_expires_beyond_all_time_is_refused(
    issuer: Issuer, serve_try: ServeTry, exp: float
) -> None:
    server = serve_try(signed_tokens=auth_of(issuer))
    presented = {"authorization": f"Bearer {issuer.sign(exp=exp)}"}
    answer = await asyncio.to_thread(server.post, "{viewer}", headers=presented)
    assert answer.status_code == 401
    async with server.connect() as socket:
        await say(socket, {"type": "connection_init", "payload": presented})
        code, reason = await closed(socket)
        assert code == 4403
        assert (reason or "").startswith("Forbidden")


def test_signed_tokens_stand_beside_named_ones(issuer: Issuer, serve_try: ServeTry) -> None:
    named = AcceptedToken.of("a-token-of-some-length")
    server = serve_try(tokens=(named,), signed_tokens=auth_of(issuer))
    for token, name in (("a-token-of-some-length", "token"), (issuer.sign(), "ada")):
        answer = server.post("{viewer}", headers={"authorization": f"Bearer {token}"})
        assert answer.json() == {"data": {"viewer": name}}


def test_keys_of_no_kind_are_passed_over() -> None:
    entries = [{"kid": "a", "kty": kind} for kind in (["RSA"], {"RSA": 1}, None, "oct")]
    assert read_keys(json.dumps({"keys": entries}).encode()) == {}
