"""``runwire backfill list`` and ``runwire backfill show``."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from runwire.cli.backfill.options import BackfillId
from runwire.cli.options import AsJson, Token, Url, connect
from runwire.cli.printable import printable
from runwire.cli.run.tables import print_columns, print_json
from runwire.cli.run.words import local_time
from runwire.client import DEFAULT_URL, Backfill, BackfillProgress
from runwire.errors import InputInvalidError
from runwire.storage import BackfillStatus

_PAGE = 100
_HEADINGS = ("BACKFILL ID", "JOB", "STATUS", "PARTITIONS", "PROGRESS", "CREATED")


def list_backfills(
    job: Annotated[
        str | None, typer.Option(help="Only those of this job.", show_default=False)
    ] = None,
    location: Annotated[
        str | None, typer.Option(help="Only those of this code location.", show_default=False)
    ] = None,
    status: Annotated[
        list[BackfillStatus] | None, typer.Option(help="Only in this status; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many backfills at most.")] = 25,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List backfills, newest first."""
    found: list[Backfill] = []
    after = None
    with connect(url, token) as client:
        while len(found) < limit:
            page = client.list_backfills(
                job=job,
                location=location,
                statuses=status or None,
                limit=min(limit - len(found), _PAGE),
                after=after,
            )
            found += page.backfills
            after = page.end_cursor
            if not page.has_next_page:
                break
    if as_json:
        print_json(found)
        return
    print_columns([tuple(map(printable, row)) for row in (_HEADINGS, *map(_row, found))])


def show(
    backfill_id: BackfillId,
    failures: Annotated[int, typer.Option(min=1, max=100, help="How many failures to show.")] = 25,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Show a backfill, how far its partitions are, and those of which no run could be made."""
    with connect(url, token) as client:
        found = client.get_backfill(backfill_id, failures=failures)
    if found is None:
        raise InputInvalidError(
            f"there is no backfill {backfill_id!r}; `runwire backfill list` lists those that there are",
            ["backfill_id"],
        )
    if as_json:
        print_json([found])
        return
    origin = found.origin
    lines = {
        "backfill": found.backfill_id,
        "job": f"{found.job_name} of repository {origin.repository_name}"
        f" of code location {origin.location_name}",
        "status": found.status.value,
        "waits for": found.waiting_for or "",
        "error": "" if found.error is None else found.error.message.partition("\n")[0],
        "chosen": f"{_span(found)}, {origin.scope.value}, {origin.runs_at_once} at once",
        "progress": _told(found.progress),
        "created": local_time(found.created_at),
        "ended": "" if found.ended_at is None else local_time(found.ended_at),
    }
    for label, text in lines.items():
        if text:
            typer.echo(f"{label:<9} {printable(text)}")
    if found.failures:
        rows = [("PARTITION", "FAILED", "WHY")]
        rows += [
            (each.partition_key, local_time(each.failed_at), each.error.message.partition("\n")[0])
            for each in found.failures
        ]
        print_columns([tuple(map(printable, row)) for row in rows])


def _row(backfill: Backfill) -> tuple[str, ...]:
    return (
        backfill.backfill_id,
        backfill.job_name,
        backfill.status.value + (" (waits)" if backfill.waiting_for else ""),
        _span(backfill),
        _told(backfill.progress),
        local_time(backfill.created_at),
    )


def _span(backfill: Backfill) -> str:
    origin = backfill.origin
    if backfill.partition_count == 1:
        return origin.first_partition_key
    return (
        f"{origin.first_partition_key} to {origin.last_partition_key} ({backfill.partition_count})"
    )


def _told(progress: BackfillProgress) -> str:
    """The counts that are not zero."""
    counts = msgspec.structs.asdict(progress)
    told = [f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count]
    return ", ".join(told)
