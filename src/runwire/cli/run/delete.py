"""``runwire run delete``."""

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
    Yes,
    confirm,
    count_of,
    in_batches,
    runs_wanted,
    tell,
)
from runwire.cli.run.run_id import resolve_run_id
from runwire.client import DEFAULT_URL, RunwireClient
from runwire.errors import InputInvalidError

_KEPT = "nothing was deleted"


def delete(
    run: SomeRunId = None,
    status: Statuses = None,
    job: Jobs = None,
    tag: RunTags = None,
    older_than_days: OlderThan = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Delete it although it has not ended; its worker is killed. Only for one run.",
        ),
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Delete a run with its event log and its files, or all runs that match.

    Runs that have not ended are kept and told.
    """
    wanted = runs_wanted(run, status, job, tag, older_than_days)
    if wanted is not None and force:
        raise InputInvalidError(
            "--force is for one run; to delete many that have not ended, `runwire run terminate` them first",
            ["force"],
        )
    with connect(url, token) as client:
        if run is not None:
            _delete_one(client, resolve_run_id(client, run), force=force, dry_run=dry_run, yes=yes)
            return
        delete_some = partial(client.delete_runs, **wanted or {})
        would = delete_some(dry_run=True, limit=MAX_BATCH)
        if dry_run:
            for run_id in would.run_ids:
                typer.echo(run_id)
            return
        number = len(would.run_ids) + would.remaining_count
        if not yes and number:
            confirm(f"Delete {count_of(number)} with their event logs?", _KEPT)
        done, failures = in_batches(partial(delete_some, limit=BATCH), lambda told: told.run_ids)
    tell("deleted", done, failures)


def _delete_one(
    client: RunwireClient, run_id: str, *, force: bool, dry_run: bool, yes: bool
) -> None:
    if dry_run:
        typer.echo(run_id)
        return
    if not yes:
        confirm(f"Delete run {run_id} and its event log?", _KEPT)
    client.delete_run(run_id, force=force)
    typer.echo(f"run {run_id} is deleted")
