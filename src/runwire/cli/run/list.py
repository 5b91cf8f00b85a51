"""``runwire run list``."""

from __future__ import annotations

from typing import Annotated

import typer

from runwire.cli.options import AsJson, Token, Url, connect
from runwire.cli.run.tables import print_json, print_runs
from runwire.cli.run.tags import tag_pairs
from runwire.client import DEFAULT_URL, RunSummary, RunwireClient
from runwire.runs.status import RunStatus

_PAGE = 100


def list_runs(
    status: Annotated[
        list[RunStatus] | None, typer.Option(help="Only in this status; may be repeated.")
    ] = None,
    job: Annotated[
        list[str] | None, typer.Option(help="Only of this job; may be repeated.")
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Only with this tag; may be repeated."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many runs at most.")] = 25,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List runs, newest first."""
    tags = tag_pairs(tag or [])
    with connect(url, token) as client:
        runs = _collect(client, status, job, tags, limit)
    if as_json:
        print_json(runs)
    else:
        print_runs(runs)


def _collect(
    client: RunwireClient,
    statuses: list[RunStatus] | None,
    jobs: list[str] | None,
    tags: list[tuple[str, str]],
    limit: int,
) -> list[RunSummary]:
    runs: list[RunSummary] = []
    after = None
    while len(runs) < limit:
        page = client.list_runs(
            statuses=statuses or None,
            job_names=jobs or None,
            tags=tags or None,
            limit=min(limit - len(runs), _PAGE),
            after=after,
        )
        runs += page.runs
        after = page.end_cursor
        if not page.has_next_page:
            break
    return runs
