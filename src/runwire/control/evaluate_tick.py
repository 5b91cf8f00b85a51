"""Evaluating a schedule or sensor without effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from runwire.control.loaded_source import loaded_source
from runwire.control.run_keys import request_key_of
from runwire.control.sensor_input import NothingWatchedError, sensor_input
from runwire.control.tick_sources import SensorRecord, TickSources, TickSourceSelector
from runwire.error_info import ErrorInfo
from runwire.errors import TickEvaluationError
from runwire.runs.run import RunRecord
from runwire.storage.instance_storage import InstanceStorage
from runwire.ticks.tick import RunRequest
from runwire.workspace import Workspace


class DryRequest(NamedTuple):
    """A run that is asked for, and the run that its run key has already, if any."""

    request: RunRequest
    existing_run: RunRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DryTick:
    """What an evaluation that was only tried gave.

    Attributes:
        requests: the runs that it asks for.
        skip_reason: why there are none; None when no reason was given.
        cursor: what the next evaluation would go on from; None for a schedule, and when it failed.
        error: what the user's code raised.
    """

    requests: tuple[DryRequest, ...] = ()
    skip_reason: str | None = None
    cursor: str | None = None
    error: ErrorInfo | None = None


def evaluate_tick(
    storage: InstanceStorage,
    workspace: Workspace,
    selector: TickSourceSelector[Any],
    *,
    due_at: float,
    cursor: str | None = None,
) -> DryTick:
    """Calls the function of a schedule or sensor as a tick would; stores nothing.

    Args:
        storage: where cursors and events are.
        workspace: where it is defined.
        selector: which schedule or sensor.
        due_at: the instant that a schedule is due, in epoch seconds.
        cursor: what a sensor goes on from; its stored cursor when left out.

    Raises:
        ScheduleNotFoundError, SensorNotFoundError: there is none.
        ScheduleAmbiguousError, SensorAmbiguousError: there is more than one.
        CodeLocationUnavailableError: its code location is not loaded, or does not answer in time.
        CursorInvalidError: it watches the instance-wide log, and the cursor is not one of that.
    """
    record, location = loaded_source(TickSources(storage.schedule_storage, workspace), selector)
    origin, after = record.origin, None
    try:
        if isinstance(record, SensorRecord):
            at = record.cursor if cursor is None else cursor
            given = sensor_input(storage, record, cursor=at, check=cursor is not None)
            found = location.evaluate_sensor(origin.repository_name, origin.name, given.shown)
            after = given.cursor_after or found.cursor
        else:
            found = location.evaluate_schedule(origin.repository_name, origin.name, due_at)
    except NothingWatchedError as error:
        return DryTick(skip_reason=str(error), cursor=error.cursor)
    except TickEvaluationError as error:
        return DryTick(error=error.info or ErrorInfo.from_exception(error))
    keys = {
        each.run_key: request_key_of(origin, each.run_key)
        for each in found.requests
        if each.run_key is not None
    }
    known = storage.run_storage.get_requested_runs(keys.values()) if keys else {}
    runs = {run_key: known.get(key) for run_key, key in keys.items()}
    return DryTick(
        requests=tuple(DryRequest(each, runs.get(each.run_key or "")) for each in found.requests),
        skip_reason=found.skip_reason,
        cursor=after,
    )
