"""``runwire daemon``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from runwire.cli.failures import EXIT_CODES_HELP
from runwire.cli.options import Files, Home, Modules, WorkspaceFile
from runwire.errors import InputInvalidError


class RunUnlessTold(TyperGroup):
    """Takes `runwire daemon` with the options of `runwire daemon run` for that."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] != "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


daemon_app = typer.Typer(
    cls=RunUnlessTold,
    help="Run the daemons of an instance. Without a command: run.",
    epilog=EXIT_CODES_HELP,
)


@daemon_app.command(epilog=EXIT_CODES_HELP)
def run(
    file: Files = None,
    module: Modules = None,
    workspace: WorkspaceFile = None,
    home: Home = None,
) -> None:
    """Run the daemons of an instance until SIGINT or SIGTERM.

    Several processes may do so: one works, the others stand by and take over. Name the same code locations
    as the server's, by which lost runs are resumed.
    """
    from runwire.cli import code_locations, daemon_running  # noqa: PLC0415 -- other commands start faster without

    targets = code_locations.workspace_targets(file, module, workspace)
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
