"""What sensors watch of the instance-wide log: where they stand in it, and the next entry that concerns them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runwire.errors import CursorExpiredError, CursorInvalidError
from runwire.events.cursor import Cursor, CursorScope
from runwire.events.entry import EventLogRecord
from runwire.events.filters import EventRecordsFilter
from runwire.runs.filters import RunsFilter
from runwire.runs.run import Run, RunRecord
from runwire.runs.tags import SENSOR_NAME_TAG
from runwire.snapshots import RepositorySnapshot, SensorKind, SensorSnapshot
from runwire.storage.event_log_storage import EventLogStorage
from runwire.storage.instance_log import InstanceLogRecord
from runwire.storage.instance_storage import InstanceStorage
from runwire.ticks.source import TickSourceOrigin

PAGE = 100
"""How many entries are looked at together."""


@dataclass(frozen=True, slots=True)
class WatchedEvent:
    """An entry that concerns a sensor, and the cursor after it; `run` is None when it is deleted."""

    event: EventLogRecord
    run: Run | None
    cursor: str


@dataclass(frozen=True, slots=True)
class Looked:
    """The next entry that concerns a sensor, None where there is none up to the end of the log.

    Attributes:
        found: the entry.
        cursor: the cursor after it, or at the end.
        position: the position of that.
        passed: how many positions were passed to get there.
    """

    found: WatchedEvent | None
    cursor: str
    position: int
    passed: int


def end_of_log(logs: EventLogStorage) -> str:
    """The cursor of a sensor that is told of what happens from now on."""
    return _cursor(logs, logs.get_instance_log_span().head)


def check_sensor_cursor(logs: EventLogStorage, cursor: str) -> None:
    """Checks the cursor of a sensor that watches the instance-wide log.

    Raises:
        CursorInvalidError: it is malformed, or of another log.
    """
    head = logs.get_instance_log_span().head
    Cursor.position_in(cursor, CursorScope.INSTANCE, logs.get_instance_log_id(), head)


def next_watched(
    storage: InstanceStorage,
    origin: TickSourceOrigin,
    repository: RepositorySnapshot,
    sensor: SensorSnapshot,
    cursor: str,
) -> Looked:
    """The next entry after a cursor that concerns a sensor. Entries that were purged are passed over.

    Args:
        storage: where the log is.
        origin: where the sensor is defined.
        repository: its repository as loaded.
        sensor: what it watches.
        cursor: after which entry.
    """
    logs = storage.event_log_storage
    position, wanted = _position(logs, cursor), _filter(repository, sensor)
    begin = position
    while True:
        head = logs.get_instance_log_span().head
        try:
            page = logs.get_event_records(wanted, after=position, limit=PAGE)
        except CursorExpiredError:
            position = logs.get_instance_log_span().purged_position
            continue
        runs = _runs(storage, page.records)
        for entry in page.records:
            position = entry.position
            record = runs.get(entry.run_id)
            if entry.event is not None and _concerns(origin, sensor, entry.event, record):
                after = _cursor(logs, position)
                run = None if record is None else record.run
                found = WatchedEvent(entry.event, run, after)
                return Looked(found, after, position, position - begin)
        if not page.has_more:
            position = max(position, head)
            return Looked(None, _cursor(logs, position), position, position - begin)


def _filter(repository: RepositorySnapshot, sensor: SensorSnapshot) -> EventRecordsFilter:
    jobs = None
    if sensor.kind is SensorKind.RUN_STATUS and not sensor.monitors_all:
        monitored = sensor.monitored_jobs
        jobs = frozenset(each.name for each in repository.jobs) if monitored is None else monitored
    return EventRecordsFilter(
        event_types=frozenset(sensor.event_types),
        job_names=None if jobs is None else frozenset(jobs),
        asset_keys=None if sensor.asset_key is None else frozenset({sensor.asset_key}),
    )


def _runs(
    storage: InstanceStorage, entries: Sequence[InstanceLogRecord]
) -> Mapping[str, RunRecord]:
    if not entries:
        return {}
    wanted = RunsFilter(run_ids=frozenset(entry.run_id for entry in entries))
    page = storage.run_storage.get_run_records(wanted, limit=PAGE)
    return {record.run_id: record for record in page.records}


def _concerns(
    origin: TickSourceOrigin,
    sensor: SensorSnapshot,
    event: EventLogRecord,
    record: RunRecord | None,
) -> bool:
    """Whether a sensor is told: not of what its own runs do, which would have no end."""
    if record is None:
        return sensor.kind is SensorKind.ASSET
    run = record.run
    is_near = (run.location_name, run.repository_name) == (
        origin.location_name,
        origin.repository_name,
    )
    if is_near and run.tags.get(SENSOR_NAME_TAG) == origin.name:
        return False
    if sensor.kind is SensorKind.ASSET:
        return True
    return event.applied and (is_near or sensor.monitors_all)


def _position(logs: EventLogStorage, cursor: str) -> int:
    """The position of a cursor; that of the first entry that is left, where the log was wiped or purged."""
    span = logs.get_instance_log_span()
    try:
        position = Cursor.position_in(
            cursor, CursorScope.INSTANCE, logs.get_instance_log_id(), span.head
        )
    except CursorInvalidError:
        return span.purged_position
    return max(position, span.purged_position)


def _cursor(logs: EventLogStorage, position: int) -> str:
    return str(Cursor(CursorScope.INSTANCE, logs.get_instance_log_id(), position))
