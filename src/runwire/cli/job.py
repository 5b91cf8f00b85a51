"""``runwire job …``."""

from __future__ import annotations

from typing import Annotated

import typer

from runwire.cli.options import AsJson, Token, Url, connect
from runwire.cli.printable import printable
from runwire.cli.run.tables import print_columns, print_json
from runwire.cli.run.words import local_time
from runwire.client import DEFAULT_URL, Partition, PartitionPage, RunwireClient
from runwire.errors import InputInvalidError

_PAGE = 100

job_app = typer.Typer(help="Look at jobs.", no_args_is_help=True)


@job_app.callback()
def commands() -> None:
    """Look at jobs."""


@job_app.command()
def partitions(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The name of the job.")],
    limit: Annotated[
        int, typer.Option(min=1, help="How many partitions at most, the last ones.")
    ] = 25,
    location: Annotated[
        str | None,
        typer.Option(help="The code location of the job, if several have it.", show_default=False),
    ] = None,
    repository: Annotated[
        str | None,
        typer.Option(help="The repository of the job, if several have it.", show_default=False),
    ] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List the partitions of a job that exist now, the last one first, each with its last run."""
    found: list[Partition] = []
    before = None
    with connect(url, token) as client:
        while len(found) < limit:
            page = _page(client, job, repository, location, min(limit - len(found), _PAGE), before)
            found += reversed(page.partitions)
            before = page.start_cursor
            if not page.has_previous_page or before is None:
                break
    if as_json:
        print_json(found)
        return
    rows = [("PARTITION", "LAST RUN", "RUN ID", "CREATED"), *map(_row, found)]
    print_columns([tuple(map(printable, row)) for row in rows])


def _page(
    client: RunwireClient,
    job: str,
    repository: str | None,
    location: str | None,
    last: int,
    before: str | None,
) -> PartitionPage:
    page = client.list_partitions(
        job, repository=repository, location=location, last=last, before=before
    )
    if page is None:
        raise InputInvalidError(
            f"there is no job {job!r} with partitions in a loaded code location", ["job"]
        )
    return page


def _row(partition: Partition) -> tuple[str, ...]:
    run = partition.last_run
    if run is None:
        return partition.key, "", "", ""
    return partition.key, run.status.value, run.run_id, local_time(run.created_at)
