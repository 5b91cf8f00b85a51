"""``runwire run terminate``."""

from __future__ import annotations

from typing import Annotated

import typer

from runwire.cli.options import RunId, Token, Url, connect
from runwire.cli.run.run_id import resolve_run_id
from runwire.client import DEFAULT_URL


def terminate(
    run: RunId,
    force: Annotated[
        bool,
        typer.Option("--force", help="Mark it as CANCELED at once, even if its worker goes on."),
    ] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Stop a run that has not ended."""
    with connect(url, token) as client:
        stopped = client.terminate_run(resolve_run_id(client, run), force=force)
    typer.echo(f"run {stopped.run_id} is {stopped.status.value}")
