"""``runwire run terminate``."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from runwire.cli.options import Token, Url, connect
from runwire.cli.run.bulk import (
    BATCH,
    MAX_BATCH,
    DryRun,
    Jobs,
    OlderThan,
    RunTags,
    SomeRunId,
    Statuses,
    in_batches,
    runs_wanted,
    tell,
)
from runwire.cli.run.run_id import resolve_run_id
from runwire.client import DEFAULT_URL


def terminate(
    run: SomeRunId = None,
    status: Statuses = None,
    job: Jobs = None,
    tag: RunTags = None,
    older_than_days: OlderThan = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Mark it as CANCELED at once, even if its worker goes on."),
    ] = False,
    dry_run: DryRun = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Stop a run that has not ended, or all of those that match."""
    wanted = runs_wanted(run, status, job, tag, older_than_days)
    with connect(url, token) as client:
        if run is not None:
            run_id = resolve_run_id(client, run)
            if dry_run:
                typer.echo(run_id)
                return
            stopped = client.terminate_run(run_id, force=force)
            typer.echo(f"run {stopped.run_id} is {stopped.status.value}")
            return
        stop_some = partial(client.terminate_runs, **wanted or {}, force=force)
        if dry_run:
            for each in stop_some(dry_run=True, limit=MAX_BATCH).runs:
                typer.echo(each.run_id)
            return
        done, failures = in_batches(partial(stop_some, limit=BATCH), lambda told: told.runs)
    tell("stopped or about to stop", done, failures)
