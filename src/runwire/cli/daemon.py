"""``runwire daemon``."""

from __future__ import annotations

from pathlib import Path

import typer

from runwire.cli.failures import EXIT_CODES_HELP
from runwire.cli.options import Files, Home, Modules, WorkspaceFile
from runwire.errors import InputInvalidError

daemon_app = typer.Typer(
    help="Run the daemons of an instance.", epilog=EXIT_CODES_HELP, invoke_without_command=True
)


@daemon_app.callback()
def run(
    context: typer.Context,
    file: Files = None,
    module: Modules = None,
    workspace: WorkspaceFile = None,
    home: Home = None,
) -> None:
    """Run the daemons of an instance until SIGINT or SIGTERM.

    Several processes may do so: one works, the others stand by and take over. Name the same code locations
    as the server's, by which lost runs are resumed.
    """
    if context.invoked_subcommand is not None:
        return
    from runwire.cli import daemon_running, serving  # noqa: PLC0415 -- other commands start faster without

    targets = serving.workspace_targets(file, module, workspace)
    daemon_running.run_daemons(_named(home), targets)


@daemon_app.command("liveness-check", epilog=EXIT_CODES_HELP)
def liveness_check(home: Home = None) -> None:
    """Tell by the exit code whether every required daemon does its work; errors alone do not fail it."""
    from runwire.cli import daemon_running  # noqa: PLC0415 -- other commands start faster without

    problems = daemon_running.check_liveness(_named(home))
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(1)
    typer.echo("every required daemon is live")


def _named(home: Path | None) -> Path:
    if home is None:
        raise InputInvalidError("name the instance's home: --home or RUNWIRE_HOME", ["home"])
    return home
