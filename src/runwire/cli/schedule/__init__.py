"""``runwire schedule …``."""

from __future__ import annotations

import typer

from runwire.cli.schedule.evaluate import evaluate
from runwire.cli.schedule.list import list_schedules
from runwire.cli.schedule.operate import start, stop
from runwire.cli.schedule.show import preview, show, ticks

schedule_app = typer.Typer(help="Look at schedules, start and stop them.", no_args_is_help=True)
schedule_app.command(name="list")(list_schedules)
schedule_app.command()(show)
schedule_app.command()(start)
schedule_app.command()(stop)
schedule_app.command()(preview)
schedule_app.command()(ticks)
schedule_app.command()(evaluate)
