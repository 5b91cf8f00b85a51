"""Starting a sensor, stopping it, and setting its cursor."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from runwire.control.loaded_source import loaded_source
from runwire.control.sensor_events import check_sensor_cursor, end_of_log
from runwire.control.tick_sources import (
    SensorRecord,
    SensorSelector,
    TickSources,
)
from runwire.errors import (
    CursorConflictError,
    CursorInvalidError,
    InputInvalidError,
)
from runwire.events.entry import storable_text
from runwire.storage.instance_storage import InstanceStorage
from runwire.ticks.source import TickSourceState, TickSourceStatus
from runwire.workspace import Workspace

MAX_CURSOR_CHARS = 1_000_000
"""The most characters that the cursor of a sensor has."""


def start_sensor(
    storage: InstanceStorage, workspace: Workspace, selector: SensorSelector, *, at: float
) -> SensorRecord:
    """Starts a sensor that is loaded, from its stored cursor; nothing changes when it runs already.

    One that watches the instance-wide log and has no cursor is told of what happens from now on.

    Args:
        storage: where sensors are kept.
        workspace: where sensors are defined.
        selector: which sensor.
        at: when that is, in epoch seconds.

    Raises:
        SensorNotFoundError: there is no such sensor.
        SensorAmbiguousError: there is more than one.
        CodeLocationUnavailableError: the code location that has it, or may have it, is not loaded.
    """
    record, _ = loaded_source(TickSources(storage.schedule_storage, workspace), selector)
    begin = end_of_log(storage.event_log_storage)
    state = storage.schedule_storage.set_tick_source_status(
        record.origin, TickSourceStatus.RUNNING, at=at
    )
    return replace(record, state=with_first_cursor(storage, record, state, begin, at=at))


def with_first_cursor(
    storage: InstanceStorage,
    record: SensorRecord,
    state: TickSourceState,
    begin: str,
    *,
    at: float,
) -> TickSourceState:
    """Gives a sensor that watches the instance-wide log its first cursor; nothing changes where it has one."""
    if not record.watches_log or state.cursor is not None:
        return state
    schedules, version = storage.schedule_storage, state.cursor_version
    with suppress(CursorConflictError):  # somebody has set it
        return schedules.set_tick_source_cursor(state.source_id, begin, at=at, version=version)
    return schedules.get_tick_source(state.source_id)


def stop_sensor(
    storage: InstanceStorage, workspace: Workspace, selector: SensorSelector, *, at: float
) -> SensorRecord:
    """Stops a sensor, be it loaded or not, and keeps its cursor; nothing changes when it is stopped already.

    Args and errors as of `start_sensor`, but that it need not be loaded.
    """
    record = TickSources(storage.schedule_storage, workspace).find(selector)
    state = storage.schedule_storage.set_tick_source_status(
        record.origin, TickSourceStatus.STOPPED, at=at
    )
    return replace(record, state=state)


def set_sensor_cursor(
    storage: InstanceStorage,
    workspace: Workspace,
    selector: SensorSelector,
    cursor: str | None,
    *,
    at: float,
) -> SensorRecord:
    """Sets the cursor of a sensor; an evaluation that is under way is made anew, with the new one.

    None has it begin anew: with no cursor, or, where it watches the instance-wide log, with what happens from now on.

    Args and errors as of `stop_sensor`, and:

    Raises:
        InputInvalidError: the cursor is too long or not valid Unicode, or, where the sensor watches the instance-wide
            log, none of that.
    """
    record = TickSources(storage.schedule_storage, workspace).find(selector)
    if cursor is not None:
        _check(storage, record, cursor)
    schedules = storage.schedule_storage
    begin = end_of_log(storage.event_log_storage)
    state, _ = schedules.add_tick_source(
        record.origin, record.status, at=at, by_default=record.is_defined
    )
    state = schedules.set_tick_source_cursor(state.source_id, cursor, at=at)
    return replace(record, state=with_first_cursor(storage, record, state, begin, at=at))


def _check(storage: InstanceStorage, record: SensorRecord, cursor: str) -> None:
    if len(cursor) > MAX_CURSOR_CHARS or storable_text(cursor) != cursor:
        raise InputInvalidError(
            f"a cursor has at most {MAX_CURSOR_CHARS:,} characters of valid Unicode", ["cursor"]
        )
    if record.watches_log:
        try:
            check_sensor_cursor(storage.event_log_storage, cursor)
        except CursorInvalidError:
            raise InputInvalidError(
                "the sensor watches what happens, and this is no place in the log of that; give the endCursor of"
                " a page of eventRecords, or null for what happens from now on",
                ["cursor"],
            ) from None
