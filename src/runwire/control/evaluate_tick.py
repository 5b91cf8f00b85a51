"""Evaluating a schedule or sensor without effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runwire.control.loaded_source import loaded_source
from runwire.control.sensor_input import NothingWatchedError, sensor_input
from runwire.control.tick_sources import SensorRecord, TickSources, TickSourceSelector
from runwire.error_info import ErrorInfo
from runwire.errors import TickEvaluationError
from runwire.storage.instance_storage import InstanceStorage
from runwire.ticks.evaluation import TickEvaluation
from runwire.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class DryTick:
    """What an evaluation that was only tried asks for; `error` is what the user's code raised."""

    evaluation: TickEvaluation
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
    origin = record.origin
    try:
        if isinstance(record, SensorRecord):
            at = record.cursor if cursor is None else cursor
            given = sensor_input(storage, record, cursor=at, check=cursor is not None)
            found = location.evaluate_sensor(origin.repository_name, origin.name, given.shown)
        else:
            found = location.evaluate_schedule(origin.repository_name, origin.name, due_at)
    except NothingWatchedError as error:
        return DryTick(evaluation=TickEvaluation(skip_reason=str(error), cursor=error.cursor))
    except TickEvaluationError as error:
        info = error.info or ErrorInfo.from_exception(error)
        return DryTick(evaluation=TickEvaluation(), error=info)
    return DryTick(evaluation=found)
