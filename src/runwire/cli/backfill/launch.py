"""``runwire backfill launch``."""

from __future__ import annotations

from typing import Annotated

import typer

from runwire.cli.options import Token, Url, connect
from runwire.cli.run.run_config import read_run_config
from runwire.cli.run.tags import tag_pairs
from runwire.client import DEFAULT_URL
from runwire.errors import InputInvalidError


def launch(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The name of the job.")],
    partition: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY", help="The key of a partition; may be repeated.", show_default=False
        ),
    ] = None,
    first: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="KEY",
            help="The key of the first partition; the first that there is when left out.",
            show_default=False,
        ),
    ] = None,
    last: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="KEY",
            help="The key of the last partition; the last that there is when left out.",
            show_default=False,
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All partitions that there are.")
    ] = False,
    missing: Annotated[
        bool,
        typer.Option("--missing", help="Of these only those whose last run did not succeed."),
    ] = False,
    runs_at_once: Annotated[
        int,
        typer.Option(min=1, max=1000, help="How many of its runs have not ended at a time."),
    ] = 25,
    config: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="The run config of all runs, instead of what the job gives each partition:"
            " a YAML or JSON file, - for stdin.",
            show_default=False,
        ),
    ] = None,
    config_json: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="The run config as JSON.", show_default=False),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="A tag of the runs; may be repeated.", show_default=False
        ),
    ] = None,
    location: Annotated[
        str | None,
        typer.Option(help="The code location of the job, if several have it.", show_default=False),
    ] = None,
    repository: Annotated[
        str | None,
        typer.Option(help="The repository of the job, if several have it.", show_default=False),
    ] = None,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Ask for a run of each of many partitions of a job, and print the id of the backfill."""
    has_range = first is not None or last is not None
    if bool(partition) + has_range + everything != 1:
        raise InputInvalidError(
            "choose partitions by --partition, by --from and --to, or by --all", ["partition"]
        )
    with connect(url, token) as client:
        made = client.create_backfill(
            job,
            keys=partition or None,
            first=first,
            last=last,
            missing_only=missing,
            runs_at_once=runs_at_once,
            run_config=read_run_config(config, config_json),
            tags=tag_pairs(tag or []),
            repository=repository,
            location=location,
        )
    typer.echo(made.backfill.backfill_id)
