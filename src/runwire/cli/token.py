"""``runwire token …``: tokens for those who call the server."""

from __future__ import annotations

import secrets
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import typer

from runwire import clock

token_app = typer.Typer(help="Tokens for those who call the server.", no_args_is_help=True)


class RoleName(StrEnum):
    """What the holder of a token may do."""

    viewer = "viewer"
    operator = "operator"
    admin = "admin"


@token_app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the holder of the token is called.")],
    role: Annotated[
        RoleName,
        typer.Option(
            help="viewer reads; operator runs, stops and reports as well; admin does everything."
        ),
    ] = RoleName.viewer,
    days: Annotated[
        int | None,
        typer.Option(min=1, max=36_500, help="For how many days it is good; without, for ever."),
    ] = None,
) -> None:
    """Make a token, and tell what to write into runwire.yaml so that the server accepts it.

    The token is shown this once; the server keeps nothing but its hash.
    """
    from runwire.server.auth import digest_of  # noqa: PLC0415 -- nothing else of the server

    token = secrets.token_urlsafe(32)
    lines = [
        "auth:",
        "  tokens:",
        f"    - name: {name!r}",
        f"      sha256: {digest_of(token.encode())}",
        f"      role: {role.value}",
    ]
    if days is not None:
        expires_at = (clock.now() + timedelta(days=days)).replace(microsecond=0)
        lines.append(f"      expires_at: {expires_at.isoformat()}")
    typer.echo(f"token: {token}\n\nIn runwire.yaml of the server, beside other tokens:\n")
    typer.echo("\n".join(lines))
