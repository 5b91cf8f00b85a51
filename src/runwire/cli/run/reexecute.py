"""``runwire run reexecute``."""

from __future__ import annotations

from typing import Annotated

import typer

from runwire.cli.options import RunId, Token, Url, connect
from runwire.cli.run.following import follow_to_the_end
from runwire.cli.run.run_config import read_run_config
from runwire.cli.run.run_id import resolve_run_id
from runwire.cli.run.tags import tag_pairs
from runwire.client import DEFAULT_URL
from runwire.errors import InputInvalidError


def reexecute(
    run: RunId,
    from_failure: Annotated[
        bool,
        typer.Option(
            "--from-failure",
            help="Only the steps that failed or did not end, and all that depend on them.",
        ),
    ] = False,
    step: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="Only this step; may be repeated.", show_default=False),
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SELECTION",
            help="Only these steps: 'load', '*load' with all above, 'load*' with all below, '+load' and 'load++' with"
            " one level or two; commas between several; may be repeated.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Another run config: a YAML or JSON file, - for stdin.",
            show_default=False,
        ),
    ] = None,
    config_json: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Another run config as JSON.", show_default=False),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="A tag over those of the run; may be repeated.",
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
    """Run a run that has ended again, as a new run.

    All of its steps, or some; outputs of the others are reused.
    """
    if sum(map(bool, (from_failure, step, select))) > 1:
        raise InputInvalidError("give one of --from-failure, --step and --select", ["scope"])
    run_config, tags = read_run_config(config, config_json), tag_pairs(tag or [])
    with connect(url, token) as client:
        made = client.reexecute_run(
            resolve_run_id(client, run),
            from_failure=from_failure,
            step_keys=step or None,
            op_selection=select or None,
            run_config=run_config,
            tags=tags,
        )
        run_id = made.run.run_id
        if not follow:
            typer.echo(run_id)
            return
        typer.echo(f"run {run_id} is submitted", err=True)
        code = follow_to_the_end(client, run_id)
    raise typer.Exit(code)
