"""``runwire sensor show`` and ``ticks``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from runwire.cli.options import AsJson, Token, Url, connect
from runwire.cli.printable import printable
from runwire.cli.run.tables import print_json
from runwire.cli.run.words import local_time
from runwire.cli.schedule.options import Location, Repository
from runwire.cli.schedule.show import collect_ticks, print_ticks
from runwire.cli.sensor.list import watches
from runwire.cli.sensor.options import Name
from runwire.client import DEFAULT_URL, RunwireClient, SensorDetail
from runwire.errors import InputInvalidError
from runwire.ticks.tick import TickStatus


def show(
    name: Name,
    repository: Repository = None,
    location: Location = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Show a sensor and its latest ticks."""
    with connect(url, token) as client:
        found = _get(client, name, repository, location, ticks=5)
    if as_json:
        print_json([found])
        return
    lines = {
        "sensor": found.name,
        "what for": found.description or "",
        "place": f"repository {found.repository_name} of code location {found.location_name}",
        "jobs": ", ".join(job.name for job in found.jobs),
        "watches": watches(found),
        "status": found.status.value
        + (f" since {local_time(found.running_since)}" if found.running_since else ""),
        "due next": "" if found.next_tick_at is None else local_time(found.next_tick_at),
        "cursor": found.cursor or "",
    }
    for label, text in lines.items():
        if text:
            typer.echo(f"{label:<9} {printable(text)}")
    if found.ticks is not None and found.ticks.ticks:
        print_ticks(found.ticks.ticks)


def ticks(
    name: Name,
    status: Annotated[
        list[TickStatus] | None, typer.Option(help="Only in this status; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many ticks at most.")] = 25,
    repository: Repository = None,
    location: Location = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List the ticks of a sensor, newest first."""
    with connect(url, token) as client:
        collected = collect_ticks(
            lambda count, after: (
                _get(
                    client,
                    name,
                    repository,
                    location,
                    ticks=count,
                    statuses=status or None,
                    after=after,
                ).ticks
            ),
            limit,
        )
    if as_json:
        print_json(collected)
    else:
        print_ticks(collected)


def _get(
    client: RunwireClient,
    name: str,
    repository: str | None,
    location: str | None,
    **wanted: Any,
) -> SensorDetail:
    found = client.get_sensor(name, repository=repository, location=location, **wanted)
    if found is None:
        raise InputInvalidError(
            f"there is no sensor {name!r}; `runwire sensor list` lists those that there are",
            ["sensor"],
        )
    return found
