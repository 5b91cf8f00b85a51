"""Counts and instants of a run."""

from __future__ import annotations

from collections.abc import Awaitable

from strawberry import ID

from runwire.api.context import ApiContext
from runwire.api.loaders import RunCounts, StatsRow
from runwire.api.nodes import Node, global_id
from runwire.api.rows import field, view
from runwire.api.scalars import DateTime
from runwire.runs.run import RunRecord


def stats_of(record: RunRecord, context: ApiContext) -> StatsRow | Awaitable[StatsRow]:
    """The statistics of a run: at hand for one that has ended, loaded for one that has not."""
    if record.is_finished:
        return StatsRow(record, record.counts)
    return context.loader(RunCounts).load(record)


@view(StatsRow, "Counts and instants of a run.")
class RunStats(Node):
    """Counts and instants of a run."""

    id: ID = field(
        "The global id of the statistics.", lambda row: global_id("RunStats", row.run.run_id)
    )
    steps_planned: int = field(
        "The number of steps in its plan so far; dynamic outputs add to it.",
        lambda row: row.counts.planned,
    )
    steps_in_progress: int = field(
        "The number of steps in progress.", lambda row: row.counts.in_progress
    )
    steps_succeeded: int = field(
        "The number of steps that succeeded.", lambda row: row.counts.succeeded
    )
    steps_failed: int = field("The number of steps that failed.", lambda row: row.counts.failed)
    steps_skipped: int = field(
        "The number of steps that were skipped.", lambda row: row.counts.skipped
    )
    materializations: int = field(
        "The number of asset materializations.", lambda row: row.counts.materializations
    )
    expectations: int = field(
        "The number of expectation results.", lambda row: row.counts.expectations
    )
    enqueued_at: DateTime | None = field(
        "When it was last queued; null when it never was.", lambda row: row.run.enqueued_at
    )
    launched_at: DateTime | None = field(
        "When it was last handed to the run launcher; null when it never was.",
        lambda row: row.run.launched_at,
    )
    resume_attempts: int = field(
        "How often its worker was replaced.", lambda row: row.run.resume_attempts
    )
