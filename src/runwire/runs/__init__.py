"""Runs: what they are, their statuses and how events change them, tags, filters."""

from runwire.runs.filters import RunOrder, RunOrderField, RunPlace, RunsFilter, TagFilter, TimeRange
from runwire.runs.projection import project
from runwire.runs.run import Run, RunFailure, RunRecord, StepCounts, new_run_id
from runwire.runs.status import RunAction, RunStatus, status_after

__all__ = [
    "Run",
    "RunAction",
    "RunFailure",
    "RunOrder",
    "RunOrderField",
    "RunPlace",
    "RunRecord",
    "RunStatus",
    "RunsFilter",
    "StepCounts",
    "TagFilter",
    "TimeRange",
    "new_run_id",
    "project",
    "status_after",
]
