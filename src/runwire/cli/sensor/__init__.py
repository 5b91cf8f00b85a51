"""``runwire sensor …``."""

from __future__ import annotations

import typer

from runwire.cli.sensor.evaluate import evaluate
from runwire.cli.sensor.list import list_sensors
from runwire.cli.sensor.operate import cursor, start, stop
from runwire.cli.sensor.show import show, ticks

sensor_app = typer.Typer(help="Look at sensors, start and stop them.", no_args_is_help=True)
sensor_app.command(name="list")(list_sensors)
sensor_app.command()(show)
sensor_app.command()(start)
sensor_app.command()(stop)
sensor_app.command()(cursor)
sensor_app.command()(ticks)
sensor_app.command()(evaluate)
