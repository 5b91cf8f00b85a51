"""``runwire schedule list``."""

from __future__ import annotations

from typing import Annotated

import typer

from runwire.cli.options import AsJson, Token, Url, connect
from runwire.cli.printable import printable
from runwire.cli.run.tables import print_columns, print_json
from runwire.cli.run.words import local_time
from runwire.client import DEFAULT_URL, RunwireClient, Schedule
from runwire.ticks.source import TickSourceStatus

_PAGE = 100


def list_schedules(
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
    limit: Annotated[int, typer.Option(min=1, help="How many schedules at most.")] = 100,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List schedules by name, and when each is due next."""
    with connect(url, token) as client:
        found = _collect(client, name, location, job, status, limit)
    if as_json:
        print_json(found)
        return
    rows = [
        ("SCHEDULE", "LOCATION", "JOB", "CRON", "TIMEZONE", "STATUS", "NEXT"),
        *map(_row, found),
    ]
    print_columns([tuple(map(printable, row)) for row in rows])


def _collect(
    client: RunwireClient,
    name: str | None,
    location: str | None,
    job: str | None,
    status: TickSourceStatus | None,
    limit: int,
) -> list[Schedule]:
    found: list[Schedule] = []
    after = None
    while len(found) < limit:
        page = client.list_schedules(
            name=name,
            location=location,
            job=job,
            status=status,
            limit=min(limit - len(found), _PAGE),
            after=after,
        )
        found += page.schedules
        after = page.end_cursor
        if not page.has_next_page:
            break
    return found


def _row(schedule: Schedule) -> tuple[str, ...]:
    is_running = schedule.status is TickSourceStatus.RUNNING
    return (
        schedule.name,
        schedule.location_name,
        ", ".join(job.name for job in schedule.jobs),
        schedule.cron_schedule or "(not loaded)",
        schedule.timezone,
        schedule.status.value,
        local_time(schedule.next_ticks[0]) if is_running and schedule.next_ticks else "",
    )
