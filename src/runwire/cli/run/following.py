"""Following a run on the command line until it has ended."""

from __future__ import annotations

import typer

from runwire.cli.failures import ExitCode
from runwire.cli.printable import printable
from runwire.cli.run.live_log import open_log
from runwire.cli.run.words import duration
from runwire.client import Outage, RunEventsBatch, RunSummary, RunwireClient
from runwire.errors import RunNotFoundError
from runwire.runs.status import RunStatus

_EXIT_CODES = {
    RunStatus.SUCCESS: ExitCode.DONE,
    RunStatus.FAILURE: ExitCode.FAILED,
    RunStatus.CANCELED: ExitCode.CANCELED,
}


def follow_to_the_end(
    client: RunwireClient, run_id: str, after: str | None = None, *, as_json: bool = False
) -> ExitCode:
    """Shows the events of a run after a cursor until it has ended; returns the exit code of its status."""
    # From a cursor on, nothing is known of steps that were through before it.
    planned = client.get_planned_steps(run_id) if after is None else []
    with open_log(planned, as_json=as_json) as log:

        def tell(outage: Outage) -> None:
            # The first attempts follow within moments; only an outage that lasts is worth a line each.
            if outage.attempt == 1:
                log.notice(f"connection lost ({outage.problem}); trying again")

        last: RunEventsBatch | None = None
        try:
            for batch in client.follow_run(run_id, after, on_outage=tell):
                log.show(batch)
                last = batch
        except KeyboardInterrupt:
            cursor = after if last is None else last.end_cursor
            place = f" --after {cursor}" if cursor else ""
            log.notice(f"the run goes on; follow it with: runwire run tail {run_id}{place}")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
    run = client.get_run(run_id) if last is None else last.run
    if run is None:
        raise RunNotFoundError(run_id)
    if not as_json:
        typer.echo(end_line(run))
    return _EXIT_CODES[run.status]


def end_line(run: RunSummary) -> str:
    """How a run ended, in a line."""
    begin = run.started_at or run.created_at
    took = "" if run.ended_at is None else f" after {duration(run.ended_at - begin)}"
    why = "" if run.failure is None else f": {run.failure.message}"
    return printable(f"run {run.run_id} ended in {run.status.value}{took}{why}")
