"""``runwire backfill cancel`` and ``runwire backfill resume``."""

from __future__ import annotations

from typing import Annotated

import typer

from runwire.cli.backfill.options import BackfillId
from runwire.cli.options import Token, Url, connect
from runwire.client import DEFAULT_URL


def cancel(
    backfill_id: BackfillId,
    terminate_runs: Annotated[
        bool,
        typer.Option("--terminate-runs", help="Terminate its runs in progress as well."),
    ] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """End a backfill: no run is made any more, and those that wait are canceled."""
    with connect(url, token) as client:
        asked = client.cancel_backfill(backfill_id, terminate_runs=terminate_runs)
    typer.echo(f"backfill {asked.backfill_id} is {asked.status.value}")


def resume(backfill_id: BackfillId, url: Url = DEFAULT_URL, token: Token = None) -> None:
    """Have a backfill that has ended submit again what did not succeed."""
    with connect(url, token) as client:
        asked = client.resume_backfill(backfill_id)
    typer.echo(f"backfill {asked.backfill_id} goes on, for the {_ordinal(asked.attempts)} time")


def _ordinal(number: int) -> str:
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if 11 <= number % 100 <= 13 else suffix}"
