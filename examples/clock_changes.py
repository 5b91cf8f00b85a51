"""Who still changes their clocks, who has stopped, and which change was the strangest?

Reads every change of civil time on earth from 2010 to 2025, studies the regions side by side and
publishes a report. `clock_changes` ends well; `clock_changes_strict` refuses changes of more than
three hours and so fails over the night in 2011 in which Samoa skipped a day.
"""

from __future__ import annotations

import asyncio
import csv
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, Field

from runwire import (
    AssetMaterialization,
    Failure,
    MetadataValue,
    OpContext,
    Out,
    Output,
    ResourceContext,
    RunRequest,
    ScheduleEvaluationContext,
    SkipReason,
    job,
    op,
    resource,
    schedule,
)

DATA = Path(__file__).parent / "data"

REGIONS = (
    *("africa", "america", "antarctica", "asia", "atlantic"),
    *("australia", "europe", "indian", "pacific"),
)


@dataclass(frozen=True)
class ClockChange:
    """One change of the clocks of one zone, in minutes east of UTC."""

    at: datetime
    zone: str
    minutes_before: int
    minutes_after: int

    @property
    def jump_minutes(self) -> int:
        """How far the clocks were moved; negative for back."""
        return self.minutes_after - self.minutes_before

    @property
    def region(self) -> str:
        """The part of the world, as the zone's name tells it."""
        return self.zone.partition("/")[0].lower()


@dataclass(frozen=True)
class RegionStudy:
    """What one region does with its clocks."""

    region: str
    changes: int
    changing_zones: tuple[str, ...]
    stopped_zones: dict[str, int]
    strangest: ClockChange


# ------------------------------------------------------------------------------- the almanac


class AlmanacConfig(BaseModel):
    """Where the changes are, and how fast the pages turn."""

    file: str = Field("clock_changes.csv", description="The file in the folder examples/data.")
    pause_seconds: float = Field(
        0.08, ge=0, le=5, description="A rest after each page, so that there is time to watch."
    )


class Almanac:
    """The file, a page a year."""

    def __init__(self, rows: Iterator[dict[str, str]], pause_seconds: float) -> None:
        self._pause_seconds = pause_seconds
        self._pages: defaultdict[int, list[ClockChange]] = defaultdict(list)
        for row in rows:
            change = ClockChange(
                at=datetime.fromisoformat(row["at_utc"]),
                zone=row["zone"],
                minutes_before=int(row["minutes_before"]),
                minutes_after=int(row["minutes_after"]),
            )
            self._pages[change.at.year].append(change)
        self.pages_read = 0

    def pages(self, first_year: int, last_year: int) -> Iterator[tuple[int, list[ClockChange]]]:
        """The changes of each year, year by year."""
        for year in range(first_year, last_year + 1):
            time.sleep(self._pause_seconds)
            self.pages_read += 1
            yield year, self._pages.get(year, [])


@resource
def almanac(context: ResourceContext, config: AlmanacConfig) -> Iterator[Almanac]:
    """The record of all clock changes, opened for one run."""
    with (DATA / config.file).open(encoding="utf-8", newline="") as file:
        opened = Almanac(csv.DictReader(file), config.pause_seconds)
    context.log.info("opened %s", config.file)
    yield opened
    context.log.info("closed %s after %d pages", config.file, opened.pages_read)


# ----------------------------------------------------------------------------------- the ops


class ReadConfig(BaseModel):
    """Which years to read."""

    first_year: int = Field(2010, ge=2010, le=2025)
    last_year: int = Field(2025, ge=2010, le=2025)


@op(required_resource_keys=["almanac"], tags={"reads": "clock_changes.csv"})
def read_changes(context: OpContext, config: ReadConfig) -> list[ClockChange]:
    """Reads the almanac, a page a year."""
    found: list[ClockChange] = []
    for year, changes in context.resources.almanac.pages(config.first_year, config.last_year):
        found += changes
        context.log.info("%d: %d changes, %d so far", year, len(changes), len(found))
    if not found:
        raise Failure(
            "there are no changes in these years",
            {"first year": config.first_year, "last year": config.last_year},
        )
    context.add_output_metadata({"changes": len(found), "zones": len({c.zone for c in found})})
    return found


@op(out={region: Out(list[ClockChange], is_required=False) for region in REGIONS})
def split_by_region(
    context: OpContext, changes: list[ClockChange]
) -> Iterator[Output[list[ClockChange]]]:
    """Gives each region its changes. A region without any is left out, and its study is skipped."""
    by_region: defaultdict[str, list[ClockChange]] = defaultdict(list)
    for change in changes:
        by_region[change.region].append(change)
    for region in REGIONS:
        if region in by_region:
            yield Output(by_region[region], region, {"changes": len(by_region[region])})
        else:
            context.log.warning("nobody in region %s changed a clock", region)


class StudyConfig(BaseModel):
    """How to study a region."""

    refuse_jumps_over_minutes: int | None = Field(
        None, ge=0, description="Fail over a change of the clocks that is larger than this."
    )
    pause_seconds: float = Field(
        0.01, ge=0, le=5, description="A rest after each year, so that there is time to watch."
    )


@op
async def study(context: OpContext, config: StudyConfig, changes: list[ClockChange]) -> RegionStudy:
    """Finds the zones that still change their clocks, those that stopped, and the strangest change."""
    region = changes[0].region
    last_change: dict[str, int] = {}
    for year, in_year in sorted(_by_year(changes).items()):
        await asyncio.sleep(config.pause_seconds)
        last_change |= {change.zone: year for change in in_year}
        context.log.debug("%s in %d: %d zones", region, year, len({c.zone for c in in_year}))
    newest = max(last_change.values())
    strangest = max(changes, key=lambda change: abs(change.jump_minutes))
    _refuse_strange(strangest, config.refuse_jumps_over_minutes)
    found = RegionStudy(
        region=region,
        changes=len(changes),
        changing_zones=tuple(sorted(z for z, year in last_change.items() if year == newest)),
        stopped_zones={z: year for z, year in sorted(last_change.items()) if year < newest},
        strangest=strangest,
    )
    context.log.info(
        "%s: %d zones change their clocks, %d have stopped",
        region,
        len(found.changing_zones),
        len(found.stopped_zones),
    )
    context.log_event(
        AssetMaterialization(
            ["clock_changes", region],
            f"How region {region} changes its clocks.",
            {
                "changes": found.changes,
                "strangest change": _told(strangest),
                "zones that stopped, with their last year": found.stopped_zones,
            },
            tags={"region": region},
        )
    )
    return found


@op
def compare(studies: list[RegionStudy]) -> list[RegionStudy]:
    """Puts the regions in order, the one that changes its clocks most often first."""
    return sorted(studies, key=lambda found: found.changes, reverse=True)


@op(out=Out(str, description="The report, in Markdown."))
def publish(
    context: OpContext, studies: list[RegionStudy]
) -> Iterator[AssetMaterialization | Output[str]]:
    """Writes the report."""
    stopped = Counter(year for found in studies for year in found.stopped_zones.values())
    strangest = max((s.strangest for s in studies), key=lambda c: abs(c.jump_minutes))
    lines = ["| region | changes | zones that change | zones that stopped |", "|---|--:|--:|--:|"]
    lines += [
        f"| {s.region} | {s.changes} | {len(s.changing_zones)} | {len(s.stopped_zones)} |"
        for s in studies
    ]
    report = "\n".join([*lines, "", f"Strangest: {_told(strangest)}"])
    context.log.info("strangest of all: %s", _told(strangest))
    yield AssetMaterialization(
        ["clock_changes", "report"],
        "Who still changes their clocks.",
        {
            "strangest change": _told(strangest),
            "zones that stopped": sum(stopped.values()),
            "zones that stopped, by their last year": {str(y): stopped[y] for y in sorted(stopped)},
            "report": MetadataValue.markdown(report),
        },
    )
    yield Output(report, metadata={"characters": len(report)})


# ---------------------------------------------------------------------------------- the jobs


def _wire() -> None:
    """The ops of both jobs: fan out by region, fan in again."""
    by_region = split_by_region(read_changes())
    studies = [
        study.alias(f"study_{region}").tag({"region": region})(getattr(by_region, region))
        for region in REGIONS
    ]
    publish(compare(studies))


@job(resource_defs={"almanac": almanac}, tags={"topic": "time"})
def clock_changes() -> None:
    """Who still changes their clocks, who has stopped, and which change was the strangest."""
    _wire()


@job(
    resource_defs={"almanac": almanac},
    tags={"topic": "time"},
    config={
        "ops": {
            f"study_{region}": {"config": {"refuse_jumps_over_minutes": 180}} for region in REGIONS
        }
    },
)
def clock_changes_strict() -> None:
    """The same, but no change may exceed three hours. Samoa and Tokelau skipped a day: this fails."""
    _wire()


# ------------------------------------------------------------------------------ the schedule


@schedule("30 2 * * *", job=clock_changes, execution_timezone="Europe/Berlin")
def a_year_each_night(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
    """One year of the almanac each night, at a time that two nights a year have twice or not at all."""
    night = context.scheduled_execution_time
    if night.weekday() == _SUNDAY:
        return SkipReason("the almanac rests on Sundays")
    year = _YEARS[night.toordinal() % len(_YEARS)]
    config = {"first_year": year, "last_year": year}
    return RunRequest(
        run_config={"ops": {"read_changes": {"config": config}}}, tags={"year": str(year)}
    )


_YEARS = range(2010, 2026)
_SUNDAY = 6


# ------------------------------------------------------------------------------------ words


def _by_year(changes: list[ClockChange]) -> dict[int, list[ClockChange]]:
    years: defaultdict[int, list[ClockChange]] = defaultdict(list)
    for change in changes:
        years[change.at.year].append(change)
    return years


def _told(change: ClockChange) -> str:
    sign = "+" if change.jump_minutes >= 0 else "-"
    hours, minutes = divmod(abs(change.jump_minutes), 60)
    return f"{change.zone} by {sign}{hours}:{minutes:02} h on {change.at:%Y-%m-%d}"


def _refuse_strange(strangest: ClockChange, limit: int | None) -> None:
    if limit is not None and abs(strangest.jump_minutes) > limit:
        raise Failure(
            f"the clocks moved too far: {_told(strangest)}",
            {"zone": strangest.zone, "minutes": strangest.jump_minutes, "limit": limit},
        )
