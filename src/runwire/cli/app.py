"""The commands, joined."""

from __future__ import annotations

from typing import Annotated

import typer

from runwire import __version__
from runwire.cli import code_server, daemon, instance, schema, serve
from runwire.cli.backfill import backfill_app
from runwire.cli.failures import EXIT_CODES_HELP, Commands
from runwire.cli.job import job_app
from runwire.cli.pool import pool_app
from runwire.cli.queue import queue_app
from runwire.cli.run import run_app
from runwire.cli.schedule import schedule_app
from runwire.cli.sensor import sensor_app
from runwire.cli.token import token_app
from runwire.cli.webhook import webhook_app

app = typer.Typer(
    cls=Commands,
    help="Submit runs of Python jobs, and watch every event of them live.",
    epilog=EXIT_CODES_HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"runwire {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Options before the command."""


app.command()(serve.dev)
app.command()(serve.serve)
app.command()(code_server.code_server)
app.add_typer(daemon.daemon_app, name="daemon")
app.add_typer(run_app, name="run")
app.add_typer(job_app, name="job")
app.add_typer(backfill_app, name="backfill")
app.add_typer(pool_app, name="pool")
app.add_typer(queue_app, name="queue")
app.add_typer(schedule_app, name="schedule")
app.add_typer(sensor_app, name="sensor")
app.add_typer(instance.instance_app, name="instance")
app.add_typer(schema.schema_app, name="schema")
app.add_typer(token_app, name="token")
app.add_typer(webhook_app, name="webhook")
