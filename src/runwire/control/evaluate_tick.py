"""Evaluating a schedule without effect."""

from __future__ import annotations

from dataclasses import dataclass

from runwire.control.start_schedule import loaded_schedule
from runwire.control.tick_sources import ScheduleSelector, TickSources
from runwire.error_info import ErrorInfo
from runwire.errors import TickEvaluationError
from runwire.ticks.evaluation import TickEvaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class DryTick:
    """What an evaluation that was only tried asks for; `error` is what the user's code raised."""

    evaluation: TickEvaluation
    error: ErrorInfo | None = None


def evaluate_tick(sources: TickSources, selector: ScheduleSelector, due_at: float) -> DryTick:
    """Calls the function of a schedule as if it were due at an instant in epoch seconds; stores nothing.

    Raises:
        ScheduleNotFoundError: there is no such schedule.
        ScheduleAmbiguousError: there is more than one.
        CodeLocationUnavailableError: its code location is not loaded, or does not answer in time.
    """
    record, location = loaded_schedule(sources, selector)
    origin = record.origin
    try:
        found = location.evaluate_schedule(origin.repository_name, origin.name, due_at)
    except TickEvaluationError as error:
        info = error.info or ErrorInfo.from_exception(error)
        return DryTick(evaluation=TickEvaluation(), error=info)
    return DryTick(evaluation=found)
