"""``runwire schedule start`` and ``runwire schedule stop``."""

from __future__ import annotations

import typer

from runwire.cli.options import Token, Url, connect
from runwire.cli.printable import printable
from runwire.cli.run.words import local_time
from runwire.cli.schedule.options import Location, Name, Repository
from runwire.client import DEFAULT_URL


def start(
    name: Name,
    repository: Repository = None,
    location: Location = None,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Start a schedule; nothing changes when it runs already."""
    with connect(url, token) as client:
        started = client.start_schedule(name, repository=repository, location=location)
    due = f"; it is due next at {local_time(started.next_ticks[0])}" if started.next_ticks else ""
    typer.echo(f"schedule {printable(started.name)} runs{due}")


def stop(
    name: Name,
    repository: Repository = None,
    location: Location = None,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Stop a schedule; runs that it has requested go on."""
    with connect(url, token) as client:
        stopped = client.stop_schedule(name, repository=repository, location=location)
    typer.echo(f"schedule {printable(stopped.name)} is stopped")
