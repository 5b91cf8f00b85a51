"""``runwire queue …``."""

from __future__ import annotations

from typing import Annotated

import typer

from runwire.cli.failures import ExitCode
from runwire.cli.options import AsJson, Token, Url, connect
from runwire.cli.printable import printable
from runwire.cli.run.tables import print_columns, print_json
from runwire.cli.run.words import local_time
from runwire.client import DEFAULT_URL, LimitUse, QueuedRun, QueuePage, RunwireClient

_PAGE = 100

queue_app = typer.Typer(help="Look at the queue and its limits.", no_args_is_help=True)


@queue_app.callback()
def commands() -> None:
    """Look at the queue and its limits."""


@queue_app.command(name="list")
def list_queue(
    limit: Annotated[int, typer.Option(min=1, help="How many runs at most.")] = 25,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List the runs that wait, in the order in which they will be tried, and what each waits for."""
    with connect(url, token) as client:
        runs: list[QueuedRun] = []
        page = _page(client, min(limit, _PAGE))
        runs += page.runs
        while page.has_next_page and len(runs) < limit:
            page = _page(client, min(limit - len(runs), _PAGE), page.end_cursor)
            runs += page.runs
    if as_json:
        print_json(runs)
        return
    typer.echo(f"{page.queued_count} waiting, {page.in_progress_count} in progress")
    if runs:
        rows = [("#", "RUN ID", "JOB", "PRIORITY", "QUEUED", "WAITS FOR"), *map(_row, runs)]
        print_columns([tuple(map(printable, row)) for row in rows])


@queue_app.command()
def limits(as_json: AsJson = False, url: Url = DEFAULT_URL, token: Token = None) -> None:
    """List the limits that count now, their use, and how many runs each blocks."""
    with connect(url, token) as client:
        page = _page(client, 1)
    if as_json:
        print_json(page.limits)
    else:
        rows = [("LIMIT OF", "MAX", "USED", "BLOCKS"), *map(_limit_row, page.limits)]
        print_columns([tuple(map(printable, row)) for row in rows])


def _page(client: RunwireClient, limit: int, after: str | None = None) -> QueuePage:
    page = client.get_queue(limit=limit, after=after)
    if page is None:
        typer.echo(
            "the instance does not queue runs; set run_coordinator to"
            " runwire.coordinators.queued.QueuedRunCoordinator in its runwire.yaml",
            err=True,
        )
        raise typer.Exit(ExitCode.FAILED)
    return page


def _row(run: QueuedRun) -> tuple[str, ...]:
    state = run.queue
    if state is None:
        return "", run.run_id, run.job_name, "", "", f"(it is {run.status.value})"
    waits = "; ".join(block.message.rstrip(".") for block in state.blocked_by) or "(it is next)"
    queued = local_time(state.enqueued_at)
    return str(state.position), run.run_id, run.job_name, str(state.priority), queued, waits


def _limit_row(limit: LimitUse) -> tuple[str, ...]:
    tag = limit.key if limit.value is None else f"{limit.key}={limit.value}"
    name = "all runs" if tag is None else f"tag {tag}"
    return name, str(limit.max), str(limit.used), str(limit.waiting)
