"""``runwire run tail``."""

from __future__ import annotations

from typing import Annotated

import typer

from runwire.cli.options import AsJson, RunId, Token, Url, connect
from runwire.cli.run.following import follow_to_the_end
from runwire.cli.run.run_id import resolve_run_id
from runwire.client import DEFAULT_URL


def tail(
    run: RunId,
    after: Annotated[
        str | None,
        typer.Option(
            metavar="CURSOR",
            help="Start after this cursor, which --json tells; HEAD for new events only.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Show the events of a run, and new ones as they come, until it has ended.

    When the connection drops or the server restarts, it goes on where it was.

    No event is missed or shown twice.
    """
    with connect(url, token) as client:
        run_id = resolve_run_id(client, run)
        code = follow_to_the_end(client, run_id, after, as_json=as_json)
    raise typer.Exit(code)
