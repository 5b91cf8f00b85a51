"""What is asked of lists of runs, where plans of statements are looked at."""

from __future__ import annotations

from runwire.runs.filters import RunPlace, RunsFilter, TagFilter, TimeRange
from runwire.runs.status import RunStatus

TEAM = TagFilter("team", frozenset({"sales"}))
TEAMS = TagFilter("team", frozenset({"sales", "ops"}))
FAILED = frozenset({RunStatus.FAILURE})
OPEN = frozenset({RunStatus.STARTING, RunStatus.STARTED})
MAY = TimeRange(after=100.0, before=900.0)

FILTERS = [
    None,
    RunsFilter(created_at=MAY),
    RunsFilter(statuses=FAILED),
    RunsFilter(statuses=OPEN, created_at=MAY),
    RunsFilter(job_names=frozenset({"daily", "weekly"})),
    RunsFilter(tags=(TEAM,)),
    RunsFilter(tags=(TEAMS, TagFilter("tier"))),
    RunsFilter(statuses=FAILED, tags=(TEAM,), created_at=MAY),
    RunsFilter(statuses=OPEN, tags=(TEAMS,), job_names=frozenset({"daily"})),
]
PLACES = [None, RunPlace(500.0, 5)]
