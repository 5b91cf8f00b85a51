"""``runwire schedule evaluate``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from runwire.cli.failures import ExitCode
from runwire.cli.options import AsJson, Token, Url, connect
from runwire.cli.printable import printable
from runwire.cli.run.tables import print_json
from runwire.cli.schedule.errors import in_a_line
from runwire.cli.schedule.options import Location, Name, Repository, instant
from runwire.client import DEFAULT_URL, DryTick


def evaluate(
    name: Name,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="INSTANT",
            help="As if it were due at this instant, as ISO 8601 has it; now when left out.",
            show_default=False,
        ),
    ] = None,
    repository: Repository = None,
    location: Location = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Try what a schedule asks for, without making a tick or a run; fails when its function does."""
    due_at = instant(at, "--at")
    with connect(url, token) as client:
        tried = client.evaluate_schedule(
            name, repository=repository, location=location, due_at=due_at
        )
    tell(tried, as_json=as_json)


def tell(tried: DryTick, *, as_json: bool) -> None:
    """Tells what an evaluation gave; fails when user code raised."""
    if as_json:
        print_json([tried])
    else:
        _print(tried)
    if tried.error is not None:
        raise typer.Exit(ExitCode.FAILED)


def _print(tried: DryTick) -> None:
    if tried.error is not None:
        for error in (tried.error, *tried.error.causes):
            typer.echo("".join(error.stack) + printable(in_a_line(error)), err=True)
        return
    if not tried.run_requests:
        reason = "" if tried.skip_reason is None else f": {printable(tried.skip_reason)}"
        typer.echo(f"it asks for no run{reason}")
    for request in tried.run_requests:
        tags = " ".join(f"{tag.key}={tag.value}" for tag in request.tags)
        parts = [f"run of {request.job_name}", json.dumps(request.run_config), tags]
        if request.partition_key is not None:
            parts.append(f"partition {request.partition_key}")
        if request.run_key is not None:
            parts.append(f"run key {request.run_key}")
        if request.existing_run is not None:
            parts.append(f"is there: {request.existing_run.run_id}")
        typer.echo(printable("  ".join(filter(None, parts))))
