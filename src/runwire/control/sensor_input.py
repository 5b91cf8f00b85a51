"""What a sensor's function is called with."""

from __future__ import annotations

from dataclasses import dataclass

from runwire.control.sensor_events import check_sensor_cursor, end_of_log, next_watched
from runwire.control.tick_sources import SensorRecord
from runwire.errors import RunwireError, SensorNotFoundError
from runwire.snapshots import SensorKind
from runwire.storage.instance_storage import InstanceStorage
from runwire.storage.schedule_storage import ScheduleStorage
from runwire.ticks.evaluation import SensorInput
from runwire.ticks.tick import Tick, TickStatus


class NothingWatchedError(RunwireError):
    """The log has no entry after the cursor that concerns the sensor; `cursor` is the one at its end."""

    def __init__(self, cursor: str) -> None:
        self.cursor = cursor
        super().__init__("nothing has happened that it watches")


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenToSensor:
    """What a sensor is shown.

    Attributes:
        shown: what its function is called with.
        cursor_after: the cursor after the event, whatever its function does; None for a sensor whose function sets
            the cursor.
    """

    shown: SensorInput
    cursor_after: str | None = None


def sensor_input(
    storage: InstanceStorage,
    record: SensorRecord,
    *,
    cursor: str | None,
    tick: Tick | None = None,
    check: bool = False,
) -> GivenToSensor:
    """What the function of a sensor is called with.

    Args:
        storage: where its ticks and the instance-wide log are.
        record: the sensor, as loaded.
        cursor: where it stands.
        tick: the tick that is being evaluated, if any.
        check: whether a cursor is refused that is not one of the instance-wide log, where the sensor watches that.

    Raises:
        SensorNotFoundError: it is not loaded.
        NothingWatchedError: it watches the instance-wide log, and nothing has happened there.
        CursorInvalidError: the cursor is checked, and refused.
    """
    sensor, repository = record.snapshot, record.repository
    if sensor is None or repository is None:
        raise SensorNotFoundError(record.origin.name)
    if sensor.kind is SensorKind.STANDARD:
        return GivenToSensor(shown=_of_ticks(storage.schedule_storage, record, cursor, tick))
    logs = storage.event_log_storage
    if cursor is None:
        raise NothingWatchedError(end_of_log(logs))
    if check:
        check_sensor_cursor(logs, cursor)
    looked = next_watched(storage, record.origin, repository, sensor, cursor)
    if looked.found is None:
        raise NothingWatchedError(looked.cursor)
    found = looked.found
    shown = SensorInput(cursor=cursor, event=found.event, run=found.run)
    return GivenToSensor(shown=shown, cursor_after=found.cursor)


def _of_ticks(
    schedules: ScheduleStorage, record: SensorRecord, cursor: str | None, tick: Tick | None
) -> SensorInput:
    source_id = record.origin.source_id
    ticks = schedules.get_ticks(source_id, limit=2).ticks
    before = [each for each in ticks if tick is None or each.tick_id != tick.tick_id]
    asked = schedules.get_ticks(source_id, statuses={TickStatus.SUCCESS}, limit=1).ticks
    keys = asked[0].run_keys if asked else ()
    return SensorInput(
        cursor=cursor,
        last_run_key=keys[-1] if keys else None,
        last_tick_at=before[0].started_at if before else None,
    )
