"""``runwire backfill …``."""

from __future__ import annotations

import typer

from runwire.cli.backfill.launch import launch
from runwire.cli.backfill.operate import cancel, resume
from runwire.cli.backfill.show import list_backfills, show

backfill_app = typer.Typer(
    help="Run many partitions of a job, and see how far they are.", no_args_is_help=True
)
backfill_app.command()(launch)
backfill_app.command(name="list")(list_backfills)
backfill_app.command()(show)
backfill_app.command()(cancel)
backfill_app.command()(resume)
