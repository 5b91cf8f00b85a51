"""What the client hands out of sensors."""

from __future__ import annotations

from datetime import datetime

from runwire.client.records import Record
from runwire.client.schedule_records import NamedJob, TickPage
from runwire.snapshots import SensorKind
from runwire.ticks.source import TickSourceStatus


class Sensor(Record, frozen=True):
    """A sensor. `kind` and `minimum_interval_seconds` are None while its definition is not loaded."""

    name: str
    repository_name: str
    location_name: str
    status: TickSourceStatus
    default_status: TickSourceStatus
    kind: SensorKind | None = None
    minimum_interval_seconds: int | None = None
    cursor: str | None = None
    next_tick_at: datetime | None = None
    jobs: tuple[NamedJob, ...] = ()
    description: str | None = None
    running_since: datetime | None = None


class SensorDetail(Sensor, frozen=True, kw_only=True):
    """A sensor with some of its ticks, None when they cannot be read."""

    ticks: TickPage | None


class SensorPage(Record, frozen=True):
    """Some sensors by name; give `end_cursor` as `after` for the next ones."""

    sensors: tuple[Sensor, ...]
    total_count: int
    end_cursor: str | None
    has_next_page: bool
