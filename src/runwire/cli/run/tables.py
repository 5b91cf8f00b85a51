"""Runs as tables and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import msgspec
import typer

from runwire.cli.printable import printable
from runwire.cli.run.words import local_time
from runwire.client import RunSummary


def print_json(items: Iterable[object]) -> None:
    """Prints one JSON object a line, under the names of the schema."""
    for item in items:
        typer.echo(json.dumps(msgspec.to_builtins(item)))


def print_runs(runs: Sequence[RunSummary]) -> None:
    """Prints a line a run, below a line of headings."""
    rows = [("RUN ID", "JOB", "STATUS", "CREATED", "TAGS")]
    rows += [
        (
            printable(run.run_id),
            printable(run.job_name),
            run.status.value,
            local_time(run.created_at),
            printable(" ".join(f"{tag.key}={tag.value}" for tag in run.tags)),
        )
        for run in runs
    ]
    print_columns(rows)


def print_columns(rows: Sequence[Sequence[str]]) -> None:
    """Prints rows with their columns below one another, two spaces apart."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())
