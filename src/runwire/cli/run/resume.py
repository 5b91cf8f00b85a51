"""``runwire run resume``."""

from __future__ import annotations

from typing import Annotated

import typer

from runwire.cli.options import RunId, Token, Url, connect
from runwire.cli.run.following import follow_to_the_end
from runwire.cli.run.run_id import resolve_run_id
from runwire.client import DEFAULT_URL


def resume(
    run: RunId,
    attempt: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            min=1,
            help="Only as this attempt, 1 for the first; refused if that was made already.",
            show_default=False,
        ),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow/--no-follow", help="Show its events until it has ended, or print only its id."
        ),
    ] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Give a run whose worker died a new worker.

    Steps that have finished do not run again.
    """
    with connect(url, token) as client:
        run_id = client.resume_run(resolve_run_id(client, run), attempt_number=attempt).run_id
        if not follow:
            typer.echo(run_id)
            return
        typer.echo(f"run {run_id} is resumed", err=True)
        code = follow_to_the_end(client, run_id)
    raise typer.Exit(code)
