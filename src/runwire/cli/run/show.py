"""``runwire run show``."""

from __future__ import annotations

import json

from runwire.cli.options import AsJson, RunId, Token, Url, connect
from runwire.cli.printable import printable
from runwire.cli.run.run_id import resolve_run_id
from runwire.cli.run.tables import print_columns, print_json
from runwire.cli.run.words import duration, local_time
from runwire.client import DEFAULT_URL, RunDetail, RunStats
from runwire.errors import RunNotFoundError


def show(
    run: RunId,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Show a run: its status, tags, run config and counts of steps."""
    with connect(url, token) as client:
        found = client.get_run(resolve_run_id(client, run))
    if found is None:
        raise RunNotFoundError(run)
    if as_json:
        print_json([found])
    else:
        print_columns([(name, printable(value)) for name, value in _rows(found) if value])


def _rows(run: RunDetail) -> list[tuple[str, str]]:
    place = [run.origin.location_name, run.origin.repository_name]
    begin, end = run.started_at, run.ended_at
    return [
        ("run", run.run_id),
        ("job", run.job_name),
        ("location", "/".join(part for part in place if part)),
        ("status", run.status.value),
        ("waits for", _waits_for(run)),
        ("failure", run.failure.message if run.failure else ""),
        ("created", local_time(run.created_at)),
        ("started", local_time(begin) if begin else ""),
        ("ended", local_time(end) if end else ""),
        ("took", duration(end - begin) if begin and end else ""),
        ("tags", " ".join(f"{tag.key}={tag.value}" for tag in run.tags)),
        ("steps", _steps(run.stats)),
        ("resumed", _times(run.stats.resume_attempts)),
        ("run config", json.dumps(run.run_config, ensure_ascii=False)),
        ("actions", " ".join(run.actions)),
    ]


def _steps(stats: RunStats) -> str:
    return (
        f"{stats.steps_planned} planned, {stats.steps_in_progress} in progress,"
        f" {stats.steps_succeeded} succeeded, {stats.steps_failed} failed,"
        f" {stats.steps_skipped} skipped"
    )


def _waits_for(run: RunDetail) -> str:
    state = run.queue
    if state is None:
        return ""
    blocks = "; ".join(block.message.rstrip(".") for block in state.blocked_by)
    return f"place {state.position} in the queue" + (f": {blocks}" if blocks else ", it is next")


def _times(count: int) -> str:
    return "" if count == 0 else "once" if count == 1 else f"{count} times"
