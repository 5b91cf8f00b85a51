"""``runwire sensor list``."""

from __future__ import annotations

from typing import Annotated

import typer

from runwire.cli.options import AsJson, Token, Url, connect
from runwire.cli.printable import printable
from runwire.cli.run.tables import print_columns, print_json
from runwire.cli.run.words import local_time
from runwire.client import DEFAULT_URL, Sensor
from runwire.snapshots import SensorKind
from runwire.ticks.source import TickSourceStatus

_PAGE = 100


def list_sensors(
    name: Annotated[
        str | None, typer.Option(help="Only those whose name holds this text.", show_default=False)
    ] = None,
    location: Annotated[
        str | None, typer.Option(help="Only those of this code location.", show_default=False)
    ] = None,
    job: Annotated[
        str | None, typer.Option(help="Only those of this job.", show_default=False)
    ] = None,
    status: Annotated[
        TickSourceStatus | None, typer.Option(help="Only those in this status.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many sensors at most.")] = 100,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List sensors by name, and when each is due next."""
    found: list[Sensor] = []
    after = None
    with connect(url, token) as client:
        while len(found) < limit:
            page = client.list_sensors(
                name=name,
                location=location,
                job=job,
                status=status,
                limit=min(limit - len(found), _PAGE),
                after=after,
            )
            found += page.sensors
            after = page.end_cursor
            if not page.has_next_page:
                break
    if as_json:
        print_json(found)
        return
    rows = [("SENSOR", "LOCATION", "JOBS", "WATCHES", "STATUS", "NEXT"), *map(_row, found)]
    print_columns([tuple(map(printable, row)) for row in rows])


def watches(sensor: Sensor) -> str:
    """What a sensor looks at, in words."""
    match sensor.kind:
        case SensorKind.STANDARD:
            return f"every {sensor.minimum_interval_seconds} s"
        case SensorKind.RUN_STATUS:
            return "runs"
        case SensorKind.ASSET:
            return "an asset"
        case None:
            return "(not loaded)"


def _row(sensor: Sensor) -> tuple[str, ...]:
    return (
        sensor.name,
        sensor.location_name,
        ", ".join(job.name for job in sensor.jobs),
        watches(sensor),
        sensor.status.value,
        "" if sensor.next_tick_at is None else local_time(sensor.next_tick_at),
    )
