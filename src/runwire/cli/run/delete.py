"""``runwire run delete``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from runwire.cli.failures import ExitCode
from runwire.cli.options import RunId, Token, Url, connect
from runwire.cli.run.run_id import resolve_run_id
from runwire.client import DEFAULT_URL
from runwire.errors import InputInvalidError


def delete(
    run: RunId,
    force: Annotated[
        bool,
        typer.Option("--force", help="Delete it although it has not ended; its worker is killed."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Delete a run with its event log."""
    with connect(url, token) as client:
        run_id = resolve_run_id(client, run)
        if not yes and not _confirmed(run_id):
            typer.echo("nothing was deleted", err=True)
            raise typer.Exit(ExitCode.FAILED)
        client.delete_run(run_id, force=force)
    typer.echo(f"run {run_id} is deleted")


def _confirmed(run_id: str) -> bool:
    if not _somebody_is_there():
        raise InputInvalidError("nobody is there to confirm; say --yes to delete", ["yes"])
    return typer.confirm(f"Delete run {run_id} and its event log?")


def _somebody_is_there() -> bool:
    return sys.stdin.isatty()
