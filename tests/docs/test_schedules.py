"""The page on schedules: its code is code, and its numbers are those of the code."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import yaml

from runwire.definitions import ScheduleDefinition, ScheduleEvaluationContext
from runwire.schedulers.daemon import DaemonSchedulerConfig
from runwire.ticks import TickEvaluation
from runwire.ticks.cron import ALIASES

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "schedules.md").read_text()


def test_its_schedules_ask_for_runs() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, "schedules.md", "exec"), names)
    nightly = names["nightly"]
    assert isinstance(nightly, ScheduleDefinition)

    def asked(day: str) -> TickEvaluation:
        due = datetime.fromisoformat(f"{day}T02:30:00+01:00")
        return nightly.evaluate(ScheduleEvaluationContext(due, "nightly"))

    told = asked("2026-11-24")
    assert [request.tags for request in told.requests] == [{"team": "sales", "day": "2026-11-24"}]
    assert asked("2027-01-01").skip_reason == "nobody sells anything on New Year's Eve"


def test_its_defaults_are_those_of_the_scheduler() -> None:
    for page in (PAGE, (DOCS / "configuration.md").read_text()):
        (block,) = re.findall(r"^scheduler:.*?\n(?=\S)", page, re.MULTILINE | re.DOTALL)
        shown = yaml.safe_load(block.replace("```", ""))["scheduler"]
        assert shown["config"] == DaemonSchedulerConfig().model_dump()


def test_it_names_all_aliases() -> None:
    assert set(re.findall(r"`(@\w+)`", PAGE)) == set(ALIASES)
