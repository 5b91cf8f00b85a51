"""Serving over TLS: the certificate and its key."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path

from runwire.errors import InvalidError
from runwire.instance.settings import TlsSettings

PASSWORD_VARIABLE = "RUNWIRE_TLS_KEY_PASSWORD"  # noqa: S105 - its name, not its value


class TlsInvalidError(InvalidError):
    """A certificate or a key cannot be used."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the certificate is.

    Attributes:
        certificate: a file of certificates as PEM: the server's, then those of who issued it.
        key: the file of its private key as PEM; the same file when left out.
        password: what the key is encrypted with; None when it is not.
    """

    certificate: Path
    key: Path | None = None
    password: str | None = field(default=None, repr=False)


def tls_files(settings: TlsSettings | None, home: Path, chosen: TlsFiles | None) -> TlsFiles | None:
    """The files to use: the chosen ones, else those of the settings, whose relative paths count from the home.

    The password of the environment wins.
    """
    if chosen is None and settings is not None:
        chosen = TlsFiles(
            home / settings.certificate,
            None if settings.key is None else home / settings.key,
            None if settings.key_password is None else settings.key_password.get_secret_value(),
        )
    password = os.environ.get(PASSWORD_VARIABLE)
    return chosen if chosen is None or not password else replace(chosen, password=password)


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """What connections are encrypted with; TLS 1.2 at least.

    Raises:
        TlsInvalidError: a file cannot be read, is none, or does not fit the other.
    """
    for path in filter(None, (files.certificate, files.key)):
        try:
            path.open("rb").close()
        except OSError as error:
            problem = f"the TLS file {path} cannot be read: {error.strerror}"
            raise TlsInvalidError(problem) from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without a password OpenSSL would ask for one on the terminal.
        context.load_cert_chain(files.certificate, files.key, lambda: files.password or "")
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error)
        raise TlsInvalidError(
            f"the certificate {files.certificate} cannot be used with the key"
            f" {files.key or files.certificate} ({reason}); they are PEM files that belong together, and an"
            f" encrypted key needs its password, by {PASSWORD_VARIABLE} or server.tls.key_password"
        ) from None
    return context
