"""``runwire run submit``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from runwire.cli.options import Token, Url, connect
from runwire.cli.run.following import follow_to_the_end
from runwire.cli.run.run_config import read_run_config
from runwire.cli.run.tags import tag_pairs
from runwire.client import DEFAULT_URL, RequestRefusedError, RunwireClient

_MAY_BE_LOADING = {"JobNotFound", "CodeLocationUnavailable"}


def submit(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The name of the job.")],
    config: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="The run config: a YAML or JSON file, - for stdin.",
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
            metavar="KEY=VALUE", help="A tag of the run; may be repeated.", show_default=False
        ),
    ] = None,
    partition: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="The partition that the run is of; without a config, the job gives it one.",
            show_default=False,
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
    follow: Annotated[
        bool,
        typer.Option(
            "--follow/--no-follow", help="Show its events until it has ended, or print only its id."
        ),
    ] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Make a run of a job and submit it."""
    run_config = read_run_config(config, config_json)
    tags = tag_pairs(tag or [])
    with connect(url, token) as client:
        run_id = _submit(client, job, run_config, tags, repository, location, partition)
        if not follow:
            typer.echo(run_id)
            return
        typer.echo(f"run {run_id} of {job} is submitted", err=True)
        code = follow_to_the_end(client, run_id)
    raise typer.Exit(code)


def _submit(
    client: RunwireClient,
    job: str,
    run_config: Mapping[str, Any] | None,
    tags: Sequence[tuple[str, str]],
    repository: str | None,
    location: str | None,
    partition: str | None,
) -> str:
    """The id of the submitted run. A code location that is still being loaded is waited for."""

    def submit_once() -> str:
        submitted = client.submit_run(
            job, run_config, tags, repository, location, partition_key=partition
        )
        return submitted.run.run_id

    try:
        return submit_once()
    except RequestRefusedError as refused:
        if refused.type_name not in _MAY_BE_LOADING:
            raise
    client.wait_until_ready()
    return submit_once()
