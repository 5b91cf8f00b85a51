"""Migrating what an instance stores, with a bar of progress on a terminal."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from runwire.cli.failures import ExitCode
from runwire.cli.printable import printable
from runwire.instance.home import migrate_home
from runwire.storage import Migration

MAX_NAMED = 20
"""So many databases are named; of the others their number is told."""


def migrate(home: Path) -> None:
    """Migrates; says what was migrated. Fails when something could not be."""
    migration = _migrated_with_progress(home)
    named = migration.migrated[-MAX_NAMED:]  # the runs come last
    others = len(migration.migrated) - len(named)
    if others:
        typer.echo(f"{others} event logs were migrated, and")
    for each in named:
        typer.echo(printable(f"{each.place}: {each.found} -> {each.head}"))
    if not migration.migrated and not migration.problems:
        typer.echo("there is nothing to migrate")
    for problem in migration.problems:
        typer.echo(printable(f"error: {problem}"), err=True)
    if migration.problems:
        raise typer.Exit(ExitCode.FAILED)


def _migrated_with_progress(home: Path) -> Migration:
    console = Console(stderr=True)
    columns = (
        TextColumn("migrating"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("migrating", total=None)
        return migrate_home(home, lambda done, total: bar.update(task, completed=done, total=total))
