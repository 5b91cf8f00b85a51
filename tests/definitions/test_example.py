"""The example workspace: what it has, and what its ops make of the data that ships with it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from runwire import AssetMaterialization, Failure, Output
from runwire.definitions import JobDefinition, ScheduleEvaluationContext, load_file
from runwire.ticks import TickEvaluation

EXAMPLES = Path(__file__).parents[2] / "examples"

STUDIED = ("africa", "america", "antarctica", "asia", "atlantic", "australia", "europe", "pacific")


class Context:
    """Stands in for a context: keeps what user code tells."""

    def __init__(self, **resources: Any) -> None:
        self.resources = SimpleNamespace(**resources)
        self.lines: list[str] = []
        self.events: list[AssetMaterialization] = []
        self.metadata: dict[str, Any] = {}
        self.log = SimpleNamespace(debug=self._log, info=self._log, warning=self._log)

    def _log(self, msg: str, *args: Any) -> None:
        self.lines.append(msg % args)

    def log_event(self, event: AssetMaterialization) -> None:
        self.events.append(event)

    def add_output_metadata(self, metadata: Mapping[str, Any]) -> None:
        self.metadata |= metadata


@pytest.fixture
def jobs() -> Mapping[str, JobDefinition]:
    """The jobs of the example."""
    (repository,) = load_file(EXAMPLES / "clock_changes.py")
    assert repository.name == "__repository__"
    return repository.jobs


@pytest.fixture
def example(jobs: Mapping[str, JobDefinition]) -> ModuleType:
    """Its module."""
    assert sorted(jobs) == ["clock_changes", "clock_changes_strict"]
    return sys.modules["clock_changes"]


@pytest.fixture
def changes(example: ModuleType) -> Iterator[list[Any]]:
    """What reading the almanac gives; checks that it is closed after."""
    context = Context()
    setting_up = example.almanac.fn(context, example.AlmanacConfig(pause_seconds=0))
    reading = Context(almanac=next(setting_up))
    yield example.read_changes.fn(reading, example.ReadConfig())
    assert reading.metadata == {"changes": 4088, "zones": 184}
    assert len(reading.lines) == 16
    assert list(setting_up) == []
    assert context.lines == [
        "opened clock_changes.csv",
        "closed clock_changes.csv after 16 pages",
    ]


def _split(example: ModuleType, changes: list[Any]) -> dict[str, list[Any]]:
    outputs: list[Output[Any]] = list(example.split_by_region.fn(Context(), changes))
    return {output.output_name: output.value for output in outputs}


def _study(example: ModuleType, context: Context, changes: list[Any], **config: Any) -> Any:
    told = example.StudyConfig(pause_seconds=0, **config)
    return asyncio.run(example.study.fn(context, told, changes))


def test_both_jobs_fan_out_by_region_and_in_again(jobs: Mapping[str, JobDefinition]) -> None:
    for job in jobs.values():
        levels: dict[int, list[str]] = {}
        for step in job.plan().steps:
            levels.setdefault(step.level, []).append(step.step_key)
        assert levels == {
            0: ["read_changes"],
            1: ["split_by_region"],
            2: sorted([*(f"study_{region}" for region in STUDIED), "study_indian"]),
            3: ["compare"],
            4: ["publish"],
        }
        resolved = job.resolve_run_config({})
        assert job.resolve_run_config(job.default_run_config()) == resolved


def test_the_data_becomes_a_report(example: ModuleType, changes: list[Any]) -> None:
    by_region = _split(example, changes)
    assert tuple(by_region) == STUDIED  # the Indian Ocean is left out
    context = Context()
    studies = [_study(example, context, by_region[region]) for region in STUDIED]
    assert [event.asset_key for event in context.events] == [
        ("clock_changes", region) for region in STUDIED
    ]
    compared = example.compare.fn(studies)
    assert [(s.region, s.changes, len(s.stopped_zones)) for s in compared[:3]] == [
        ("america", 2031, 22),
        ("europe", 925, 11),
        ("asia", 369, 29),
    ]
    asset, output = example.publish.fn(Context(), compared)
    assert asset.asset_key == ("clock_changes", "report")
    assert [type(entry.value).__name__ for entry in asset.metadata] == [
        "TextMetadata",
        "NumberMetadata",
        "JsonMetadata",
        "TextMetadata",
    ]
    assert output.value.endswith("Strangest: Pacific/Apia by +24:00 h on 2011-12-30")


def test_the_strict_job_fails_over_the_day_that_samoa_skipped(
    jobs: Mapping[str, JobDefinition], example: ModuleType, changes: list[Any]
) -> None:
    resolved = jobs["clock_changes_strict"].resolve_run_config({})
    config = resolved.ops["study_pacific"].config
    assert config is not None
    limit = {"refuse_jumps_over_minutes": config.model_dump()["refuse_jumps_over_minutes"]}
    assert limit == {"refuse_jumps_over_minutes": 180}
    by_region = _split(example, changes)
    with pytest.raises(Failure, match=r"^the clocks moved too far: Pacific/Apia by \+24:00 h on"):
        _study(example, Context(), by_region["pacific"], **limit)
    for region in set(STUDIED) - {"pacific"}:
        assert _study(example, Context(), by_region[region], **limit).region == region


def test_the_schedule_studies_another_year_each_night_but_sunday(example: ModuleType) -> None:
    def asked(day: int) -> TickEvaluation:
        night = datetime(2026, 11, day, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
        found: TickEvaluation = example.a_year_each_night.evaluate(
            ScheduleEvaluationContext(night, "a_year_each_night")
        )
        return found

    assert asked(22).skip_reason == "the almanac rests on Sundays"
    years = []
    for day in (23, 24):
        (request,) = asked(day).requests
        config = request.run_config["ops"]["read_changes"]["config"]
        assert config["first_year"] == config["last_year"] == int(request.tags["year"])
        years.append(config["first_year"])
    assert years[1] == 2010 + (years[0] - 2010 + 1) % 16


def test_years_without_changes_are_a_failure(example: ModuleType) -> None:
    empty = example.Almanac(iter(()), 0)
    with pytest.raises(Failure, match=r"^there are no changes in these years$"):
        example.read_changes.fn(Context(almanac=empty), example.ReadConfig())


def test_the_readme_tells_the_number_of_changes(changes: list[Any]) -> None:
    assert f"{len(changes):,} changes" in (EXAMPLES / "README.md").read_text()
