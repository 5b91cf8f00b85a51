"""``runwire sensor start``, ``stop`` and ``cursor``."""

from __future__ import annotations

from typing import Annotated

import typer

from runwire.cli.options import Token, Url, connect
from runwire.cli.printable import printable
from runwire.cli.schedule.options import Location, Repository
from runwire.cli.sensor.options import Name
from runwire.client import DEFAULT_URL
from runwire.errors import InputInvalidError


def start(
    name: Name,
    repository: Repository = None,
    location: Location = None,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Start a sensor from its stored cursor; nothing changes when it runs already."""
    with connect(url, token) as client:
        started = client.start_sensor(name, repository=repository, location=location)
    typer.echo(f"sensor {printable(started.name)} runs")


def stop(
    name: Name,
    repository: Repository = None,
    location: Location = None,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Stop a sensor and keep its cursor; runs that it has requested go on."""
    with connect(url, token) as client:
        stopped = client.stop_sensor(name, repository=repository, location=location)
    typer.echo(f"sensor {printable(stopped.name)} is stopped")


def cursor(
    name: Name,
    to: Annotated[
        str | None, typer.Option("--set", metavar="CURSOR", help="Set it.", show_default=False)
    ] = None,
    delete: Annotated[
        bool, typer.Option("--delete", help="Have the sensor begin anew.", show_default=False)
    ] = False,
    repository: Repository = None,
    location: Location = None,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Print the cursor of a sensor, or set it; an evaluation that is under way is made anew with it."""
    if to is not None and delete:
        raise InputInvalidError("give one of --set and --delete", ["cursor"])
    with connect(url, token) as client:
        if to is not None or delete:
            found = client.set_sensor_cursor(name, to, repository=repository, location=location)
        else:
            shown = client.get_sensor(name, repository=repository, location=location, ticks=1)
            if shown is None:
                raise InputInvalidError(f"there is no sensor {name!r}", ["sensor"])
            found = shown
    typer.echo("" if found.cursor is None else printable(found.cursor))
