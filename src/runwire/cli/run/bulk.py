"""Commands on many runs: which runs, in how many calls, and what became of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from runwire import clock
from runwire.cli.failures import ExitCode
from runwire.cli.printable import printable
from runwire.cli.run.tags import tag_pairs
from runwire.client import BulkFailure, DeletedRuns, TerminatedRuns
from runwire.config import MAX_DAYS
from runwire.errors import InputInvalidError
from runwire.runs.status import RunStatus

BATCH = 100
"""How many runs a call deals with: a call must end before the client loses patience."""

MAX_BATCH = 10_000

Statuses = Annotated[
    list[RunStatus] | None,
    typer.Option("--status", help="Instead of RUN_ID: all in this status; may be repeated."),
]
Jobs = Annotated[
    list[str] | None,
    typer.Option("--job", help="Instead of RUN_ID: all of this job; may be repeated."),
]
RunTags = Annotated[
    list[str] | None,
    typer.Option(
        "--tag",
        metavar="KEY=VALUE",
        help="Instead of RUN_ID: all with this tag; may be repeated.",
    ),
]
OlderThan = Annotated[
    float | None,
    typer.Option(
        "--older-than-days",
        metavar="DAYS",
        min=0,
        max=MAX_DAYS,
        help="Instead of RUN_ID: all that were made more than so many days ago.",
        show_default=False,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print which runs it would be.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
SomeRunId = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN_ID]",
        help="The id of the run, or the beginning of it; or say which runs by the options.",
        show_default=False,
    ),
]


def runs_wanted(
    run: str | None,
    status: list[RunStatus] | None,
    job: list[str] | None,
    tag: list[str] | None,
    older_than_days: float | None,
) -> dict[str, Any] | None:
    """Which runs, as arguments of the client; None for the one that is named.

    Raises:
        InputInvalidError: one is named and options say which as well, or neither is.
    """
    wanted: dict[str, Any] = {
        "statuses": status or None,
        "job_names": job or None,
        "tags": tag_pairs(tag) if tag else None,
        "created_before": _days_ago(older_than_days),
    }
    filtered = any(value is not None for value in wanted.values())
    if filtered == (run is not None):
        raise InputInvalidError(
            "name one run by its id, or say which runs by --status, --job, --tag and --older-than-days",
            ["run_id"],
        )
    return wanted if filtered else None


def in_batches(
    act: Callable[[], DeletedRuns | TerminatedRuns], done_in: Callable[[Any], Sequence[object]]
) -> tuple[int, dict[str, BulkFailure]]:
    """Calls again and again until no run is left, or nothing but failures; returns how many are done."""
    done, failures = 0, {}
    while True:
        answer = act()
        done += len(done_in(answer))
        failures.update({failure.run_id: failure for failure in answer.failures})
        if not answer.remaining_count or not done_in(answer):
            return done, failures


def tell(word: str, done: int, failures: dict[str, BulkFailure]) -> None:
    """Prints what became of the runs; ends with exit code 1 if there are failures."""
    typer.echo(f"{count_of(done)} {word}")
    for failure in failures.values():
        typer.echo(f"error: {printable(failure.error.message)}", err=True)
    if failures:
        raise typer.Exit(ExitCode.FAILED)


def confirm(question: str, otherwise: str) -> None:
    """Asks whoever is there; ends the command when the answer is no.

    Raises:
        InputInvalidError: nobody is there.
    """
    if not somebody_is_there():
        raise InputInvalidError("nobody is there to confirm; say --yes to go on", ["yes"])
    if not typer.confirm(question):
        typer.echo(otherwise, err=True)
        raise typer.Exit(ExitCode.FAILED)


def somebody_is_there() -> bool:
    """Whether a person can answer."""
    return sys.stdin.isatty()


def count_of(number: int) -> str:
    """A number of runs in words."""
    return "1 run" if number == 1 else f"{number:,} runs"


def _days_ago(days: float | None) -> datetime | None:
    return None if days is None else clock.now() - timedelta(days=days)
