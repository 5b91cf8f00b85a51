"""Serving https: with a certificate, with a key that has a password, and what is said when they are of no use."""

from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from runwire import clock
from runwire.instance.settings import TlsSettings
from runwire.server.tls import TlsFiles, TlsInvalidError, tls_context, tls_files
from tests.cli.test_serve import lines_until, started
from tests.server.conftest import greet

PASSWORD = "a password"


def write_certificate(folder: Path, password: str | None = None) -> TlsFiles:
    """A certificate of localhost that is its own issuer, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = clock.from_timestamp(clock.timestamp())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(exist_ok=True)
    files = TlsFiles(folder / "certificate.pem", folder / "key.pem", password)
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    assert files.key is not None
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()
            if password is None
            else serialization.BestAvailableEncryption(password.encode()),
        )
    )
    return files


def trusting(files: TlsFiles) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=files.certificate)


async def test_it_serves_https_and_secure_websockets(tmp_path: Path) -> None:
    files = write_certificate(tmp_path / "tls", PASSWORD)
    arguments = ["serve", "--home", str(tmp_path), "--host", "localhost", "--port", "0"]
    arguments += ["--tls-certificate", str(files.certificate), "--tls-key", str(files.key)]
    variables = {"RUNWIRE_TLS_KEY_PASSWORD": PASSWORD}
    with started(tmp_path, *arguments, variables=variables) as process:
        url = lines_until(process, "GraphiQL")[-1].split()[-1]
        assert url.startswith("https://localhost:")
        async with httpx.AsyncClient(trust_env=False, verify=trusting(files)) as client:
            answer = await client.post(
                url,
                json={"query": "{ __typename }"},
                headers={"Origin": url.removesuffix("/graphql")},
            )
        assert answer.json() == {"data": {"__typename": "Query"}}
        socket_url = url.replace("https", "wss")
        protocols = [Subprotocol("graphql-transport-ws")]
        async with connect(
            socket_url, proxy=None, ssl=trusting(files), subprotocols=protocols
        ) as socket:
            await greet(socket)
        process.terminate()
        assert process.wait(30) == 0


def test_files_that_are_of_no_use_are_told_by_name(tmp_path: Path) -> None:
    good, other = write_certificate(tmp_path / "a"), write_certificate(tmp_path / "b")
    locked = write_certificate(tmp_path / "c", PASSWORD)
    missing = TlsFiles(tmp_path / "none.pem")
    with pytest.raises(TlsInvalidError, match=r"none\.pem cannot be read: No such file"):
        tls_context(missing)
    for files in (
        TlsFiles(good.certificate, other.key),
        TlsFiles(good.certificate),
        TlsFiles(locked.certificate, locked.key),
        TlsFiles(locked.certificate, locked.key, "another password"),
        TlsFiles(good.key or good.certificate, good.key),
    ):
        with pytest.raises(
            TlsInvalidError, match=r"cannot be used with the key .* \(.+\); they are"
        ):
            tls_context(files)
    tls_context(good)
    tls_context(locked)


def test_the_password_of_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNWIRE_TLS_KEY_PASSWORD", raising=False)
    written = TlsSettings(
        certificate=Path("c.pem"), key=Path("/k.pem"), key_password=SecretStr("written")
    )
    of_home = TlsFiles(tmp_path / "c.pem", Path("/k.pem"), "written")
    chosen = TlsFiles(Path("mine.pem"))
    assert tls_files(None, tmp_path, None) is None
    assert tls_files(written, tmp_path, None) == of_home
    assert tls_files(written, tmp_path, chosen) == chosen
    monkeypatch.setenv("RUNWIRE_TLS_KEY_PASSWORD", "of the environment")
    for files in (tls_files(written, tmp_path, None), tls_files(None, tmp_path, chosen)):
        assert files is not None
        assert files.password == "of the environment"
        assert files.password not in repr(files)
