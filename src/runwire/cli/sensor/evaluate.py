"""``runwire sensor evaluate``."""

from __future__ import annotations

from typing import Annotated

import typer

from runwire.cli.options import AsJson, Token, Url, connect
from runwire.cli.printable import printable
from runwire.cli.schedule.evaluate import tell
from runwire.cli.schedule.options import Location, Repository
from runwire.cli.sensor.options import Name
from runwire.client import DEFAULT_URL


def evaluate(
    name: Name,
    cursor: Annotated[
        str | None,
        typer.Option(help="With this cursor; its stored one when left out.", show_default=False),
    ] = None,
    repository: Repository = None,
    location: Location = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Try what a sensor asks for, without making a tick or a run; fails when its function does."""
    with connect(url, token) as client:
        tried = client.evaluate_sensor(
            name, repository=repository, location=location, cursor=cursor
        )
    tell(tried, as_json=as_json)
    if not as_json and tried.cursor is not None:
        typer.echo(f"cursor {printable(tried.cursor)}")
