"""Serving the definitions of one code location to servers elsewhere: where, and to whom."""

from __future__ import annotations

import os
from pathlib import Path

import typer
from pydantic import ValidationError

from runwire.cli.printable import printable
from runwire.config import pydantic_problems
from runwire.error_info import ErrorInfo
from runwire.errors import InvalidConfigurationError, InvalidError
from runwire.instance.settings import AuthSettings
from runwire.locations.standalone_server import serve_standalone
from runwire.locations.target import LocationTarget
from runwire.locations.wire import tcp_address
from runwire.server.address import listen
from runwire.server.origins import is_loopback

__all__ = ["LocationTarget", "OpenCodeServerError", "serve_on_port", "serve_on_socket"]

TOKEN_VARIABLE = "RUNWIRE_CODE_SERVER_TOKEN"  # noqa: S105 - its name, not its value


class OpenCodeServerError(InvalidError):
    """A code server was told to listen beyond loopback, where anybody could run code by it, without a token."""

    def __init__(self, host: str) -> None:
        self.host = host
        super().__init__(
            f"to listen on {host!r}, set {TOKEN_VARIABLE}: whoever can call a code server can run"
            " code on this machine"
        )


def serve_on_socket(target: LocationTarget, path: Path) -> None:
    """Serves on a unix socket that only this user may use, until SIGTERM or SIGINT.

    Raises:
        SocketUnavailableError: the path cannot be listened on.
        InvalidConfigurationError: the token is none.
    """
    serve_standalone(target, path.absolute(), token=_token(), ready=_announce)


def serve_on_port(target: LocationTarget, host: str, port: int) -> None:
    """Serves on a port, 0 for any that is free, until SIGTERM or SIGINT.

    Raises:
        OpenCodeServerError: the host is not loopback, and there is no token.
        AddressUnavailableError: the address cannot be listened on.
        InvalidConfigurationError: the token is none.
    """
    token = _token()
    if token is None and not is_loopback(host):
        raise OpenCodeServerError(host)
    with listen(host, port) as listener:  # told before anything is loaded, and in words
        chosen: int = listener.getsockname()[1]
    serve_standalone(target, tcp_address(host, chosen), token=token, ready=_announce)


def _token() -> str | None:
    token = os.environ.get(TOKEN_VARIABLE) or None
    try:
        AuthSettings.model_validate({"token": token})
    except ValidationError as error:
        raise InvalidConfigurationError(TOKEN_VARIABLE, pydantic_problems(error)) from None
    return token


def _announce(address: str, load_error: ErrorInfo | None) -> None:
    if load_error is not None:
        typer.echo(printable(f"the definitions did not load: {load_error.message}"), err=True)
    typer.echo(f"code server on {address}")
