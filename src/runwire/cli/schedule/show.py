"""``runwire schedule show``, ``preview`` and ``ticks``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from runwire.cli.options import AsJson, Token, Url, connect
from runwire.cli.printable import printable
from runwire.cli.run.tables import print_columns, print_json
from runwire.cli.run.words import local_time
from runwire.cli.schedule.errors import in_a_line
from runwire.cli.schedule.options import Location, Name, Repository, instant
from runwire.client import DEFAULT_URL, RunwireClient, ScheduleDetail, Tick, TickPage
from runwire.errors import InputInvalidError
from runwire.ticks.tick import TickStatus

_PAGE = 100


def show(
    name: Name,
    repository: Repository = None,
    location: Location = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Show a schedule, when it is due next, and its latest ticks."""
    with connect(url, token) as client:
        found = _get(client, name, repository, location, ticks=5)
    if as_json:
        print_json([found])
        return
    lines = {
        "schedule": found.name,
        "what for": found.description or "",
        "place": f"repository {found.repository_name} of code location {found.location_name}",
        "job": ", ".join(job.name for job in found.jobs),
        "cron": f"{found.cron_schedule} ({found.timezone})"
        if found.cron_schedule
        else "(not loaded)",
        "status": found.status.value
        + (f" since {local_time(found.running_since)}" if found.running_since else ""),
        "due next": ", ".join(map(local_time, found.due)),
    }
    for label, text in lines.items():
        if text:
            typer.echo(f"{label:<9} {printable(text)}")
    if found.ticks is not None and found.ticks.ticks:
        print_ticks(found.ticks.ticks)


def preview(
    name: Name,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, max=100, help="How many instants.")
    ] = 10,
    after: Annotated[
        str | None,
        typer.Option(
            metavar="INSTANT", help="After this instant, as ISO 8601 has it.", show_default=False
        ),
    ] = None,
    repository: Repository = None,
    location: Location = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List when a schedule is due next, whether it runs or not, in UTC and in the time zone of this machine."""
    begin = instant(after, "--after")
    with connect(url, token) as client:
        found = _get(
            client, name, repository, location, ticks=1, next_ticks=count, next_after=begin
        )
    if as_json:
        print_json({"dueAt": due.isoformat()} for due in found.due)
    else:
        rows = [("UTC", "HERE")]
        rows += [(f"{due:%Y-%m-%d %H:%M:%S}", local_time(due)) for due in found.due]
        print_columns(rows)


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
    """List the ticks of a schedule, newest first."""
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
) -> ScheduleDetail:
    found = client.get_schedule(name, repository=repository, location=location, **wanted)
    if found is None:
        raise InputInvalidError(
            f"there is no schedule {name!r}; `runwire schedule list` lists those that there are",
            ["schedule"],
        )
    return found


def collect_ticks(read: Callable[[int, str | None], TickPage | None], limit: int) -> list[Tick]:
    """Ticks, page by page: `read` gives the page of so many after a cursor, None when they cannot be read."""
    collected: list[Tick] = []
    after = None
    while len(collected) < limit:
        page = read(min(limit - len(collected), _PAGE), after)
        if page is None:
            break
        collected += page.ticks
        after = page.end_cursor
        if not page.has_next_page:
            break
    return collected


def print_ticks(listed: Sequence[Tick]) -> None:
    """Prints ticks as a table."""
    rows = [("DUE", "STATUS", "TRIES", "RUNS", "WHY"), *map(_tick_row, listed)]
    print_columns([tuple(map(printable, row)) for row in rows])


def _tick_row(tick: Tick) -> tuple[str, ...]:
    runs = " ".join(run.run_id for run in tick.runs.nodes)
    more = tick.runs.total_count - len(tick.runs.nodes)
    why = tick.skip_reason or ""
    if tick.error is not None:
        why = ": ".join(map(in_a_line, (tick.error, *tick.error.causes[:1])))
    return (
        local_time(tick.due_at),
        tick.status.value,
        str(tick.attempts),
        f"{runs} and {more} more" if more else runs,
        why,
    )
